"""What earlier views saw to be empty: the space between a camera and the surfaces that it saw (space carving,
Kutulakos & Seitz 2000). Nothing may be written there later, since it would hang in front of what was seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.geometry.cameras import Cameras

WIDTH = 160  # stored depth is looked up at about this width
TOLERANCE = 0.025  # a point this share nearer than a surface belongs to the surface
PUSH_STEPS = 16
PUSH_LIMIT = 4.0  # a pixel is moved back to this multiple of its depth at most
SKY_DEPTH = 1e6
NEARNESS_WIDTH = 64  # pixels across a view whose surfaces tell how near a point comes to them
NEAREST_QUANTILE = 0.01
MARGIN = 0.10  # of its distance from a camera: a path keeps this far in front of a surface ...
NEAREST_SHARE = 0.35  # ... and away from all of them, of the distance that the camera which saw them has from the nearest


@dataclass(frozen=True)
class FreeSpace:
    """Cameras and, for each of their pixels, how far the view is free.

    Attributes:
        cameras: ``v`` cameras of a small size.
        reach: smallest z-depth of a surface within a pixel, ``[v, h, w]``.
    """

    cameras: Cameras
    reach: Float[Tensor, "v h w"]

    @staticmethod
    def of(views: Sequence[tuple[Cameras, Float[Tensor, "h w"]]]) -> FreeSpace:
        cameras, reaches = [], []
        width = min(WIDTH, *(camera.width for camera, _ in views))
        height = max(1, round(width * views[0][0].height / views[0][0].width))
        for camera, depth in views:
            cameras.append(camera.resized(width, height))
            near = torch.where(torch.isfinite(depth), depth, SKY_DEPTH)
            # The nearest surface of a cell and its neighbours: edges do not carve what lies beside them.
            reaches.append(-F.max_pool2d(F.adaptive_max_pool2d(-near[None], (height, width)), 3, 1, 1)[0])
        return FreeSpace(Cameras.cat(cameras), torch.stack(reaches))

    def clearance(self, points: Float[Tensor, "p 3"]) -> tuple[Float[Tensor, "v p"], Bool[Tensor, "v p"]]:
        """For every view, a point's depth relative to the surface that the view saw there; and whether it looks there."""
        pixels, depth = self.cameras.project(points)
        column, row = pixels[..., 0].floor(), pixels[..., 1].floor()
        inside = (depth > 1e-4) & (column >= 0) & (column < self.cameras.width) & (row >= 0) & (row < self.cameras.height)
        index = row.clamp(0, self.cameras.height - 1) * self.cameras.width + column.clamp(0, self.cameras.width - 1)
        surface = self.reach.flatten(1).gather(1, index.long())
        return depth / surface, inside

    def violated(self, points: Float[Tensor, "p 3"], tolerance: float = TOLERANCE) -> Bool[Tensor, " p"]:
        """Points that would hang in front of a surface that some view saw."""
        relative, inside = self.clearance(points)
        return (inside & (relative < 1 - tolerance)).any(0)

    def contains(self, points: Float[Tensor, "p 3"], reach: float, margin: float = MARGIN) -> Bool[Tensor, " p"]:
        """Points that lie in front of all surfaces by ``margin``; unseen ones if a camera is within ``reach``."""
        relative, inside = self.clearance(points)
        blocked = (inside & (relative > 1 - margin)).any(0)
        near = torch.cdist(points, self.cameras.centers).amin(1) <= reach
        return ~blocked & (near | inside.any(0))

    def keeps_distance(self, points: Float[Tensor, "p 3"], share: float = NEAREST_SHARE) -> Bool[Tensor, " p"]:
        """Points from which nothing looks much coarser than a camera saw it: they come no nearer to what a view saw than
        ``share`` of the distance that its own camera has from the nearest of it."""
        step = max(1, self.cameras.width // NEARNESS_WIDTH)
        sparse = self.cameras.resized(self.cameras.width // step, self.cameras.height // step)
        # Each sparse pixel stands for the nearest surface within it.
        reach = -F.adaptive_max_pool2d(-self.reach, (sparse.height, sparse.width))
        surfaces = sparse.unproject(reach).flatten(1, 2)
        own = (surfaces - self.cameras.centers[:, None]).norm(dim=-1).quantile(NEAREST_QUANTILE, dim=1)
        return (torch.cdist(points, surfaces).amin(-1) >= share * own[:, None]).all(0)


def push_out_of_free_space(
    depth: Float[Tensor, "h w"], camera: Cameras, selected: Bool[Tensor, "h w"], space: FreeSpace
) -> tuple[Float[Tensor, "h w"], Bool[Tensor, "h w"]]:
    """Moves selected pixels back along their rays until they hang in front of nothing that was seen.

    Returns:
        The depth, and which pixels are in order now; the others found no place.
    """
    allowed = torch.ones_like(selected)
    index = torch.nonzero((selected & torch.isfinite(depth)).flatten())[:, 0]
    rays = camera.world_rays()[0].flatten(0, 1)
    moved = depth.flatten().clone()
    factors = torch.logspace(0, torch.log10(torch.tensor(PUSH_LIMIT)).item(), PUSH_STEPS)
    for factor in factors.tolist():
        points = camera.centers[0] + (factor * depth.flatten()[index])[:, None] * rays[index]
        wrong = space.violated(points)
        settled = index[~wrong]
        moved[settled] = factor * depth.flatten()[settled]
        index = index[wrong]
        if not len(index):
            break
    allowed.view(-1)[index] = False
    return moved.view_as(depth), allowed
