"""Rigid transforms as 4x4 matrices: made, inverted, checked, and cameras' poses that look at a point."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

RIGID_TOLERANCE = 1e-3  # files often hold four decimals only


def rigid_inverse(transforms: Float[Tensor, "*n 4 4"]) -> Float[Tensor, "*n 4 4"]:
    """Inverse of rigid transforms: ``R^T`` and ``-R^T t``."""
    inverse = torch.zeros_like(transforms)
    rotation = transforms[..., :3, :3].transpose(-1, -2)
    inverse[..., :3, :3] = rotation
    inverse[..., :3, 3] = -(rotation @ transforms[..., :3, 3:])[..., 0]
    inverse[..., 3, 3] = 1.0
    return inverse


def rigid_from(rotation: Float[Tensor, "*n 3 3"], translation: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 4 4"]:
    """4x4 matrices from rotations and translations."""
    transforms = torch.eye(4).to(rotation).expand(*rotation.shape[:-2], 4, 4).clone()
    transforms[..., :3, :3] = rotation
    transforms[..., :3, 3] = translation
    return transforms


def require_rigid(transforms: Float[Tensor, "n 4 4"], source: str) -> Float[Tensor, "n 4 4"]:
    """The same transforms in float64 with the rotations made exact; raises ``ValueError`` if one is not rigid.

    Args:
        transforms: poses as they were read.
        source: where they come from, for the message: a file's name, say.
    """
    transforms = transforms.double()
    finite = transforms.isfinite().all(dim=-1).all(dim=-1)
    if not finite.all():
        raise ValueError(f"{source}: pose {_first(~finite)} has a value that is NaN or infinite")
    last_row = transforms.new_tensor([0.0, 0.0, 0.0, 1.0])
    affine = ((transforms[:, 3] - last_row).abs() < RIGID_TOLERANCE).all(dim=-1)
    if not affine.all():
        index = _first(~affine)
        raise ValueError(f"{source}: the last row of pose {index} must be 0 0 0 1, got {transforms[index, 3].tolist()}")
    rotation = transforms[:, :3, :3]
    error = (rotation @ rotation.transpose(1, 2) - torch.eye(3).double()).abs().amax(dim=(1, 2))
    determinant = torch.linalg.det(rotation)
    proper = (error < RIGID_TOLERANCE) & (determinant > 0)
    if not proper.all():
        index = _first(~proper)
        raise ValueError(
            f"{source}: pose {index} is not rigid: its 3x3 part must be a rotation, but R R^T differs from the identity "
            f"by {error[index]:.3g} and the determinant is {determinant[index]:.4g}; remove any scale, shear or mirroring"
        )
    u, _, vt = torch.linalg.svd(rotation)
    return rigid_from(u @ vt, transforms[:, :3, 3])


def _first(wrong: Tensor) -> int:
    return int(wrong.nonzero()[0])


def look_at(position: Float[Tensor, "n 3"], target: Float[Tensor, "n 3"]) -> Float[Tensor, "n 4 4"]:
    """Cam-to-world of upright cameras that have ``target`` in their middle.

    Raises:
        ValueError: a camera stands on its target, or looks straight up or down, where "upright" means nothing.
    """
    forward = target - position
    level = forward[:, [0, 2]].norm(dim=-1)  # length of the right vector, (0, 1, 0) x forward
    if not (level > 1e-6 * forward.norm(dim=-1).clamp_min(1e-12)).all():
        raise ValueError("a camera stands on its target or looks straight up or down; give it a quaternion instead of look_at")
    forward = torch.nn.functional.normalize(forward, dim=-1)
    down = torch.tensor([0.0, 1.0, 0.0]).to(forward).expand_as(forward)
    right = torch.nn.functional.normalize(torch.linalg.cross(down, forward), dim=-1)
    return rigid_from(torch.stack([right, torch.linalg.cross(forward, right), forward], dim=-1), position)
