"""Which pixels of a scene its first frame saw already, by true geometry."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.evaluation.scenes import Truth

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
        uncovered: those of them that lie inside the first picture, behind what it shows: what a step aside uncovers,
            ``[v, h, w]``.
    """

    kept: Bool[Tensor, "v h w"]
    made: Bool[Tensor, "v h w"]
    uncovered: Bool[Tensor, "v h w"]


def split_by_first_view(truth: Truth) -> FirstView:
    """Reprojects every pixel of every frame into the first.

    Where the cameras turn on the spot this needs no depth. Elsewhere a pixel whose depth is not measured is told only if it
    lies outside the first picture at any depth from the scene's nearest on, and inside the first picture a pixel is told only
    where that is measured around the spot too. Between the two limits of depth, and within a pixel of the first picture's rim,
    a pixel is neither kept nor made. The first frame itself is all kept.
    """
    size, nothing = (truth.cameras.height, truth.cameras.width), torch.zeros_like(truth.measured)
    if truth.turns_on_the_spot:
        far = torch.ones_like(truth.depth)
        return FirstView(_inside(truth, far)[0], _outside(truth, far, far), nothing)
    if not truth.measured.any():
        return FirstView(nothing, nothing, nothing)
    nearest_of_all = truth.depth[truth.measured].min()
    outside = _outside(truth, torch.where(truth.measured, truth.depth, nearest_of_all), truth.depth)
    inside, x, y, z = _inside(truth, torch.where(truth.measured, truth.depth, nearest_of_all))
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
    kept, uncovered = truth.measured & inside & same, truth.measured & inside & hidden
    kept[0], outside[0], uncovered[0] = True, False, False  # the first frame sees itself whole, measured or not
    return FirstView(kept, outside | uncovered, uncovered)


def _inside(truth: Truth, depth: Float[Tensor, "v h w"]) -> tuple[Bool[Tensor, "v h w"], Tensor, Tensor, Tensor]:
    """Whether pixels at a depth lie among the pixel centres of the first picture; their place in it and their depth there."""
    cameras = truth.cameras
    pixels, distance = cameras[0].project(cameras.unproject(depth))
    x, y, z = pixels[0, ..., 0], pixels[0, ..., 1], distance[0]
    rim = 0.5 - ROUNDING
    return (z > 0) & (x >= rim) & (x <= cameras.width - rim) & (y >= rim) & (y <= cameras.height - rim), x, y, z


def _outside(truth: Truth, nearest: Float[Tensor, "v h w"], farthest: Float[Tensor, "v h w"]) -> Bool[Tensor, "v h w"]:
    """Whether pixels lie outside the first picture, by the rim, at every depth from ``nearest`` to ``farthest`` (may be inf).

    What the first camera sees is a pyramid of five half-spaces: a segment both ends of which lie outside of one and the same
    half-space is outside.
    """
    cameras = truth.cameras
    (fx, fy), (cx, cy) = cameras.focal[0].tolist(), cameras.intrinsics[0, :2, 2].tolist()
    planes = [
        (fx, 0.0, cx + RIM),
        (-fx, 0.0, cameras.width + RIM - cx),
        (0.0, fy, cy + RIM),
        (0.0, -fy, cameras.height + RIM - cy),
        (0.0, 0.0, 1.0),
    ]
    to_first = cameras.world_to_cam[0, :3, :3]
    origins = cameras.centers @ to_first.T + cameras.world_to_cam[0, :3, 3]
    rays = cameras.world_rays() @ to_first.T
    outside = torch.zeros_like(nearest, dtype=torch.bool)
    for plane in rays.new_tensor(planes):
        at, along = (origins @ plane)[:, None, None], rays @ plane
        ends = at + nearest * along, torch.where(torch.isinf(farthest), along, at + farthest * along)
        outside |= (ends[0] <= 0) & (ends[1] <= 0)
    return outside
