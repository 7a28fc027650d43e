"""Camera paths as viewers and trainers of other projects write them in JSON.

nerfstudio's viewer exports ``camera_path.json``: OpenGL cam-to-world matrices with vertical fields of view. The first
implementation of Gaussian splatting (INRIA) writes ``cameras.json``: cam-to-world rotations and positions with OpenCV's axes.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch

from splatmem.geometry.cameras import Cameras
from splatmem.geometry.conventions import cameras_to_opengl, world_to_cam_from_opengl
from splatmem.geometry.poses import require_rigid, rigid_inverse
from splatmem.io.atomic import atomic_path
from splatmem.io.intrinsics import LARGEST_SIDE, Intrinsics, intrinsics_to_cameras
from splatmem.io.text import is_number, shortened
from splatmem.io.transforms_json import opengl_matrix


def save_viewer_path(cameras: Cameras, file: str | Path, fps: float = 24.0) -> None:
    """Writes nerfstudio's ``camera_path.json``: a camera for each frame, with its vertical field of view."""
    fovs = torch.rad2deg(2 * torch.atan(0.5 * cameras.height / cameras.focal[:, 1]))
    path = [
        {"camera_to_world": pose.flatten().tolist(), "fov": fov, "aspect": cameras.width / cameras.height}
        for pose, fov in zip(cameras_to_opengl(cameras).cpu(), fovs.tolist(), strict=True)
    ]
    content = {
        "camera_type": "perspective", "render_width": cameras.width, "render_height": cameras.height, "fps": fps,
        "seconds": len(cameras) / fps, "is_cycle": False, "smoothness_value": 0.0, "default_fov": fovs[0].item(),
        "keyframes": [], "camera_path": path,
    }  # fmt: skip
    with atomic_path(file) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def is_viewer_path(content: Any) -> bool:
    return isinstance(content, dict) and "camera_path" in content


def is_inria_cameras(content: Any) -> bool:
    return isinstance(content, list) and bool(content) and isinstance(content[0], dict) and "rotation" in content[0]


def parse_viewer_path(content: dict[str, Any], source: str, width: int, height: int, fov_x_degrees: float) -> Cameras:
    """The cameras of nerfstudio's ``camera_path.json``, as they were played when it was exported.

    Raises:
        ValueError: malformed, or not of the perspective kind; the message names the place.
    """
    entries, kind = content["camera_path"], content.get("camera_type", "perspective")
    if kind != "perspective":
        raise ValueError(f"{source}: expected 'camera_type' perspective, got {shortened(kind)}: films here have no other")
    if not isinstance(entries, list) or not entries:
        raise ValueError(f"{source}: expected 'camera_path', a list of cameras that is not empty, got {shortened(entries)}")
    size = [content.get(key) for key in ("render_width", "render_height")]
    if size == [None, None]:
        size = [width, height]
    if not all(is_number(side) and 1 <= side <= LARGEST_SIDE for side in size):  # pyright: ignore
        raise ValueError(f"{source}: 'render_width' and 'render_height' must be sizes in pixels, got {shortened(size)}")
    w, h = (int(side) for side in size)  # type: ignore[arg-type]
    poses, lenses = [], []
    for index, entry in enumerate(entries):
        where = f"{source}: camera {index}"
        if not isinstance(entry, dict):
            raise ValueError(f"{where}: expected an object with 'camera_to_world' and 'fov', got {shortened(entry)}")
        poses.append(_matrix(entry.get("camera_to_world"), where))
        fov = entry.get("fov", content.get("default_fov"))
        if fov is None:
            lenses.append(Intrinsics.from_fov(fov_x_degrees, w, h))
            continue
        if not is_number(fov) or not 0.1 <= fov <= 175:
            raise ValueError(f"{where}: 'fov' must be a vertical field of view of 0.1 to 175 degrees, got {shortened(fov)}")
        focal = 0.5 * h / math.tan(math.radians(0.5 * fov))
        lenses.append(Intrinsics(focal, focal, w / 2, h / 2, w, h))
        lenses[-1].check(where)
    rigid = require_rigid(torch.tensor(poses, dtype=torch.float64), source)
    return intrinsics_to_cameras(world_to_cam_from_opengl(rigid), lenses, width, height, source)


def _matrix(values: Any, where: str) -> list[list[float]]:
    """Sixteen numbers row by row, or four rows."""
    if isinstance(values, list) and len(values) in (12, 16) and all(map(is_number, values)):
        values = [values[start : start + 4] for start in range(0, len(values), 4)]
    return opengl_matrix(values, where)


def parse_inria_cameras(content: list[Any], source: str, width: int, height: int) -> Cameras:
    """The cameras of a ``cameras.json``, in its order.

    Raises:
        ValueError: malformed, or poses that are not rigid; the message names the place.
    """
    poses, lenses = [], []
    for index, entry in enumerate(content):
        where = f"{source}: camera {index}"
        if not isinstance(entry, dict):
            raise ValueError(f"{where}: expected an object with 'position' and 'rotation', got {shortened(entry)}")
        position, rotation = entry.get("position"), entry.get("rotation")
        rows = rotation if isinstance(rotation, list) and len(rotation) == 3 else [None]
        if not all(_is_vector(row) for row in [position, *rows]):
            raise ValueError(
                f"{where}: expected 'position' with 3 and 'rotation' with 3x3 finite numbers, got {shortened(entry)}"
            )
        matrix = [[*map(float, row), float(at)] for row, at in zip(rows, position, strict=True)]  # type: ignore[arg-type]
        poses.append([*matrix, [0.0, 0.0, 0.0, 1.0]])
        numbers = [entry.get(key) for key in ("fx", "fy", "width", "height")]
        if not all(is_number(number) and number > 0 for number in numbers) or max(numbers[2:]) > LARGEST_SIDE:  # type: ignore
            raise ValueError(f"{where}: expected 'fx', 'fy', 'width' and 'height' in pixels, got {shortened(numbers)}")
        fx, fy, w, h = numbers
        lenses.append(Intrinsics(float(fx), float(fy), w / 2, h / 2, int(w), int(h)))  # type: ignore[operator,arg-type]
        lenses[-1].check(where)
    rigid = require_rigid(torch.tensor(poses, dtype=torch.float64), source)
    return intrinsics_to_cameras(rigid_inverse(rigid), lenses, width, height, source)


def _is_vector(row: Any) -> bool:
    return isinstance(row, list) and len(row) == 3 and all(map(is_number, row))
