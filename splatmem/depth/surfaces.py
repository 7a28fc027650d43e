"""Depth maps as surfaces: steps are made sharp, and what lies between them is made smooth.

A network's map ripples, and its steps are ramps of a few pixels. In the picture's own view neither shows; from aside ramps
hang in the air between two surfaces, and a straight thing bends. Inverse depth of a plane is linear in the picture, so each
pixel gets the value of the line fitted to inverse depth around it, over the pixels that no step parts from it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.geometry.filters import domain_filter

REACH = 0.1
"""Standard deviation of the neighbourhood, as a share of the shorter side."""
STEP = 0.1
"""Relative change of inverse depth between neighbours, beyond its slope, that parts two surfaces."""
RAMP = 2 / 288
"""Half of a ramp's width, as a share of the shorter side."""
MIN_STEP = 0.06
"""Difference of log depth within a ramp from which it is made a step."""
RANGE = 1.3
"""How far beyond the nearest and the farthest depth of the map a fitted one may lie, as a factor."""


def smooth_surfaces(depth: Float[Tensor, "h w"], there: Bool[Tensor, "h w"]) -> Float[Tensor, "h w"]:
    """The depth map with sharp steps and smooth surfaces.

    Args:
        depth: z-depth of any unit; meaningless where not ``there``.
        there: which pixels have a depth; sky has none.
    """
    if int(there.sum()) < 2:
        return depth
    filled = torch.where(there, depth, depth[there].max() * 3)
    side = min(depth.shape)
    inverse = torch.where(there, 1 / _sharpened(filled.log(), max(1, round(RAMP * side))).exp(), 0.0).double()
    fitted = _fitted(inverse, there, REACH * side)
    known = inverse[there]
    fitted = fitted.clamp(float(known.min()) / RANGE, float(known.max()) * RANGE)
    return torch.where(there, (1 / fitted).to(depth.dtype), depth)


def _sharpened(log_depth: Float[Tensor, "h w"], radius: int) -> Float[Tensor, "h w"]:
    """On steps each pixel takes the nearest or the farthest depth around it, whichever is less far from its own.

    Toggle mapping (Kramer & Bruckner 1975).
    """
    side = 2 * radius + 1
    padded = F.pad(log_depth[None, None], (radius,) * 4, mode="replicate")
    farthest, nearest = F.max_pool2d(padded, side, 1)[0, 0], -F.max_pool2d(-padded, side, 1)[0, 0]
    chosen = torch.where(log_depth - nearest < farthest - log_depth, nearest, farthest)
    return torch.where(farthest - nearest > MIN_STEP, chosen, log_depth)


def _fitted(values: Float[Tensor, "h w"], there: Bool[Tensor, "h w"], sigma: float) -> Float[Tensor, "h w"]:
    """At each pixel the value of the plane that is fitted, by moving least squares, to the values on its own surface.

    The weights are those of the domain transform's recursive filter (Gastal & Oliveira 2011): they fall with the distance along
    rows and columns, in which a step counts as very far.
    """
    height, width = values.shape
    y, x = torch.meshgrid(
        torch.linspace(-0.5, 0.5, height, dtype=values.dtype) * height / sigma,
        torch.linspace(-0.5, 0.5, width, dtype=values.dtype) * width / sigma,
        indexing="ij",
    )
    one = there.to(values.dtype)
    moments = torch.stack([one, x * one, y * one, x * x * one, x * y * one, y * y * one, *(values * v for v in (one, x, y))])
    moments = domain_filter(moments, 1 + sigma * _steps(values), 1 + sigma * _steps(values.T), sigma)
    _, mean_x, mean_y, xx, xy, yy, mean, vx, vy = moments / moments[0].clamp_min(1e-12)
    # A thing of one pixel's width has no slope across it: variances get that of a pixel.
    floor = (0.7 / sigma) ** 2
    xx, xy, yy = xx - mean_x**2 + floor, xy - mean_x * mean_y, yy - mean_y**2 + floor
    vx, vy = vx - mean_x * mean, vy - mean_y * mean
    determinant = xx * yy - xy**2
    slope_x, slope_y = (yy * vx - xy * vy) / determinant, (xx * vy - xy * vx) / determinant
    return mean + slope_x * (x - mean_x) + slope_y * (y - mean_y)


def _steps(values: Float[Tensor, "h w"]) -> Float[Tensor, "h n"]:
    """How much of a step there is between each pixel and its right neighbour: 0 on planes, 1 and more on steps.

    On a slope neighbours differ, but the differences do not change: the smaller of the two tells a step.
    """
    change = values.diff(dim=1).abs()
    bend = F.pad((values[:, 2:] - 2 * values[:, 1:-1] + values[:, :-2]).abs(), (1, 1))
    beyond = torch.minimum(change, torch.maximum(bend[:, 1:], bend[:, :-1]))
    nearest = torch.minimum(values[:, 1:], values[:, :-1]).clamp_min(1e-12)
    return (beyond / nearest / STEP) ** 2
