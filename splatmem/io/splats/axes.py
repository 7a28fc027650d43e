"""Gaussians in the axes of a file: x right, y up, z backward instead of x right, y down, z forward, and back."""

from __future__ import annotations

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


def neighbours_together(gaussians: Gaussians) -> Gaussians:
    """The Gaussians along a Z-order curve (Morton 1966), so that blocks of them span little space.

    The curve runs through the ranks of the coordinates, since a sky far away would leave a room a single cell.
    """
    if len(gaussians) < 2:
        return gaussians
    ranks = gaussians.means.argsort(dim=0).argsort(dim=0)
    cells = ranks * (2**10 - 1) // (len(gaussians) - 1)
    code = torch.zeros(len(gaussians), dtype=torch.int64, device=cells.device)
    for bit in range(10):
        for axis in range(3):
            code |= ((cells[:, axis] >> bit) & 1) << (3 * bit + axis)
    return gaussians.select(code.argsort())
