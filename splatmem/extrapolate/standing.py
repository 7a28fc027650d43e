"""What stands out: pixels that are nearer than what shows on both sides of them."""

from __future__ import annotations

import torch
from jaxtyping import Float
from scipy import ndimage
from torch import Tensor

LEFT = 0.25
"""Share of the picture's columns that is left of the place, at least."""
SKY = 4.0
"""Sky counts as so many times as far as the farthest surface."""


def before_both_sides(depth: Float[Tensor, "h w"]) -> Float[Tensor, "h w"]:
    """How much nearer each pixel is, in log depth, than what shows on both sides of it in its row.

    Beyond its edges the picture is taken for its mirror image.
    """
    finite = torch.isfinite(depth)
    if not finite.any():
        return torch.zeros_like(depth)
    log_depth = torch.where(finite, depth, SKY * depth[finite].max()).log()
    widest = 2 * int((1 - LEFT) * depth.shape[1] / 2) + 1
    return torch.from_numpy(ndimage.grey_closing(log_depth.numpy(), (1, widest))) - log_depth
