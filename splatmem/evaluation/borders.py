"""Where things end in depth: the borders of a depth map against the true ones."""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

STEP = 1.1  # ratio of the depths of two neighbouring pixels from which a border runs between them
REACH = 1.5  # pixels within which a border counts as found


def border_f1(depth: Float[Tensor, "h w"], truth: Float[Tensor, "h w"], measured: Bool[Tensor, "h w"]) -> float:
    """F1 of the depth map's borders: harmonic mean of the share of its borders that are true within 1.5 pixels, and of the
    share of the true borders that it has within 1.5 pixels.

    Borders are compared by place, as edges of pictures are (Martin et al. 2004); those at ``REACH`` of an unmeasured pixel do
    not count. A soft step, spread over some pixels, has no border at all if it is small, and too many if it is large.

    Args:
        depth: z-depth, ``inf`` for sky.
        truth: the true z-depth, ``inf`` for sky or where not measured.
        measured: pixels whose depth is known; sky may be among them.

    Returns:
        0..1; ``nan`` where the truth has no border.
    """
    from scipy.ndimage import distance_transform_edt

    told = _away_from(~measured.numpy())
    ours, theirs = (borders(z).numpy() & told for z in (depth, truth))
    if not theirs.any():
        return math.nan
    if not ours.any():
        return 0.0
    precision = float((np.asarray(distance_transform_edt(~theirs))[ours] <= REACH).mean())
    recall = float((np.asarray(distance_transform_edt(~ours))[theirs] <= REACH).mean())
    return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0


def borders(depth: Float[Tensor, "h w"]) -> Bool[Tensor, "h w"]:
    """Pixels at the near side of a step of depth to the right or below, of more than 10 %; sky is farther than all."""
    near = torch.zeros_like(depth, dtype=torch.bool)
    for axis in (0, 1):
        length = depth.shape[axis] - 1
        first, second = depth.narrow(axis, 0, length), depth.narrow(axis, 1, length)
        near.narrow(axis, 0, length).logical_or_(second > STEP * first)
        near.narrow(axis, 1, length).logical_or_(first > STEP * second)
    return near


def _away_from(blind: np.ndarray) -> np.ndarray:
    """Pixels farther than ``REACH`` from any blind one."""
    from scipy.ndimage import distance_transform_edt

    return np.asarray(distance_transform_edt(~blind)) > REACH if blind.any() else ~blind
