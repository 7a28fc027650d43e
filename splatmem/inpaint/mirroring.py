"""What one view shows, carried on to a full turn: copies of its sector, mirrored and plain in turn, stand all around.

A mirrored copy begins as the view ends, in colour and in depth, so nothing is cut off where the picture was: a table at its
edge becomes a wider table. Copies are of the scene's surfaces, not of pictures: they have the scene's parallax. An odd number
of them fits between the view's two ends, so the turn closes; for that they are made a little wider or narrower, by turning each
point about the vertical axis through the camera.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.cameras import Cameras
from splatmem.gaussians import Gaussians, rotations_to_quats

NARROWEST_SECTOR = math.radians(10)
MOST_COPIES = 17


@dataclass(frozen=True)
class Sector:
    """The part of a turn that a view shows from top to bottom.

    Attributes:
        center: the camera's place in the world, ``[3]``.
        axes: rows are side, down (gravity) and ahead, orthonormal ``[3, 3]``.
        left, right: azimuths of its ends in radians, 0 ahead, growing to the side.
    """

    center: Float[Tensor, "3"]
    axes: Float[Tensor, "3 3"]
    left: float
    right: float

    @staticmethod
    def of(camera: Cameras, down: Float[Tensor, "3"]) -> Sector:
        """The sector of one camera, in a world where gravity pulls along the unit vector ``down``."""
        rotation = camera.world_to_cam[0, :3, :3]
        # Looking straight down, ahead is the top of the picture.
        side = F.normalize(torch.linalg.cross(down, rotation[2]) + 1e-4 * rotation[0], dim=0)
        axes = torch.stack([side, down, torch.linalg.cross(side, down)])
        rays = camera.world_rays()[0] @ axes.T
        azimuth = torch.atan2(rays[..., 0], rays[..., 2])
        left, right = azimuth[:, 0].max().item(), azimuth[:, -1].min().item()
        if right - left < NARROWEST_SECTOR:  # seen from above or below, its ends cross
            left, right = -0.5 * NARROWEST_SECTOR, 0.5 * NARROWEST_SECTOR
        return Sector(camera.centers[0], axes, left, right)

    @property
    def copies(self) -> int:
        """How many copies fill the rest of the turn: the odd number that changes their width least."""
        rest = (2 * math.pi - (self.right - self.left)) / (self.right - self.left)
        return min(range(1, MOST_COPIES + 1, 2), key=lambda count: abs(math.log(max(rest, 1e-3) / count)))

    @property
    def stretch(self) -> float:
        """Width of a copy relative to the sector's."""
        width = self.right - self.left
        return (2 * math.pi - width) / (self.copies * width)

    def azimuth(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, " n"]:
        side, _, ahead = ((points - self.center) @ self.axes.T).unbind(-1)
        return torch.atan2(side, ahead)

    def holds(self, points: Float[Tensor, "n 3"]) -> Bool[Tensor, " n"]:
        azimuth = self.azimuth(points)
        return (azimuth >= self.left) & (azimuth <= self.right)

    def motions(self, points: Float[Tensor, "n 3"]) -> Iterator[Float[Tensor, "n 3 3"]]:
        """For each copy, the rotation about ``center``, or the reflection, that takes each point of the sector to its place."""
        azimuth, width = self.azimuth(points), self.right - self.left
        for copy in range(self.copies):
            into = self.right - azimuth if copy % 2 == 0 else azimuth - self.left
            place = self.right + self.stretch * (copy * width + into)
            yield self._reflection(0.5 * (azimuth + place)) if copy % 2 == 0 else self._rotation(place - azimuth)

    def _reflection(self, azimuth: Float[Tensor, " n"]) -> Float[Tensor, "n 3 3"]:
        """Across the upright plane at an azimuth."""
        normal = azimuth.cos()[:, None] * self.axes[0] - azimuth.sin()[:, None] * self.axes[2]
        return torch.eye(3) - 2 * normal[:, :, None] * normal[:, None, :]

    def _rotation(self, angle: Float[Tensor, " n"]) -> Float[Tensor, "n 3 3"]:
        """About the vertical, from ahead to the side."""
        cosine, sine, nothing = angle.cos(), angle.sin(), torch.zeros_like(angle)
        rows = [cosine, nothing, sine, nothing, torch.ones_like(angle), nothing, -sine, nothing, cosine]
        return self.axes.T @ torch.stack(rows, dim=-1).unflatten(-1, (3, 3)) @ self.axes


def mirrored_points(points: Float[Tensor, "n 3"], sector: Sector) -> Float[Tensor, "c n 3"]:
    """The places of points of the sector in all its copies."""
    offset = points - sector.center
    return torch.stack([torch.einsum("nij,nj->ni", motion, offset) + sector.center for motion in sector.motions(points)])


def mirrored_gaussians(gaussians: Gaussians, sector: Sector) -> Gaussians:
    """All copies of the Gaussians that lie in the sector; colours that depend on the view lose that."""
    inside = gaussians.select(sector.holds(gaussians.means))
    rotations, offset = inside.rotations, inside.means - sector.center
    widened = math.log(max(1.0, sector.stretch)) * torch.tensor([1.0, 1.0, 0.0])
    copies = []
    for motion in sector.motions(inside.means):
        turned = motion @ rotations
        # A reflection is no rotation; with local x turned round it is one again, and the Gaussian is the same.
        turned[:, :, 0] *= torch.linalg.det(motion).sign()[:, None]
        copies.append(
            replace(
                inside,
                means=torch.einsum("nij,nj->ni", motion, offset) + sector.center,
                quats=rotations_to_quats(turned),
                log_scales=inside.log_scales + widened,
                sh=inside.sh[:, :1],
            )
        )
    return Gaussians.cat(copies)
