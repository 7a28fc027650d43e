"""A red block before a striped wall and on a floor, painted with its depth."""

from __future__ import annotations

import torch
from splatmem.geometry.cameras import Cameras, identity_camera
from splatmem.memory import SpatialMemory

WIDTH, HEIGHT = 128, 72
WALL, FLOOR = 3.0, 0.6  # z of the wall; y of the floor
BLOCK = (52, 26, 78, 68)  # left, top, right, bottom in pixels
BLOCK_DEPTH = 1.7
MIDDLE = (65.0, 44.0)


def camera() -> Cameras:
    return identity_camera(60.0, WIDTH, HEIGHT)


def picture(with_block: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Colours and z-depth."""
    rays = camera().pixel_rays()[0]
    floor = FLOOR / rays[..., 1].clamp_min(1e-6)
    on_floor = floor < WALL
    depth = torch.where(on_floor, floor, WALL)
    points = depth[..., None] * rays
    stripes = 0.5 + 0.15 * torch.sin(points[..., :1] * 12)
    wall = torch.cat([stripes, stripes, torch.full_like(stripes, 0.75)], dim=-1)
    boards = 0.35 + 0.1 * torch.sin(points[..., 2:] * 9)
    ground = torch.cat([0.2 + boards, 0.1 + boards, torch.zeros_like(boards)], dim=-1)
    rgb = torch.where(on_floor[..., None], ground, wall).clamp(0, 1)
    if with_block:
        left, top, right, bottom = BLOCK
        rgb[top:bottom, left:right] = torch.tensor([0.85, 0.1, 0.1])
        depth[top:bottom, left:right] = BLOCK_DEPTH
    return rgb, depth


def memory(with_block: bool = True) -> SpatialMemory:
    rgb, depth = picture(with_block)
    made = SpatialMemory(down=torch.tensor([0.0, 1.0, 0.0]))
    made.write(rgb, depth, camera(), torch.ones(HEIGHT, WIDTH, dtype=torch.bool))
    made.refine(4)
    return made
