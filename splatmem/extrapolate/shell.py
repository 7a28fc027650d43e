"""The shell around a view: an upright wall at a distance that depends on the azimuth, between a floor and a ceiling.

Indoors it is the room's box: walls that were seen go on as planes, and the others close the room behind the camera. In the
open it is a cylinder. Everywhere it leaves room for the cameras. What lies around is painted on the unrolled shell. A place
there is told by how far it lies along the wall, from the view's left end to the right around the turn, and by the height at
which the ray from the view's camera meets the wall, in world units, positive below the camera. On the unrolled wall level lines
are level and nothing is foreshortened, wherever it stands.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from splatmem.extrapolate.azimuth import AzimuthRange
from splatmem.extrapolate.room_layout import CEILING, FLOOR, RoomLayout

NEAREST = 0.6  # of the wall's usual distance in the view: nearer, what goes on there would be seen magnified and blurred
FARTHEST = 8.0  # of the same: what goes on farther away is the view again and again, as large as all else in the scene
LOWEST = 5e-4  # of the same: floor and ceiling lie at least so far below and above the camera
BINS = 1440  # of azimuth, in which the distance is kept: a quarter of a degree, a pixel of the photo


@dataclass(frozen=True)
class Shell:
    """An upright wall all around the camera of a view.

    Attributes:
        view_range: of the view; gives the middle, the axes and where ``along`` begins.
        radius: horizontal distance of the wall at ``BINS + 1`` azimuths once around from the view's left end, in world units.
        floor, ceiling: heights of the two level planes, in world units below the camera.
    """

    view_range: AzimuthRange
    radius: Float[np.ndarray, " bins"]
    floor: float
    ceiling: float

    @property
    def azimuths(self) -> Float[np.ndarray, " bins"]:
        """Azimuths of ``radius``, from the view's left end once around."""
        return self.view_range.left + np.linspace(0, 2 * math.pi, BINS + 1)

    @property
    def along(self) -> Float[np.ndarray, " bins"]:
        """Length of the wall from the view's left end to each azimuth."""
        steps = np.hypot(0.5 * (self.radius[1:] + self.radius[:-1]) * (2 * math.pi / BINS), np.diff(self.radius))
        return np.concatenate([[0.0], steps.cumsum()])

    @property
    def view_length(self) -> float:
        """Length of the wall that the view shows."""
        return float(np.interp(self.view_range.right, self.azimuths, self.along))

    @property
    def length(self) -> float:
        """Length of the wall once around."""
        return float(self.along[-1])

    def azimuth_at(self, along: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """Azimuths, from the view's left end upwards, of places along the wall."""
        return torch.from_numpy(np.interp(along.numpy(), self.along, self.azimuths)).float()

    def along_at(self, azimuth: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """Places along the wall at azimuths."""
        turned = (azimuth - self.view_range.left) % (2 * math.pi)
        return torch.from_numpy(np.interp(turned.numpy(), self.azimuths - self.view_range.left, self.along)).float()

    def radius_at(self, azimuth: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """Horizontal distance of the wall at azimuths."""
        turned = (azimuth - self.view_range.left) % (2 * math.pi)
        return torch.from_numpy(np.interp(turned.numpy(), self.azimuths - self.view_range.left, self.radius)).float()


def fit_shell(
    view_range: AzimuthRange, room: RoomLayout, indoors: bool, open_radius: float, needed: Float[Tensor, " bins"]
) -> Shell:
    """The shell around a view.

    Args:
        view_range: what the view shows of a turn.
        room: the box that is the shell indoors.
        indoors: whether the view shows a room.
        open_radius: of the cylinder that is the shell elsewhere.
        needed: least distance at ``BINS + 1`` azimuths from the view's left end: what the cameras need.
    """
    azimuth = torch.from_numpy(view_range.left + np.linspace(0, 2 * math.pi, BINS + 1)).float()
    radius = torch.full_like(azimuth, open_radius)
    center = view_range.center @ room.axes.T
    if indoors:
        ahead = azimuth.sin()[:, None] * view_range.axes[0] + azimuth.cos()[:, None] * view_range.axes[2]
        radius = room.exit(center.expand_as(ahead), _level(ahead @ room.axes.T))[0]
    shown = azimuth <= view_range.right
    usual = radius[shown].median()
    nearest = torch.where(shown, 0.0, NEAREST * usual)
    radius = torch.where(shown, radius, radius.clamp_max(FARTHEST * usual))
    height = [(room.bounds[side] - center[1]).item() for side in (FLOOR, CEILING)]
    return Shell(
        view_range,
        torch.maximum(radius, torch.maximum(needed, nearest)).double().numpy(),
        max(height[0], LOWEST * float(usual)),
        min(height[1], -LOWEST * float(usual)),
    )


def _level(directions: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
    """Directions in a room's axes without their vertical part."""
    return directions * torch.tensor([1.0, 0.0, 1.0])


def clear_distance(
    azimuth: Float[Tensor, " bins"], view_range: AzimuthRange, positions: Float[Tensor, "p 3"], clearance: float
) -> Float[Tensor, " bins"]:
    """Horizontal distance in each direction beyond which no position is nearer than ``clearance``; 0 where none ever is."""
    away = azimuth[:, None] - view_range.azimuth(positions)
    radius = view_range.distance(positions)
    half_chord_squared = clearance**2 - (radius * away.sin()).square()
    beyond = radius * away.cos() + half_chord_squared.clamp_min(0).sqrt()
    return torch.where(half_chord_squared > 0, beyond, 0.0).amax(1).clamp_min(0)
