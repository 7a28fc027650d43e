"""The space that earlier views saw to be empty: between a camera and the surfaces that it saw (space carving, Kutulakos & Seitz
2000). Nothing may be written there later, since it would hide what was seen.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.gaussians.changes import tensor_version
from splatmem.geometry.cameras import Cameras

FREE_SPACE_WIDTH = 160  # stored depth is looked up at about this width
SURFACE_TOLERANCE = 0.025  # a point this share nearer than a surface belongs to the surface
PUSH_STEPS = 16
PUSH_LIMIT = 4.0  # a pixel is moved back to this multiple of its depth at most
SKY_DEPTH = 1e6
POINTS_TIMES_VIEWS = 2**22  # that are looked at together
NEARNESS_WIDTH = 64  # pixels across a view whose surfaces tell how near a point comes to them
NEAREST_QUANTILE = 0.01
AROUND = 2  # pixels of the small cameras around a point in which its Gaussian may show
MARGIN = 0.10  # of its distance from a camera: a path keeps this far in front of a surface ...
NEAREST_SHARE = 0.35  # ... and away from all of them, of the distance that the camera which saw them has from the nearest


@dataclass(frozen=True)
class FreeSpace:
    """The space that cameras see to be empty.

    Attributes:
        cameras: ``v`` cameras of a small size.
        reach: smallest z-depth of a surface within a pixel, ``[v, h, w]``.
        farthest: largest z-depth of a surface within two pixels, ``[v, h, w]``.
    """

    cameras: Cameras
    reach: Float[Tensor, "v h w"]
    farthest: Float[Tensor, "v h w"]

    @staticmethod
    def of(views: Sequence[tuple[Cameras, Float[Tensor, "_ _"]]]) -> FreeSpace:
        """The free space of views, each a camera and its z-depth (``inf`` for sky), at least one; they may differ in size."""
        return GrowingFreeSpace().of(views)

    def of_view(self, index: int) -> FreeSpace:
        """What one of the cameras sees to be empty."""
        return FreeSpace(self.cameras[index], self.reach[[index]], self.farthest[[index]])

    def clearance(self, points: Float[Tensor, "p 3"]) -> tuple[Float[Tensor, "v p"], Bool[Tensor, "v p"]]:
        """For every view, the depth of each point relative to the surface that the view saw in its direction (1: on it), and
        whether the point falls into the view."""
        pixels, depth = self.cameras.project(points)
        column, row = pixels[..., 0].floor(), pixels[..., 1].floor()
        inside = self.cameras.in_picture(pixels, depth)
        index = row.clamp(0, self.cameras.height - 1) * self.cameras.width + column.clamp(0, self.cameras.width - 1)
        surface = self.reach.flatten(1).gather(1, index.long())
        return depth / surface, inside

    def violated(self, points: Float[Tensor, "p 3"], tolerance: float = SURFACE_TOLERANCE) -> Bool[Tensor, " p"]:
        """Points that would hide a surface that some view saw: nearer than it by more than the share ``tolerance``."""
        if not len(points):
            return torch.zeros(0, dtype=torch.bool)
        views = self._may_see(points)
        concerned = self if views.all() else FreeSpace(self.cameras[views], self.reach[views], self.farthest[views])
        wrong = []
        for part in points.split(max(1, POINTS_TIMES_VIEWS // max(1, len(concerned.cameras)))):
            relative, inside = concerned.clearance(part)
            wrong.append((inside & (relative < 1 - tolerance)).any(0))
        return torch.cat(wrong)

    def may_show(self, points: Float[Tensor, "p 3"]) -> Bool[Tensor, "v p"]:
        """Points that views may show: they fall into the picture or just beside it, and lie before or on the farthest of the
        surfaces that were seen around there."""
        parts = []
        for views in torch.arange(len(self.cameras)).split(max(1, POINTS_TIMES_VIEWS // max(1, len(points)))):
            cameras = self.cameras[slice(int(views[0]), int(views[-1]) + 1)]
            pixels, depth = cameras.project(points)
            column, row = pixels[..., 0].floor(), pixels[..., 1].floor()
            inside = (depth > 0) & (column >= -AROUND) & (column < cameras.width + AROUND)
            inside &= (row >= -AROUND) & (row < cameras.height + AROUND)
            index = row.clamp(0, cameras.height - 1) * cameras.width + column.clamp(0, cameras.width - 1)
            farthest = self.farthest[views].flatten(1).gather(1, index.long())
            parts.append(inside & (depth < (1 + SURFACE_TOLERANCE) * farthest))
        return torch.cat(parts)

    def _may_see(self, points: Float[Tensor, "p 3"]) -> Bool[Tensor, " v"]:
        """Views before whose surfaces some of the points may lie; in the others none does, as a box around them tells."""
        low, high = points.amin(0), points.amax(0)
        corners = torch.stack([torch.where(torch.tensor(sides), high, low) for sides in product((False, True), repeat=3)])
        local = self.cameras.local(corners)
        z = local[..., 2]
        beside = (z <= 0).all(1) | (z > self.reach.flatten(1).amax(1)[:, None]).all(1)
        first, last = (slopes[:, None] * z[..., None] for slopes in self.cameras.side_slopes)
        slack = 1e-4 * z.abs()[..., None]
        beside |= ((local[..., :2] < first - slack).all(1) | (local[..., :2] > last + slack).all(1)).any(-1)
        return ~beside

    def contains(self, points: Float[Tensor, "p 3"], reach: float, margin: float = MARGIN) -> Bool[Tensor, " p"]:
        """Points that are in front of all surfaces by the share ``margin`` of their depth; points in no view count as free
        within ``reach`` (world units) of a camera."""
        relative, inside = self.clearance(points)
        blocked = (inside & (relative > 1 - margin)).any(0)
        near = torch.cdist(points, self.cameras.centers).amin(1) <= reach
        return ~blocked & (near | inside.any(0))

    def keeps_distance(self, points: Float[Tensor, "p 3"], share: float = NEAREST_SHARE) -> Bool[Tensor, " p"]:
        """Points that are no nearer to the surfaces of any view than ``share`` of the distance of that view's own camera from
        its nearest surfaces, so that nothing looks much coarser from there."""
        step = max(1, self.cameras.width // NEARNESS_WIDTH)
        sparse = self.cameras.resized(self.cameras.width // step, self.cameras.height // step)
        # Each sparse pixel stands for the nearest surface within it.
        reach = -F.adaptive_max_pool2d(-self.reach, (sparse.height, sparse.width))
        surfaces = sparse.unproject(reach).flatten(1, 2)
        own = (surfaces - self.cameras.centers[:, None]).norm(dim=-1).quantile(NEAREST_QUANTILE, dim=1)
        return (torch.cdist(points, surfaces).amin(-1) >= share * own[:, None]).all(0)


@dataclass(frozen=True)
class _Source:
    """What an entry was made of: objects, and their tensors' counts of changes in place."""

    camera: weakref.ref[Cameras]
    depth: weakref.ref[Tensor]
    versions: tuple[int, ...]

    @staticmethod
    def of(camera: Cameras, depth: Tensor) -> _Source:
        return _Source(weakref.ref(camera), weakref.ref(depth), _Source._versions(camera, depth))

    @staticmethod
    def _versions(camera: Cameras, depth: Tensor) -> tuple[int, ...]:
        return tensor_version(depth), tensor_version(camera.world_to_cam), tensor_version(camera.intrinsics)

    def is_of(self, camera: Cameras, depth: Tensor) -> bool:
        return self.camera() is camera and self.depth() is depth and self.versions == self._versions(camera, depth)


class GrowingFreeSpace:
    """The free space of a list of views to which views are added: what was computed for those before is kept."""

    def __init__(self) -> None:
        self._sources: list[_Source] = []
        self._size = (0, 0)
        self._buffers: list[Tensor] = []  # world_to_cam, intrinsics, reach and farthest, with room for more views

    def of(self, views: Sequence[tuple[Cameras, Float[Tensor, "_ _"]]]) -> FreeSpace:
        """As ``FreeSpace.of``. What is returned is not changed by later calls."""
        width = min(FREE_SPACE_WIDTH, *(camera.width for camera, _ in views))
        height = max(1, round(width * views[0][0].height / views[0][0].width))
        same = 0
        if self._size == (width, height):
            for source, view in zip(self._sources, views, strict=False):
                if not source.is_of(*view):
                    break
                same += 1
        if same < len(views):
            # Entries beyond the same ones may be part of what was returned before: they are not overwritten.
            self._make_room(len(views), same, fresh=same < len(self._sources))
            for index, (camera, depth) in enumerate(views[same:], start=same):
                small = camera.resized(width, height)
                values = (
                    small.world_to_cam[0],
                    small.intrinsics[0],
                    _reach(depth, width, height),
                    _farthest(depth, width, height),
                )
                if not self._buffers:
                    self._buffers = [v.new_empty(len(views), *v.shape) for v in values]
                for buffer, value in zip(self._buffers, values, strict=True):
                    buffer[index] = value
            self._sources = [*self._sources[:same], *(_Source.of(*view) for view in views[same:])]
            self._size = (width, height)
        world_to_cam, intrinsics, reach, farthest = (buffer[: len(views)] for buffer in self._buffers)
        return FreeSpace(Cameras(world_to_cam, intrinsics, width, height), reach, farthest)

    def _make_room(self, count: int, same: int, *, fresh: bool) -> None:
        """Buffers for ``count`` views that begin with the ``same`` first ones; new ones if asked for, or if there is too little
        room, then twice as much."""
        if same == 0:
            self._buffers = []
        elif fresh or len(self._buffers[0]) < count:
            larger = [b.new_empty(max(count, 2 * same), *b.shape[1:]) for b in self._buffers]
            for new, old in zip(larger, self._buffers, strict=True):
                new[:same] = old[:same]
            self._buffers = larger


def _reach(depth: Float[Tensor, "h w"], width: int, height: int) -> Float[Tensor, "height width"]:
    near = torch.where(torch.isfinite(depth), depth, SKY_DEPTH)
    # The nearest surface of a cell and its neighbours: edges do not carve what lies beside them.
    return -F.max_pool2d(F.adaptive_max_pool2d(-near[None], (height, width)), 3, 1, 1)[0]


def _farthest(depth: Float[Tensor, "h w"], width: int, height: int) -> Float[Tensor, "height width"]:
    far = torch.where(torch.isfinite(depth), depth, SKY_DEPTH)
    return F.max_pool2d(F.adaptive_max_pool2d(far[None], (height, width)), 2 * AROUND + 1, 1, AROUND)[0]


def push_out_of_free_space(
    depth: Float[Tensor, "h w"], camera: Cameras, selected: Bool[Tensor, "h w"], space: FreeSpace
) -> tuple[Float[Tensor, "h w"], Bool[Tensor, "h w"]]:
    """Moves selected pixels back along their rays until they hide nothing that was seen.

    Returns:
        The depth, and for which pixels it is allowed; for the others no allowed depth was found.
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
