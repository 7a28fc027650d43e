"""Moves copies of a view away from the cameras of a path, where they would be in the way.

What is too near to a camera could be left out; but then an object would be cut in two. It is moved back instead, together with
all that stands in the same direction.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.extrapolate.azimuth import AzimuthRange
from splatmem.extrapolate.azimuth_bins import bin_azimuths, interpolate_bins, max_over_reach, quantile_by_bin, smooth_bins
from splatmem.extrapolate.radial_warp import radial_warp
from splatmem.extrapolate.room_layout import RoomLayout
from splatmem.gaussians import Gaussians

MIN_BLOCKING_POINTS = 10  # in one bin of azimuth; where fewer are in the way, nothing is moved
BLOCKING_QUANTILE = 0.05  # of the distances of what is in the way in one bin: the distance that has to be moved out
MAX_FACTOR = 4.0  # by which distances grow at most


def move_clear_of_cameras(
    copies: Gaussians, view_range: AzimuthRange, room: RoomLayout, positions: Float[Tensor, "p 3"], clearance: float
) -> Gaussians:
    """Moves Gaussians away from the view's camera in the directions in which something is too near to one of the positions.

    Directions that the view itself shows are left as they are.

    Args:
        copies: Gaussians all around the view.
        view_range: the part of a turn that the view shows.
        room: around it; its floor and ceiling stay level where they were seen.
        positions: of cameras, in the world.
        clearance: distance from them that is to be kept, in world units.
    """
    in_the_way = ~is_clear_of_cameras(copies, positions, clearance)
    azimuth = view_range.azimuth(copies.means)
    azimuths = bin_azimuths()
    means = copies.means[in_the_way]
    nearest = quantile_by_bin(view_range.distance(means), azimuth[in_the_way], BLOCKING_QUANTILE, MIN_BLOCKING_POINTS)
    shown = view_range.shows(azimuths)
    factor = (_clear_distance(azimuths, view_range, positions, clearance) / nearest).nan_to_num(1).clamp(1, MAX_FACTOR)
    log_factor = torch.where(shown, 0.0, factor.log())
    if not log_factor.any():
        return copies
    smooth = smooth_bins(torch.where(shown, 0.0, max_over_reach(log_factor)))
    return radial_warp(copies, view_range, room, interpolate_bins(smooth, azimuth))


def is_clear_of_cameras(gaussians: Gaussians, positions: Float[Tensor, "p 3"], clearance: float) -> Bool[Tensor, " n"]:
    """Which Gaussians have their centres farther than ``clearance`` from all positions."""
    return torch.cdist(gaussians.means, positions).amin(1) > clearance


def _clear_distance(
    azimuths: Float[Tensor, " bins"], view_range: AzimuthRange, positions: Float[Tensor, "p 3"], clearance: float
) -> Float[Tensor, " bins"]:
    """Horizontal distance in each direction beyond which no position is nearer than ``clearance``; 0 where none ever is."""
    away = azimuths[:, None] - view_range.azimuth(positions)
    radius = view_range.distance(positions)
    half_chord_squared = clearance**2 - (radius * away.sin()).square()
    beyond = radius * away.cos() + half_chord_squared.clamp_min(0).sqrt()
    return torch.where(half_chord_squared > 0, beyond, 0.0).amax(1).clamp_min(0)
