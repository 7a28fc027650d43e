"""What lies above and below a view: the view mirrored across its upper and its lower rim.

Walls go on upright, and so do grass and clouds; floors and ceilings that were seen go on level, and nothing leaves the room
through them. A floor is wanted down to the camera's feet: a strip beside the rim goes on to and fro. What stands before the
room's sides does not go on: a thing that the rim cuts would become its own double.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.extrapolate.room_layout import BACKGROUND, CEILING, FLOOR, RoomLayout
from splatmem.extrapolate.view_copies import AzimuthRange, moved
from splatmem.gaussians import Gaussians
from splatmem.gaussians.lift import LiftSettings
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.rotations import rotations_to_quats

MIRRORED_SHARE = 0.5  # of the picture: a floor does not go on above it, nor a ceiling below
REPEATED_SHARE = 0.25  # of the picture, beside the rim, that a floor or a ceiling goes on with: more may show a wall's foot
MOST_STRIPS = 8
STEEPEST = 1.4  # radians above or below the horizon


def beyond_rims(
    gaussians: Gaussians, view: Cameras, view_range: AzimuthRange, room: RoomLayout, reach: tuple[float, float]
) -> Gaussians:
    """Mirror images of what one view shows, above and below it.

    Args:
        gaussians: what the view shows.
        view: the camera.
        view_range: the part of a turn that it shows.
        room: around it.
        reach: highest and lowest direction that is wanted, radians below the horizon.
    """
    gaussians = gaussians.select(_is_background(gaussians, view_range.center, room))
    azimuth, inclination = view_range.azimuth(gaussians.means), view_range.inclination(gaussians.means)
    upper, lower = (_rim(view, view_range, row, azimuth) for row in (0, -1))
    reach = max(reach[0], -STEEPEST), min(reach[1], STEEPEST)
    parts = []
    for side, rim, outwards in ((CEILING, upper, -1), (FLOOR, lower, 1)):
        strip = (REPEATED_SHARE if room.seen[side] else MIRRORED_SHARE) * (lower - upper)
        inside = (inclination - rim).abs() < strip
        copy = gaussians.select(inside)
        origin = place = inclination[inside]
        rim, strip, ahead = rim[inside], strip[inside], azimuth[inside]
        for number in range(MOST_STRIPS if room.seen[side] else 1):
            edge = rim + outwards * number * strip
            place = 2 * edge - place
            copy = moved(copy, view_range.center, _reflection(view_range, ahead, edge))
            wanted = ((place - rim) * outwards > 0) & (place > reach[0]) & (place < reach[1])
            if not wanted.any():
                break
            upright = _drawn_nearer(copy.select(wanted), view_range.center, origin[wanted].cos() / place[wanted].cos())
            parts.append(_kept_inside(upright, view_range.center, room, side) if room.seen[side] else upright)
    return Gaussians.cat(parts)


def _kept_inside(copies: Gaussians, center: Float[Tensor, "3"], room: RoomLayout, side: int) -> Gaussians:
    """Copies beyond the floor or the ceiling are drawn back to it, and lie on it."""
    plane, eye = room.bounds[side], center @ room.axes[1]
    height = copies.means @ room.axes[1]
    beyond = (height - plane) * (eye - plane) < 0
    level = _laid_level(_drawn_nearer(copies.select(beyond), center, ((plane - eye) / (height - eye))[beyond]), center, room)
    return Gaussians.cat([copies.select(~beyond), level])


def _laid_level(gaussians: Gaussians, center: Float[Tensor, "3"], room: RoomLayout) -> Gaussians:
    """Level Gaussians that cover as much of a view from ``center`` as these do that a mirror has tilted."""
    rays = gaussians.means - center
    upright = rays @ room.axes[1]
    normals = -upright.sign()[:, None] * room.axes[1]
    outwards = F.normalize(rays - upright[:, None] * room.axes[1], dim=1)
    width = gaussians.log_scales[:, :2].amin(1)
    foreshortening = (upright.abs() / rays.norm(dim=1)).clamp_min(1 / LiftSettings.max_stretch)
    return replace(
        gaussians,
        quats=rotations_to_quats(torch.stack([outwards, torch.linalg.cross(normals, outwards), normals], dim=2)),
        log_scales=torch.stack([width - foreshortening.log(), width, gaussians.log_scales[:, 2]], dim=1),
    )


def _is_background(gaussians: Gaussians, center: Float[Tensor, "3"], room: RoomLayout) -> Bool[Tensor, " n"]:
    rays = (gaussians.means - center) @ room.axes.T
    return room.exit((center @ room.axes.T).expand_as(rays), rays)[0] < 1 / BACKGROUND


def _rim(view: Cameras, view_range: AzimuthRange, row: int, azimuth: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Inclination of a picture's first or last row at azimuths."""
    ends = view_range.center + view.world_rays()[0, row]
    at, inclination = view_range.azimuth(ends), view_range.inclination(ends)
    order = at.argsort()
    return torch.from_numpy(np.interp(azimuth.numpy(), at[order].numpy(), inclination[order].numpy())).to(azimuth)


def _reflection(view_range: AzimuthRange, azimuth: Float[Tensor, " n"], rim: Float[Tensor, " n"]) -> Float[Tensor, "n 3 3"]:
    """Across the plane through the camera that holds the rim's ray and is level across it."""
    ahead = azimuth.sin()[:, None] * view_range.axes[0] + azimuth.cos()[:, None] * view_range.axes[2]
    normal = rim.cos()[:, None] * view_range.axes[1] - rim.sin()[:, None] * ahead
    return torch.eye(3) - 2 * normal[:, :, None] * normal[:, None, :]


def _drawn_nearer(gaussians: Gaussians, center: Float[Tensor, "3"], factor: Float[Tensor, " n"]) -> Gaussians:
    """Along the rays from ``center``: seen from there nothing changes."""
    return replace(
        gaussians,
        means=center + factor[:, None] * (gaussians.means - center),
        log_scales=gaussians.log_scales + factor.log()[:, None],
    )
