"""Similarities of space: turning, one scale, moving."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Similarity:
    """``x -> scale * rotation x + translation``.

    Attributes:
        rotation: ``[3, 3]``.
        scale: above 0.
        translation: ``[3]``.

    Raises:
        ValueError: the rotation is none, or the scale is not above 0.
    """

    rotation: Float[Tensor, "3 3"]
    scale: float
    translation: Float[Tensor, "3"]

    def __post_init__(self) -> None:
        off = (self.rotation @ self.rotation.T - torch.eye(3)).abs().max()
        if not (self.rotation.isfinite().all() and off < 1e-4 and torch.linalg.det(self.rotation) > 0):
            raise ValueError("a similarity needs a rotation without scale, shear or mirroring")
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise ValueError(f"a similarity needs a scale above 0, got {self.scale}")
        if not self.translation.isfinite().all():
            raise ValueError("a similarity moves by finite distances")

    @staticmethod
    def about(
        middle: Float[Tensor, "3"],
        by: Sequence[float] = (0.0, 0.0, 0.0),
        turn_degrees: float = 0.0,
        axis: Float[Tensor, "3"] | None = None,
        scale: float = 1.0,
    ) -> Similarity:
        """Turns and scales about a point, then moves.

        Args:
            by: how far.
            turn_degrees: about ``axis`` through the point, clockwise as seen along the axis. About the direction of gravity
                that turns to the right as seen from above.
            axis: of any length; +y (down) if None.
        """
        rotation = axis_rotation(torch.tensor([0.0, 1.0, 0.0]) if axis is None else axis, turn_degrees)
        moved = middle + torch.tensor(list(by)).to(middle)
        return Similarity(rotation, scale, moved - scale * rotation @ middle)

    @staticmethod
    def of_matrix(matrix: Float[Tensor, "r 4"]) -> Similarity:
        """The similarity of the upper three rows of a matrix for homogeneous points.

        Raises:
            ValueError: the matrix shears, mirrors, or scales its axes differently.
        """
        linear = matrix[:3, :3].double()
        scale = float(torch.linalg.det(linear).abs()) ** (1 / 3)
        if not (math.isfinite(scale) and scale > 0):
            raise ValueError("a similarity needs a matrix that scales by more than 0")
        return Similarity((linear / scale).float(), scale, matrix[:3, 3].float())

    def __call__(self, points: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 3"]:
        return self.scale * points @ self.rotation.to(points).T + self.translation.to(points)

    def to_json(self) -> list[list[float]]:
        """The matrix, 4x4 by rows."""
        matrix = torch.eye(4)
        matrix[:3, :3], matrix[:3, 3] = self.scale * self.rotation, self.translation
        return matrix.tolist()


def axis_rotation(axis: Float[Tensor, "3"], degrees: float) -> Float[Tensor, "3 3"]:
    """The rotation about an axis (Rodrigues), right-handed."""
    x, y, z = F.normalize(axis, dim=0).tolist()
    cross = torch.tensor([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    angle = math.radians(degrees)
    return torch.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross
