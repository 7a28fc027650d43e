"""A trajectory as a video model needs it: with steps over which the picture moves smoothly, whatever the film's are."""

from __future__ import annotations

import math

import torch

from splatmem.geometry.cameras import Cameras
from splatmem.geometry.interpolation import interpolate_keyframes, interpolate_values
from splatmem.geometry.poses import rigid_inverse
from splatmem.geometry.sampling import evenly_spread
from splatmem.trajectory.trajectory import Trajectory

SMOOTH_STEP = 0.06  # most that the picture may move from one camera to the next, as a share of its width
MEASURED_STEPS = 200  # of a long trajectory, to find out how fast it moves
MEASURED_WIDTH = 32  # pixels; the movement is measured on pictures of this width


def resampled_smoothly(trajectory: Trajectory, depth: float) -> Trajectory:
    """Every n-th camera of a slow trajectory; on a fast one, further cameras on a smooth curve between its own.

    Args:
        depth: typical distance of what the cameras see, in world units.
    """
    cameras = trajectory.cameras
    step = picture_step(cameras, depth)
    if step <= SMOOTH_STEP:
        stride = min(int(SMOOTH_STEP / max(step, 1e-6)), max(1, len(cameras) // 4))
        return trajectory.at(range(0, len(cameras), stride))
    between = math.ceil(step / SMOOTH_STEP)
    count = (len(cameras) - 1) * between + 1
    cam_to_world = interpolate_keyframes(cameras.cam_to_world.double(), count)
    intrinsics = interpolate_values(cameras.intrinsics.flatten(1).double(), count).unflatten(1, (3, 3))
    dense = Cameras(rigid_inverse(cam_to_world).float(), intrinsics.float(), cameras.width, cameras.height)
    return Trajectory(dense, [index / between for index in range(count)], trajectory.name)


def picture_step(cameras: Cameras, depth: float) -> float:
    """How far the picture moves from camera to camera, as a share of its width.

    It is the ninth decile over the trajectory of the median over the picture.
    """
    coarse = cameras.coarse(MEASURED_WIDTH)
    moves = []
    for index in evenly_spread(len(coarse) - 1, MEASURED_STEPS):
        points = coarse[index].unproject(torch.full((1, coarse.height, coarse.width), depth))[0]
        before, after = coarse[index].project(points)[0], coarse[index + 1].project(points)[0]
        moves.append((after - before).norm(dim=-1).median() / coarse.width)
    return torch.stack(moves).quantile(0.9).item() if moves else 0.0
