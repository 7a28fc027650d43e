"""Contact sheets: of a film (frames, what was known before filling, depth), and of given pictures with what moved."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from PIL import Image
from torch import Tensor

from splatmem.pixels import to_uint8

UNKNOWN_COLOUR = (0.93, 0.22, 0.55)
SHEET_TILE_WIDTH = 256
TURBO = (
    (0.19, 0.07, 0.23),
    (0.25, 0.25, 0.63),
    (0.28, 0.42, 0.89),
    (0.26, 0.58, 1.00),
    (0.16, 0.74, 0.92),
    (0.09, 0.87, 0.76),
    (0.20, 0.95, 0.59),
    (0.43, 0.99, 0.39),
    (0.64, 0.99, 0.23),
    (0.80, 0.92, 0.20),
    (0.93, 0.81, 0.23),
    (0.99, 0.67, 0.20),
    (0.98, 0.49, 0.13),
    (0.92, 0.31, 0.05),
    (0.82, 0.18, 0.02),
    (0.66, 0.08, 0.00),
    (0.48, 0.02, 0.01),
)
"""Colours at even steps of the turbo map (Mikhailov 2019), from its beginning to its end."""


def contact_sheet(
    film: Iterable[UInt8[np.ndarray, "h w 3"]],
    before: Iterable[tuple[Float[Tensor, "_ i j 3"], Bool[Tensor, "_ i j"]]],
    depth: Float[Tensor, "n i j"],
    columns: int = 4,
) -> Image.Image:
    """Three tiles for each of ``n`` frames, one above the other, ``columns`` frames a row.

    Args:
        film: its frames.
        before: colours and known pixels of what was known of them before, some frames at a time.
        depth: of the frames; each of the three may have another size.
        columns: frames in a row.
    """
    unknown = torch.tensor(UNKNOWN_COLOUR)
    known_before = [tile for rgb, known in before for tile in _tiles(to_uint8(torch.where(known[..., None], rgb, unknown)))]
    rows = (_tiles(film), known_before, _tiles(to_uint8(depth_colours(depth))))
    stacks = [np.concatenate(tiles) for tiles in zip(*rows, strict=True)]
    return _in_rows(stacks, columns)


def _in_rows(tiles: list[np.ndarray], columns: int) -> Image.Image:
    blank = np.full_like(tiles[0], 255)
    rows = []
    for first in range(0, len(tiles), columns):
        row = tiles[first : first + columns]
        rows.append(np.concatenate(row + [blank] * (columns - len(row)), axis=1))
    return Image.fromarray(np.concatenate(rows))


def moving_sheet(rgb: Float[Tensor, "n h w 3"], moving: Bool[Tensor, "n h w"], columns: int = 4) -> Image.Image:
    """The given pictures with what was left out of them tinted, ``columns`` a row."""
    tinted = torch.where(moving[..., None], 0.4 * rgb + 0.6 * torch.tensor(UNKNOWN_COLOUR), rgb)
    return _in_rows(_tiles(to_uint8(tinted)), columns)


def depth_colours(depth: Float[Tensor, "n h w"]) -> Float[Tensor, "n h w 3"]:
    """Inverse depth on the turbo map, one scale for all frames: near is red, far and infinite is dark blue."""
    inverse = torch.where(torch.isfinite(depth) & (depth > 0), 1 / depth.clamp_min(1e-6), 0.0)
    near = torch.quantile(inverse.flatten()[:: max(1, inverse.numel() // 500_000)], 0.98).clamp_min(1e-9)
    return _turbo((inverse / near).clamp(0, 1))


def _turbo(values: Float[Tensor, "*n"]) -> Float[Tensor, "*n 3"]:
    """Colours of values in 0..1 on the turbo map."""
    colours, place = torch.tensor(TURBO), values * (len(TURBO) - 1)
    below = place.long().clamp_max(len(TURBO) - 2)
    return torch.lerp(colours[below], colours[below + 1], (place - below)[..., None])


def _tiles(frames: Iterable[UInt8[np.ndarray, "h w 3"]]) -> list[np.ndarray]:
    pictures = [Image.fromarray(frame) for frame in frames]
    shrunk = [
        np.array(p.resize((SHEET_TILE_WIDTH, max(1, round(SHEET_TILE_WIDTH * p.height / p.width))), Image.Resampling.LANCZOS))
        for p in pictures
    ]
    return [np.pad(tile, ((1, 1), (1, 1), (0, 0)), constant_values=255) for tile in shrunk]
