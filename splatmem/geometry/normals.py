"""Surface normals of depth maps."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from splatmem.geometry.cameras import Cameras


def surface_normals(depth: Float[Tensor, "t h w"], cameras: Cameras) -> Float[Tensor, "t h w 3"]:
    """Unit normals in the world that face their camera.

    At each pixel the shorter of the forward and the backward difference is taken along each image axis, so that normals
    do not lean over depth edges. Pixels of infinite depth, and a lone pixel, face the camera straight.

    Args:
        depth: z-depth, ``inf`` for sky.
        cameras: one per depth map, of the maps' size.
    """
    far = ~torch.isfinite(depth)
    rays = cameras.pixel_rays()
    points = torch.where(far, torch.zeros_like(depth), depth)[..., None] * rays
    right, down = _shorter_difference(points, 2), _shorter_difference(points, 1)
    normals = F.normalize(torch.linalg.cross(down, right), dim=-1, eps=1e-30)  # in a small unit areas are tiny
    toward = F.normalize(-rays, dim=-1)
    facing = (normals * toward).sum(-1, keepdim=True)
    normals = torch.where(facing < 0, -normals, normals)
    lost = far | (facing[..., 0].abs() < 1e-4) | ~torch.isfinite(normals).all(-1)
    normals = torch.where(lost[..., None], toward, normals)
    return torch.einsum("nji,nhwj->nhwi", cameras.world_to_cam[:, :3, :3], normals)


def _shorter_difference(points: Float[Tensor, "t h w 3"], axis: int) -> Float[Tensor, "t h w 3"]:
    if points.shape[axis] < 2:
        return torch.zeros_like(points)
    step = points.diff(dim=axis)
    first, last = step.narrow(axis, 0, 1), step.narrow(axis, step.shape[axis] - 1, 1)
    forward, backward = torch.cat([step, last], dim=axis), torch.cat([first, step], dim=axis)
    shorter = forward.norm(dim=-1, keepdim=True) < backward.norm(dim=-1, keepdim=True)
    return torch.where(shorter, forward, backward)
