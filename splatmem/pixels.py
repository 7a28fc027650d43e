"""Pictures as floats in 0..1 and as bytes."""

from __future__ import annotations

import io

import numpy as np
from jaxtyping import Float
from PIL import Image
from torch import Tensor


def to_uint8(rgb: Float[Tensor, "*n 3"]) -> np.ndarray:
    return (rgb.clamp(0, 1) * 255).round().byte().numpy()


def to_png(rgb: Float[Tensor, "h w 3"]) -> bytes:
    """A picture (0..1) as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(to_uint8(rgb)).save(buffer, "PNG")
    return buffer.getvalue()
