"""What of Gaussians from a file can be drawn: the rest is left out, and a report says so."""

from __future__ import annotations

import torch
from jaxtyping import Bool
from torch import Tensor

from splatmem.gaussians import Gaussians

MOST_OPAQUE = 1 - 1e-7  # whose logit is finite in float32
OPAQUE_LOGIT = 30.0  # the sigmoid is 1 there in float32
LARGEST_LOG_SCALE = 30.0  # 1e13 units: the squares of more leave float32 on the way to the picture
FARTHEST = 1e12
LARGEST_COEFFICIENT = 1e6  # of a colour


def drawable(gaussians: Gaussians) -> tuple[Gaussians, list[str]]:
    """The Gaussians that can be drawn, and notes on those that cannot.

    Opacity logits that are infinite mean opaque or transparent; a scale of zero (its logarithm is minus infinity) means that
    nothing is there; NaN means damage.
    """
    count = len(gaussians)
    values = torch.cat([gaussians.means, gaussians.quats, gaussians.log_scales, gaussians.sh.flatten(1)], dim=1)
    damaged = values.isnan().any(1) | gaussians.opacity_logits.isnan()
    nothing = (gaussians.log_scales == -torch.inf).any(1) & ~damaged
    too_large = _beyond(gaussians) & ~damaged & ~nothing
    notes = [
        f"{int(left_out.sum())} of {count} Gaussians {why}: left out"
        for left_out, why in (
            (damaged, "hold values that are NaN"),
            (nothing, "have a scale of zero"),
            (too_large, "are too large or too far away to be drawn"),
        )
        if left_out.any()
    ]
    kept = gaussians.select(~(damaged | nothing | too_large)) if notes else gaussians
    logits = kept.opacity_logits
    logits = torch.where(logits.isinf(), OPAQUE_LOGIT * logits.sign(), logits)
    longest = kept.quats.abs().amax(1, keepdim=True)
    quats = torch.where(longest > 1e15, kept.quats / longest, kept.quats)  # squares of such leave float32
    return kept.with_values(opacity_logits=logits, quats=quats), notes


def _beyond(gaussians: Gaussians) -> Bool[Tensor, " n"]:
    far = ~(gaussians.means.abs() <= FARTHEST).all(1)
    large = ~(gaussians.log_scales <= LARGEST_LOG_SCALE).all(1)
    bright = ~(gaussians.sh.abs() <= LARGEST_COEFFICIENT).flatten(1).all(1)
    return far | large | bright | ~gaussians.quats.isfinite().all(1)
