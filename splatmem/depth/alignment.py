"""Aligns the depth of a new frame with the depth that the memory knows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.geometry.distance import distance_inside
from splatmem.geometry.push_pull import push_pull

RESIDUAL_LIMIT = 0.25  # log residuals beyond this come from other surfaces than the memory's, and are left out
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
    are infinitely far on either side say nothing about it.
    """
    usable = known & torch.isfinite(known_depth) & torch.isfinite(depth) & (known_depth > 0) & (depth > 0)
    if not usable.any():
        return AlignedDepth(torch.where(known, known_depth, depth), 1.0, 0.0)
    ratio = torch.where(usable, known_depth / depth, 1.0).log()
    shift = _robust_centre(ratio[usable])
    residual = ratio - shift
    near_border = distance_inside(known) <= 8
    weight = (usable & near_border & (residual.abs() < RESIDUAL_LIMIT)).float()
    spread = push_pull(residual[None, None], weight[None, None])[0, 0] if weight.any() else torch.zeros_like(residual)
    away = distance_inside(~known)
    made = depth * (shift + spread * torch.exp(-away / (FADE * known.shape[1]))).exp()
    aligned = torch.where(known, known_depth, made)
    return AlignedDepth(aligned, float(shift.exp()), _border_step(aligned, depth, known))


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
