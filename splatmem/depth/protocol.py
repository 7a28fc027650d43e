"""What a depth estimator is given and gives back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class DepthPrediction:
    """Depth of ``t`` pictures.

    Attributes:
        depth: z-depth, ``inf`` for sky, ``[t, h, w]``; in metres if ``metric``, else up to one scale per picture.
        metric: whether the unit is metres.
        fov_x_degrees: horizontal field of view, where the model estimates it.
    """

    depth: Float[Tensor, "t h w"]
    metric: bool
    fov_x_degrees: float | None = None


class DepthEstimator(Protocol):
    """Estimates z-depth of pictures, each on its own."""

    name: str

    def __call__(self, images: Float[Tensor, "t h w 3"], *, fov_x_degrees: float | None = None) -> DepthPrediction:
        """Depth at the pictures' size.

        Args:
            images: sRGB in 0..1.
            fov_x_degrees: of the pictures, for models that use it.
        """
        ...
