"""Straight lines of the picture are straight in space, and upright ones upright.

A depth map that is right to a few percent still bends a window's frame when it is seen from aside, and lets trunks lean away
from their feet. Along the image of a straight line inverse depth is linear; along an upright line it is known up to one factor,
from the direction of gravity. So each segment's inverse depth is fitted by such a function, and what that changes is spread
over the surface that the segment lies on.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.geometry.cameras import Cameras
from splatmem.geometry.filters import domain_filter
from splatmem.geometry.segments import straight_segments

MIN_LENGTH = 0.08
"""Of a segment, as a share of the picture's shorter side."""
UPRIGHT_DEGREES = 3.0
"""How far the plane of the camera and an upright segment may miss the direction of gravity."""
STEEP = 2.0
"""An upright segment's extent down the picture is so many times that across it."""
LEANS = 0.6
"""Cosine of the angle between gravity and a segment, as depth has it, from which it may be upright."""
ON_LEVEL = 0.4
"""Share of a segment's samples that may lie on floors and the like for it to be upright."""
FOOT = 0.34
"""Share of a standing segment's length, from its foot, that tells where it stands."""
LARGEST_CHANGE, LARGEST_LEAN = 0.15, 0.8
"""Change of log depth beyond which a sample belongs to something else; the same for upright segments."""
AGREEING = 0.6
"""Share of a segment's samples that must not."""
REACHES = (0.08, 0.03, 0.012)
"""Standard deviations of the neighbourhoods that changes are spread over, one after the other, in shorter sides."""
STEP = 0.1
"""Relative change of depth between neighbours over which little is spread."""
SKY = 20.0
"""Log depth of sky, farther than all else."""
ROUNDS = 8
"""Of the robust fit of a line."""
FAINT = 0.02
"""Weight beside that of a segment's samples that spread to a pixel: far from all segments, depth stays as it is."""


def straighten(
    depth: Float[Tensor, "h w"],
    rgb: Float[Tensor, "h w 3"],
    camera: Cameras,
    down: Float[Tensor, "3"],
    level: Bool[Tensor, "h w"],
) -> Float[Tensor, "h w"]:
    """The depth map with straight lines straight.

    Args:
        depth: z-depth, ``inf`` for sky.
        rgb: the picture, 0..1.
        camera: the one camera that took it.
        down: unit vector of gravity in the world.
        level: pixels of floors, ceilings and grounds.
    """
    there = torch.isfinite(depth)
    side = min(depth.shape)
    segments = straight_segments(rgb, MIN_LENGTH * side)
    if not len(segments) or not there.any():
        return depth
    gravity = (camera.world_to_cam[0, :3, :3] @ down).double().numpy()
    lines = [_Line(ends.double().numpy(), camera, gravity) for ends in segments]
    log_depth = torch.where(there, depth, 1.0).log()
    for reach in REACHES:
        change, weight = _changes(lines, log_depth, there, level)
        log_depth = log_depth + torch.where(there, _spread(change, weight, log_depth, there, reach * side), 0.0)
    return torch.where(there, log_depth.exp(), depth)


class _Line:
    """A segment's samples, a pixel apart, from its upper to its lower end."""

    def __init__(self, ends: np.ndarray, camera: Cameras, gravity: np.ndarray) -> None:
        ends = ends[np.argsort(ends[:, 1])]
        extent = ends[1] - ends[0]
        count = max(8, math.ceil(float(np.hypot(*extent))) + 1)
        self.along = np.linspace(0.0, 1.0, count)
        places = ends[0] + self.along[:, None] * extent
        self.column = np.clip(places[:, 0].astype(int), 0, camera.width - 1)
        self.row = np.clip(places[:, 1].astype(int), 0, camera.height - 1)
        self.foot = np.clip(np.round(ends[1] + 3 * extent / count).astype(int), 0, [camera.width - 1, camera.height - 1])
        centre, focal = (v.double().numpy() for v in (camera.intrinsics[0, :2, 2], camera.focal[0]))
        self.rays = np.concatenate([(places - centre) / focal, np.ones((count, 1))], axis=1)
        plane = np.cross(self.rays[0], self.rays[-1])
        miss = abs(plane @ gravity) / max(float(np.linalg.norm(plane)), 1e-12)
        self.gravity = gravity
        self.steep = miss < math.sin(math.radians(UPRIGHT_DEGREES)) and abs(extent[1]) > STEEP * abs(extent[0])
        self.level_rays = np.linalg.norm(self.rays - (self.rays @ gravity)[:, None] * gravity, axis=1)

    def fitted(self, inverse: np.ndarray, linear: np.ndarray, on_level: np.ndarray, stands: bool) -> tuple[np.ndarray, float]:
        """Inverse depth along the line as it should be, and the largest change that it may bring; ``linear`` is the straight
        function that fits it."""
        if self.steep and on_level.mean() <= ON_LEVEL and self._leaning(linear) >= LEANS:
            factors = inverse / self.level_rays
            told = factors[self.along >= 1 - FOOT] if stands else factors
            return float(np.median(told)) * self.level_rays, LARGEST_LEAN
        return linear, LARGEST_CHANGE

    def _leaning(self, inverse: np.ndarray) -> float:
        """Cosine of the angle between the line in space and gravity."""
        if inverse[0] <= 0 or inverse[-1] <= 0:
            return 0.0
        way = self.rays[-1] / inverse[-1] - self.rays[0] / inverse[0]
        return float(abs(way @ self.gravity) / max(float(np.linalg.norm(way)), 1e-12))


def _linear_fits(along: np.ndarray, values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """For each of several lines, whose samples follow each other, the straight function of ``along`` with the least absolute
    deviations from its values (iteratively reweighted least squares)."""
    starts = np.cumsum(counts) - counts

    def sums(samples: np.ndarray) -> np.ndarray:
        return np.repeat(np.add.reduceat(samples, starts), counts)

    floor = 1e-3 * sums(np.abs(values)) / np.repeat(counts, counts) + 1e-12
    weights, fitted = np.ones_like(values), values
    for _ in range(ROUNDS):
        total = sums(weights)
        middle, mean = sums(weights * along) / total, sums(weights * values) / total
        off = along - middle
        fitted = mean + sums(weights * off * (values - mean)) / sums(weights * off**2) * off
        weights = 1 / np.maximum(np.abs(values - fitted), floor)
    return fitted


def _changes(
    lines: list[_Line], log_depth: Float[Tensor, "h w"], there: Bool[Tensor, "h w"], level: Bool[Tensor, "h w"]
) -> tuple[Float[Tensor, "h w"], Float[Tensor, "h w"]]:
    """Sums of what the lines change of log depth at the pixels that their samples belong to, and how many samples these are."""
    height, width = log_depth.shape
    # An edge is where a thing ends, and belongs to the thing: of the pixels around a sample the nearest counts.
    inverse = torch.where(there, -log_depth, -torch.inf)
    nearest, place = F.max_pool2d(F.pad(inverse[None], (1, 1, 1, 1), value=-torch.inf), 3, 1, return_indices=True)
    row, column = (place[0] // (width + 2) - 1).numpy(), (place[0] % (width + 2) - 1).numpy()
    values = nearest[0].double().numpy()
    flat = level.numpy()
    change, weight = np.zeros((height, width)), np.zeros((height, width))
    inverse_depths = [np.exp(values[line.row, line.column]) for line in lines]
    counts = np.array([len(line.along) for line in lines])
    fits = _linear_fits(np.concatenate([line.along for line in lines]), np.concatenate(inverse_depths), counts)
    for line, inverse_depth, linear in zip(lines, inverse_depths, np.split(fits, np.cumsum(counts)[:-1]), strict=True):
        if not inverse_depth.all():  # in part before the sky
            continue
        foot = flat[line.foot[1], line.foot[0]]
        at = row[line.row, line.column], column[line.row, line.column]
        fitted, largest = line.fitted(inverse_depth, linear, flat[at], bool(foot))
        if fitted.min() <= 0:
            continue
        moved = np.log(inverse_depth / fitted)
        agreeing = np.abs(moved) < largest
        if agreeing.mean() < AGREEING:
            continue
        np.add.at(change, (at[0][agreeing], at[1][agreeing]), moved[agreeing])
        np.add.at(weight, (at[0][agreeing], at[1][agreeing]), 1.0)
    return torch.from_numpy(change).float(), torch.from_numpy(weight).float()


def _spread(
    change: Float[Tensor, "h w"],
    weight: Float[Tensor, "h w"],
    log_depth: Float[Tensor, "h w"],
    there: Bool[Tensor, "h w"],
    sigma: float,
) -> Float[Tensor, "h w"]:
    """The mean change of the samples around each pixel that no step of depth parts from it.

    Steps of colour part nothing: an edge's pixels would move without the surface that they bound.
    """
    values = torch.where(there, log_depth, SKY)
    across, below = (1 + sigma * (way.diff(dim=1) / STEP) ** 2 for way in (values, values.T))
    summed, counted = domain_filter(torch.stack([change, weight]), across, below, sigma)
    return summed / (counted + FAINT / sigma)
