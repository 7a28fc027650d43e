"""Scene folders of the textured room, as another program would write them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from splatmem.cameras import Cameras
from splatmem.io.transforms_json import save_transforms_json

from textured_room import room, turn


def closed_turn(frames: int, width: int, height: int, sway: float = 0.0) -> Cameras:
    """A full turn whose last camera is the first; with ``sway`` it moves sideways on the way, and comes back."""
    once = turn(frames - 1, width, height)
    poses = torch.cat([once.cam_to_world, once.cam_to_world[:1]])
    poses[:, 0, 3] = sway * torch.sin(torch.linspace(0, torch.pi, frames))
    poses[-1] = poses[0]
    return Cameras(torch.linalg.inv(poses), torch.cat([once.intrinsics, once.intrinsics[:1]]), width, height)


def there_and_back(step: float, width: int, height: int, sway: float = 0.0) -> Cameras:
    """Three steps to the side and three back, in degrees; with ``sway`` the camera moves on the way."""
    angles = torch.deg2rad(step * torch.tensor([0.0, 1, 2, 3, 2, 1, 0]))
    poses = torch.eye(4).repeat(len(angles), 1, 1)
    poses[:, 0, 0] = poses[:, 2, 2] = angles.cos()
    poses[:, 0, 2], poses[:, 2, 0] = angles.sin(), -angles.sin()
    poses[:, 0, 3] = sway * angles
    return Cameras.from_fov(poses, 70.0, width, height)


def write_scene(folder: Path, cameras: Cameras, *, depth: bool = True) -> Path:
    """The room along ``cameras``, with depth in millimetres or without."""
    seen = room().render(cameras)
    (folder / "images").mkdir(parents=True)
    names = [f"images/frame_{i:03d}.png" for i in range(len(cameras))]
    save_transforms_json(cameras, folder / "transforms.json", names)
    content = json.loads((folder / "transforms.json").read_text())
    for index, (rgb, z) in enumerate(zip(seen.rgb, seen.depth, strict=True)):
        Image.fromarray((rgb.numpy() * 255).round().astype(np.uint8)).save(folder / names[index])
        if depth:
            content["frames"][index]["depth_file_path"] = f"depth_{index:03d}.png"
            Image.fromarray((z.numpy() * 1000).round().astype(np.uint16)).save(folder / f"depth_{index:03d}.png")
    (folder / "transforms.json").write_text(json.dumps(content))
    return folder
