"""Resamples a path for a video model, so that the picture moves smoothly from camera to camera."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from splatmem.explore.planner import GRID_WIDTH
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.interpolation import interpolate_keyframes, interpolate_values
from splatmem.geometry.poses import rigid_inverse
from splatmem.geometry.sampling import evenly_spread

SMOOTH_STEP = 0.06  # most that the picture may move from one camera to the next, as a share of its width
SAMPLED_STEPS = 200  # of a long path, to find out how fast it moves


@dataclass(frozen=True)
class Walk:
    """Cameras along a path.

    Attributes:
        cameras: evenly spaced in film time.
        positions: where they stand in the film: frame numbers, with fractions between the film's own frames.
    """

    cameras: Cameras
    positions: Sequence[float]

    @property
    def spacing(self) -> float:
        """Film frames from one camera to the next."""
        return self.positions[1] - self.positions[0] if len(self.positions) > 1 else 1.0

    def at(self, indices: list[int]) -> Walk:
        """The cameras with these indices, in the order given."""
        return Walk(self.cameras[indices], [self.positions[index] for index in indices])

    def first(self, count: int) -> Walk:
        """The first ``count`` cameras, or all if there are fewer."""
        return Walk(self.cameras[:count], self.positions[:count])

    @staticmethod
    def every_frame(path: Cameras) -> Walk:
        """The film's own cameras."""
        return Walk(path, list(range(len(path))))

    @staticmethod
    def along(path: Cameras, depth: float) -> Walk:
        """Every n-th camera of a slow path; on a fast one, further cameras on a smooth curve between its own.

        Args:
            depth: typical distance of what the cameras see, in world units.
        """
        step = picture_step(path, depth)
        if step <= SMOOTH_STEP:
            stride = min(int(SMOOTH_STEP / max(step, 1e-6)), max(1, len(path) // 4))
            frames = list(range(0, len(path), stride))
            return Walk(path[frames], list(frames))
        between = math.ceil(step / SMOOTH_STEP)
        count = (len(path) - 1) * between + 1
        cam_to_world = interpolate_keyframes(path.cam_to_world.double(), count)
        lenses = interpolate_values(path.intrinsics.flatten(1).double(), count).unflatten(1, (3, 3))
        dense = Cameras(rigid_inverse(cam_to_world).float(), lenses.float(), path.width, path.height)
        return Walk(dense, [index / between for index in range(count)])


def picture_step(path: Cameras, depth: float) -> float:
    """How far the picture moves from camera to camera, as a share of its width.

    For points at ``depth`` (world units): the median over the picture, and of that the 0.9 quantile over the path.
    """
    coarse = path.coarse(GRID_WIDTH)
    moves = []
    for index in evenly_spread(len(coarse) - 1, SAMPLED_STEPS):
        points = coarse[index].unproject(torch.full((1, coarse.height, coarse.width), depth))[0]
        before, after = coarse[index].project(points)[0], coarse[index + 1].project(points)[0]
        moves.append((after - before).norm(dim=-1).median() / coarse.width)
    return torch.stack(moves).quantile(0.9).item() if moves else 0.0
