"""Do straight things stay straight when the camera leaves its place? Needs no truth: any photo and its lifted depth.

Straight segments of the photo (LSD, von Gioi et al. 2010) are lifted by depth and seen from aside: from 10, 20 and 30 degrees
to either side, on the circle about the subject that the presets ``orbit`` and ``arc`` go along. The image of a straight line
is straight from everywhere, so what a segment deviates there from a straight line is an error of depth, or of what belongs to
which surface: a plane that ripples, an edge of a thing half of which hangs on the wall.

Samples lie a pixel apart along a segment. Each takes the nearest depth within a pixel of it: an edge is where a thing ends,
and belongs to the thing, not to what is behind. Samples without depth (sky) are left out, and with them segments that have
depth at less than half of their samples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from splatmem.geometry.cameras import Cameras
from splatmem.geometry.segments import straight_segments
from splatmem.memory import SpatialMemory
from splatmem.trajectory.presets import make_path
from splatmem.trajectory.trajectory import subject_distance

MIN_LENGTH = 60.0  # pixels that a segment has at least
STEP_DEGREES, STEPS = 10, (-3, -2, -1, 1, 2, 3)  # where the segments are seen from, about the subject
TYPICAL = 0.9  # quantile of the deviation over a segment's samples: a single stray one does not count
BENT = 0.03  # share of its length from which a segment is bent
DEPTH_SHARE = 0.5  # of a segment's samples that have depth at least
NEAREST = 0.05  # of its depth in the photo: a view to which any sample comes nearer than this, or lies behind it, is left out


@dataclass(frozen=True)
class Bend:
    """How far straight segments bend.

    Attributes:
        mean: over the segments, deviation from a straight line as a share of the segment's length; ``nan`` without segments.
        share_bent: share of the segments that deviate by more than 3 %; ``nan`` without segments.
        segments: how many there are.
    """

    mean: float
    share_bent: float
    segments: int

    @staticmethod
    def of(deviations: Float[Tensor, " s"]) -> Bend:
        if not len(deviations):
            return Bend(math.nan, math.nan, 0)
        return Bend(float(deviations.mean()), float((deviations > BENT).double().mean()), len(deviations))

    def report(self) -> dict[str, float | int | None]:
        """The figures as a report holds them: shares, not percent; None without segments."""
        mean, share = (None if math.isnan(value) else value for value in (self.mean, self.share_bent))
        return {"mean": mean, "share_above_3_percent": share, "segments": self.segments}


def memory_bend(memory: SpatialMemory) -> Bend:
    """The bend of the first photo's segments, lifted by what the memory reads at its camera now."""
    camera = memory.views[0].camera
    cameras = aside(camera, subject_distance(memory, camera), memory.scale, memory.down)
    depth = memory.read(camera).depth[0]
    return Bend.of(deviations(straight_segments(memory.first_photo, MIN_LENGTH), depth, camera, cameras))


def aside(camera: Cameras, distance: float, scale: float, down: Float[Tensor, "3"] | None = None) -> Cameras:
    """The six cameras at 10, 20 and 30 degrees to either side of the photo's, about the subject, looking at it.

    Args:
        camera: the photo's, at the world's origin.
        distance: of the subject.
        scale: of the scene.
        down: direction of gravity in the world; None: the photo's camera was held upright.
    """
    steps = 360 // STEP_DEGREES
    circle = make_path(
        "orbit", steps, scale=scale, subject_distance=distance, fov_x_degrees=camera.fov_x_degrees, width=camera.width,
        height=camera.height, down=down,
    ).cameras  # fmt: skip
    return circle[[step % steps for step in STEPS]]


def deviations(
    segments: Float[Tensor, "s 2 2"], depth: Float[Tensor, "h w"], camera: Cameras, aside: Cameras
) -> Float[Tensor, " n"]:
    """For each segment that has depth: its deviation from a straight line, the mean over the views from aside.

    In a view the deviation is the 90th percentile over the samples of their distance from the line through them (total least
    squares), as a share of the samples' extent along it.

    Args:
        segments: their ends in the picture of ``camera``.
        depth: z-depth there, ``inf`` where there is none.
        camera: one camera.
        aside: views from aside.
    """
    nearest = -F.max_pool2d(-depth[None, None], 3, 1, 1)[0, 0]
    values = []
    for ends in segments:
        points = _lifted(ends, nearest, camera)
        if points is None:
            continue
        pixels, distance = aside.project(points)
        shown = (distance > NEAREST * camera.project(points)[1]).all(-1)
        if shown.any():
            values.append(_off_line(pixels[shown]).mean())
    return torch.stack(values) if values else torch.zeros(0)


def _lifted(ends: Float[Tensor, "2 2"], depth: Float[Tensor, "h w"], camera: Cameras) -> Float[Tensor, "n 3"] | None:
    """World points a pixel apart along a segment; None where too few have depth."""
    count = math.ceil(float((ends[1] - ends[0]).norm())) + 1
    places = torch.lerp(ends[0], ends[1], torch.linspace(0, 1, count)[:, None])
    column, row = places[:, 0].long().clamp(0, camera.width - 1), places[:, 1].long().clamp(0, camera.height - 1)
    z = depth[row, column]
    near = torch.isfinite(z)
    if near.float().mean() < DEPTH_SHARE:
        return None
    centre, focal = camera.intrinsics[0, :2, 2], camera.focal[0]
    local = torch.cat([(places - centre) / focal, torch.ones(count, 1)], dim=-1) * z[:, None]
    return (local[near] - camera.world_to_cam[0, :3, 3]) @ camera.world_to_cam[0, :3, :3]


def _off_line(pixels: Float[Tensor, "v n 2"]) -> Float[Tensor, " v"]:
    """Deviation of each view's points from the straight line through them, as a share of their extent along it."""
    centred = (pixels - pixels.mean(1, keepdim=True)).double()
    direction = torch.linalg.svd(centred, full_matrices=False).Vh[:, 0]
    along = (centred * direction[:, None]).sum(-1)
    across = (centred - along[..., None] * direction[:, None]).norm(dim=-1)
    return (across.quantile(TYPICAL, dim=1) / (along.amax(1) - along.amin(1)).clamp_min(1e-6)).float()
