"""What is seen where nothing is known: stripes behind all splats."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

SIDE = (640, 360)
PERIOD = 12  # pixels
DARK, LIGHT = (24, 26, 32), (30, 34, 44)
ANNOUNCED_DARK, ANNOUNCED_LIGHT = (32, 44, 92), (44, 64, 140)  # while it is being made


@cache
def backdrop(announced: bool) -> bytes:
    """A JPEG to be put behind all splats."""
    width, height = SIDE
    stripes = (np.arange(height)[:, None] + np.arange(width)[None]) % (2 * PERIOD) < PERIOD
    dark, light = (ANNOUNCED_DARK, ANNOUNCED_LIGHT) if announced else (DARK, LIGHT)
    picture = np.where(stripes[..., None], np.array(light, np.uint8), np.array(dark, np.uint8))
    return cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
