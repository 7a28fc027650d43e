"""Trajectories in KITTI's odometry format: lines of 12 numbers, the rows of a 3x4 cam-to-world matrix with OpenCV's axes.

Format: https://www.cvlibs.net/datasets/kitti/eval_odometry.php. It has no intrinsics.
"""

from __future__ import annotations

from pathlib import Path

import torch

from splatmem.geometry.cameras import Cameras
from splatmem.geometry.poses import require_rigid, rigid_inverse
from splatmem.io.intrinsics import Intrinsics, intrinsics_to_cameras
from splatmem.io.text import data_lines, numbers

NUMBERS = 12


def is_kitti(line: str) -> bool:
    """Whether a line is a pose of this format; COLMAP's lines with as many fields end in a name."""
    fields = line.split()
    try:
        return len(fields) == NUMBERS and all(float(field) == float(field) for field in fields)
    except ValueError:
        return False


def load_kitti(path: Path, *, width: int, height: int, fov_x_degrees: float) -> Cameras:
    """Reads the poses; size and field of view are given.

    Raises:
        ValueError: malformed, not finite or not rigid; the message names the file and the line.
    """
    rows = []
    for where, line in data_lines(path):
        fields = line.split()
        if len(fields) != NUMBERS:
            raise ValueError(f"{where}: expected {NUMBERS} numbers, a 3x4 matrix, got {line[:80]!r}")
        rows.append([*numbers(fields, where), 0.0, 0.0, 0.0, 1.0])
    poses = require_rigid(torch.tensor(rows, dtype=torch.float64).view(-1, 4, 4), str(path))
    lens = Intrinsics.from_fov(fov_x_degrees, width, height)
    return intrinsics_to_cameras(rigid_inverse(poses), [lens] * len(poses), width, height, str(path))
