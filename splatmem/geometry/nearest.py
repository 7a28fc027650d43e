"""The nearest pixel of a mask."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor


def nearest_pixels(
    mask: Bool[Tensor, "h w"], sides: tuple[float, float] = (1.0, 1.0)
) -> tuple[Int[Tensor, "h w"], Int[Tensor, "h w"]]:
    """For each pixel, row and column of the nearest one in a mask that is not empty.

    Args:
        sides: of a pixel, along the rows' axis and along the columns': a long side makes that way cost more.
    """
    from scipy.ndimage import distance_transform_edt

    nearest = distance_transform_edt(~mask.numpy(), sides, return_distances=False, return_indices=True)
    row, column = torch.from_numpy(np.asarray(nearest)).long()
    return row, column
