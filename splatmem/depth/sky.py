"""What of a depth map can be sky."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from scipy.ndimage import label
from torch import Tensor

from splatmem.geometry.cameras import Cameras
from splatmem.geometry.push_pull import push_pull

HORIZON = 0.02  # tangent below the horizon up to which sky may reach, for the error of gravity
SMALLEST_SKY = 0.002  # share of the picture that a patch of sky covers at least


def plausible_sky(depth: Float[Tensor, "h w"], camera: Cameras, down: Float[Tensor, "3"]) -> Float[Tensor, "h w"]:
    """The depth map with infinite depth only where sky can be: above the horizon, and in patches of some size.

    Elsewhere depth is continued from around. A picture without any finite depth comes back as it is.

    Args:
        depth: z-depth, ``inf`` for sky.
        camera: the one camera that saw it.
        down: unit vector of gravity in the world.
    """
    sky = ~torch.isfinite(depth)
    if not sky.any() or sky.all():
        return depth
    rays = camera.world_rays()[0]
    below = (rays @ down) > HORIZON * rays.norm(dim=-1)
    parts = np.zeros(sky.shape, dtype=np.int32)
    label((sky & ~below).numpy(), output=parts)
    large = np.bincount(parts.ravel()) >= SMALLEST_SKY * sky.numel()
    large[0] = False
    kept = torch.from_numpy(large[parts])
    near = torch.where(sky, 0.0, 1 / depth)
    filled = push_pull(near[None, None], (~sky).float()[None, None])[0, 0]
    return torch.where(sky & ~kept, 1 / filled.clamp_min(1e-6), depth)
