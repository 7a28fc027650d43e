"""What makes Gaussians of a photo at once: a model of the user's own, in the place of depth and lifting."""

from __future__ import annotations

from typing import Protocol

from jaxtyping import Float
from torch import Tensor

from splatmem.gaussians.container import Gaussians
from splatmem.geometry.cameras import Cameras


class Lifter(Protocol):
    """Makes the Gaussians of a scene of one photo, as feed-forward splat models do. Any callable with this signature is one.

    It may have two attributes: ``name``, for reports (the class's by default), and ``metric``, whether its unit is the metre
    (no by default).
    """

    def __call__(self, photo: Float[Tensor, "h w 3"], camera: Cameras) -> Gaussians:
        """The scene in the world of ``camera``, one camera of the photo's size, whose picture it should show.

        Args:
            photo: sRGB in 0..1.
            camera: that took it.
        """
        ...
