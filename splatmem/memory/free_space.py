"""The space that earlier views saw to be empty: between a camera and the surfaces that it saw (space carving, Kutulakos & Seitz
2000). Nothing may be written there later, since it would hide what was seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from operator import is_
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from splatmem.geometry.cameras import Cameras

FREE_SPACE_WIDTH = 160  # stored depth is looked up at about this width
SURFACE_TOLERANCE = 0.025  # a point this share nearer than a surface belongs to the surface
PUSH_STEPS = 16
PUSH_LIMIT = 4.0  # a pixel is moved back to this multiple of its depth at most
SKY_DEPTH = 1e12  # beyond all that has a depth, in any unit
POINTS_TIMES_VIEWS = 2**22  # that are looked at together
NEARNESS_WIDTH = 64  # pixels across a view whose surfaces tell how near a point comes to them
NEAREST_QUANTILE = 0.01
AROUND = 2  # pixels of the small cameras around a point in which its Gaussian may show
BLOCKS = (4, 16, 64)  # pixels along the sides of the parts of a map in which surfaces around larger Gaussians are looked for
BODY = 0.05  # of the distance of a camera from the nearest surfaces that it saw: so far around it nothing may be written
MARGIN = 0.10  # of its distance from a camera: a path keeps this far in front of a surface ...
NEAREST_SHARE = 0.35  # ... and away from all of them, of the distance that the camera which saw them has from the nearest


@dataclass(frozen=True)
class Bodies:
    """Balls around cameras into which nothing may reach: it may not be in the camera's picture, but stands before it as soon as
    it turns.

    Attributes:
        centers: in the world, ``v`` cameras.
        radii: in world units; where that is 0 the camera takes no room.
    """

    centers: Float[Tensor, "v 3"]
    radii: Float[Tensor, " v"]

    def reached(self, points: Float[Tensor, "p 3"], sizes: Float[Tensor, " p"]) -> Bool[Tensor, " p"]:
        """Points from which something reaches into one of the balls.

        Args:
            points: in the world.
            sizes: how far around each point, in world units, something of it may show.
        """
        found = torch.zeros(len(points), dtype=torch.bool)
        if not len(points):
            return found
        ends = box_around(torch.cat([points - sizes[:, None], points + sizes[:, None]]))
        radii = self.radii[:, None]
        close = ((self.centers + radii > ends.amin(0)) & (self.centers - radii < ends.amax(0))).all(1)
        for center, radius in zip(self.centers[close], self.radii[close], strict=True):
            found |= (points - center).norm(dim=-1) < radius + sizes
        return found


@dataclass(frozen=True)
class FreeSpace:
    """The space that cameras see to be empty.

    Attributes:
        cameras: ``v`` cameras of a small size.
        reach: smallest z-depth of a surface within a pixel, ``[v, h, w]``.
        farthest: largest z-depth of a surface within two pixels, ``[v, h, w]``.
        deepest: the largest reach of each view.
        nearest: about the smallest; 0 of a view of sky alone.
    """

    cameras: Cameras
    reach: Float[Tensor, "v h w"]
    farthest: Float[Tensor, "v h w"]
    deepest: Float[Tensor, " v"]
    nearest: Float[Tensor, " v"]

    @staticmethod
    def of(views: Sequence[tuple[Cameras, Float[Tensor, "_ _"]]]) -> FreeSpace:
        """The free space of views, each a camera and its z-depth (``inf`` for sky), at least one; they may differ in size."""
        return GrowingFreeSpace().of([View(*view) for view in views])

    def at(self, views: Bool[Tensor, " v"] | Int[Tensor, " n"]) -> FreeSpace:
        """What some of the cameras see to be empty."""
        return FreeSpace(self.cameras[views], self.reach[views], self.farthest[views], self.deepest[views], self.nearest[views])

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
        concerned = self if views.all() else self.at(views)
        wrong = []
        for part in points.split(max(1, POINTS_TIMES_VIEWS // max(1, len(concerned.cameras)))):
            relative, inside = concerned.clearance(part)
            wrong.append((inside & (relative < 1 - tolerance)).any(0))
        return torch.cat(wrong)

    @property
    def bodies(self) -> Bodies:
        """Those of the cameras that saw this space."""
        return Bodies(self.cameras.centers, BODY * self.nearest)

    def bodies_ahead(self, cameras: Cameras) -> Bodies:
        """Those of cameras that have not looked yet: each as large as that of the nearest one that did."""
        nearest = torch.cdist(cameras.centers, self.cameras.centers).argmin(1)
        return Bodies(cameras.centers, self.bodies.radii[nearest])

    def may_show(self, points: Float[Tensor, "p 3"], sizes: Float[Tensor, " p"] | None = None) -> Bool[Tensor, "v p"]:
        """Points that views may show: they fall into the picture or just beside it, and lie before or on the farthest of the
        surfaces that were seen around there.

        Args:
            points: in the world.
            sizes: how far around each point, in world units, something of it may show.
        """
        parts = []
        for views in torch.arange(len(self.cameras)).split(max(1, POINTS_TIMES_VIEWS // max(1, len(points)))):
            cameras = self.cameras[slice(int(views[0]), int(views[-1]) + 1)]
            pixels, depth = cameras.project(points)
            size = torch.zeros_like(depth)
            if sizes is not None:
                size += cameras.focal.mean(1)[:, None] * sizes / depth.clamp_min(1e-12)
            around = AROUND + size
            column, row = pixels[..., 0].floor(), pixels[..., 1].floor()
            inside = (depth > 0) & (column >= -around) & (column < cameras.width + around)
            inside &= (row >= -around) & (row < cameras.height + around)
            farthest = _farthest_around(self.farthest[views], row.clamp(0, cameras.height - 1),
                                        column.clamp(0, cameras.width - 1), size)  # fmt: skip
            parts.append(inside & (depth < (1 + SURFACE_TOLERANCE) * farthest))
        return torch.cat(parts)

    def _may_see(self, points: Float[Tensor, "p 3"]) -> Bool[Tensor, " v"]:
        """Views before whose surfaces some of the points may lie; in the others none does, as a box around them tells."""
        corners = box_around(points)
        behind = (self.cameras.local(corners)[..., 2] > self.deepest[:, None]).all(1)
        return may_see(self.cameras, corners) & ~behind

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
        clear = torch.ones(len(points), dtype=torch.bool, device=points.device)
        for seen, least in zip(surfaces, share * own, strict=True):  # view by view: all distances at once fill the memory
            beside = (points - points.clamp(seen.amin(0), seen.amax(0))).norm(dim=-1) < least
            near = clear & beside
            if near.any():
                clear[near] = torch.cdist(points[near], seen).amin(-1) >= least
        return clear


def box_around(points: Float[Tensor, "p 3"]) -> Float[Tensor, "8 3"]:
    """Corners of the box around points, at least one."""
    low, high = points.amin(0), points.amax(0)
    return torch.stack([torch.where(torch.tensor(sides), high, low) for sides in product((False, True), repeat=3)])


def may_see(cameras: Cameras, corners: Float[Tensor, "c 3"]) -> Bool[Tensor, " v"]:
    """Cameras in whose pictures something of the convex body with these corners may lie; in the others nothing does."""
    local = cameras.local(corners)
    z = local[..., 2]
    first, last = (slopes[:, None] * z[..., None] for slopes in cameras.side_slopes)
    slack = 1e-4 * z.abs()[..., None]
    beside = ((local[..., :2] < first - slack).all(1) | (local[..., :2] > last + slack).all(1)).any(-1)
    return ~beside & ~(z <= 0).all(1)


class SeenDepth(Protocol):
    """What a camera saw: z-depth, ``inf`` for sky. Neither is changed in place."""

    @property
    def camera(self) -> Cameras: ...

    @property
    def depth(self) -> Float[Tensor, "_ _"]: ...


class View(NamedTuple):
    """What a camera saw, given as its camera and z-depth."""

    camera: Cameras
    depth: Float[Tensor, "_ _"]


class GrowingFreeSpace:
    """The free space of a list of views to which views are added: what was computed for those before is kept.

    Views are recognised as the same objects: there may be thousands, and nothing in them is looked at again.
    """

    def __init__(self) -> None:
        self._views: list[SeenDepth] = []
        self._narrowest: list[int] = []  # least width of the first view, of the first two, ...
        self._size = (0, 0)
        self._buffers: list[
            Tensor
        ] = []  # world_to_cam, intrinsics, reach, farthest, deepest and nearest, with room for more views

    def of(self, views: Sequence[SeenDepth]) -> FreeSpace:
        """The free space of views, as by ``FreeSpace.of``. What is returned is not changed by later calls."""
        same = self._same(views)
        narrowest = self._narrowest[:same]
        for view in views[same:]:
            narrowest.append(min(view.camera.width, *narrowest[-1:], FREE_SPACE_WIDTH))
        width, first = narrowest[-1], views[0].camera
        height = max(1, round(width * first.height / first.width))
        if self._size != (width, height):
            same = 0
        if same < len(views):
            # What comes after a view that is new, as what is held comes after what was written, is moved.
            places = {id(view): index for index, view in enumerate(self._views)} if self._size == (width, height) else {}
            before = self._buffers
            # Entries beyond the same ones may be part of what was returned before: they are not overwritten.
            self._make_room(len(views), same, fresh=same < len(self._views))
            for index, view in enumerate(views[same:], start=same):
                place = places.get(id(view))
                values = _of_view(view, width, height) if place is None else [old[place] for old in before]
                if not self._buffers:
                    self._buffers = [v.new_empty(len(views), *v.shape) for v in values]
                for buffer, value in zip(self._buffers, values, strict=True):
                    buffer[index] = value
            self._views, self._narrowest, self._size = list(views), narrowest, (width, height)
        world_to_cam, intrinsics, *maps = (buffer[: len(views)] for buffer in self._buffers)
        return FreeSpace(Cameras(world_to_cam, intrinsics, width, height), *maps)

    def _same(self, views: Sequence[SeenDepth]) -> int:
        """How many views, from the first on, are those of the call before."""
        if all(map(is_, self._views, views)):  # no loop of Python's
            return min(len(self._views), len(views))
        return next(index for index, (known, view) in enumerate(zip(self._views, views, strict=False)) if known is not view)

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


def _of_view(view: SeenDepth, width: int, height: int) -> list[Tensor]:
    """The values of a view that ``GrowingFreeSpace`` keeps."""
    small, reach = view.camera.resized(width, height), _reach(view.depth, width, height)
    farthest = _farthest(view.depth, width, height)
    return [small.world_to_cam[0], small.intrinsics[0], reach, farthest, reach.amax(), _nearest(reach)]


def _reach(depth: Float[Tensor, "h w"], width: int, height: int) -> Float[Tensor, "height width"]:
    near = torch.where(torch.isfinite(depth), depth, SKY_DEPTH)
    # The nearest surface of a cell and its neighbours: edges do not carve what lies beside them.
    return -F.max_pool2d(F.adaptive_max_pool2d(-near[None], (height, width)), 3, 1, 1)[0]


def _nearest(reach: Float[Tensor, "h w"]) -> Float[Tensor, ""]:
    nearest = reach.flatten().quantile(NEAREST_QUANTILE, interpolation="lower")
    return torch.where(nearest < SKY_DEPTH, nearest, 0.0)


def _farthest(depth: Float[Tensor, "h w"], width: int, height: int) -> Float[Tensor, "height width"]:
    far = torch.where(torch.isfinite(depth), depth, SKY_DEPTH)
    return F.max_pool2d(F.adaptive_max_pool2d(far[None], (height, width)), 2 * AROUND + 1, 1, AROUND)[0]


def _farthest_around(
    farthest: Float[Tensor, "v h w"], row: Float[Tensor, "v p"], column: Float[Tensor, "v p"], size: Float[Tensor, "v p"]
) -> Float[Tensor, "v p"]:
    """The largest of a map's values within ``size`` pixels of pixels, or a little beyond; each pixel of the map stands for
    ``AROUND`` to every side of it already."""
    found = farthest.flatten(1).gather(1, (row * farthest.shape[2] + column).long())
    reached = AROUND
    for block in BLOCKS:
        larger = size > reached
        if not larger.any():
            break
        coarse = F.max_pool2d(F.max_pool2d(farthest, block, block, ceil_mode=True), 3, 1, 1)
        index = (row // block) * coarse.shape[2] + column // block
        found = torch.where(larger, coarse.flatten(1).gather(1, index.long()), found)
        reached = block
    return found


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
    if len(index):  # all that is asked about lies in one box, which few of thousands of views may see
        ends = [camera.centers[0] + (factor * depth.flatten()[index])[:, None] * rays[index] for factor in (1.0, PUSH_LIMIT)]
        space = space.at(may_see(space.cameras, box_around(torch.cat(ends))))
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
