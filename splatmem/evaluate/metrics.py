"""Image metrics."""

from __future__ import annotations

import math

from jaxtyping import Bool, Float
from torch import Tensor


def psnr(
    picture: Float[Tensor, "*s h w 3"], truth: Float[Tensor, "*s h w 3"], where: Bool[Tensor, "*s h w"] | None = None
) -> float:
    """Peak signal-to-noise ratio in dB for values in 0..1, over the pixels of ``where`` (all by default).

    ``inf`` for equal pictures, ``nan`` where there is no pixel to compare.
    """
    error = (picture - truth).square()
    error = error if where is None else error[where]
    if error.numel() == 0:
        return math.nan
    mean = float(error.double().mean())
    return math.inf if mean == 0 else -10 * math.log10(mean)
