"""Pictures as floats in 0..1 and as bytes."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from torch import Tensor


def to_uint8(rgb: Float[Tensor, "*n 3"]) -> np.ndarray:
    return (rgb.clamp(0, 1) * 255).round().byte().numpy()
