"""A photo at the size at which what it does not show is made: less is to be trusted of that than of what was seen."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from splatmem.classes import PixelClasses
from splatmem.geometry.cameras import Cameras

REDUCED = 2
"""The photo's size over this one."""
SAME_SURFACE = 0.06
"""Difference of log depth up to which the pixels of a block lie on one surface."""


@dataclass(frozen=True)
class Reduced:
    """A photo with its depth and classes at a smaller size.

    Attributes:
        rgb: 0..1, ``[h, w, 3]``.
        depth: z-depth, ``inf`` for sky, ``[h, w]``.
        classes: what the pixels show.
        camera: the photo's, at this size.
    """

    rgb: Float[Tensor, "h w 3"]
    depth: Float[Tensor, "h w"]
    classes: PixelClasses
    camera: Cameras

    @staticmethod
    def of(rgb: Float[Tensor, "h w 3"], depth: Float[Tensor, "h w"], classes: PixelClasses, camera: Cameras) -> Reduced:
        """The photo at half its size."""
        small = camera.resized(max(8, camera.width // REDUCED), max(8, camera.height // REDUCED))
        size = (small.height, small.width)
        colours = F.interpolate(rgb.permute(2, 0, 1)[None], size=size, mode="area")[0].permute(1, 2, 0)
        return Reduced(colours, _smaller(depth, size), classes.at(small.width, small.height), small)


def _smaller(depth: Float[Tensor, "h w"], size: tuple[int, int]) -> Float[Tensor, "i j"]:
    """Depth at a smaller size: the mean inverse depth, which is exact on planes, or one pixel's where surfaces meet."""
    sampled = F.interpolate(depth[None, None], size=size, mode="nearest-exact")[0, 0]
    mean = F.interpolate(1 / depth[None, None], size=size, mode="area")[0, 0].reciprocal()
    return torch.where((mean / sampled).log().abs() < SAME_SURFACE, mean, sampled)
