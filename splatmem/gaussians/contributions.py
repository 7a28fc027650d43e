"""How much each Gaussian contributes to the pictures of cameras."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from splatmem.gaussians import Gaussians
from splatmem.geometry.cameras import Cameras
from splatmem.render.blending import BlendingWeights


@torch.no_grad()
def contributions(
    gaussians: Gaussians,
    cameras: Cameras,
    pixel_weights: Float[Tensor, "v h w"] | None = None,
    chosen: tuple[int, int] | None = None,
) -> Float[Tensor, "v m"]:
    """Sums of the Gaussians' blending weights over the pixels of each view, each pixel with a weight of its own (or 1).

    Args:
        gaussians: the scene.
        cameras: the views.
        pixel_weights: of the views' pixels.
        chosen: first and one past the last of the Gaussians that are asked about; None: all. Few cost less.
    """
    first, last = (0, len(gaussians)) if chosen is None else chosen
    scene = (gaussians.means, gaussians.quats, gaussians.scales, gaussians.opacities)
    if pixel_weights is None:
        pixel_weights = torch.ones(len(cameras), cameras.height, cameras.width)
    pixel_weights = pixel_weights.to(gaussians.means)
    return torch.stack([
        BlendingWeights(
            *scene, cameras.world_to_cam[view], cameras.intrinsics[view], cameras.width, cameras.height,
            chosen=(first, last), channels=1,
        ).sum(pixel_weights[view, ..., None])[:, 0]
        for view in range(len(cameras))
    ])  # fmt: skip
