"""Extends a view upwards and downwards: its background is reflected across the upper and the lower edge of the picture.

Where a floor or a ceiling was seen, what would lie beyond it is drawn back to it. A floor is needed down to the camera's feet,
so the strip beside the picture's edge is reflected to and fro, several times. Only the background is extended: an object that
the edge cuts would be doubled.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.extrapolate.azimuth import AzimuthRange
from splatmem.extrapolate.room_layout import BACKGROUND, CEILING, FLOOR, RoomLayout
from splatmem.extrapolate.view_copies import transform_each
from splatmem.gaussians import Gaussians
from splatmem.gaussians.lift import LiftSettings
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.rotations import rotations_to_quats

REFLECTED_SHARE = 0.5  # of the picture's height, reflected once where neither floor nor ceiling was seen
REPEATED_SHARE = 0.25  # of the picture's height, reflected to and fro where one was seen; more may show the foot of a wall
MAX_STRIPS = 8
MAX_INCLINATION = 1.4  # radians above or below the horizon


def extend_above_and_below(
    gaussians: Gaussians, view: Cameras, view_range: AzimuthRange, room: RoomLayout, inclinations: tuple[float, float]
) -> Gaussians:
    """Reflected copies of one view's background, above and below the view.

    Args:
        gaussians: what the view shows.
        view: its camera.
        view_range: the part of a turn that it shows.
        room: around it.
        inclinations: of the highest and the lowest direction that is needed, in radians below the horizon.
    """
    gaussians = gaussians.select(_is_background(gaussians, view_range.center, room))
    azimuth, inclination = view_range.azimuth(gaussians.means), view_range.inclination(gaussians.means)
    upper, lower = (_edge_inclination(view, view_range, row, azimuth) for row in (0, -1))
    highest, lowest = max(inclinations[0], -MAX_INCLINATION), min(inclinations[1], MAX_INCLINATION)
    parts = []
    for side, edge, outwards in ((CEILING, upper, -1), (FLOOR, lower, 1)):
        strip = (REPEATED_SHARE if room.seen[side] else REFLECTED_SHARE) * (lower - upper)
        inside = (inclination - edge).abs() < strip
        copy = gaussians.select(inside)
        source = target = inclination[inside]
        edge, strip, ahead = edge[inside], strip[inside], azimuth[inside]
        for number in range(MAX_STRIPS if room.seen[side] else 1):
            mirror = edge + outwards * number * strip
            target = 2 * mirror - target
            copy = transform_each(copy, view_range.center, _reflections(view_range, ahead, mirror))
            wanted = ((target - edge) * outwards > 0) & (target > highest) & (target < lowest)
            if not wanted.any():
                break
            # A reflection tilts a wall; at the horizontal distance of its original it is upright again.
            upright = _scale_along_rays(copy.select(wanted), view_range.center, source[wanted].cos() / target[wanted].cos())
            parts.append(_draw_back_to_plane(upright, view_range.center, room, side) if room.seen[side] else upright)
    return Gaussians.cat(parts)


def _draw_back_to_plane(copies: Gaussians, center: Float[Tensor, "3"], room: RoomLayout, side: int) -> Gaussians:
    """Copies with those beyond a floor or a ceiling (``side`` of the room) moved along their rays onto it, and laid level."""
    plane, camera_height = room.bounds[side], center @ room.axes[1]
    height = copies.means @ room.axes[1]
    beyond = (height - plane) * (camera_height - plane) < 0
    factor = (plane - camera_height) / (height - camera_height)
    level = _lay_level(_scale_along_rays(copies.select(beyond), center, factor[beyond]), center, room)
    return Gaussians.cat([copies.select(~beyond), level])


def _lay_level(gaussians: Gaussians, center: Float[Tensor, "3"], room: RoomLayout) -> Gaussians:
    """Level Gaussians at the same places that cover as much of a view from ``center`` as the tilted ones do."""
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
    """Which Gaussians are farther from ``center`` than ``BACKGROUND`` of the room's depth in their direction."""
    rays = (gaussians.means - center) @ room.axes.T
    return room.exit((center @ room.axes.T).expand_as(rays), rays)[0] < 1 / BACKGROUND


def _edge_inclination(view: Cameras, view_range: AzimuthRange, row: int, azimuth: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Inclination of the picture's first or last row at azimuths, in radians below the horizon."""
    ends = view_range.center + view.world_rays()[0, row]
    at, inclination = view_range.azimuth(ends), view_range.inclination(ends)
    order = at.argsort()
    return torch.from_numpy(np.interp(azimuth.numpy(), at[order].numpy(), inclination[order].numpy())).to(azimuth)


def _reflections(
    view_range: AzimuthRange, azimuth: Float[Tensor, " n"], inclination: Float[Tensor, " n"]
) -> Float[Tensor, "n 3 3"]:
    """Reflections across the planes through the camera that hold the rays at these angles and are level across them."""
    ahead = azimuth.sin()[:, None] * view_range.axes[0] + azimuth.cos()[:, None] * view_range.axes[2]
    normal = inclination.cos()[:, None] * view_range.axes[1] - inclination.sin()[:, None] * ahead
    return torch.eye(3) - 2 * normal[:, :, None] * normal[:, None, :]


def _scale_along_rays(gaussians: Gaussians, center: Float[Tensor, "3"], factor: Float[Tensor, " n"]) -> Gaussians:
    """Gaussians with their distances from ``center``, and their sizes, times a factor: seen from there nothing changes."""
    return replace(
        gaussians,
        means=center + factor[:, None] * (gaussians.means - center),
        log_scales=gaussians.log_scales + factor.log()[:, None],
    )
