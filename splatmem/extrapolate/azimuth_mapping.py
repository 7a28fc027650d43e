"""Chooses which stretches of a view fill the rest of the turn: a piecewise mirrored map of azimuths that favours background.

When the subject of a photo is repeated, the repetition is obvious; repeated wall, floor or hedge is not. So many random maps
that
close the turn are tried, and the one of lowest cost is taken: it repeats prominent parts little, repeats no part much more
    often than others, changes its direction on background, where the seam of a mirror image cuts through no object, and is
    stretched little.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.extrapolate.azimuth import AzimuthRange, AzimuthSegment, full_width_segments, segments_between
from splatmem.geometry.cameras import Cameras

VIEW_BINS = 64  # equal parts of the view, side by side, whose prominence is told apart
NUM_CANDIDATES = 200  # random maps that are tried; with many more, all seeds find the same one
MIN_SEGMENT_SHARE = 0.3  # shortest segment, as a share of the view's width
MAX_STRETCH = 1.25
PROMINENCE_COST = 4.0  # cost of repeating something prominent, relative to repeating background
REVERSAL_COST = 2.0
STRETCH_COST = 1.0


def prominence(view: Cameras, foreground: Bool[Tensor, "h w"], view_range: AzimuthRange) -> Float[Tensor, " b"]:
    """The foreground's share of ``VIEW_BINS`` equal parts of one view, from its left end to its right end.

    Args:
        view: one camera.
        foreground: which of its pixels show foreground.
        view_range: of that camera.
    """
    azimuth = view_range.azimuth(view.unproject(torch.ones(1, view.height, view.width))[0].flatten(0, 1))
    bins = ((azimuth - view_range.left) / view_range.width * VIEW_BINS).long().clamp(0, VIEW_BINS - 1)
    counts = torch.zeros(2, VIEW_BINS).index_add_(1, bins, torch.stack([foreground.flatten().float(), torch.ones(len(bins))]))
    return counts[0] / counts[1].clamp_min(1)


def choose_segments(view_range: AzimuthRange, prominence: Float[Tensor, " b"], seed: int) -> tuple[AzimuthSegment, ...]:
    """Segments of the view that fill the rest of the turn, in their order to the right; the same seed chooses the same.

    Args:
        view_range: what the view shows.
        prominence: 0 (background) to 1 of equal parts of the view, from its left end to its right end.
        seed: of the random candidates.
    """
    random = Random(seed)
    drawn = (_random_reversals(view_range, random) for _ in range(NUM_CANDIDATES))
    candidates = [segments_between(view_range, reversals) for reversals in drawn if reversals is not None]
    return min([full_width_segments(view_range), *candidates], key=lambda segments: _cost(segments, view_range, prominence))


def _random_reversals(view_range: AzimuthRange, random: Random) -> list[float] | None:
    """Azimuths at which a map changes its direction that is about as long as the rest of the turn; None where none is found."""
    shortest = MIN_SEGMENT_SHARE * view_range.width
    reversals, azimuth, length = [], view_range.right, 0.0
    while length < MAX_STRETCH * view_range.rest:
        straight = length + azimuth - view_range.left
        if azimuth - view_range.left >= shortest and abs(math.log(straight / view_range.rest)) < math.log(MAX_STRETCH):
            return reversals
        # To the left, then back to the right, leaving enough for the next segment.
        for low, high in ((view_range.left, azimuth - shortest), (None, view_range.right)):
            low = azimuth + shortest if low is None else low
            if low > high:
                return None
            reversals.append(random.uniform(low, high))
            length += abs(reversals[-1] - azimuth)
            azimuth = reversals[-1]
    return None


def _cost(segments: Sequence[AzimuthSegment], view_range: AzimuthRange, prominence: Float[Tensor, " b"]) -> float:
    """How conspicuous the repetition of these segments is; lower is better."""
    middles = view_range.left + (torch.arange(len(prominence)) + 0.5) / len(prominence) * view_range.width
    seen = torch.stack([segment.contains(middles) for segment in segments]).sum(0) * (view_range.width / view_range.rest)
    repetition = (seen.square() * (1 + PROMINENCE_COST * prominence)).mean().item()
    at = [round((segment.end - view_range.left) / view_range.width * (len(prominence) - 1)) for segment in segments[:-1]]
    reversal = prominence[at].mean().item() if at else 0.0
    return repetition + REVERSAL_COST * reversal + STRETCH_COST * abs(math.log(segments[0].stretch))
