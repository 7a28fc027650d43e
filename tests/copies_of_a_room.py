"""A box of a room, a view of it, and the view's copies all around."""

import math

import torch
from splatmem.extrapolate.room_layout import RoomLayout
from splatmem.extrapolate.view_copies import AzimuthRange, mirrored_gaussians, whole_legs
from splatmem.gaussians import Gaussians
from splatmem.gaussians.lift import lift
from splatmem.geometry.cameras import Cameras

WIDTH, HEIGHT, FOV = 96, 54, 70.0
DOWN = torch.tensor([0.0, 1.0, 0.0])
FLOOR_AT = 0.8


def box(side: float = 1.5, ahead: float = 3.0, floor_seen: bool = True) -> RoomLayout:
    """Walls at ``side`` on the right and ``ahead`` in front."""
    seen = torch.tensor([True, True, False, floor_seen, False, True])
    low, high = torch.tensor([-2.5, -1.2, -2.0]), torch.tensor([side, FLOOR_AT, ahead])
    return RoomLayout(torch.eye(3), low, high, torch.rand(6, 8, 8, 3), seen)


def view(turned: float = 0.0) -> Cameras:
    pose, angle = torch.eye(4), math.radians(turned)
    pose[0, 0] = pose[2, 2] = math.cos(angle)
    pose[0, 2], pose[2, 0] = math.sin(angle), -math.sin(angle)
    return Cameras.from_fov(pose[None], FOV, WIDTH, HEIGHT)


def around(room: RoomLayout, camera: Cameras, depth: torch.Tensor | None = None) -> tuple[Gaussians, Gaussians, AzimuthRange]:
    """What a camera sees, its copies, and its view_range."""
    depth = room.render(camera).depth[0] if depth is None else depth
    seen = lift(torch.rand(HEIGHT, WIDTH, 3), depth, camera, torch.ones(HEIGHT, WIDTH, dtype=torch.bool))
    view_range = AzimuthRange.of(camera, DOWN)
    return seen, mirrored_gaussians(seen, view_range, whole_legs(view_range)), view_range
