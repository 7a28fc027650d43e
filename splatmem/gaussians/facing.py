"""Which side of Gaussians from elsewhere was seen."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from splatmem.gaussians.container import Gaussians
from splatmem.gaussians.contributions import contributions
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.rotations import rotations_to_quats


def thin_axis_last(gaussians: Gaussians) -> Gaussians:
    """The same Gaussians with their local axes renamed so that the thinnest is z, as this package keeps them."""
    order = gaussians.log_scales.argsort(dim=-1, descending=True, stable=True)
    rotations = gaussians.rotations.gather(2, order[:, None].expand(-1, 3, -1))
    mirrored = torch.linalg.det(rotations) < 0
    rotations[:, :, 0] *= torch.where(mirrored, -1.0, 1.0)[:, None]
    return gaussians.with_values(quats=rotations_to_quats(rotations), log_scales=gaussians.log_scales.gather(1, order))


def facing(gaussians: Gaussians, toward: Float[Tensor, "n 3"]) -> Gaussians:
    """The same Gaussians with +z on the side to which ``toward`` points, a direction for each, ``[n, 3]``."""
    behind = (gaussians.normals * toward).sum(-1) < 0
    rotations = gaussians.rotations
    rotations[:, :, 1:] *= torch.where(behind, -1.0, 1.0)[:, None, None]  # half a turn about x
    return gaussians.with_values(quats=torch.where(behind[:, None], rotations_to_quats(rotations), gaussians.quats))


def best_seen_by(gaussians: Gaussians, cameras: Cameras) -> Int[Tensor, " n"]:
    """For each Gaussian the camera in whose picture it shows most; the nearest one where it shows in none."""
    shown = contributions(gaussians, cameras).cpu()
    nearest = torch.cdist(gaussians.means.cpu(), cameras.centers.cpu()).argmin(1)
    return torch.where(shown.amax(0) > 0, shown.argmax(0), nearest)
