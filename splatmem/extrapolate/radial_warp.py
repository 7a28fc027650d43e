"""Moves Gaussians towards the vertical axis through a camera, or away from it, by a factor for each of them."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from splatmem.extrapolate.azimuth import AzimuthRange
from splatmem.extrapolate.room_layout import CEILING, FLOOR, RoomLayout
from splatmem.gaussians import Gaussians

UPRIGHT_SHARE = 0.5  # of the camera's height above the floor: what is higher keeps its direction


def radial_warp(gaussians: Gaussians, view_range: AzimuthRange, room: RoomLayout, log_factor: Float[Tensor, " n"]) -> Gaussians:
    """The Gaussians with their distances from the camera's vertical axis multiplied by factors of their own.

    Heights above or below the camera change by the same factor, so that seen from the camera everything keeps its direction.
    Near a floor or a ceiling that was seen they change less, so that these stay level and what stands on them stays upright.

    Args:
        gaussians: around the camera.
        view_range: gives the camera's position and the axes.
        room: its floor and ceiling.
        log_factor: natural logarithms of the factors.
    """
    height, camera_height = gaussians.means @ room.axes[1], view_range.center @ room.axes[1]
    vertical_share = torch.ones_like(height)
    for side in (CEILING, FLOOR):
        if room.seen[side]:
            plane = room.bounds[side]
            above_plane = (plane - height) / (plane - camera_height)
            vertical_share = torch.minimum(vertical_share, (above_plane / UPRIGHT_SHARE).clamp(0, 1))
    horizontal, vertical = log_factor.exp(), (vertical_share * log_factor).exp()
    factors = torch.stack([horizontal, vertical, horizontal], dim=1)
    return replace(
        gaussians,
        means=view_range.center + ((gaussians.means - view_range.center) @ view_range.axes.T * factors) @ view_range.axes,
        log_scales=gaussians.log_scales + torch.maximum(horizontal, vertical).log()[:, None],
    )
