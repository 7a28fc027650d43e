"""Gaussians as the rows that viser's browser side draws: 32 bytes each."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import UInt32

from splatmem.gaussians import Gaussians

ROW = 8  # words of 32 bits: x, y, z (float32), one that is viser's, six terms of the covariance (float16), colour and opacity
UPPER = ([0, 0, 0, 1, 1, 2], [0, 1, 2, 1, 2, 2])  # terms of a symmetric 3x3 matrix, in viser's order


def packed(gaussians: Gaussians, unit: float) -> UInt32[np.ndarray, "n 8"]:
    """The rows of Gaussians whose places and sizes are told in ``unit``, so that half precision tells small covariances too.

    Only the constant band of their colours is kept: viser draws no other.
    """
    with torch.no_grad():
        scaled = gaussians.rotations * (gaussians.scales / unit)[:, None]
        covariances = (scaled @ scaled.transpose(1, 2))[:, UPPER[0], UPPER[1]].clamp(-65504, 65504)
        colours = torch.cat([gaussians.rgb.clamp(0, 1), gaussians.opacities[:, None]], dim=1)
        rows = np.zeros((len(gaussians), ROW), np.uint32)
        rows[:, :3] = (gaussians.means / unit).float().cpu().numpy().view(np.uint32)
        rows[:, 4:7] = covariances.half().cpu().contiguous().numpy().view(np.uint32)
        rows[:, 7:] = (255 * colours).round().byte().cpu().contiguous().numpy().view(np.uint32)
    return rows
