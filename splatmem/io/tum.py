"""Trajectories in the TUM RGB-D benchmark's format: lines of ``timestamp tx ty tz qx qy qz qw``.

Poses are cam-to-world with OpenCV's camera axes; the format has no intrinsics.
"""

from __future__ import annotations

from pathlib import Path

import torch

from splatmem.geometry.cameras import Cameras
from splatmem.geometry.conventions import cameras_to_tum
from splatmem.geometry.poses import rigid_from, rigid_inverse
from splatmem.geometry.rotations import quats_to_rotations
from splatmem.io.atomic import atomic_path
from splatmem.io.intrinsics import Intrinsics, intrinsics_to_cameras
from splatmem.io.text import data_lines, numbers, unit_quat

FIELDS = "timestamp tx ty tz qx qy qz qw"


def save_tum(cameras: Cameras, path: str | Path, fps: float = 24.0) -> None:
    """Writes the poses, with the frame's time in seconds as timestamp; the intrinsics are lost."""
    positions, quats = cameras_to_tum(cameras)
    lines = [f"# {FIELDS}\n"]
    for index, values in enumerate(torch.cat([positions, quats], dim=1).tolist()):
        lines.append(f"{index / fps:.6f} " + " ".join(f"{value:.9g}" for value in values) + "\n")
    with atomic_path(path) as temporary:
        temporary.write_text("".join(lines), encoding="utf-8")


def load_tum(path: str | Path, *, width: int, height: int, fov_x_degrees: float) -> Cameras:
    """Reads the poses in the order of their timestamps; size and field of view are given.

    Raises:
        ValueError: malformed, NaN or a quaternion that is no rotation; the message names the file and the line.
    """
    path = Path(path)
    rows = []
    lines = data_lines(path)
    if len(lines) > 1 and _is_header(lines[0][1]):
        lines = lines[1:]
    for where, line in lines:
        fields = line.replace(",", " ").split()
        if len(fields) != 8:
            raise ValueError(f"{where}: expected {FIELDS}, got {line[:80]!r}")
        values = numbers(fields, where)
        rows.append([*values[:4], *unit_quat(values[4:], where)])
    if not rows:
        raise ValueError(f"{path}: expected lines of {FIELDS}, the file holds none")
    poses = torch.tensor(sorted(rows, key=lambda row: row[0]), dtype=torch.float64)
    cam_to_world = rigid_from(quats_to_rotations(poses[:, 4:].roll(1, dims=-1)), poses[:, 1:4])
    lens = Intrinsics.from_fov(fov_x_degrees, width, height)
    return intrinsics_to_cameras(rigid_inverse(cam_to_world), [lens] * len(poses), width, height, str(path))


def _is_header(line: str) -> bool:
    """Whether a line names its columns instead of holding numbers."""
    return all(
        field[:1].isalpha() and field.lower() not in ("nan", "inf", "infinity") for field in line.replace(",", " ").split()
    )
