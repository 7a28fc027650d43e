"""Tops of tables, shelves and seats: level surfaces of things that carry other things.

What stands on a top hides more of it. All of a top lies in one plane, and inverse depth is linear in the picture on a plane; a
top reaches as far as the convex hull of what is seen of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy import ndimage
from torch import Tensor

from splatmem.depth.classes import LEVEL, connected_surfaces, levelness
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.planes import fit_plane, plane_basis
from splatmem.geometry.push_pull import push_pull

SMALLEST = 0.004
"""Share of the picture that is seen of a top at least."""
OPENED = 0.006
"""Width of what is too thin to belong to a top, as a share of the picture's shorter side."""
EDGE = 3
"""Pixels at a top's edge whose normals are not to be trusted."""
ON_PLANE = 0.03
"""Relative difference of inverse depth up to which a pixel lies on a top's plane."""
LOOSE = 0.08
"""The same for a part of a top that something else parts from the rest."""
HIDES = 0.1
"""By what share something is nearer than a top's plane that hides it, and is no part of it."""
FLAT = 0.7
"""Share of a surface's pixels that lie on a plane if it is a top."""
ABOVE = 0.9
"""Share of the pixels of what stands on a top that lie above its plane."""
ROUNDS = 4
"""Of the robust fit of a plane."""


@dataclass(frozen=True)
class Top:
    """A level surface on which things stand.

    Attributes:
        seen: its pixels, ``[h, w]``.
        reach: pixels in which it is seen or hidden by what stands before it, ``[h, w]``.
        depth: z-depth of its plane; ``inf`` where a ray does not meet it, ``[h, w]``.
    """

    seen: Bool[Tensor, "h w"]
    reach: Bool[Tensor, "h w"]
    depth: Float[Tensor, "h w"]

    def within(self, part: tuple[slice, slice]) -> Top:
        """The top as a part of the picture shows it."""
        return Top(self.seen[part], self.reach[part], self.depth[part])

    def is_behind(self, depth: Float[Tensor, "h w"]) -> Bool[Tensor, "h w"]:
        """Where something at this z-depth hides the top's plane."""
        return depth < (1 - HIDES) * self.depth

    def carries(self, thing: Bool[Tensor, "h w"], depth: Float[Tensor, "h w"]) -> bool:
        """Whether a thing stands on the top rather than that it is what carries it: nothing of it lies below the top's plane,
        where it would be farther away than that.

        Args:
            thing: its pixels.
            depth: z-depth.
        """
        return float((depth < (1 + ON_PLANE) * self.depth)[thing].float().mean()) >= ABOVE


def tops_of_things(
    depth: Float[Tensor, "h w"], thing: Bool[Tensor, "h w"], camera: Cameras, down: Float[Tensor, "3"]
) -> list[Top]:
    """The tops that a picture shows, the largest first. Parts of one plane are one top: what stands on it may part it.

    Args:
        depth: z-depth, ``inf`` for sky.
        thing: pixels of things: floors are no tops.
        camera: the one camera that took the picture.
        down: unit vector of gravity in the world.
    """
    there = thing & torch.isfinite(depth)
    level = (there & (levelness(depth, camera, down) < -LEVEL)).numpy()
    side = 2 * max(1, round(0.5 * OPENED * min(depth.shape))) + 1
    level = torch.from_numpy(ndimage.binary_opening(level, np.ones((side, side), bool)))
    smallest = SMALLEST * depth.numel()
    numbers = connected_surfaces(level, depth, max(9.0, 0.25 * smallest))
    sizes = np.bincount(numbers.numpy().ravel(), minlength=1)
    sizes[0] = 0
    inverse = torch.where(there, 1 / depth.clamp_min(1e-12), 0.0)
    left, tops = numbers > 0, []
    for number in np.argsort(-sizes, kind="stable"):
        if sizes[number] == 0:
            break
        own = (numbers == int(number)) & left
        plane = _plane(inverse, own) if own.any() else None
        if plane is None:
            continue
        near_plane = left & ((inverse - plane).abs() < LOOSE * inverse)
        whole = np.bincount(numbers[near_plane].numpy(), minlength=len(sizes)) >= FLAT * np.maximum(sizes, 1)
        whole[0] = False
        parts = torch.from_numpy(whole)[numbers.long()] & left
        if int(parts.sum()) < smallest or not bool(whole[number]):
            continue
        # Depth that is estimated is not quite flat: the plane follows what is seen of it.
        off = push_pull((inverse / plane.clamp_min(1e-12))[None, None].clamp(1e-3, 1e3).log(), parts[None, None].float())[0, 0]
        surface = plane * off.exp()
        on_it = there & ((inverse - surface).abs() < ON_PLANE * inverse)
        # Normals are averaged over some pixels, so the edges of a top seem not to be level.
        wider = torch.from_numpy(ndimage.binary_dilation(parts.numpy(), np.ones((3, 3), bool), EDGE))
        reach = _hull(wider & on_it)
        seen = reach & on_it
        left &= ~(seen | parts)
        tops.append(Top(seen, reach, torch.where(surface > 0, 1 / surface.clamp_min(1e-12), torch.inf)))
    return tops


def _plane(inverse: Float[Tensor, "h w"], seen: Bool[Tensor, "h w"]) -> Float[Tensor, "h w"] | None:
    """Inverse depth everywhere of the plane on which most of what is seen lies; None if there is none."""
    basis = plane_basis(*inverse.shape)
    points, values = basis[seen], inverse[seen].double()
    inliers = torch.ones(len(values), dtype=torch.bool)
    model = torch.zeros(3, dtype=torch.float64)
    for _ in range(ROUNDS):
        if int(inliers.sum()) < 9:
            return None
        model = fit_plane(points[inliers], values[inliers])
        inliers = (points @ model - values).abs() < ON_PLANE * values
    if float(inliers.float().mean()) < FLAT:
        return None
    return (basis @ model).float()


def _hull(seen: Bool[Tensor, "h w"]) -> Bool[Tensor, "h w"]:
    """Pixels within the convex hull of some."""
    import cv2

    points = np.argwhere(seen.numpy())[:, ::-1].astype(np.int32)
    filled = np.zeros(seen.shape, np.uint8)
    cv2.fillConvexPoly(filled, cv2.convexHull(np.ascontiguousarray(points)), 1)
    return torch.from_numpy(filled > 0)
