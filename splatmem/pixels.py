"""Pictures as floats in 0..1 and as bytes."""

from __future__ import annotations

import io

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor


def to_uint8(rgb: Float[Tensor, "*n 3"]) -> UInt8[np.ndarray, "*n 3"]:
    """Bytes 0..255 of colours in 0..1, rounded; what lies outside is cut off."""
    return rgb.detach().clamp(0, 1).mul_(255).round_().byte().cpu().numpy()


def from_uint8(picture: UInt8[np.ndarray, "*n 3"] | UInt8[Tensor, "*n 3"]) -> Float[Tensor, "*n 3"]:
    """Colours in 0..1 of bytes 0..255, float32."""
    return torch.as_tensor(picture).float() / 255


def to_png(rgb: Float[Tensor, "h w 3"]) -> bytes:
    """A picture (0..1) as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(to_uint8(rgb)).save(buffer, "PNG")
    return buffer.getvalue()
