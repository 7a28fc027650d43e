"""What one view shows, seen again all around: stretches of it, mirrored and plain in turn, fill the rest of a turn.

A mirrored stretch begins as the view ends, in colour and in depth, so nothing is cut off where the picture was: a table at its
edge becomes a wider table. What is repeated are the scene's surfaces, not pictures: they have the scene's parallax. To and fro
through the view it goes, from its right end back to its left one, so the turn closes; for that the stretches are made a little
wider or narrower, by turning each point about the vertical axis through the camera.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from splatmem.gaussians import Gaussians
from splatmem.gaussians.container import rgb_to_sh
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.rotations import rotations_to_quats

NARROWEST_SECTOR = math.radians(10)
MOST_LEGS = 17


@dataclass(frozen=True)
class AzimuthRange:
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
    def of(camera: Cameras, down: Float[Tensor, "3"]) -> AzimuthRange:
        """The view_range of one camera, in a world where gravity pulls along the unit vector ``down``."""
        rotation = camera.world_to_cam[0, :3, :3]
        # Looking straight down, ahead is the top of the picture.
        side = F.normalize(torch.linalg.cross(down, rotation[2]) + 1e-4 * rotation[0], dim=0)
        axes = torch.stack([side, down, torch.linalg.cross(side, down)])
        rays = camera.world_rays()[0] @ axes.T
        azimuth = torch.atan2(rays[..., 0], rays[..., 2])
        left, right = azimuth[:, 0].max().item(), azimuth[:, -1].min().item()
        if right - left < NARROWEST_SECTOR:  # seen from above or below, its ends cross
            left, right = -0.5 * NARROWEST_SECTOR, 0.5 * NARROWEST_SECTOR
        return AzimuthRange(camera.centers[0], axes, left, right)

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def rest(self) -> float:
        """Angle of the turn that the view does not show."""
        return 2 * math.pi - self.width

    def shows(self, azimuth: Float[Tensor, " n"]) -> Bool[Tensor, " n"]:
        """Whether the view shows what lies in a direction."""
        return (azimuth > self.left) & (azimuth < self.right)

    def azimuth(self, points: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n"]:
        side, _, ahead = ((points - self.center) @ self.axes.T).unbind(-1)
        return torch.atan2(side, ahead)

    def distance(self, points: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n"]:
        """From the vertical axis through ``center``."""
        side, _, ahead = ((points - self.center) @ self.axes.T).unbind(-1)
        return torch.hypot(side, ahead)

    def inclination(self, points: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n"]:
        """Angle below the horizon."""
        side, down, ahead = ((points - self.center) @ self.axes.T).unbind(-1)
        return torch.atan2(down, torch.hypot(side, ahead))

    def motion(self, azimuth: Float[Tensor, " n"], leg: Leg) -> Float[Tensor, "n 3 3"]:
        """The rotation about ``center``, or the reflection, that takes each point of a leg to where it is seen again."""
        place = leg.place + leg.stretch * (azimuth - leg.begin).abs()
        return self._reflection(0.5 * (azimuth + place)) if leg.mirrored else self._rotation(place - azimuth)

    def _reflection(self, azimuth: Float[Tensor, " n"]) -> Float[Tensor, "n 3 3"]:
        """Across the upright plane at an azimuth."""
        normal = azimuth.cos()[:, None] * self.axes[0] - azimuth.sin()[:, None] * self.axes[2]
        return torch.eye(3) - 2 * normal[:, :, None] * normal[:, None, :]

    def _rotation(self, angle: Float[Tensor, " n"]) -> Float[Tensor, "n 3 3"]:
        """About the vertical, from ahead to the side."""
        cosine, sine, nothing = angle.cos(), angle.sin(), torch.zeros_like(angle)
        rows = [cosine, nothing, sine, nothing, torch.ones_like(angle), nothing, -sine, nothing, cosine]
        return self.axes.T @ torch.stack(rows, dim=-1).unflatten(-1, (3, 3)) @ self.axes


@dataclass(frozen=True)
class Leg:
    """A stretch of the view that is seen again elsewhere.

    Attributes:
        begin, end: azimuths in the view; backwards, ``end < begin``, it is mirrored.
        place: azimuth at which ``begin`` is seen again; the leg goes on from there to the right.
        stretch: its width there relative to its width in the view.
    """

    begin: float
    end: float
    place: float
    stretch: float

    @property
    def mirrored(self) -> bool:
        return self.end < self.begin

    def holds(self, azimuth: Float[Tensor, " n"]) -> Bool[Tensor, " n"]:
        return (azimuth >= min(self.begin, self.end)) & (azimuth <= max(self.begin, self.end))


def legs_between(view_range: AzimuthRange, turns: Sequence[float]) -> tuple[Leg, ...]:
    """The way from the view's right end to its left one that turns round at these azimuths, made to fill the turn's rest."""
    corners = [view_range.right, *turns, view_range.left]
    stretch = view_range.rest / sum(abs(end - begin) for begin, end in pairwise(corners))
    legs, place = [], view_range.right
    for begin, end in pairwise(corners):
        legs.append(Leg(begin, end, place, stretch))
        place += stretch * abs(end - begin)
    return tuple(legs)


def whole_legs(view_range: AzimuthRange) -> tuple[Leg, ...]:
    """Each leg is the whole view: as many as are stretched least."""
    count = min(range(1, MOST_LEGS + 1, 2), key=lambda n: abs(math.log(max(view_range.rest, 1e-3) / (n * view_range.width))))
    return legs_between(view_range, [view_range.left if i % 2 == 0 else view_range.right for i in range(count - 1)])


def mirrored_points(
    points: Float[Tensor, "n 3"], view_range: AzimuthRange, legs: Sequence[Leg]
) -> tuple[Float[Tensor, "m 3"], Int[Tensor, " m"]]:
    """The places of points in all legs that hold them, and which points they are."""
    azimuth, places, sources = view_range.azimuth(points), [], []
    for leg in legs:
        source = torch.nonzero(leg.holds(azimuth))[:, 0]
        motion = view_range.motion(azimuth[source], leg)
        places.append(torch.einsum("nij,nj->ni", motion, points[source] - view_range.center) + view_range.center)
        sources.append(source)
    return torch.cat(places), torch.cat(sources)


def mirrored_gaussians(gaussians: Gaussians, view_range: AzimuthRange, legs: Sequence[Leg]) -> Gaussians:
    """The Gaussians in all legs that hold them."""
    azimuth, copies = view_range.azimuth(gaussians.means), []
    for leg in legs:
        held = leg.holds(azimuth)
        copy = moved(gaussians.select(held), view_range.center, view_range.motion(azimuth[held], leg))
        widened = copy.log_scales + math.log(max(1.0, leg.stretch)) * torch.tensor([1.0, 1.0, 0.0])
        copies.append(replace(copy, log_scales=widened))
    return Gaussians.cat(copies)


def moved(gaussians: Gaussians, center: Float[Tensor, "3"], motion: Float[Tensor, "n 3 3"]) -> Gaussians:
    """Each Gaussian by its own rotation about ``center`` or reflection.

    Colours that depend on the view lose that, and what is darker than black or brighter than white is cut off: refinement
    finds such colours for the one view that it fits, elsewhere they are specks.
    """
    turned = motion @ gaussians.rotations
    # A reflection is no rotation; with local x turned round it is one again, and the Gaussian is the same.
    turned[:, :, 0] *= torch.linalg.det(motion).sign()[:, None]
    return replace(
        gaussians,
        means=torch.einsum("nij,nj->ni", motion, gaussians.means - center) + center,
        quats=rotations_to_quats(turned),
        sh=rgb_to_sh(gaussians.rgb.clamp(0, 1)),
    )
