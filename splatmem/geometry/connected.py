"""Connected parts of masks."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int
from scipy import ndimage


def numbered_parts(mask: Bool[np.ndarray, "h w"]) -> Int[np.ndarray, "h w"]:
    """Numbers of the connected parts of a mask from 1 on, row by row, 0 outside of it; pixels that touch at a corner belong
    together."""
    numbers = np.zeros(mask.shape, np.int32)
    ndimage.label(mask, np.ones((3, 3)), output=numbers)
    return numbers
