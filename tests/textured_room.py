"""A small textured room, ray-cast with true depth, and stand-ins that know it."""

from __future__ import annotations

import math

import torch
from splatmem.depth import DepthPrediction
from splatmem.extrapolate.room_layout import RoomLayout
from splatmem.geometry.cameras import Cameras


def room() -> RoomLayout:
    """A closed box of 6 x 2.6 x 7 metres whose sides carry smooth patterns."""
    grid = torch.linspace(0, 1, 64)
    rows, columns = torch.meshgrid(grid, grid, indexing="ij")
    sides = []
    for side in range(6):
        waves = [0.5 + 0.35 * torch.sin(9 * columns + side + c) * torch.cos(7 * rows + 2 * c) for c in range(3)]
        sides.append(torch.stack(waves, dim=-1))
    return RoomLayout(
        torch.eye(3),
        torch.tensor([-3.0, -1.2, -3.5]),
        torch.tensor([3.0, 1.4, 3.5]),
        torch.stack(sides),
        torch.ones(6, dtype=torch.bool),
    )


def turn(frames: int, width: int = 128, height: int = 72, fov: float = 70.0) -> Cameras:
    """A full turn in place."""
    poses = torch.eye(4).repeat(frames, 1, 1)
    for index in range(frames):
        angle = 2 * math.pi * index / frames
        poses[index, 0, 0] = poses[index, 2, 2] = math.cos(angle)
        poses[index, 0, 2], poses[index, 2, 0] = math.sin(angle), -math.sin(angle)
    return Cameras.from_fov(poses, fov, width, height)


class RoomDepth:
    """A depth estimator that knows the room as the first camera of a turn sees it."""

    name = "room"
    estimates_fov = False

    def __init__(self, camera: Cameras) -> None:
        self.camera = camera

    def __call__(self, images, *, fov_x_degrees=None) -> DepthPrediction:
        depth = room().render(self.camera).depth
        return DepthPrediction(depth.expand(len(images), -1, -1), metric=True)
