"""Smooth extension of known pixels into the unknown by push-pull (Gortler et al. 1996, "The Lumigraph")."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def push_pull(values: Float[Tensor, "b c h w"], weights: Float[Tensor, "b 1 h w"]) -> Float[Tensor, "b c h w"]:
    """Fills where ``weights`` is 0 with ever coarser averages of what is known; known values come back unchanged.

    Values weigh in proportion to ``weights`` in 0..1. Where nothing is known at all, the result is 0.
    """
    levels = [(values * weights, weights)]
    while max(levels[-1][0].shape[-2:]) > 1:
        colour, weight = (F.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False) for x in levels[-1])
        levels.append((colour, weight))
    colour, weight = levels[-1]
    filled = colour / weight.clamp_min(1e-8)
    for colour, weight in reversed(levels[:-1]):
        coarse = F.interpolate(filled, size=colour.shape[-2:], mode="bilinear", align_corners=False)
        # Push: a level's own average counts in full once a quarter of its cell is known.
        share = (4 * weight).clamp(max=1)
        filled = share * colour / weight.clamp_min(1e-8) + (1 - share) * coarse
    return torch.where(weights > 0.999, values, filled)
