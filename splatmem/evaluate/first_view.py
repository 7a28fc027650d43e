"""Which pixels of a scene its first frame saw already, by true geometry."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool
from torch import Tensor

from splatmem.evaluate.scenes import Truth

RIM = 1.0  # pixels by which a point must lie outside the first picture to count as surely not in it
ROUNDING = 0.01  # pixels by which a reprojected point may miss the centre of an outermost pixel
SAME_SURFACE = 0.02  # relative difference of depth up to which two samples show one surface
HIDDEN = 0.06  # and beyond which one surely lies behind the other


@dataclass(frozen=True)
class FirstView:
    """What the first frame says of each frame; a pixel may be neither, where the truth does not tell.

    Attributes:
        kept: surfaces that the first frame shows: a film must keep them, ``[v, h, w]``.
        made: surfaces outside the first picture or hidden in it: a film must make them up, ``[v, h, w]``.
    """

    kept: Bool[Tensor, "v h w"]
    made: Bool[Tensor, "v h w"]

    @property
    def tells(self) -> bool:
        """Whether anything could be told of any frame after the first."""
        return bool((self.kept | self.made)[1:].any())


def split_by_first_view(truth: Truth) -> FirstView:
    """Reprojects every pixel of every frame into the first.

    Where the cameras turn on the spot this needs no depth. Elsewhere a pixel is told only where its depth is measured, and
    inside the first picture only where that is measured around the spot too. Between the two limits of depth, and within a
    pixel of the first picture's rim, a pixel is neither kept nor made. The first frame itself is all kept.
    """
    cameras, size = truth.cameras, (truth.cameras.height, truth.cameras.width)
    still = truth.turns_on_the_spot
    depth = torch.ones_like(truth.depth) if still else torch.where(truth.measured, truth.depth, 1.0)
    pixels, distance = cameras[0].project(cameras.unproject(depth))
    x, y, z = pixels[0, ..., 0], pixels[0, ..., 1], distance[0]
    outside = (z <= 0) | (x < -RIM) | (x > size[1] + RIM) | (y < -RIM) | (y > size[0] + RIM)
    rim = 0.5 - ROUNDING
    inside = (z > 0) & (x >= rim) & (x <= size[1] - rim) & (y >= rim) & (y <= size[0] - rim)
    if still:
        return FirstView(inside, outside)
    column, row = ((c - 0.5).floor().long() for c in (x, y))
    around = torch.stack(
        [
            (row + i).clamp(0, size[0] - 1) * size[1] + (column + j).clamp(0, size[1] - 1)
            for i, j in ((0, 0), (0, 1), (1, 0), (1, 1))
        ]
    )
    first = torch.where(truth.measured[0], truth.depth[0], torch.nan).flatten()[around]
    nearest, farthest = first.amin(0), first.amax(0)  # NaN, and so neither, where one of the four is not measured
    same = (z <= farthest * (1 + SAME_SURFACE)) & (z >= nearest * (1 - SAME_SURFACE))
    hidden = z > farthest * (1 + HIDDEN)
    kept, made = truth.measured & inside & same, truth.measured & (outside | (inside & hidden))
    kept[0], made[0] = True, False  # the first frame sees itself whole, measured or not
    return FirstView(kept, made)
