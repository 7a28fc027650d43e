"""What the depth model is trained to reduce."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

MIN_DEPTH, MAX_DEPTH = 0.1, 60.0
GRADIENT_WEIGHT = 0.4
LOCAL_WEIGHT = 0.4
LOCAL_SHARES = (1 / 4, 1 / 12)
"""Sides of the squares within which depth is compared up to a factor, as shares of the picture's shorter side."""
EDGE_WEIGHT = 2.0
"""How much more a pixel beside a step of depth counts."""
LABEL_WEIGHT = 0.1
EDGE_STEP = 0.1
"""A difference of log depth between neighbours that is a step."""


def depth_loss(log_depth: Float[Tensor, "b h w"], sky_logits: Float[Tensor, "b h w"], depth: Float[Tensor, "b h w"]) -> Tensor:
    """Scale-invariant log error (Eigen et al. 2014), multi-scale gradients (MegaDepth, Li & Snavely 2018), and sky.

    The error is also taken within squares of two sizes, up to a factor for each square: shapes of single things count as much
    as where they stand (a local loss as in MoGe, Wang et al. 2024).

    Pixels beside steps of depth count ``1 + EDGE_WEIGHT`` times, in the error and in the gradients.
    """
    sky = depth <= 0
    there = (~sky).float()
    truth = depth.clamp(MIN_DEPTH, MAX_DEPTH).log()
    weight = there * (1 + EDGE_WEIGHT * beside_steps(truth, sky).float())
    error = (log_depth - truth) * there
    shift = error.sum((1, 2)) / there.sum((1, 2)).clamp_min(1)
    residual = (error - shift[:, None, None]) * there
    loss = ((residual.abs() * weight).sum((1, 2)) / weight.sum((1, 2)).clamp_min(1) + 0.1 * shift.abs()).mean()
    for stride in (1, 2, 4, 8):
        part, counted = residual[:, ::stride, ::stride], weight[:, ::stride, ::stride]
        for axis in (1, 2):
            both = (counted.narrow(axis, 1, counted.shape[axis] - 1) * counted.narrow(axis, 0, counted.shape[axis] - 1)).sqrt()
            loss = loss + GRADIENT_WEIGHT * (part.diff(dim=axis).abs() * both).sum() / both.sum().clamp_min(1)
    for share in LOCAL_SHARES:
        loss = loss + LOCAL_WEIGHT * local_error(residual, weight, max(2, round(share * min(depth.shape[1:]))))
    return loss + 0.1 * F.binary_cross_entropy_with_logits(sky_logits, sky.float())


def local_error(residual: Float[Tensor, "b h w"], weight: Float[Tensor, "b h w"], side: int) -> Tensor:
    """Weighted mean distance of the residual from its own weighted mean in each square of ``side`` pixels.

    What is left over at the right and lower border of the picture is not compared.
    """
    maps = torch.stack([residual * weight, weight], dim=1)
    summed, counted = F.avg_pool2d(maps, side).unbind(1)
    height, width = (side * length for length in summed.shape[1:])
    mean = (summed / counted.clamp_min(1e-6)).repeat_interleave(side, 1).repeat_interleave(side, 2)
    inside = weight[:, :height, :width]
    return ((residual[:, :height, :width] - mean).abs() * inside).sum() / inside.sum().clamp_min(1)


def label_loss(logits: Float[Tensor, "b k H W"], labels: Int[Tensor, "b h w"]) -> Tensor:
    """Cross-entropy where the label is known (not 0), at the logits' size."""
    reduced = F.interpolate(labels[:, None].float(), size=logits.shape[-2:], mode="nearest")[:, 0].long()
    count = (reduced > 0).sum().clamp_min(1)
    return LABEL_WEIGHT * F.cross_entropy(logits, reduced, ignore_index=0, reduction="sum") / count


def beside_steps(log_depth: Float[Tensor, "b h w"], sky: Bool[Tensor, "b h w"]) -> Bool[Tensor, "b h w"]:
    """Pixels within two of a step of depth or of the sky's border."""
    far = torch.where(sky, torch.full_like(log_depth, 6.0), log_depth)[:, None]
    highest = F.max_pool2d(F.pad(far, (1, 1, 1, 1), mode="replicate"), 3, 1)
    lowest = -F.max_pool2d(F.pad(-far, (1, 1, 1, 1), mode="replicate"), 3, 1)
    steps = (highest - lowest > EDGE_STEP).float()
    return F.max_pool2d(steps, 3, 1, 1)[:, 0] > 0
