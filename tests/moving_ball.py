"""A ball in the textured room that stands at another place in each picture."""

from __future__ import annotations

import torch
from splatmem.geometry.cameras import Cameras

from textured_room import room


def aside(frames: int) -> Cameras:
    """Cameras along half a metre, side by side."""
    poses = torch.eye(4).repeat(frames, 1, 1)
    poses[:, 0, 3] = torch.linspace(-0.25, 0.25, frames)
    return Cameras.from_fov(poses, 70, 128, 72)


def with_ball(cameras: Cameras, centres: torch.Tensor, radius: float = 0.35) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The room with a striped ball, which stands at another place in each picture; also which pixels show it."""
    reading = room().render(cameras)
    rgb, depth = reading.rgb.clone(), reading.depth.clone()
    rays = cameras.world_rays()
    offset = cameras.centers - centres
    a = rays.square().sum(-1)
    b = (rays * offset[:, None, None]).sum(-1)
    c = offset.square().sum(-1)[:, None, None] - radius**2
    root = b.square() - a * c
    hit = (root > 0) & ((-b - root.clamp_min(0).sqrt()) / a > 0)
    distance = (-b - root.clamp_min(0).sqrt()) / a
    ball = hit & (distance < depth)
    points = cameras.centers[:, None, None] + distance[..., None] * rays - centres[:, None, None]
    stripes = (torch.sin(20 * points[..., :1]) > 0).float() * torch.tensor([0.7, 0.1, -0.5])
    colours = (torch.tensor([0.2, 0.1, 0.9]) + stripes).clamp(0, 1)
    return torch.where(ball[..., None], colours, rgb), torch.where(ball, distance, depth), ball
