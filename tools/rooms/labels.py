"""What a surface is: one small number for each mesh, which the renderer writes for every pixel."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from splatmem.classes import PixelClass

UNKNOWN, FLOOR, CEILING, WALL, OPENING, THING, SKY, GROUND, VEGETATION, BUILDING = map(int, PixelClass)
NAMES = tuple(label.name.lower() for label in PixelClass)
"""By label; ``PixelClass`` says what each means."""

PALETTE = np.array(
    [
        (0, 0, 0), (150, 100, 60), (240, 240, 200), (170, 170, 190), (255, 190, 0),
        (220, 50, 60), (90, 170, 255), (110, 110, 70), (40, 160, 60), (150, 70, 170),
    ],
    np.uint8,
)  # fmt: skip
"""A colour for each label, for pictures of them."""


def colours(labels: UInt8[ndarray, "h w"]) -> UInt8[ndarray, "h w 3"]:
    """Labels as a picture."""
    return PALETTE[labels]
