"""Which stretches of a view are seen again around it: a way to and fro through the view that dwells on its background.

Seen again and again, the thing that a photo is of gives its repetition away; wall, floor and hedge do not. So of many random
ways that close the turn the one is taken that repeats prominent parts least, repeats no part much more often than others, turns
round on background, where a mirror's seam cuts through nothing, and is stretched least.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.extrapolate.view_copies import AzimuthRange, Leg, legs_between, whole_legs
from splatmem.geometry.cameras import Cameras

PARTS = 64  # of the view, side by side, that are told apart
WAYS = 200  # that are tried; many more, and all seeds find the same
SHORTEST_LEG = 0.3  # of the view's width
MOST_STRETCH = 1.25
PROMINENCE_COST = 4.0  # of a repetition of something prominent, relative to one of background
TURN_COST = 2.0
STRETCH_COST = 1.0


def prominence(view: Cameras, foreground: Bool[Tensor, "h w"], view_range: AzimuthRange) -> Float[Tensor, " b"]:
    """The foreground's share of ``PARTS`` equal parts of one view, from its left end to its right one."""
    azimuth = view_range.azimuth(view.unproject(torch.ones(1, view.height, view.width))[0].flatten(0, 1))
    part = ((azimuth - view_range.left) / view_range.width * PARTS).long().clamp(0, PARTS - 1)
    counts = torch.zeros(2, PARTS).index_add_(1, part, torch.stack([foreground.flatten().float(), torch.ones(len(part))]))
    return counts[0] / counts[1].clamp_min(1)


def wander(view_range: AzimuthRange, prominence: Float[Tensor, " b"], seed: int) -> tuple[Leg, ...]:
    """A way through the view that fills the rest of the turn; another one for another seed.

    Args:
        prominence: 0 (background) to 1 of equal parts of the view, from its left end to its right one.
        seed: of the ways that are tried.
    """
    chance = Random(seed)
    ways = [turns for turns in (_random_turns(view_range, chance) for _ in range(WAYS)) if turns is not None]
    tried = [whole_legs(view_range), *(legs_between(view_range, turns) for turns in ways)]
    return min(tried, key=lambda legs: _cost(legs, view_range, prominence))


def _random_turns(view_range: AzimuthRange, chance: Random) -> list[float] | None:
    """Azimuths at which a way turns round that is about as long as the rest of the turn, or None if it went astray."""
    shortest = SHORTEST_LEG * view_range.width
    turns, azimuth, length = [], view_range.right, 0.0
    while length < MOST_STRETCH * view_range.rest:
        straight = length + azimuth - view_range.left
        if azimuth - view_range.left >= shortest and abs(math.log(straight / view_range.rest)) < math.log(MOST_STRETCH):
            return turns
        # To the left, then back to the right, with room for the leg that follows.
        for low, high in ((view_range.left, azimuth - shortest), (None, view_range.right)):
            low = azimuth + shortest if low is None else low
            if low > high:
                return None
            turns.append(chance.uniform(low, high))
            length += abs(turns[-1] - azimuth)
            azimuth = turns[-1]
    return None


def _cost(legs: Sequence[Leg], view_range: AzimuthRange, prominence: Float[Tensor, " b"]) -> float:
    parts = view_range.left + (torch.arange(len(prominence)) + 0.5) / len(prominence) * view_range.width
    seen = torch.stack([leg.holds(parts) for leg in legs]).sum(0) * (view_range.width / view_range.rest)
    repetition = (seen.square() * (1 + PROMINENCE_COST * prominence)).mean().item()
    at = [round((leg.end - view_range.left) / view_range.width * (len(prominence) - 1)) for leg in legs[:-1]]
    turning = prominence[at].mean().item() if at else 0.0
    return repetition + TURN_COST * turning + STRETCH_COST * abs(math.log(legs[0].stretch))
