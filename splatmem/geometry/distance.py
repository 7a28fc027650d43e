"""How far the pixels of a mask lie from its border."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor


def distance_inside(mask: Bool[Tensor, "h w"]) -> Float[Tensor, "h w"]:
    """Distance in pixels from every pixel of a mask to the nearest one outside of it; 0 outside, and beyond all measure where
    nothing is outside.

    OpenCV finds the numbers of SciPy's ``distance_transform_edt``, rounded to single precision, in a fifth of the time.
    """
    import cv2

    inside = mask.numpy().view(np.uint8)
    return torch.from_numpy(cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE))
