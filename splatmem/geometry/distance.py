"""How far the pixels of a mask lie from its border."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

MOST_EXACT = 1024  # pixels along a side up to which single precision tells squares of distances from their neighbours


def distance_inside(mask: Bool[Tensor, "h w"]) -> Float[Tensor, "h w"]:
    """Distance in pixels from every pixel of a mask to the nearest one outside of it; 0 outside, and infinity where nothing
    is outside.

    The last digits of OpenCV's exact transform depend on where the numbers lie in memory. Squares of distances between pixels
    are whole numbers, though: rounded to these it is the same, to the byte, when a run is repeated or resumed.
    """
    import cv2

    if mask.all():
        return torch.full(mask.shape, torch.inf)
    if max(mask.shape) > MOST_EXACT:
        from scipy.ndimage import distance_transform_edt

        return torch.from_numpy(np.asarray(distance_transform_edt(mask.numpy()))).float()
    rounded = cv2.distanceTransform(mask.numpy().astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE).astype(np.float64)
    return torch.from_numpy(np.sqrt(np.rint(rounded * rounded))).float()


def thickness(mask: Bool[Tensor, "h w"]) -> float:
    """Pixels across the largest disc in a mask within the picture."""
    return 2 * float(distance_inside(F.pad(mask, (1, 1, 1, 1))).max())
