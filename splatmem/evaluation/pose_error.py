"""How far estimated cameras are from those that were asked for, after the best similarity between their worlds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from splatmem.geometry.poses import camera_centers


@dataclass(frozen=True)
class PoseError:
    """How far cameras are off.

    Attributes:
        rotation_degrees: mean angle between the orientations.
        translation_percent: mean distance between the centres, in percent of the path's extent, which is the largest distance
            between two of its centres; ``nan`` for a path on the spot.
        ate: absolute trajectory error: the root of the mean squared distance between the centres, in the path's unit.
    """

    rotation_degrees: float
    translation_percent: float
    ate: float


def pose_error(estimated: Float[Tensor, "n 4 4"], wanted: Float[Tensor, "n 4 4"]) -> PoseError:
    """The errors of cameras of another world and unit.

    The similarity's rotation is the mean of those between the cameras' orientations (the closest rotation to their sum, by
    singular values), and not found from the centres, as Umeyama's is: those of a straight path leave it open. Scale and
    translation are the least squares over the centres.

    Args:
        estimated, wanted: world to camera.

    Raises:
        ValueError: there are none.
    """
    if len(estimated) == 0:
        raise ValueError("there are no cameras to compare")
    estimated, wanted = estimated.double(), wanted.double()
    between = wanted[:, :3, :3].mT @ estimated[:, :3, :3]  # estimated world to the wanted one, by each camera
    u, _, v = torch.linalg.svd(between.sum(0))
    rotation = u @ torch.diag(torch.tensor([1.0, 1.0, float(torch.linalg.det(u @ v))], dtype=u.dtype)) @ v
    cosines = ((rotation.mT @ between).diagonal(dim1=1, dim2=2).sum(1) - 1) / 2
    angles = torch.rad2deg(torch.acos(cosines.clamp(-1, 1)))

    centers, turned = camera_centers(wanted), camera_centers(estimated) @ rotation.mT
    there, here = centers - centers.mean(0), turned - turned.mean(0)
    spread = float(here.square().sum())
    scale = max(0.0, float((there * here).sum()) / spread) if spread > 0 else 0.0
    distances = (scale * here - there).norm(dim=1)
    extent = float(torch.cdist(centers, centers).max())
    return PoseError(
        float(angles.mean()),
        100 * float(distances.mean()) / extent if extent > 0 else math.nan,
        float(distances.square().mean().sqrt()),
    )
