"""What part of a full turn a view shows: directions are azimuths about the vertical axis through its camera."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from splatmem.geometry.cameras import Cameras

MIN_RANGE = math.radians(10)


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
