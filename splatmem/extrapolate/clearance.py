"""What would stand in the cameras' way, moved out of it: a copy of the view that is cut there would be half a thing."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.extrapolate.radial_warp import (
    SMOOTHING_REACH,
    at_azimuths,
    part_azimuths,
    quantile_by_part,
    radial_warp,
    smoothed,
)
from splatmem.extrapolate.room_layout import RoomLayout
from splatmem.extrapolate.view_copies import AzimuthRange
from splatmem.gaussians import Gaussians

LEAST_POINTS = 10  # in one part of the turn; fewer are left to be cut
NEAREST_QUANTILE = 0.05  # of what is in the way in one part: that tells how far it has to be moved
MOST = 4.0  # times as far away; what would have to be moved farther is cut


def moved_clear(
    copies: Gaussians, view_range: AzimuthRange, room: RoomLayout, places: Float[Tensor, "p 3"], clearance: float
) -> Gaussians:
    """Moves all that stands in a direction in which something is too near to a camera, but for what one view shows.

    Args:
        copies: what stands around the view.
        view_range: the part of a turn that the view shows.
        room: around it; floor and ceiling stay level where they were seen.
        places: of the cameras.
        clearance: from them.
    """
    in_the_way = ~clear_of(copies, places, clearance)
    azimuth = view_range.azimuth(copies.means)
    azimuths = part_azimuths()
    means = copies.means[in_the_way]
    nearest = quantile_by_part(view_range.distance(means), azimuth[in_the_way], NEAREST_QUANTILE, LEAST_POINTS)
    shown = view_range.shows(azimuths)
    factor = (_beyond(azimuths, view_range, places, clearance) / nearest).nan_to_num(1).clamp(1, MOST)
    log_factor = torch.where(shown, 0.0, factor.log())
    if not log_factor.any():
        return copies
    reach = 2 * SMOOTHING_REACH + 1
    widest = F.max_pool1d(F.pad(log_factor[None], (SMOOTHING_REACH, SMOOTHING_REACH), mode="circular"), reach, 1)[0]
    return radial_warp(copies, view_range, room, at_azimuths(smoothed(torch.where(shown, 0.0, widest)), azimuth))


def clear_of(gaussians: Gaussians, places: Float[Tensor, "p 3"], clearance: float) -> Bool[Tensor, " n"]:
    """What is farther than ``clearance`` from all of the places."""
    return torch.cdist(gaussians.means, places).amin(1) > clearance


def _beyond(
    azimuths: Float[Tensor, " parts"], view_range: AzimuthRange, places: Float[Tensor, "p 3"], clearance: float
) -> Float[Tensor, " parts"]:
    """Horizontal distance in each direction from which on no camera is nearer than ``clearance``; 0 where none ever is."""
    away = azimuths[:, None] - view_range.azimuth(places)
    radius = view_range.distance(places)
    aside = clearance**2 - (radius * away.sin()).square()
    beyond = radius * away.cos() + aside.clamp_min(0).sqrt()
    return torch.where(aside > 0, beyond, 0.0).amax(1).clamp_min(0)
