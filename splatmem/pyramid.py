"""Smooth extension of known pixels into the unknown by push-pull (Gortler et al. 1996, "The Lumigraph")."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

FULL_WEIGHT = 0.25  # a pixel that weighs this much counts in full; coarser ones are pixels of the next level


def push_pull(values: Float[Tensor, "b c h w"], weights: Float[Tensor, "b 1 h w"]) -> Float[Tensor, "b c h w"]:
    """Fills where ``weights`` is 0 with ever coarser averages of what is known; known values come back unchanged.

    Values weigh in proportion to ``weights`` in 0..1. Where nothing is known at all, the result is 0.
    """
    return _push_pull(values.contiguous(), weights)  # pooling is several times slower on channels that lie side by side


def _push_pull(values: Float[Tensor, "b c h w"], weights: Float[Tensor, "b 1 h w"]) -> Float[Tensor, "b c h w"]:
    if max(values.shape[-2:]) == 1:
        return values * (weights > 0)
    # Pull: averages over cells of two by two pixels; push: back down to where too little is known.
    sums, shares = (F.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False) for x in (values * weights, weights))
    coarse = _push_pull(sums / shares.clamp_min(1e-8), shares)
    spread = F.interpolate(coarse, size=values.shape[-2:], mode="bilinear", align_corners=False)
    return torch.lerp(spread, values, (weights / FULL_WEIGHT).clamp(max=1))
