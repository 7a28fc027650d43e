"""Contact sheets: film, what was known before filling, depth."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float
from PIL import Image
from torch import Tensor

from splatmem.pixels import to_uint8

UNKNOWN_COLOUR = (0.93, 0.22, 0.55)
TILE_WIDTH = 256


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
    """Inverse depth on matplotlib's turbo map, one scale for all frames: near is red, far and infinite is dark blue."""
    import matplotlib

    inverse = torch.where(torch.isfinite(depth) & (depth > 0), 1 / depth.clamp_min(1e-6), 0.0)
    near = torch.quantile(inverse.flatten()[:: max(1, inverse.numel() // 500_000)], 0.98).clamp_min(1e-9)
    colours = matplotlib.colormaps["turbo"]((inverse / near).clamp(0, 1).numpy())[..., :3]
    return torch.from_numpy(colours).float()


def _tiles(frames: Float[Tensor, "n h w 3"]) -> list[np.ndarray]:
    height = max(1, round(TILE_WIDTH * frames.shape[1] / frames.shape[2]))
    pictures = [Image.fromarray(frame) for frame in to_uint8(frames)]
    shrunk = [np.array(p.resize((TILE_WIDTH, height), Image.Resampling.LANCZOS)) for p in pictures]
    return [np.pad(tile, ((1, 1), (1, 1), (0, 0)), constant_values=255) for tile in shrunk]
