"""Scene folders of the textured room, as another program would write them."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.conventions import cameras_to_colmap
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


def in_unit(cameras: Cameras, unit: float) -> Cameras:
    """The cameras as they are told where a metre is ``unit`` long."""
    world_to_cam = cameras.world_to_cam.clone()
    world_to_cam[:, :3, 3] *= unit
    return replace(cameras, world_to_cam=world_to_cam)


def write_scene(folder: Path, cameras: Cameras, *, depth: bool = True, unit: float = 1.0) -> Path:
    """The room along ``cameras``, with depth in millimetres or without; poses are told where a metre is ``unit`` long."""
    seen = room().render(cameras)
    (folder / "images").mkdir(parents=True)
    names = [f"images/frame_{i:03d}.png" for i in range(len(cameras))]
    save_transforms_json(in_unit(cameras, unit), folder / "transforms.json", names)
    content = json.loads((folder / "transforms.json").read_text())
    for index, (rgb, z) in enumerate(zip(seen.rgb, seen.depth, strict=True)):
        Image.fromarray((rgb.numpy() * 255).round().astype(np.uint8)).save(folder / names[index])
        if depth:
            content["frames"][index]["depth_file_path"] = f"depth_{index:03d}.png"
            Image.fromarray((z.numpy() * 1000).round().astype(np.uint16)).save(folder / f"depth_{index:03d}.png")
    (folder / "transforms.json").write_text(json.dumps(content))
    return folder


def write_colmap_binary(cameras: Cameras, folder: Path, names: Sequence[str]) -> None:
    """cameras.bin and images.bin as COLMAP's documents describe them; one SIMPLE_PINHOLE for all, two features an image."""
    focal, (center_x, center_y) = cameras.focal[0, 0].item(), cameras.intrinsics[0, :2, 2].tolist()
    lens = struct.pack("<QIi2Q3d", 1, 3, 0, cameras.width, cameras.height, focal, center_x, center_y)
    (folder / "cameras.bin").write_bytes(lens)
    quats, translations = cameras_to_colmap(cameras)
    images = struct.pack("<Q", len(cameras))
    for number, (name, quat, translation) in enumerate(zip(names, quats.tolist(), translations.tolist(), strict=True)):
        images += struct.pack("<I7dI", number + 1, *quat, *translation, 3) + name.encode() + b"\0"
        images += struct.pack("<Q", 2) + 2 * struct.pack("<2dq", 1.5, 2.5, -1)
    (folder / "images.bin").write_bytes(images)
