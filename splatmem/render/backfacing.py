"""Which Gaussians are seen from behind, in plain torch: the kernels compute the same as they project."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from splatmem.geometry.rotations import quats_to_rotations

GRAZING = 0.08  # cosine below which a surface turns from front to back, smoothly; csrc/view.h has the same


@torch.no_grad()
def backfacing_share(
    means: Float[Tensor, "n 3"], quats: Float[Tensor, "n 4"], viewmats: Float[Tensor, "v 4 4"]
) -> Float[Tensor, "v n"]:
    """0 for Gaussians that pinhole cameras see from their front, the side of the local z axis, and 1 from behind."""
    rotation, translation = viewmats[:, :3, :3], viewmats[:, :3, 3]
    centers = -(rotation.transpose(1, 2) @ translation[..., None])[..., 0]
    to_camera = torch.nn.functional.normalize(centers[:, None] - means[None], dim=-1)
    cosine = (to_camera * quats_to_rotations(quats)[None, :, :, 2]).sum(-1)
    return (0.5 - 0.5 * cosine / GRAZING).clamp(0, 1)
