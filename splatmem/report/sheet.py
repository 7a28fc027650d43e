"""Contact sheets: film, what was known before filling, depth."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float
from PIL import Image
from torch import Tensor

from splatmem.pixels import to_uint8

UNKNOWN_COLOUR = (0.93, 0.22, 0.55)
SHEET_TILE_WIDTH = 256
TURBO = (
    (0.13572138, 0.09140261, 0.10667330),
    (4.61539260, 2.19418839, 12.64194608),
    (-42.66032258, 4.84296658, -60.58204836),
    (132.13108234, -14.18503333, 110.36276771),
    (-152.94239396, 4.27729857, -89.90310912),
    (59.28637943, 2.82956604, 27.34824973),
)
"""Red, green and blue of the turbo map as polynomials, the constant first."""


def contact_sheet(
    film: Float[Tensor, "n h w 3"],
    before_rgb: Float[Tensor, "n h w 3"],
    before_known: Bool[Tensor, "n h w"],
    depth: Float[Tensor, "n h w"],
    columns: int = 4,
) -> Image.Image:
    """Three tiles for each frame, one above the other, ``columns`` frames a row."""
    unknown = torch.tensor(UNKNOWN_COLOUR)
    before = torch.where(before_known[..., None], before_rgb, unknown)
    stacks = [np.concatenate(tiles) for tiles in zip(*map(_tiles, (film, before, depth_colours(depth))), strict=True)]
    blank = np.full_like(stacks[0], 255)
    rows = []
    for first in range(0, len(stacks), columns):
        row = stacks[first : first + columns]
        rows.append(np.concatenate(row + [blank] * (columns - len(row)), axis=1))
    return Image.fromarray(np.concatenate(rows))


def depth_colours(depth: Float[Tensor, "n h w"]) -> Float[Tensor, "n h w 3"]:
    """Inverse depth on the turbo map, one scale for all frames: near is red, far and infinite is dark blue."""
    inverse = torch.where(torch.isfinite(depth) & (depth > 0), 1 / depth.clamp_min(1e-6), 0.0)
    near = torch.quantile(inverse.flatten()[:: max(1, inverse.numel() // 500_000)], 0.98).clamp_min(1e-9)
    return _turbo((inverse / near).clamp(0, 1))


def _turbo(values: Float[Tensor, "*n"]) -> Float[Tensor, "*n 3"]:
    """Colours of values in 0..1 on the turbo map (Mikhailov 2019), by the polynomials that its author gives for it."""
    colours = values.new_zeros(*values.shape, 3)
    for factors in reversed(TURBO):
        colours = colours * values[..., None] + torch.tensor(factors)
    return colours.clamp(0, 1)


def _tiles(frames: Float[Tensor, "n h w 3"]) -> list[np.ndarray]:
    height = max(1, round(SHEET_TILE_WIDTH * frames.shape[1] / frames.shape[2]))
    pictures = [Image.fromarray(frame) for frame in to_uint8(frames)]
    shrunk = [np.array(p.resize((SHEET_TILE_WIDTH, height), Image.Resampling.LANCZOS)) for p in pictures]
    return [np.pad(tile, ((1, 1), (1, 1), (0, 0)), constant_values=255) for tile in shrunk]
