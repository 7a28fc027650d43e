"""Cameras in the axes of files whose world has x right, y up, z backward."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from splatmem.geometry.cameras import Cameras
from splatmem.geometry.poses import rigid_inverse

HALF_TURN = (1.0, -1.0, -1.0, 1.0)  # about x


def camera_matrices_y_up(cameras: Cameras) -> Float[Tensor, "n 4 4"]:
    """Cam-to-world matrices, float64, whose cameras look along -z with y up, in a world with y up: our first camera, the
    identity, stays the identity."""
    turn = torch.tensor(HALF_TURN, dtype=torch.float64)
    return turn[:, None] * rigid_inverse(cameras.world_to_cam.cpu().double()) * turn


def fov_y(cameras: Cameras) -> list[float]:
    """Vertical fields of view in radians."""
    return [2 * math.atan(0.5 * cameras.height / focal) for focal in cameras.focal[:, 1].tolist()]
