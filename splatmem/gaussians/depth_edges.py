"""Depth edges of a view: smeared ones are sharpened, and what lies in front of one is found."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.geometry.filters import maximum

EDGE_SLOPE = 0.015
"""Relative change of depth from pixel to pixel above which a narrow ramp counts as a smeared depth edge."""

FARTHEST = 20.0
"""Greatest logarithm of a depth: sky differs from all else, and not from itself."""

SNAP_REACH = 4
"""A pixel on a depth edge may be snapped to a surface this many pixels away; farther ones are left out."""


def snap_depth_edges(
    depth: Float[Tensor, "h w"], edge_slope: float = EDGE_SLOPE
) -> tuple[Float[Tensor, "h w"], Bool[Tensor, "h w"]]:
    """Sharpens smeared depth edges: pixels inside a narrow ramp take the depth of the side they are closer to.

    A ramp is a ridge of the relative depth gradient that is narrower than about nine pixels (a white top-hat: steep but wide
    regions are surfaces seen at a grazing angle), and a pixel lies inside it if its depth is well between its neighbours'.

    Returns:
        The depth, and the pixels for which no side was found within reach.
    """
    start = depth.log()
    log_depth, inside = start.clone(), _inside_ramp(start, edge_slope)
    pixels = torch.nonzero(inside)  # few: nothing else is looked at
    size = pixels.new_tensor(depth.shape)
    for _ in range(SNAP_REACH):
        beside = pixels + pixels.new_tensor([[0, -1], [0, 1], [-1, 0], [1, 0]])[:, None]
        in_picture = ((beside >= 0) & (beside < size)).all(-1)
        row, column = beside.clamp_min(0).minimum(size - 1).unbind(-1)
        candidates, settled = log_depth[row, column], in_picture & ~inside[row, column]
        distance = torch.where(settled, (candidates - log_depth[pixels[:, 0], pixels[:, 1]]).abs(), torch.inf)
        nearest, side = distance.min(dim=0)
        found = torch.isfinite(nearest)
        row, column = pixels[found].unbind(-1)
        log_depth[row, column], inside[row, column] = candidates.gather(0, side[None])[0][found], False
        pixels = pixels[~found]
    return torch.where(log_depth == start, depth, log_depth.exp()), inside


def _inside_ramp(log_depth: Float[Tensor, "h w"], edge_slope: float) -> Bool[Tensor, "h w"]:
    padded = F.pad(log_depth[None, None], (1, 1, 1, 1), mode="replicate")[0, 0]
    slope = 0.5 * torch.hypot(padded[1:-1, 2:] - padded[1:-1, :-2], padded[2:, 1:-1] - padded[:-2, 1:-1])
    wide = maximum(-maximum(-slope, 9), 9)
    low, high = -maximum(-log_depth, 3), maximum(log_depth, 3)
    position = (log_depth - low) / (high - low).clamp_min(1e-9)
    return (slope > edge_slope) & (slope > 3 * wide) & (position > 0.2) & (position < 0.8)


def before_an_edge(depth: Float[Tensor, "h w"], reach: int, edge_slope: float = EDGE_SLOPE) -> Bool[Tensor, "h w"]:
    """Pixels with something clearly farther away within ``reach`` pixels than a surface that goes on as it is would be."""
    log_depth = depth.log().clamp(-FARTHEST, FARTHEST)
    farther = maximum(log_depth, 2 * reach + 1) - log_depth
    nearer = log_depth + maximum(-log_depth, 2 * reach + 1)
    return farther - nearer > (reach + 1) * edge_slope


def behind_an_edge(depth: Float[Tensor, "h w"], reach: int, edge_slope: float = EDGE_SLOPE) -> Bool[Tensor, "h w"]:
    """Pixels with something clearly nearer within ``reach`` pixels than a surface that goes on as it is would be."""
    return before_an_edge(1 / depth, reach, edge_slope)
