"""Divides a hole among what surrounds it by the shortest borders."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from splatmem.geometry.distance import thickness
from splatmem.geometry.filters import gaussian_kernel

THICKNESS = 28  # pixels across the hole at the size at which borders are found
ROUNDS = 25  # steps with each blur
SPREADS = (6.0, 4.0, 2.5)  # of the blurs at that size: wide ones straighten long borders, narrow ones keep what is thin
SMOOTHING_ROUNDS, SMOOTHING_SPREAD = 4, 1.5  # at full size


def shortest_borders(
    labels: Int[Tensor, "h w"],
    seen: Bool[Tensor, "h w"],
    hole: Bool[Tensor, "h w"],
    forbidden: Bool[Tensor, "k h w"],
) -> Int[Tensor, "h w"]:
    """Labels in which the borders between the parts of a hole are as short as what is seen around it allows.

    An edge that runs into the hole on one side and out of it on another so goes through it straight. Each label's share is
    blurred, and each pixel gets the label that has the largest share of it, again and again: this moves borders by their
    curvature (threshold dynamics, Merriman, Bence & Osher 1994).

    Args:
        labels: from 0 to k - 1; in the hole, where to begin.
        seen: pixels whose labels are given.
        hole: pixels whose labels are looked for; what is neither seen nor in the hole says nothing.
        forbidden: pixels that a label may not have.
    """
    if not hole.any():
        return labels
    stride = max(1, round(thickness(hole) / THICKNESS))
    part = _reached(hole, SPREADS[0] * stride)
    inner, mask, given, barred = labels[part].clone(), hole[part], seen[part] & ~hole[part], forbidden[(slice(None), *part)]
    coarse = (slice(stride // 2, None, stride),) * 2
    found = inner[coarse]
    for spread in SPREADS:
        found = _straightened(found, given[coarse], mask[coarse], barred[(slice(None), *coarse)], ROUNDS, spread)
    enlarged = found.repeat_interleave(stride, 0).repeat_interleave(stride, 1)
    enlarged = F.pad(enlarged[None].float(), (0, stride, 0, stride), mode="replicate")[0].to(labels.dtype)
    result = labels.clone()
    result[part] = torch.where(mask, enlarged[: mask.shape[0], : mask.shape[1]], inner)
    spread = max(SMOOTHING_SPREAD, 0.7 * stride)
    part = _reached(hole, spread)
    given, barred = seen[part] & ~hole[part], forbidden[(slice(None), *part)]
    result[part] = _straightened(result[part], given, hole[part], barred, SMOOTHING_ROUNDS, spread)
    return result


def _reached(hole: Bool[Tensor, "h w"], spread: float) -> tuple[slice, slice]:
    """Rows and columns of all that blurs of this spread bring into a hole."""
    margin = round(3 * spread)
    row, column = torch.nonzero(hole, as_tuple=True)
    return (
        slice(max(0, int(row.min()) - margin), int(row.max()) + margin + 1),
        slice(max(0, int(column.min()) - margin), int(column.max()) + margin + 1),
    )


def _straightened(
    labels: Int[Tensor, "h w"],
    seen: Bool[Tensor, "h w"],
    hole: Bool[Tensor, "h w"],
    forbidden: Bool[Tensor, "k h w"],
    rounds: int,
    spread: float,
) -> Int[Tensor, "h w"]:
    counts, count = (seen | hole).float(), len(forbidden)
    for _ in range(rounds):
        shares = F.one_hot(labels.clamp(0, count - 1), count).permute(2, 0, 1).float() * counts
        moved = torch.where(hole, _blurred(shares, spread).masked_fill(forbidden, -1).argmax(0), labels)
        if torch.equal(moved, labels):
            break
        labels = moved
    return labels


def _blurred(maps: Float[Tensor, "k h w"], spread: float) -> Float[Tensor, "k h w"]:
    radius = round(3 * spread)
    kernel = gaussian_kernel(spread, radius).view(1, 1, 1, -1)
    maps = F.conv2d(maps[:, None], kernel, padding=(0, radius))
    return F.conv2d(maps, kernel.transpose(2, 3), padding=(radius, 0))[:, 0]
