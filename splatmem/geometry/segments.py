"""Straight segments of pictures."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor


def straight_segments(rgb: Float[Tensor, "h w 3"], min_length: float) -> Float[Tensor, "s 2 2"]:
    """Ends ``(x, y)`` of the straight segments of a picture (0..1), found by LSD (von Gioi et al. 2010).

    Args:
        rgb: the picture, 0..1.
        min_length: in pixels, of the segments that are kept.

    Returns:
        Places in pixels, the centre of the first pixel at 0.5.
    """
    import cv2

    grey = cv2.cvtColor((rgb * 255).round().to(torch.uint8).numpy(), cv2.COLOR_RGB2GRAY)
    found = cv2.createLineSegmentDetector().detect(grey)[0]
    if found is None:
        return torch.zeros(0, 2, 2)
    ends = torch.from_numpy(np.asarray(found, np.float32).reshape(-1, 2, 2)) + 0.5
    return ends[(ends[:, 1] - ends[:, 0]).norm(dim=-1) >= min_length]
