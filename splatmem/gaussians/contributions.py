"""How much each Gaussian contributes to the picture."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from splatmem.gaussians import Gaussians
from splatmem.geometry.cameras import Cameras
from splatmem.render.rasterization import rasterization


def contributions(
    gaussians: Gaussians, cameras: Cameras, pixel_weights: Float[Tensor, "v h w"] | None = None
) -> Float[Tensor, "v n"]:
    """Sums of the Gaussians' blending weights over the pixels of each view, each pixel with a weight of its own (or 1)."""
    views = range(len(cameras))
    weights = torch.ones(len(cameras), cameras.height, cameras.width) if pixel_weights is None else pixel_weights
    return torch.stack([_of_view(gaussians.detach(), cameras[slice(i, i + 1)], weights[i : i + 1]) for i in views])


def _of_view(gaussians: Gaussians, camera: Cameras, weights: Float[Tensor, "1 h w"]) -> Float[Tensor, " n"]:
    scene = (gaussians.means, gaussians.quats, gaussians.scales, gaussians.opacities)
    view = (camera.world_to_cam, camera.intrinsics, camera.width, camera.height)
    if not gaussians.means.is_cuda:
        # No channel of colour is needed: the depth is drawn, and thrown away.
        drawn = rasterization(*scene, gaussians.means[:, :0], *view, render_mode="D", contributions=weights)
        return drawn[2]["contributions"][0]
    with torch.enable_grad():  # the weights are the gradients of what is drawn to a channel of the Gaussians' own
        channel = torch.zeros_like(gaussians.means[:, :1], requires_grad=True)
        image = rasterization(*scene, channel, *view)[0]
        return torch.autograd.grad((image[..., 0] * weights.to(image)).sum(), channel)[0][:, 0]
