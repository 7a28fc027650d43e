"""Moves copies of a view to where the walls of a room would stand.

Copies mirrored about the camera would stand as far behind it as the originals stand ahead. But a wall beside the picture goes
on as a plane, and the farther a room reaches before a camera, the less of it is left behind. So in each direction the copies
are moved to the nearest of such walls. Seen from the camera everything keeps its direction, except for what stands lower than
the
camera on a floor that was seen: that moves along the floor, and appears a little higher or lower.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.extrapolate.azimuth import AzimuthRange
from splatmem.extrapolate.azimuth_bins import bin_azimuths, interpolate_bins, quantile_by_bin, smooth_bins
from splatmem.extrapolate.radial_warp import radial_warp
from splatmem.extrapolate.room_layout import WALLS, RoomLayout
from splatmem.gaussians import Gaussians

EYE_LEVEL = math.radians(15)  # above or below the horizon: distances around the camera are measured within this band
BACKGROUND_QUANTILE = 0.7  # of the distances in one bin of azimuth: objects stand nearer than the background
MIN_BACKGROUND_POINTS = 10  # in one bin; with fewer, its distance is unknown
FAR_DISTANCE = 20.0  # in units of the memory's scale; beyond it there is landscape or sky, which is not moved

# From 24 rooms of tools/build_validation.py, where the distance behind a camera and that ahead correlate with -0.5:
BEHIND, AHEAD, SLOPE = 2.2, 2.0, -0.35  # metres behind a camera that has AHEAD metres ahead; exponent for other distances
ROOM_DEPTHS = 4.0, 8.0  # metres ahead: up to the first a scene counts as a room, from the second on as something else

EDGE_WIDTH = math.radians(14)  # of the view beside each end, where the wall that goes on is fitted
NEAREST_WALL, FARTHEST_WALL = 0.3, 2.0  # limits, as factors of the typical distance ahead, and of the larger of that and behind
REFITS = 8
FIT_TOLERANCE = 0.02  # relative distance from a wall below which all points count the same
MIN_WALL_FACTOR = 0.6  # nearer, the flaws of a copy would show, and floors would not keep their place in the picture
MAX_WALL_FACTOR = 4.0


def move_to_walls(copies: Gaussians, seen: Gaussians, view_range: AzimuthRange, room: RoomLayout, scale: float) -> Gaussians:
    """Moves Gaussians around a view to where the walls of a room would stand; outdoors nothing is moved.

    The walls are the planes that continue those beside the picture, and the sides of the layout.

    Args:
        copies: what is to be moved; the unit of the world must be the metre.
        seen: what the view shows.
        view_range: the part of a turn that the view shows; in it nothing is moved.
        room: around it; its floor and ceiling stay level where they were seen.
        scale: the memory's unit of length.
    """
    ahead = _background_distance(seen, view_range, FAR_DISTANCE * scale)
    azimuths = bin_azimuths()
    shown = view_range.shows(azimuths)
    measured = shown & ahead.isfinite()
    if not measured.any():
        return copies
    typical = ahead[measured].median().item()
    around = _background_distance(copies, view_range, FAR_DISTANCE * scale)
    around = torch.where(around.isfinite(), around, typical)
    low, high = ROOM_DEPTHS
    like_a_room = 1 - _smoothstep(torch.tensor(math.log(typical / low) / math.log(high / low)))
    change = like_a_room * (_wall_distance(azimuths, ahead, measured, typical, view_range, room) / around).log()
    change = torch.where(shown, 0.0, change).clamp(math.log(MIN_WALL_FACTOR), math.log(MAX_WALL_FACTOR))
    azimuth, distance = view_range.azimuth(copies.means), view_range.distance(copies.means)
    # What stands nearer than the background is moved less, so that nothing comes into the cameras' way.
    share = (distance / interpolate_bins(around, azimuth)).clamp_max(1)
    log_factor = share * interpolate_bins(smooth_bins(change), azimuth)
    return radial_warp(copies, view_range, room, torch.where(distance < FAR_DISTANCE * scale, log_factor, 0.0))


def _wall_distance(
    azimuths: Float[Tensor, " bins"],
    ahead: Float[Tensor, " bins"],
    measured: Bool[Tensor, " bins"],
    typical: float,
    view_range: AzimuthRange,
    room: RoomLayout,
) -> Float[Tensor, " bins"]:
    """Horizontal distance of the nearest wall in each direction.

    Walls are the two planes that go on beside the picture, and those sides of the layout that the view does not face. A side
    that was seen stands at the geometric mean of its own distance and of what rooms have behind a camera.
    """
    behind = BEHIND * (typical / AHEAD) ** SLOPE
    nearness = torch.zeros_like(azimuths)
    for beside in (azimuths > view_range.right - EDGE_WIDTH, azimuths < view_range.left + EDGE_WIDTH):
        wall = _wall_beside(azimuths, ahead, measured & beside)
        if wall is not None:
            nearness = torch.maximum(nearness, wall)
    for side in WALLS:
        outwards = room.axes[side // 2] if side % 2 else -room.axes[side // 2]
        foot = view_range.azimuth(view_range.center + outwards)
        if view_range.left < foot < view_range.right:
            continue
        distance = behind
        if room.seen[side]:
            found = (room.bounds[side] - view_range.center @ room.axes[side // 2]).abs().item()
            distance = math.sqrt(behind * found)
        nearness = torch.maximum(nearness, (azimuths - foot).cos() / distance)
    return 1 / nearness.clamp(1 / (FARTHEST_WALL * max(typical, behind)), 1 / (NEAREST_WALL * typical))


def _background_distance(gaussians: Gaussians, view_range: AzimuthRange, far: float) -> Float[Tensor, " bins"]:
    """Horizontal distance of the background at eye level in each direction; nan where too few Gaussians lie nearer than far."""
    distance = view_range.distance(gaussians.means)
    level = (view_range.inclination(gaussians.means).abs() < EYE_LEVEL) & (distance < far)
    azimuth = view_range.azimuth(gaussians.means[level])
    return quantile_by_bin(distance[level], azimuth, BACKGROUND_QUANTILE, MIN_BACKGROUND_POINTS)


def _wall_beside(
    azimuths: Float[Tensor, " bins"], distance: Float[Tensor, " bins"], beside: Bool[Tensor, " bins"]
) -> Float[Tensor, " bins"] | None:
    """1 / distance in all directions of the upright plane that fits the distances in the bins ``beside``; None if too few.

    On a plane 1 / distance is ``a cos + b sin`` of the azimuth: linear in a and b, which are fitted by least squares that are
    reweighted for outliers.
    """
    if int(beside.sum()) < 3:
        return None
    waves = torch.stack([azimuths.cos(), azimuths.sin()], dim=1).double()
    known, inverse = waves[beside], 1 / distance[beside].double()
    weight = torch.ones_like(inverse)
    for _ in range(REFITS):
        # The normal equations of two unknowns, by Cramer's rule: LAPACK's last bits differ from run to run.
        (cc, cs), (_, ss) = (weight * known.T[:, None] * known.T).sum(-1)
        c, s = (weight * known.T * inverse).sum(-1)
        plane = torch.stack([c * ss - s * cs, s * cc - c * cs]) / (cc * ss - cs * cs)
        weight = 1 / (((known * plane).sum(-1) / inverse - 1).abs() + FIT_TOLERANCE)
    return (waves * plane).sum(-1).float()


def _smoothstep(x: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    x = x.clamp(0, 1)
    return x * x * (3 - 2 * x)
