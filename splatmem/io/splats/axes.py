"""Gaussians in the axes of a file: x right, y up, z backward instead of x right, y down, z forward, and back."""

from __future__ import annotations

import numpy as np
import torch

from splatmem.gaussians import Gaussians
from splatmem.gaussians.transform import transformed
from splatmem.geometry.similarity import Similarity


def half_turn_about_x(gaussians: Gaussians) -> Gaussians:
    """The same Gaussians with y up instead of down, and z backward instead of forward; a second turn takes that back."""
    return transformed(gaussians, Similarity(torch.diag(torch.tensor([1.0, -1.0, -1.0])), 1.0, torch.zeros(3)))


def without_empty_bands(gaussians: Gaussians) -> Gaussians:
    """The same Gaussians without the bands of spherical harmonics that are zero at the end: many formats pay for them."""
    used = gaussians.sh.ne(0).any(dim=-1).any(dim=0).nonzero()
    last = int(used.amax()) if len(used) else 0
    bands = next(k for k in (1, 4, 9, 16) if k > last)
    return (
        gaussians
        if bands == gaussians.sh.shape[1]
        else Gaussians(
            gaussians.means, gaussians.quats, gaussians.log_scales, gaussians.opacity_logits, gaussians.sh[:, :bands]
        )
    )


def neighbours_together(gaussians: Gaussians, block: int) -> Gaussians:
    """The Gaussians in an order in which each ``block`` of them spans little space: halves along the longest side, and again
    (Bentley 1975, "Multidimensional binary search trees"). Bounds that a block shares are narrow then, so that its steps are.
    """
    count = len(gaussians)
    means = gaussians.means.double().cpu().numpy()
    order, size = np.arange(count), block
    while size < count:
        size *= 2
    while size > block:
        starts = np.arange(0, count, size)
        placed = means[order]
        sides = np.maximum.reduceat(placed, starts) - np.minimum.reduceat(placed, starts)
        group = np.arange(count) // size
        along = placed[np.arange(count), sides.argmax(1)[group]]
        order = order[np.lexsort((along, group))]
        size //= 2
    return gaussians.select(torch.from_numpy(order).to(gaussians.device))
