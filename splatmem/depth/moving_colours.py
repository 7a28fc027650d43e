"""Tells by its colours what shows a thing that was found moving elsewhere.

Where no other picture looks, at a picture's border or behind other things, nothing contradicts a thing that moves. But a thing
keeps its colours, and most of it was found in other pictures: what has colours of which most was found moving, and is confirmed
by hardly any other picture, belongs to it.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.ndimage import gaussian_filter
from torch import Tensor

BINS = 16  # of a histogram of colours, for each of red, green and blue
SMOOTHED = 1.0  # standard deviation in bins: surfaces are lit differently from place to place
SHARE = 0.55  # of a colour's pixels that must have been found moving


def like_what_moves(pictures: Float[Tensor, "n 3 h w"], moving: Bool[Tensor, "n h w"]) -> Bool[Tensor, "n h w"]:
    """Pixels with colours of which most was found moving, in all pictures together.

    Args:
        pictures: sRGB in 0..1.
        moving: what was found moving.
    """
    red, green, blue = (pictures.clamp(0, 1) * (BINS - 0.001)).long().unbind(1)
    cells = ((red * BINS + green) * BINS + blue).flatten().numpy()
    found = moving.flatten().numpy()
    counts = [np.bincount(cells[where], minlength=BINS**3).astype(np.float64) for where in (found, ~found)]
    moves, stands = (gaussian_filter(count.reshape((BINS,) * 3), SMOOTHED, mode="nearest").ravel() for count in counts)
    like = moves > SHARE / (1 - SHARE) * stands
    return torch.from_numpy(like[cells]).view(moving.shape)
