"""Equirectangular panoramas of the textured room, and of plain directions."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from splatmem.extrapolate.room_layout import RoomLayout
from torch import Tensor

from textured_room import room


def directions(width: int) -> Float[Tensor, "h w 3"]:
    """Unit vectors of a panorama's pixels; x right, y down, z forward in its middle."""
    azimuth = ((torch.arange(width) + 0.5) / width - 0.5) * 2 * math.pi
    elevation = (0.5 - (torch.arange(width // 2) + 0.5) / (width // 2)) * math.pi
    across = elevation.cos()[:, None]
    down = -elevation.sin()[:, None].expand(-1, width)
    return torch.stack([across * azimuth.sin(), down, across * azimuth.cos()], dim=-1)


def colours_of(rays: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 3"]:
    """Smooth colours all around, different in every direction."""
    unit = torch.nn.functional.normalize(rays, dim=-1)
    return 0.5 + 0.4 * torch.sin(3 * unit + torch.tensor([0.3, 1.1, 2.0]))


def room_panorama(width: int) -> Float[Tensor, "h w 3"]:
    """The textured room from its origin: six square pictures, and each direction looked up in the one that it meets."""
    from splatmem.geometry.cameras import Cameras

    rays = directions(width)
    turns = [(0, 0), (90, 0), (180, 0), (270, 0), (0, 90), (0, -90)]
    poses = torch.stack([_pose(*turn) for turn in turns])
    side = width // 2
    faces = Cameras.from_fov(poses, 90.0, side, side)
    seen = _render(room(), faces)
    axis = torch.einsum("hwk,fk->hwf", rays, faces.forward).argmax(-1)
    picture = torch.zeros(*rays.shape)
    for face in range(6):
        chosen = axis == face
        pixels, _ = faces[face].project(rays[chosen])
        grid = (2 * pixels / side - 1)[None]
        sampled = torch.nn.functional.grid_sample(
            seen[face].permute(2, 0, 1)[None], grid, align_corners=False, padding_mode="border"
        )
        picture[chosen] = sampled[0, :, 0].T
    return picture


def _render(layout: RoomLayout, cameras) -> Float[Tensor, "n h w 3"]:
    return layout.render(cameras).rgb


def _pose(azimuth: float, elevation: float) -> Float[Tensor, "4 4"]:
    a, e = math.radians(azimuth), math.radians(elevation)
    around = torch.tensor([[math.cos(a), 0, math.sin(a)], [0, 1, 0], [-math.sin(a), 0, math.cos(a)]])
    up = torch.tensor([[1.0, 0, 0], [0, math.cos(e), -math.sin(e)], [0, math.sin(e), math.cos(e)]])
    pose = torch.eye(4)
    pose[:3, :3] = around @ up
    return pose
