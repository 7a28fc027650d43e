"""Where the rest of a room stands: copies of a view, moved in or out from the camera to where walls would be.

Mirrored about the camera, what is far ahead would be as far behind. But a wall beside the picture goes on as a plane, and the
farther a room reaches before a camera the less of it is left behind. Seen from the camera all stays in its direction, but for
what stands lower than the camera on a floor that was seen: things are moved out upright and the floor stays level, so that
becomes a little higher or lower.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.extrapolate.radial_warp import at_azimuths, part_azimuths, quantile_by_part, radial_warp, smoothed
from splatmem.extrapolate.room_layout import WALLS, RoomLayout
from splatmem.extrapolate.view_copies import AzimuthRange
from splatmem.gaussians import Gaussians

LEVEL = math.radians(15)  # above or below the horizon: there the distance of what stands around is looked at
BACKGROUND_QUANTILE = 0.7  # of the distances in one part: things stand before it
LEAST_POINTS = 10  # that tell a part's distance
FAR = 20.0  # in units of the memory's scale: from there on it is landscape or sky, and stays

# From 24 rooms of tools/build_validation.py, where the distance behind a camera and that ahead correlate with -0.5:
BEHIND, AHEAD, SLOPE = 2.2, 2.0, -0.35  # metres behind a camera that has so many ahead; the exponent for other rooms
ROOM_DEPTHS = 4.0, 8.0  # metres ahead: up to the first it is taken for a room, from the second on for something else

EDGE = math.radians(14)  # of the view beside its end: there the wall is looked at that goes on
NEAREST_WALL, FARTHEST_WALL = 0.3, 2.0  # of the typical distances ahead and behind
REFITS = 8
TOLERANCE = 0.02  # relative distance from a wall below which all points count the same
MOST_NEARER, MOST_FARTHER = 0.6, 4.0  # nearer, a copy's flaws would show, and floors would not keep their place in the picture


def stand_as_walls(copies: Gaussians, seen: Gaussians, view_range: AzimuthRange, room: RoomLayout, scale: float) -> Gaussians:
    """Moves what stands around one view to where the rest of a room would be; outdoors all stays.

    The room has straight walls: those beside the picture go on, and the layout's sides close it.

    Args:
        copies: what is to be moved, in metres.
        seen: what the view shows.
        view_range: the part of a turn that it shows; there nothing is moved.
        room: around it; floor and ceiling stay level where they were seen.
        scale: the memory's.
    """
    ahead = _background_distance(seen, view_range, FAR * scale)
    azimuths = part_azimuths()
    shown = view_range.shows(azimuths)
    told = shown & ahead.isfinite()
    if not told.any():
        return copies
    typical = ahead[told].median().item()
    around = _background_distance(copies, view_range, FAR * scale)
    around = torch.where(around.isfinite(), around, typical)
    low, high = ROOM_DEPTHS
    like_a_room = 1 - _smoothstep(torch.tensor(math.log(typical / low) / math.log(high / low)))
    change = like_a_room * (_wall_distance(azimuths, ahead, told, typical, view_range, room) / around).log()
    change = torch.where(shown, 0.0, change).clamp(math.log(MOST_NEARER), math.log(MOST_FARTHER))
    azimuth, distance = view_range.azimuth(copies.means), view_range.distance(copies.means)
    # What stands nearer than the background is moved less: nothing comes into the cameras' way.
    share = (distance / at_azimuths(around, azimuth)).clamp_max(1)
    return radial_warp(
        copies, view_range, room, torch.where(distance < FAR * scale, share * at_azimuths(smoothed(change), azimuth), 0.0)
    )


def _wall_distance(
    azimuths: Float[Tensor, " parts"],
    ahead: Float[Tensor, " parts"],
    told: Bool[Tensor, " parts"],
    typical: float,
    view_range: AzimuthRange,
    room: RoomLayout,
) -> Float[Tensor, " parts"]:
    """How far away, horizontally, the nearest of all walls is: the two beside the picture, which go on, and of the layout's
    the sides that the view does not face. Where such a side was seen, it counts as much as what rooms have behind a camera."""
    behind = BEHIND * (typical / AHEAD) ** SLOPE
    nearness = torch.zeros_like(azimuths)
    for beside in (azimuths > view_range.right - EDGE, azimuths < view_range.left + EDGE):
        wall = _wall_beside(azimuths, ahead, told & beside)
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


def _background_distance(gaussians: Gaussians, view_range: AzimuthRange, far: float) -> Float[Tensor, " parts"]:
    """How far away the background at eye level is, horizontally, in each part of a turn; nan where nothing tells."""
    distance = view_range.distance(gaussians.means)
    level = (view_range.inclination(gaussians.means).abs() < LEVEL) & (distance < far)
    return quantile_by_part(distance[level], view_range.azimuth(gaussians.means[level]), BACKGROUND_QUANTILE, LEAST_POINTS)


def _wall_beside(
    azimuths: Float[Tensor, " parts"], distance: Float[Tensor, " parts"], beside: Bool[Tensor, " parts"]
) -> Float[Tensor, " parts"] | None:
    """1 / distance in all directions of the upright plane that the background in some of them fits best, or None.

    That is ``a cos + b sin`` of the azimuth: linear, and fitted by least squares that are reweighted for outliers.
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
        weight = 1 / (((known * plane).sum(-1) / inverse - 1).abs() + TOLERANCE)
    return (waves * plane).sum(-1).float()


def _smoothstep(x: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    x = x.clamp(0, 1)
    return x * x * (3 - 2 * x)
