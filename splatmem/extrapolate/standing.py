"""What stands out in the open: towers, houses, trees and posts before what is farther away on both sides of them.

A stranger knows such a thing again wherever it comes a second time, whatever it is. It is told by depth alone: beside it the
picture shows what is farther. Hills and rows of houses that go on along the horizon do not stand out.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy import ndimage
from torch import Tensor

from splatmem.depth.classes import connected_surfaces
from splatmem.geometry.filters import remove_specks

LEFT = 0.25
"""Share of the picture's columns that is left of the place, at least: of less no surroundings can be made."""
STANDS_OUT = 1.0
"""Difference of log depth, in the median over a thing, from what shows beside it: that is nearly three times as far away, as
the sky is. Trunks in a wood stand out less, and are the place."""
EDGE = 0.06
"""The same for its pixels, at least: what is less is the error of depth on one surface."""
SMALLEST = 0.0006
"""Share of the picture that a thing covers at least."""
STEEP = 0.75
"""A thing's height in units of its width, at least: hills and rows of houses are flatter, and belong to the place."""
FOOT = 0.1
"""Share of a thing's height, below what stands out, that goes with it: at its foot it is as far away as the ground."""
NARROW = 0.03
"""Half the width, as a share of the picture's, of a strip between two things that goes with them, or of one at an edge."""
SKY = 4.0
"""Sky counts as so many times as far as the farthest surface."""


def standing_out(depth: Float[Tensor, "h w"], level: Bool[Tensor, "h w"]) -> Bool[Tensor, "h w"]:
    """Pixels that are nearer than what shows on both sides of them.

    Args:
        depth: z-depth, ``inf`` for sky.
        level: pixels of the ground.
    """
    return (before_both_sides(depth) > EDGE) & ~level & torch.isfinite(depth)


def removable_standing(
    depth: Float[Tensor, "h w"], level: Bool[Tensor, "h w"], green: Bool[Tensor, "h w"]
) -> Bool[Tensor, "h w"]:
    """Pixels of whole things that stand out, the tallest first, as long as enough of the picture's columns is left.

    What a side of the picture cuts stays: beyond it it goes on as its mirror image, and is whole.

    Args:
        depth: z-depth, ``inf`` for sky.
        level: pixels of the ground.
        green: pixels of vegetation; a bush before a tower is a thing of its own.
    """
    height, width = depth.shape
    before, out = before_both_sides(depth).numpy(), standing_out(depth, level)
    built, grown = (connected_surfaces(out & kind, depth, SMALLEST * height * width) for kind in (~green, green))
    parts = torch.where(grown > 0, grown + built.max(), built).numpy()
    things = []
    for number, place in enumerate(ndimage.find_objects(parts), start=1):
        own = parts[place] == number
        steep = own.any(1).sum() > STEEP * own.any(0).sum()
        whole = place[1].start > 0 and place[1].stop < width
        if whole and steep and np.median(before[place][own]) > STANDS_OUT:
            things.append((len(own), number))
    gone = torch.zeros(height, width, dtype=torch.bool)
    for tall, number in sorted(things, reverse=True):
        foot = np.ones((2 * round(FOOT * tall) + 1, 1), bool)
        foot[: len(foot) // 2] = False  # downwards alone
        more = gone | torch.from_numpy(ndimage.binary_dilation(_filled_rows(parts == number), foot))
        gone = more if without_strips(more).any(0).sum() <= (1 - LEFT) * width else gone
    return without_strips(gone)


def narrow_parts(mask: Bool[Tensor, "h w"]) -> Bool[Tensor, "h w"]:
    """What of a mask is narrower than such a strip: cables, masts, branches."""
    radius = max(1, round(NARROW * mask.shape[1]))
    return mask & ~remove_specks(mask[None], radius)[0]


def without_strips(gone: Bool[Tensor, "h w"]) -> Bool[Tensor, "h w"]:
    """What goes, with the narrow strips that would be left beside it: too little shows on them to go on."""
    radius = max(1, round(NARROW * gone.shape[1]))
    padded = np.pad(gone.numpy(), radius, constant_values=True).view(np.uint8)
    closed = ndimage.grey_closing(padded, 2 * radius + 1)[radius:-radius, radius:-radius] > 0
    return torch.from_numpy(closed)


def _filled_rows(own: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """A thing with what lies between its parts in each row: what shows between its legs would stay without it."""
    from_left = np.logical_or.accumulate(own, axis=1)
    return from_left & np.logical_or.accumulate(own[:, ::-1], axis=1)[:, ::-1]


def before_both_sides(depth: Float[Tensor, "h w"]) -> Float[Tensor, "h w"]:
    """How much nearer each pixel is, in log depth, than what shows on both sides of it in its row.

    Beyond its edges the picture is taken for its mirror image.
    """
    finite = torch.isfinite(depth)
    if not finite.any():
        return torch.zeros_like(depth)
    log_depth = torch.where(finite, depth, SKY * depth[finite].max()).log()
    widest = 2 * int((1 - LEFT) * depth.shape[1] / 2) + 1
    return torch.from_numpy(ndimage.grey_closing(log_depth.numpy(), (1, widest))) - log_depth
