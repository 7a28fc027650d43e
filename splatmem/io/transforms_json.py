"""nerfstudio's transforms.json: OpenGL cam-to-world matrices with intrinsics per file or per frame.

Format: https://docs.nerf.studio/quickstart/data_conventions.html, and instant-ngp's and NeRF's relatives of it. An
``applied_transform`` is not undone: the matrices count as they stand. Intrinsics distortion is read as OpenCV's.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from splatmem.geometry.cameras import Cameras
from splatmem.geometry.conventions import cameras_to_opengl, world_to_cam_from_opengl
from splatmem.geometry.poses import require_rigid
from splatmem.geometry.world import World
from splatmem.io.atomic import atomic_path
from splatmem.io.distortion import Distortion, finite
from splatmem.io.intrinsics import LARGEST_SIDE, Intrinsics, intrinsics_to_cameras
from splatmem.io.text import is_number, shortened

DISTORTION = ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")  # in OpenCV's order
FISHEYE_DISTORTION = ("k1", "k2", "k3", "k4")
PINHOLE_MODELS = ("OPENCV", "PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "FULL_OPENCV", "PERSPECTIVE")
FISHEYE_MODELS = ("OPENCV_FISHEYE", "FISHEYE", "SIMPLE_FISHEYE", "SIMPLE_RADIAL_FISHEYE", "RADIAL_FISHEYE")
INDEX_NAMES = ("transforms.json", "transforms_train.json")  # NeRF's own scenes keep pictures for training apart


def save_transforms_json(
    cameras: Cameras,
    path: str | Path,
    file_paths: Sequence[str] | None = None,
    world: World | None = None,
    points: str | None = None,
) -> None:
    """Writes the cameras; equal intrinsics are written once, others per frame.

    Args:
        cameras: the cameras, in the memory's world where ``world`` is given.
        path: the file; it appears whole.
        file_paths: the frames' images; nerfstudio wants them named, by default ``images/frame_00001.png`` and on.
        world: in which the poses are written, in double precision; how the scene's own lies in it is written as
            ``world_from_scene``.
        points: name of a .ply beside the file with points to begin a training with.
    """
    more: dict[str, Any] = {} if points is None else {"ply_file_path": points}
    if world is not None and not world.is_memory:
        cameras = world.from_memory(cameras)
        more["world_from_scene"] = world.world_from_memory.tolist()
    if file_paths is None:
        file_paths = [f"images/frame_{i + 1:05d}.png" for i in range(len(cameras))]
    if len(file_paths) != len(cameras):
        raise ValueError(f"expected one file path per camera ({len(cameras)}), got {len(file_paths)}")
    lenses = [
        {"fl_x": k[0][0], "fl_y": k[1][1], "cx": k[0][2], "cy": k[1][2]} for k in cameras.intrinsics.double().cpu().tolist()
    ]
    shared = all(lens == lenses[0] for lens in lenses)
    frames = [
        {"file_path": name, **({} if shared else lens), "transform_matrix": matrix}
        for name, lens, matrix in zip(file_paths, lenses, cameras_to_opengl(cameras).cpu().tolist(), strict=True)
    ]
    head = {"camera_model": "OPENCV", "w": cameras.width, "h": cameras.height, **(lenses[0] if shared and lenses else {})}
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps({**head, **more, "frames": frames}, indent=2) + "\n", encoding="utf-8")


def load_transforms_json(
    path: str | Path, *, width: int | None = None, height: int | None = None, fov_x_degrees: float | None = None
) -> Cameras:
    """Reads the cameras in the order of the file.

    Args:
        path: the file.
        width, height: image size wanted (default: the file's). Images of another shape count as scaled to cover it and
            centre-cropped.
        fov_x_degrees: for frames that state neither ``fl_x`` nor ``camera_angle_x``.

    Raises:
        ValueError: malformed, a lens of another kind, poses not rigid; the message names file and frame.
    """
    path = Path(path)
    return parse_transforms(parse_json(path), str(path), width=width, height=height, fov_x_degrees=fov_x_degrees)


def parse_json(path: Path) -> Any:
    """The content of a JSON file; ``ValueError`` names the file and the place of the mistake."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:  # also numbers of thousands of digits, and other bytes than text
        raise ValueError(f"{path}: expected JSON, but it cannot be read: {error}") from error


def find_index(folder: Path) -> Path | None:
    """The folder's transforms.json, or transforms_train.json; None if it holds neither."""
    return next((folder / name for name in INDEX_NAMES if (folder / name).is_file()), None)


def parse_transforms(
    content: Any, source: str, *, width: int | None, height: int | None, fov_x_degrees: float | None
) -> Cameras:
    """Cameras from the parsed file; see ``load_transforms_json``."""
    poses, lenses = parse_views(content, source, width=width, height=height, fov_x_degrees=fov_x_degrees)
    return intrinsics_to_cameras(poses, lenses, width, height, source)


def parse_views(
    content: Any, source: str, *, width: int | None, height: int | None, fov_x_degrees: float | None
) -> tuple[Float[Tensor, "n 4 4"], list[Intrinsics]]:
    """World-to-cam transforms (OpenCV axes, float64) and lenses of the frames; see ``load_transforms_json``."""
    frames = content.get("frames") if isinstance(content, dict) else None
    if not isinstance(frames, list) or not frames:
        raise ValueError(
            f"{source}: expected a transforms.json with a list 'frames' that is not empty, got {shortened(frames)}"
        )
    poses, lenses = [], []
    for index, frame in enumerate(frames):
        where = f"{source}: frame {index}"
        if not isinstance(frame, dict):
            raise ValueError(f"{where}: expected an object with 'transform_matrix', got {shortened(frame)}")
        poses.append(opengl_matrix(frame.get("transform_matrix"), where))
        lenses.append(_lens({**content, **frame}, where, width, height, fov_x_degrees))
    opengl = require_rigid(torch.tensor(poses, dtype=torch.float64), source)
    return world_to_cam_from_opengl(opengl), lenses


def opengl_matrix(rows: Any, where: str) -> list[list[float]]:
    """A 4x4 matrix; the last row may be missing."""
    numeric = isinstance(rows, list) and all(
        isinstance(row, list) and len(row) == 4 and all(is_number(value) for value in row) for row in rows
    )
    if not numeric or len(rows) not in (3, 4):
        raise ValueError(
            f"{where}: expected 'transform_matrix' as a 4x4 (or 3x4) list of finite numbers, got {shortened(rows)}"
        )
    matrix = [[float(value) for value in row] for row in rows]
    return [*matrix, [0.0, 0.0, 0.0, 1.0]] if len(rows) == 3 else matrix


def _lens(stated: dict[str, Any], where: str, width: int | None, height: int | None, fov_x_degrees: float | None) -> Intrinsics:
    model, fisheye = stated.get("camera_model", "OPENCV"), stated.get("is_fisheye", False)
    if model not in PINHOLE_MODELS + FISHEYE_MODELS:
        known = ", ".join(PINHOLE_MODELS + FISHEYE_MODELS)
        raise ValueError(f"{where}: camera_model must be one of {known}, got {shortened(model)}; undistort the pictures first")
    if not isinstance(fisheye, bool):
        raise ValueError(f"{where}: 'is_fisheye' must be true or false, got {shortened(fisheye)}")
    fisheye = fisheye or model in FISHEYE_MODELS
    keys = ("w", "h", "fl_x", "fl_y", "cx", "cy", "camera_angle_x", "camera_angle_y", *DISTORTION)
    numbers = {key: stated[key] for key in keys if stated.get(key) is not None}
    for key, value in numbers.items():
        if not is_number(value):
            raise ValueError(f"{where}: {key!r} must be a finite number, got {shortened(value)}")
    coefficients = tuple(float(numbers.get(key, 0)) for key in (FISHEYE_DISTORTION if fisheye else DISTORTION))
    if not finite(coefficients):
        raise ValueError(f"{where}: expected coefficients of distortion below 1e6, got {coefficients}")
    w, h = numbers.get("w", width), numbers.get("h", height)
    if w is None or h is None:
        raise ValueError(f"{where}: expected the image size as 'w' and 'h'")
    if not (1 <= w <= LARGEST_SIDE and 1 <= h <= LARGEST_SIDE):
        raise ValueError(f"{where}: expected positive focal lengths and image size and finite numbers, got {w}x{h} pixels")
    focal_x = _focal(numbers, "x", w, where)
    if focal_x is None:
        if fov_x_degrees is None:
            raise ValueError(f"{where}: expected 'fl_x' or 'camera_angle_x'")
        focal_x = Intrinsics.from_fov(fov_x_degrees, int(w), int(h)).fx
    focal_y = _focal(numbers, "y", h, where) or focal_x
    distortion = Distortion.of(fisheye, coefficients)
    center = float(numbers.get("cx", w / 2)), float(numbers.get("cy", h / 2))
    lens = Intrinsics(focal_x, focal_y, *center, int(w), int(h), distortion)
    lens.check(where)
    return lens


def _focal(numbers: dict[str, float], axis: str, size: float, where: str) -> float | None:
    if f"fl_{axis}" in numbers:
        return float(numbers[f"fl_{axis}"])
    angle = numbers.get(f"camera_angle_{axis}")
    if not angle:
        return None
    if not 1e-4 < angle < math.pi:
        raise ValueError(f"{where}: expected 'camera_angle_{axis}' in radians, more than 0 and less than pi, got {angle}")
    return 0.5 * size / math.tan(0.5 * angle)
