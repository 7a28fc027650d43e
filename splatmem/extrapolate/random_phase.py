"""Colours that go on around a turn as they are at each height, with their texture and with nothing that comes again.

The texture is what a picture shows, under white noise along its rows: random-phase noise (Galerne, Gousseau and Morel 2011), in
one direction alone, so that each height keeps its grain: fine near the horizon, coarse near the camera. Grass, gravel, water
and clouds are known again by it; a path or a bird is not.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

RARE = 0.25
"""Difference of a colour from the one that is usual at its height: what differs more is another thing."""
LIGHT = 0.07
"""Width, in radians, over which colours are light, not texture; light changes faster upwards, over ``LIGHT_ROWS`` of that."""
LIGHT_ROWS = 0.3
SMOOTH = 0.017
"""Height, in radians, over which the colour is one."""
FEWEST = 0.2
"""Share of a row that must be shown for its texture to be taken from there."""
FADING = 2.0
"""How far beyond the rows that have a texture it goes on, in units of their number."""
APART = 3
"""Rows away from the nearest one that has a texture by which it is gone: the same row again and again is a streak."""


def continued_around(
    rgb: Float[Tensor, "rows seen 3"],
    where: Bool[Tensor, "rows seen"],
    columns: int,
    step: float,
    generator: torch.Generator | None,
) -> Float[Tensor, "rows columns 3"]:
    """A picture once around that is at each height as another is where it may be taken from.

    Args:
        rgb: 0..1; a row is a height.
        where: pixels that may be taken from: at least one.
        columns: of the picture once around.
        step: angle of a pixel, in radians.
        generator: of the noise. None: there is no texture.
    """
    usual = torch.where(where[..., None], rgb, torch.nan).nanmedian(dim=1, keepdim=True).values
    where = where & ((rgb - usual).abs().amax(dim=-1) < RARE)
    weights = where.float()[..., None]
    rows = torch.arange(len(rgb))
    sums = _blurred(torch.cat([(rgb * weights).sum(1), weights.sum(1)], dim=-1), SMOOTH / step)
    told = torch.nonzero(sums[:, 3] > FEWEST * sums[:, 3].max())[:, 0]
    colour = (sums[:, :3] / sums[:, 3:].clamp_min(1e-6))[_nearest(told, rows)]
    shown = weights.sum(1)[:, 0]
    full = torch.nonzero(shown > FEWEST * rgb.shape[1])[:, 0]
    if generator is None or not len(full):
        return colour[:, None].expand(-1, columns, 3)
    first, last = int(full[0]), int(full[-1])
    part = slice(first, last + 1)
    light = torch.cat([rgb[part] * weights[part], weights[part]], dim=-1)
    light = _blurred(_blurred(light, LIGHT_ROWS * LIGHT / step).transpose(0, 1), LIGHT / step).transpose(0, 1)
    detail = (rgb[part] - light[..., :3] / light[..., 3:].clamp_min(1e-6)) * weights[part]
    noise = torch.fft.rfft(torch.randn(columns, generator=generator))
    texture = torch.fft.irfft(torch.fft.rfft(detail.transpose(1, 2), n=columns) * noise, n=columns).transpose(1, 2)
    texture = texture / shown[part].clamp_min(1).sqrt()[:, None, None]
    outside = torch.maximum(first - rows, rows - last).clamp_min(0)
    taken = _mirrored(rows, first, last)
    source = _nearest(full, taken)
    fading = (1 - outside / (FADING * len(texture))).clamp_min(0) * (1 - (taken - source).abs() / APART).clamp_min(0)
    return (colour[:, None] + fading[:, None, None] * texture[source - first]).clamp(0, 1)


def _nearest(some: Int[Tensor, " n"], rows: Int[Tensor, " rows"]) -> Int[Tensor, " rows"]:
    """The nearest of some rows, in rising order, to each row."""
    after = torch.searchsorted(some, rows).clamp_max(len(some) - 1)
    before = (after - 1).clamp_min(0)
    return torch.where((some[after] - rows).abs() < (rows - some[before]).abs(), some[after], some[before])


def _mirrored(rows: Int[Tensor, " rows"], first: int, last: int) -> Int[Tensor, " rows"]:
    """Rows between two for any rows, as in mirrors at both."""
    span = max(1, last - first)
    return first + (span - ((rows - first) % (2 * span) - span).abs())


def _blurred(values: Float[Tensor, "rows *n"], sigma: float) -> Float[Tensor, "rows *n"]:
    """Values blurred from row to row by a Gaussian; nothing comes from outside."""
    return torch.from_numpy(gaussian_filter1d(values.numpy(), sigma, axis=0, mode="constant", truncate=3.0))
