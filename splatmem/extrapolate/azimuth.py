"""What part of a full turn a view shows, and where stretches of that part are shown again in the rest of the turn.

Directions are azimuths about the vertical axis through the camera. The rest of the turn is filled by a piecewise linear map of
azimuths: its segments are stretches of the view, taken backwards (mirrored) and forwards in turn, so that each segment begins
with the direction in which the one before it ended, in colour and in depth. The map runs from the view's right end to its left
end; so that it closes the turn, all segments are made wider or narrower by one factor.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.geometry.cameras import Cameras

MIN_RANGE = math.radians(10)
MAX_SEGMENTS = 17


@dataclass(frozen=True)
class AzimuthRange:
    """The part of a turn that a view shows from top to bottom.

    Attributes:
        center: the camera's position in the world, ``[3]``.
        axes: rows are side, down (gravity) and ahead in the world, orthonormal ``[3, 3]``.
        left, right: azimuths of its ends in radians, 0 ahead, growing towards the side axis.
    """

    center: Float[Tensor, "3"]
    axes: Float[Tensor, "3 3"]
    left: float
    right: float

    @staticmethod
    def of(camera: Cameras, down: Float[Tensor, "3"]) -> AzimuthRange:
        """The range that one camera shows, at least ``MIN_RANGE`` wide.

        Args:
            camera: one camera.
            down: direction of gravity in the world, a unit vector.
        """
        rotation = camera.world_to_cam[0, :3, :3]
        # Looking straight down, ahead is the top of the picture.
        side = F.normalize(torch.linalg.cross(down, rotation[2]) + 1e-4 * rotation[0], dim=0)
        axes = torch.stack([side, down, torch.linalg.cross(side, down)])
        rays = camera.world_rays()[0] @ axes.T
        azimuth = torch.atan2(rays[..., 0], rays[..., 2])
        left, right = azimuth[:, 0].max().item(), azimuth[:, -1].min().item()
        if right - left < MIN_RANGE:  # the ends cross in a view from far above or below
            left, right = -0.5 * MIN_RANGE, 0.5 * MIN_RANGE
        return AzimuthRange(camera.centers[0], axes, left, right)

    @property
    def width(self) -> float:
        """Angle of the turn that the view shows, in radians."""
        return self.right - self.left

    @property
    def rest(self) -> float:
        """Angle of the turn that the view does not show, in radians."""
        return 2 * math.pi - self.width

    def shows(self, azimuth: Float[Tensor, " n"]) -> Bool[Tensor, " n"]:
        """Whether azimuths lie inside the range."""
        return (azimuth > self.left) & (azimuth < self.right)

    def azimuth(self, points: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n"]:
        """Azimuths of world points in radians, from -pi to pi."""
        side, _, ahead = ((points - self.center) @ self.axes.T).unbind(-1)
        return torch.atan2(side, ahead)

    def distance(self, points: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n"]:
        """Distances of world points from the vertical axis through ``center``, in world units."""
        side, _, ahead = ((points - self.center) @ self.axes.T).unbind(-1)
        return torch.hypot(side, ahead)

    def inclination(self, points: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n"]:
        """Angles of world points below the horizon of ``center``, in radians."""
        side, down, ahead = ((points - self.center) @ self.axes.T).unbind(-1)
        return torch.atan2(down, torch.hypot(side, ahead))

    def transforms(self, azimuth: Float[Tensor, " n"], segment: AzimuthSegment) -> Float[Tensor, "n 3 3"]:
        """Rotations about ``center``, or reflections, that take points of a segment to where it is shown again.

        Args:
            azimuth: of the points, inside the segment.
            segment: one stretch of the view.
        """
        target = segment.target + segment.stretch * (azimuth - segment.begin).abs()
        return self._reflection(0.5 * (azimuth + target)) if segment.mirrored else self._rotation(target - azimuth)

    def _reflection(self, azimuth: Float[Tensor, " n"]) -> Float[Tensor, "n 3 3"]:
        """Reflections across the vertical plane at each azimuth."""
        normal = azimuth.cos()[:, None] * self.axes[0] - azimuth.sin()[:, None] * self.axes[2]
        return torch.eye(3) - 2 * normal[:, :, None] * normal[:, None, :]

    def _rotation(self, angle: Float[Tensor, " n"]) -> Float[Tensor, "n 3 3"]:
        """Rotations about the vertical that increase the azimuth by each angle."""
        cosine, sine, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
        rows = [cosine, zero, sine, zero, torch.ones_like(angle), zero, -sine, zero, cosine]
        return self.axes.T @ torch.stack(rows, dim=-1).unflatten(-1, (3, 3)) @ self.axes


@dataclass(frozen=True)
class AzimuthSegment:
    """A stretch of the view that is shown again elsewhere; azimuths in radians.

    Attributes:
        begin, end: the stretch in the view; if ``end < begin``, it is shown mirrored.
        target: azimuth at which ``begin`` is shown again; the rest of the segment follows at greater azimuths.
        stretch: width of the copy relative to the width in the view.
    """

    begin: float
    end: float
    target: float
    stretch: float

    @property
    def mirrored(self) -> bool:
        """Whether the copy is a mirror image."""
        return self.end < self.begin

    def contains(self, azimuth: Float[Tensor, " n"]) -> Bool[Tensor, " n"]:
        """Whether azimuths of the view belong to the stretch."""
        return (azimuth >= min(self.begin, self.end)) & (azimuth <= max(self.begin, self.end))


def segments_between(view_range: AzimuthRange, reversals: Sequence[float]) -> tuple[AzimuthSegment, ...]:
    """The map from the view's right end to its left end that changes its direction at given azimuths of the view.

    Its segments are stretched by one factor, so that together they fill the rest of the turn.
    """
    corners = [view_range.right, *reversals, view_range.left]
    stretch = view_range.rest / sum(abs(end - begin) for begin, end in pairwise(corners))
    segments, target = [], view_range.right
    for begin, end in pairwise(corners):
        segments.append(AzimuthSegment(begin, end, target, stretch))
        target += stretch * abs(end - begin)
    return tuple(segments)


def full_width_segments(view_range: AzimuthRange) -> tuple[AzimuthSegment, ...]:
    """The map whose segments are the whole view each, with the number of segments for which they are stretched least."""
    count = min(range(1, MAX_SEGMENTS + 1, 2), key=lambda n: abs(math.log(max(view_range.rest, 1e-3) / (n * view_range.width))))
    return segments_between(view_range, [view_range.left if i % 2 == 0 else view_range.right for i in range(count - 1)])
