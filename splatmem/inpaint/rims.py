"""What lies above and below a view: the view mirrored across its upper and its lower rim.

Walls go on upright, and so do grass and clouds; floors and ceilings that were seen go on level, and nothing leaves the room
through them. What stands before the room's sides does not go on: a thing that the rim cuts would become its own double.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.cameras import Cameras
from splatmem.gaussians import Gaussians
from splatmem.inpaint.layout import BACKGROUND, CEILING, FLOOR, RoomLayout
from splatmem.inpaint.mirroring import Sector, moved

LEVEL_TOLERANCE = 0.15  # of the eye's height above a floor: what lies no farther from it is part of it
STEEPEST = 1.4  # radians above or below the horizon


def beyond_rims(gaussians: Gaussians, view: Cameras, sector: Sector, room: RoomLayout, reach: tuple[float, float]) -> Gaussians:
    """Mirror images of what one view shows, above and below it.

    Args:
        gaussians: what the view shows.
        view: the camera.
        sector: the part of a turn that it shows.
        room: around it.
        reach: highest and lowest direction that is wanted, radians below the horizon.
    """
    gaussians = gaussians.select(_is_background(gaussians, sector.center, room))
    azimuth, inclination = sector.azimuth(gaussians.means), sector.inclination(gaussians.means)
    upper, lower = (_rim(view, sector, row, azimuth) for row in (0, -1))
    reach = max(reach[0], -STEEPEST), min(reach[1], STEEPEST)
    parts = []
    for side, rim in ((CEILING, upper), (FLOOR, lower)):
        place = 2 * rim - inclination
        # Half of the picture: a floor does not go on above it, nor a ceiling below.
        nearer = (inclination - rim).abs() < 0.5 * (lower - upper)
        wanted = nearer & (place < upper if side == CEILING else place > lower) & (place > reach[0]) & (place < reach[1])
        source, rim, place = gaussians.select(wanted), rim[wanted], place[wanted]
        copy = moved(source, sector.center, _reflection(sector, azimuth[wanted], rim))
        upright = _drawn_nearer(copy, sector.center, inclination[wanted].cos() / place.cos())
        parts.append(_kept_inside(upright, source, sector.center, room, side) if room.seen[side] else upright)
    return Gaussians.cat(parts)


def _kept_inside(copies: Gaussians, sources: Gaussians, center: Float[Tensor, "3"], room: RoomLayout, side: int) -> Gaussians:
    """Copies beyond the floor or the ceiling: of its own parts, drawn back to it; of others, left out."""
    plane, eye = room.bounds[side], center @ room.axes[1]
    height, origin = copies.means @ room.axes[1], sources.means @ room.axes[1]
    beyond = (height - plane) * (eye - plane) < 0
    level = (origin - plane).abs() < LEVEL_TOLERANCE * (eye - plane).abs()
    factor = torch.where(beyond, (plane - eye) / (height - eye), 1.0)
    return _drawn_nearer(copies, center, factor).select(level | ~beyond)


def _is_background(gaussians: Gaussians, center: Float[Tensor, "3"], room: RoomLayout) -> Bool[Tensor, " n"]:
    rays = (gaussians.means - center) @ room.axes.T
    return room.exit((center @ room.axes.T).expand_as(rays), rays)[0] < 1 / BACKGROUND


def _rim(view: Cameras, sector: Sector, row: int, azimuth: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Inclination of a picture's first or last row at azimuths."""
    ends = sector.center + view.world_rays()[0, row]
    at, inclination = sector.azimuth(ends), sector.inclination(ends)
    order = at.argsort()
    return torch.from_numpy(np.interp(azimuth.numpy(), at[order].numpy(), inclination[order].numpy())).to(azimuth)


def _reflection(sector: Sector, azimuth: Float[Tensor, " n"], rim: Float[Tensor, " n"]) -> Float[Tensor, "n 3 3"]:
    """Across the plane through the camera that holds the rim's ray and is level across it."""
    ahead = azimuth.sin()[:, None] * sector.axes[0] + azimuth.cos()[:, None] * sector.axes[2]
    normal = rim.cos()[:, None] * sector.axes[1] - rim.sin()[:, None] * ahead
    return torch.eye(3) - 2 * normal[:, :, None] * normal[:, None, :]


def _drawn_nearer(gaussians: Gaussians, center: Float[Tensor, "3"], factor: Float[Tensor, " n"]) -> Gaussians:
    """Along the rays from ``center``: seen from there nothing changes."""
    return replace(
        gaussians,
        means=center + factor[:, None] * (gaussians.means - center),
        log_scales=gaussians.log_scales + factor.log()[:, None],
    )
