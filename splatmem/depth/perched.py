"""Small things before the sky that hang in the air: they are as far away as what the picture shows them on.

A chimney, a finial or the tip of a tree is easily given a depth of its own, and flies beside its house or tree from aside. What
stands on anything has no gap of depth at its foot; what is small and has one all around, with sky beside it, is perched on
what it touches.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from scipy import ndimage
from torch import Tensor

from splatmem.depth.classes import connected_surfaces

LARGEST = 0.01
"""Share of the picture that such a thing covers at most."""
OPEN = 0.3
"""Share of its outline along which it stands before the sky, at least."""
SIDES = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], bool)


def perch(depth: Float[Tensor, "h w"]) -> Float[Tensor, "h w"]:
    """The depth map with small things before the sky as far away as what they touch most of.

    What the picture's sides cut off stays: what it belongs to may lie outside.

    Args:
        depth: z-depth, ``inf`` for sky.
    """
    there = torch.isfinite(depth)
    if there.all() or not there.any():
        return depth
    numbers = connected_surfaces(there, depth, 1).numpy()
    areas = np.bincount(numbers.ravel())
    cut = np.zeros(len(areas), bool)
    for side in (numbers[0], numbers[-1], numbers[:, 0], numbers[:, -1]):
        cut[side] = True
    log_depth, changed = torch.where(there, depth, 1.0).double().log().numpy(), depth.clone()
    small = (areas <= LARGEST * numbers.size) & ~cut
    for number, place in enumerate(ndimage.find_objects(numbers), start=1):
        if place is None or not small[number]:
            continue
        around = tuple(slice(max(0, part.start - 1), part.stop + 1) for part in place)
        near, own = numbers[around], numbers[around] == number
        outline = ndimage.binary_dilation(own, SIDES) & ~own
        beside = near[outline]
        touched = np.bincount(beside, minlength=len(areas))
        open_share = touched[0] / len(beside)
        touched[small] = 0
        touched[0] = 0
        if open_share < OPEN or not touched.any():
            continue
        holder = int(touched.argmax())
        change = np.median(log_depth[around][outline & (near == holder)]) - np.median(log_depth[around][own])
        changed[around][torch.from_numpy(own)] *= float(np.exp(change))
    return changed
