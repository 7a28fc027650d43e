"""Aligns the depth of a new frame with the depth that the memory knows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from splatmem.geometry.distance import distance_inside
from splatmem.geometry.filters import dilate
from splatmem.geometry.push_pull import push_pull

BORDER = 8  # pixels beside the unknown whose residuals are looked at
CELL = 4  # pixels of the side of a cell in which residuals are averaged
LAYERS = 4  # of log depth: what is near and what is far have residuals of their own
LEAST_RANGE = 0.2  # of log depth at the border, over which the layers are spread
RESIDUAL_LIMIT = 0.25  # log residuals that differ more from their layer's median come from other surfaces, and are left out
ELSEWHERE = 0.01  # weight of other layers' residuals: they tell where a layer has none
FADE = 0.35  # share of the picture's width over which the residual's influence falls off in the unknown


@dataclass(frozen=True)
class AlignedDepth:
    """A whole frame's depth.

    Attributes:
        depth: z-depth: the memory's where known, elsewhere that of the new frame, aligned, ``[h, w]``.
        scale: the factor by which the new depth was multiplied.
        border_step: median over neighbouring pairs of a known and an unknown pixel of the relative jump of depth, beyond
            the jump that the new frame's own depth has there: an edge that the frame shows is not a step. 0 without a border.
    """

    depth: Float[Tensor, "h w"]
    scale: float
    border_step: float


def align(depth: Float[Tensor, "h w"], known_depth: Float[Tensor, "h w"], known: Bool[Tensor, "h w"]) -> AlignedDepth:
    """Scales ``depth`` to the known depth, and extends the differences that remain at the border smoothly into the unknown.

    The scale is a median of log ratios, refined on its inliers: up to half of the known pixels may be outliers. Pixels that
    are infinitely far on either side say nothing about it. The differences are extended in each layer of ``depth`` for itself,
    so that a thing in the foreground goes on at its own depth and takes nothing behind it along.
    """
    usable = known & torch.isfinite(known_depth) & torch.isfinite(depth) & (known_depth > 0) & (depth > 0)
    if not usable.any():
        return AlignedDepth(torch.where(known, known_depth, depth), 1.0, 0.0)
    ratio = torch.where(usable, known_depth / depth, 1.0).log()
    shift = _robust_centre(ratio[usable])
    spread = _extended(ratio - shift, usable & dilate(~known[None], BORDER)[0], depth, ~known)
    away = distance_inside(~known)
    made = depth * (shift + spread * torch.exp(-away / (FADE * known.shape[1]))).exp()
    aligned = torch.where(known, known_depth, made)
    return AlignedDepth(aligned, float(shift.exp()), _border_step(aligned, depth, known))


def _extended(
    residual: Float[Tensor, "h w"],
    told: Bool[Tensor, "h w"],
    depth: Float[Tensor, "h w"],
    wanted: Bool[Tensor, "h w"],
) -> Float[Tensor, "h w"]:
    """Residuals of the pixels where they are told, extended to those where they are wanted; 0 elsewhere.

    They are put into a bilateral grid (Chen et al. 2007, "Real-time Edge-aware Image Processing with the Bilateral Grid") whose
    third axis is log depth, filled there in each layer for itself, and read linearly.
    """
    extended = torch.zeros_like(residual)
    if not told.any():
        return extended
    log_depth = depth.clamp_min(1e-12).log()
    nearest, farthest = log_depth[told].quantile(torch.tensor([0.01, 0.99]))
    step = (farthest - nearest).clamp_min(LEAST_RANGE) / (LAYERS - 1)
    layer = ((log_depth - nearest) / step).clamp(0, LAYERS - 1)

    below = layer[told].long().clamp_max(LAYERS - 2)
    share = layer[told] - below
    row, column = torch.nonzero(told, as_tuple=True)
    values = residual[told]
    inlier = _near_median_of(layer[told].round().long(), values)
    shape = LAYERS, *(-(-side // CELL) for side in depth.shape)
    cell = row // CELL * shape[2] + column // CELL
    cells = torch.cat([below, below + 1]) * (shape[1] * shape[2]) + cell.repeat(2)
    shares = torch.cat([1 - share, share]) * inlier.repeat(2) / CELL**2
    # bincount adds in order: adding by several threads would give other last digits each time.
    weights, sums = (
        torch.bincount(cells, part, math.prod(shape)).float().view(shape) for part in (shares, shares * values.repeat(2))
    )
    sums, weights = (maps + ELSEWHERE * maps.sum(dim=0) for maps in (sums, weights))
    grid = push_pull((sums / weights.clamp_min(1e-12))[:, None], weights[:, None])[:, 0]

    row, column = torch.nonzero(wanted, as_tuple=True)
    place = torch.stack([(column + 0.5) / CELL, (row + 0.5) / CELL, layer[wanted] + 0.5], dim=-1)
    size = place.new_tensor([grid.shape[2], grid.shape[1], LAYERS])
    read = F.grid_sample(grid[None, None], (2 * place / size - 1)[None, None, None], padding_mode="border", align_corners=False)
    extended[wanted] = read[0, 0, 0, 0]
    return extended


def _near_median_of(layer: Int[Tensor, " n"], values: Float[Tensor, " n"]) -> Bool[Tensor, " n"]:
    """Which values are within ``RESIDUAL_LIMIT`` of the median of those in the same layer."""
    near = torch.zeros_like(layer, dtype=torch.bool)
    for index in range(LAYERS):
        own = layer == index
        if own.any():
            near[own] = (values[own] - values[own].median()).abs() <= RESIDUAL_LIMIT
    return near


def _robust_centre(values: Float[Tensor, " n"]) -> Float[Tensor, ""]:
    """Mean of the values that lie within three median deviations of the median."""
    centre = values.median()
    deviation = (values - centre).abs().median().clamp_min(1e-4)
    return values[(values - centre).abs() <= 3 * deviation].mean()


def _border_step(aligned: Float[Tensor, "h w"], predicted: Float[Tensor, "h w"], known: Bool[Tensor, "h w"]) -> float:
    steps = []
    for axis in (0, 1):
        across = known.narrow(axis, 1, known.shape[axis] - 1) ^ known.narrow(axis, 0, known.shape[axis] - 1)
        jump = aligned.log().diff(dim=axis)[across]
        own = predicted.log().diff(dim=axis)[across]
        steps.append(((jump - own).abs())[torch.isfinite(jump) & torch.isfinite(own)])
    values = torch.cat(steps)
    return float(values.median().expm1()) if len(values) else 0.0
