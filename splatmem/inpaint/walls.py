"""Where the rest of a room stands: copies of a view, moved in or out from the camera to where walls would be.

Mirrored about the camera, what is far ahead would be as far behind. But a wall beside the picture goes on as a plane, and the
farther a room reaches before a camera the less of it is left behind. Seen from the camera all stays in its direction, but for
what stands lower than the camera on a floor that was seen: things are moved out upright and the floor stays level, so that
becomes a little higher or lower.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.gaussians import Gaussians
from splatmem.inpaint.layout import CEILING, FLOOR, RoomLayout
from splatmem.inpaint.mirroring import Sector

PARTS = 180  # of a turn, side by side
LEVEL = math.radians(15)  # above or below the horizon: there the distance of what stands around is looked at
BACKGROUND_QUANTILE = 0.7  # of the distances in one part: things stand before it
LEAST_POINTS = 10  # that tell a part's distance
FAR = 20.0  # in units of the memory's scale: from there on it is landscape or sky, and stays

# From 24 rooms of tools/build_validation.py, where the distance behind a camera and that ahead correlate with -0.5:
BEHIND, AHEAD, SLOPE = 2.2, 2.0, -0.35  # metres behind a camera that has so many ahead; the exponent for other rooms
ROOM_DEPTHS = 4.0, 8.0  # metres ahead: up to the first it is taken for a room, from the second on for something else

EDGE = math.radians(14)  # of the view beside its end: there the wall is looked at that goes on
WALL_REACH = math.radians(100)  # beyond a view's end: as far its wall counts, less and less
NEAREST_WALL, FARTHEST_WALL = 0.3, 2.0  # of the typical distance ahead
REFITS = 8
TOLERANCE = 0.02  # relative distance from a wall below which all points count the same
MOST_NEARER, MOST_FARTHER = 0.65, 2.7  # nearer, a copy's flaws would show from the side
SMOOTHING = 2.0  # parts, standard deviation
UPRIGHT_SHARE = 0.5  # of the eye's height above a floor: what is higher keeps its direction


def stand_as_walls(copies: Gaussians, seen: Gaussians, sector: Sector, room: RoomLayout, scale: float) -> Gaussians:
    """Moves what stands around one view to where the rest of a room would be; outdoors all stays.

    Args:
        copies: what is to be moved, in metres.
        seen: what the view shows.
        sector: the part of a turn that it shows; there nothing is moved.
        room: around it; floor and ceiling stay level where they were seen.
        scale: the memory's.
    """
    around = _background_distance(copies, sector, FAR * scale)
    ahead = _background_distance(seen, sector, FAR * scale)
    azimuths = (torch.arange(PARTS) + 0.5) * (2 * math.pi / PARTS) - math.pi
    shown = (azimuths > sector.left) & (azimuths < sector.right)
    told = shown & ahead.isfinite()
    if not told.any():
        return copies
    typical = ahead[told].median().item()
    around = torch.where(around.isfinite(), around, typical)
    wanted, share = torch.zeros(PARTS), torch.zeros(PARTS)
    for end, outwards in ((sector.right, 1), (sector.left, -1)):
        beside = told & ((end - azimuths) * outwards < EDGE)
        away = ((azimuths - end) * outwards) % (2 * math.pi)
        weight = torch.where(shown, 0.0, _smoothstep(1 - away / WALL_REACH))
        wall = _wall_beside(azimuths, ahead, beside)
        if wall is not None:
            limited = 1 / wall.clamp(1 / (FARTHEST_WALL * typical), 1 / (NEAREST_WALL * typical))
            wanted += weight * (limited / around).log()
            share += weight
    wanted /= share.clamp_min(1)  # behind a very wide view both walls reach
    wanted += (1 - share).clamp_min(0) * (BEHIND * (typical / AHEAD) ** SLOPE / around).log()
    low, high = ROOM_DEPTHS
    like_a_room = 1 - _smoothstep(torch.tensor(math.log(typical / low) / math.log(high / low)))
    wanted = torch.where(shown, 0.0, like_a_room * wanted).clamp(math.log(MOST_NEARER), math.log(MOST_FARTHER))
    return _moved_out(copies, sector, room, around, _smoothed(wanted), FAR * scale)


def _background_distance(gaussians: Gaussians, sector: Sector, far: float) -> Float[Tensor, " parts"]:
    """How far away the background at eye level is, horizontally, in each part of a turn; nan where nothing tells."""
    distance, part = sector.distance(gaussians.means), _part(sector.azimuth(gaussians.means))
    level = (sector.inclination(gaussians.means).abs() < LEVEL) & (distance < far)
    distance, part = distance[level], part[level]
    order = distance.argsort()
    order = order[part[order].argsort(stable=True)]
    counts = torch.bincount(part, minlength=PARTS)
    at = counts.cumsum(0) - counts + (BACKGROUND_QUANTILE * (counts - 1)).round().long()
    enough = counts >= LEAST_POINTS
    result = torch.full((PARTS,), math.nan)
    result[enough] = distance[order[at[enough]]]
    return result


def _part(azimuth: Float[Tensor, " n"]) -> Tensor:
    return ((azimuth + math.pi) / (2 * math.pi) * PARTS).long().clamp(0, PARTS - 1)


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


def _smoothed(values: Float[Tensor, " parts"]) -> Float[Tensor, " parts"]:
    """By a Gaussian, around the turn."""
    radius = round(3 * SMOOTHING)
    kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / SMOOTHING).square())
    around = F.pad(values[None, None], (radius, radius), mode="circular")
    return F.conv1d(around, (kernel / kernel.sum())[None, None])[0, 0]


def _moved_out(
    gaussians: Gaussians,
    sector: Sector,
    room: RoomLayout,
    around: Float[Tensor, " parts"],
    change: Float[Tensor, " parts"],
    far: float,
) -> Gaussians:
    """The background by the factor ``exp(change)`` of its part of the turn, away from the camera's vertical axis.

    What stands nearer than the background, ``around``, is moved less, and what is close by not at all: nothing comes into the
    cameras' way. A Gaussian's height above or below the camera changes by the same factor, so it keeps its direction; near a
    floor or a ceiling that was seen it changes less, so that these stay level and what stands on them stands upright.
    """
    place = (sector.azimuth(gaussians.means) + math.pi) / (2 * math.pi) * PARTS - 0.5
    first, between = place.floor().long(), place - place.floor()
    around, change = (x[first % PARTS] * (1 - between) + x[(first + 1) % PARTS] * between for x in (around, change))
    distance = sector.distance(gaussians.means)
    change = torch.where(distance < far, change * (distance / around).clamp_max(1), 0.0)
    height, eye = gaussians.means @ room.axes[1], sector.center @ room.axes[1]
    free = torch.ones_like(height)
    for side in (CEILING, FLOOR):
        if room.seen[side]:
            plane = room.bounds[side]
            free = torch.minimum(free, ((plane - height) / (plane - eye) / UPRIGHT_SHARE).clamp(0, 1))
    outwards, upwards = change.exp(), (free * change).exp()
    factors = torch.stack([outwards, upwards, outwards], dim=1)
    return replace(
        gaussians,
        means=sector.center + ((gaussians.means - sector.center) @ sector.axes.T * factors) @ sector.axes,
        log_scales=gaussians.log_scales + torch.maximum(outwards, upwards).log()[:, None],
    )
