"""Smooth extension of known pixels into the unknown by push-pull (Gortler et al. 1996, "The Lumigraph")."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

FULL_WEIGHT = 0.25  # pixels of at least this weight keep their own value


def push_pull(values: Float[Tensor, "b c h w"], weights: Float[Tensor, "b 1 h w"]) -> Float[Tensor, "b c h w"]:
    """Fills where ``weights`` is 0 with ever coarser averages of what is known; known values come back unchanged.

    Values weigh in proportion to ``weights`` in 0..1. Where nothing is known at all, the result is 0.
    """
    if max(values.shape[-2:]) == 1:
        return values * (weights > 0)
    # Pull: averages over cells of two by two pixels; push: back down to where too little is known.
    coarse = _coarser(values * weights, weights)
    spread = F.interpolate(coarse, size=values.shape[-2:], mode="bilinear", align_corners=False)
    return torch.lerp(spread, values, (weights / FULL_WEIGHT).clamp(max=1))


def fill_gaps(values: Float[Tensor, "b c h w"], known: Bool[Tensor, "b h w"]) -> Float[Tensor, "b c h w"]:
    """``push_pull`` for few unknown pixels: nothing but these is computed at full size."""
    filled, weights = values.clone(), known[:, None].float()
    coarse = _coarser(values * weights, weights)
    size = weights.new_tensor([known.shape[2], known.shape[1]])
    for index, gap in enumerate(~known):
        row, column = torch.nonzero(gap, as_tuple=True)
        place = (2 * torch.stack([column, row], dim=-1) + 1) / size - 1
        # Outside of the coarse picture values are those at its edge, as in interpolate.
        spread = F.grid_sample(coarse[[index]], place[None, None], padding_mode="border", align_corners=False)
        filled[index, :, row, column] = spread[0, :, 0]
    return filled


def _coarser(weighted: Float[Tensor, "b c h w"], weights: Float[Tensor, "b 1 h w"]) -> Float[Tensor, "b c h2 w2"]:
    """Values filled by ``push_pull`` at half the size, from values that are multiplied by their weights."""
    sums, shares = _halved(weighted), _halved(weights)
    return push_pull(sums / shares.clamp_min(1e-8), shares)


def _halved(maps: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
    """Means of cells of two by two pixels; those at the end of an odd side have fewer."""
    if maps.shape[2] % 2 or maps.shape[3] % 2:
        # Pooling is several times slower on channels that lie side by side.
        return F.avg_pool2d(maps.contiguous(), 2, ceil_mode=True, count_include_pad=False)
    # Adding rows and then columns takes a third of the time of pooling.
    rows = maps[:, :, 0::2] + maps[:, :, 1::2]
    return (rows[..., 0::2] + rows[..., 1::2]).mul_(0.25)
