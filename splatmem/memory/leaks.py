"""Keeps new Gaussians from showing in earlier views.

Positions in free space are ruled out before pixels are lifted (``splatmem.memory.free_space``). What can still show in an
earlier view are the margins of footprints, at the edge of its picture and along the outlines of objects. How much of a view a
Gaussian covers is the sum of its blending weights.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int32
from torch import Tensor

from splatmem.gaussians import Gaussians
from splatmem.gaussians.bounds import DRAWN_EXTENT, near_picture
from splatmem.gaussians.contributions import contributions
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.filters import dilate
from splatmem.memory.free_space import FreeSpace
from splatmem.memory.held_views import NEAR_NOTHING

SHRUNK = 4.0  # a leaking Gaussian is drawn in once to one in so many of its size, before it is left out
LEAST_FOOTPRINT = 1.9  # pixels that anything covers, since drawing widens it
DRAWN_VARIANCE = 0.3  # square pixels that drawing adds to a Gaussian's
CELL = 4  # pixels along a side of the parts of a picture that are looked at


@dataclass(frozen=True)
class LeakLimits:
    """How much new Gaussians may cover of what earlier views show, and how thoroughly that is looked for.

    Attributes:
        pixels: of known surface that one of them may cover in a view ...
        share: ... or this share of its own size there: surfaces are not quite opaque to what lies behind them.
        plain: one whose middle is in the picture and that covers more than this share of its size is left out at once: drawing
            it in would not help.
        rounds: in which leaking ones are drawn in or left out: what they hid may leak then.
        views: that are asked at most.
    """

    pixels: float = 0.05
    share: float = 0.02
    plain: float = 0.05
    rounds: int = 4
    views: int = 200


STRICT = LeakLimits()


@dataclass(frozen=True)
class Footprints:
    """Rectangles of a picture's cells that hold all that each of ``n`` Gaussians may cover.

    A cell's corners have numbers, row by row.

    Attributes:
        corners: numbers of the upper left, upper right, lower left and lower right corner of each rectangle, ``[4, n]``.
        rows, columns: of the picture's cells.
    """

    corners: Int32[Tensor, "4 n"]
    rows: int
    columns: int

    @staticmethod
    def of(gaussians: Gaussians, camera: Cameras) -> Footprints:
        rows, columns = math.ceil(camera.height / CELL), math.ceil(camera.width / CELL)
        pixels, depth = (values[0] for values in camera.project(gaussians.means))
        widest = camera.focal.amax() * gaussians.scales.amax(-1) / depth.clamp_min(1e-12)
        reach = DRAWN_EXTENT * (widest.square() + DRAWN_VARIANCE).sqrt()
        reach = torch.where(depth > 0, reach / CELL, -1.0)
        x, y = (pixels[:, axis] / CELL for axis in range(2))
        left, right = (x - reach).clamp_(0, columns).int(), (x + reach).clamp_(0, columns).ceil_().int()
        top, bottom = (y - reach).clamp_(0, rows).int(), (y + reach).clamp_(0, rows).ceil_().int()
        right, bottom = right.maximum(left), bottom.maximum(top)  # empty where nothing of it is in the picture
        above, below = (columns + 1) * top, (columns + 1) * bottom
        return Footprints(torch.stack([above + left, above + right, below + left, below + right]), rows, columns)

    def select(self, chosen: Bool[Tensor, " n"]) -> Footprints:
        return Footprints(self.corners.index_select(1, chosen.nonzero()[:, 0]), self.rows, self.columns)

    def cells(self) -> Bool[Tensor, "rows columns"]:
        """The cells in some of the rectangles."""
        counts = torch.zeros((self.rows + 1) * (self.columns + 1), dtype=torch.long, device=self.corners.device)
        for corner, sign in zip(self.corners, (1, -1, -1, 1), strict=True):
            counts += sign * torch.bincount(corner, minlength=len(counts))
        return (counts.view(self.rows + 1, -1).cumsum(0).cumsum(1) > 0)[:-1, :-1]

    def touching(self, cells: Bool[Tensor, "rows columns"]) -> Bool[Tensor, " n"]:
        """Rectangles in which some of these cells lie."""
        sums = F.pad(cells.int().cumsum(0).cumsum(1).int(), (1, 0, 1, 0)).flatten()
        first, *others, last = (sums.index_select(0, corner) for corner in self.corners)
        return first + last > others[0] + others[1]


@dataclass(frozen=True)
class PartOfPicture:
    """What of a view is looked at.

    Attributes:
        camera: of the rectangle around it.
        pixels: those of the rectangle that are looked at, ``[1, h, w]``.
        cells: those of the rectangle in which they lie, and those beside them: what is known is told by neighbours too.
    """

    camera: Cameras
    pixels: Bool[Tensor, "1 h w"]
    cells: Bool[Tensor, "rows columns"]

    def around(self, gaussians: Gaussians) -> tuple[Gaussians, Footprints]:
        """Those Gaussians that may show in what is looked at or in cells beside it, and where in the rectangle."""
        near = gaussians.select(near_picture(gaussians, self.camera, beside=CELL))
        places = Footprints.of(near, self.camera)
        chosen = places.touching(self.cells)
        return near.select(chosen), places.select(chosen)


def cells_seen(camera: Cameras, others: FreeSpace) -> Bool[Tensor, "rows columns"]:
    """The cells of a view that others, which stand at the same place, see whole, and where they saw some surface."""
    columns, rows = (
        torch.arange(math.ceil(side / CELL) + 1).mul(CELL).clamp_max(side) for side in (camera.width, camera.height)
    )
    v, u = torch.meshgrid(rows.float(), columns.float(), indexing="ij")
    along = (torch.stack([u, v], -1) - camera.intrinsics[0, :2, 2]) / camera.focal[0]
    rays = torch.cat([along, torch.ones_like(u)[..., None]], -1) @ camera.world_to_cam[0, :3, :3]
    small = others.cameras
    pixels, depth = small.project(others.deepest.amax() * rays + camera.centers[0])
    x, y = pixels.unbind(-1)
    inside = (depth > 0) & (x >= 1) & (x <= small.width - 1) & (y >= 1) & (y <= small.height - 1)
    index = y.floor().clamp(0, small.height - 1) * small.width + x.floor().clamp(0, small.width - 1)
    surfaces = others.reach.flatten(1).gather(1, index.flatten(1).long()).view_as(x)
    corners = inside & (surfaces > 2 * NEAR_NOTHING)
    return (corners[:, 1:, 1:] & corners[:, 1:, :-1] & corners[:, :-1, 1:] & corners[:, :-1, :-1]).any(0)


def part_around(added: Gaussians, camera: Cameras, seen: Bool[Tensor, "rows columns"] | None = None) -> PartOfPicture | None:
    """The cells of a view in which added Gaussians may show, but for those that need not be looked at (``seen``); None where
    they show in none."""
    looked_at = Footprints.of(added, camera).cells()
    if seen is not None:
        looked_at &= ~seen.to(looked_at.device)
    if not looked_at.any():
        return None
    cells = dilate(looked_at[None], 1)[0]
    row, column = torch.nonzero(cells, as_tuple=True)
    rows, columns = slice(int(row.min()), int(row.max()) + 1), slice(int(column.min()), int(column.max()) + 1)
    left, top = CELL * columns.start, CELL * rows.start
    width, height = min(camera.width, CELL * columns.stop) - left, min(camera.height, CELL * rows.stop) - top
    pixels = looked_at[rows, columns].repeat_interleave(CELL, 0).repeat_interleave(CELL, 1)[:height, :width]
    return PartOfPicture(camera.part(left, top, width, height), pixels[None], cells[rows, columns])


@dataclass(frozen=True)
class Trimmed:
    """What some of ``n`` Gaussians must become so that they do not show in a view.

    Attributes:
        log_scales: of all of them, ``[n, 3]``.
        kept: those that are not left out, ``[n]``.
    """

    log_scales: Float[Tensor, "n 3"]
    kept: Bool[Tensor, " n"]

    def both(self, other: Trimmed) -> Trimmed:
        """What they must become so that they show in neither of two views."""
        return Trimmed(torch.minimum(self.log_scales, other.log_scales), self.kept & other.kept)

    def of(self, gaussians: Gaussians) -> Gaussians:
        """Those that are left, at their sizes."""
        return gaussians.with_values(log_scales=self.log_scales).select(self.kept)


def trim_leaks(old: Gaussians, added: Gaussians, camera: Cameras, known: Bool[Tensor, "1 h w"]) -> Gaussians:
    """``added`` with those Gaussians that show in a view made smaller, or left out where that does not help.

    Args:
        old: the scene so far.
        camera: of the view to protect.
        known: pixels of it that the scene so far shows.
    """
    trimmed = leaks_trimmed(old, added, camera, known)
    return added if trimmed is None else trimmed.of(added)


def leaks_trimmed(
    old: Gaussians,
    added: Gaussians,
    camera: Cameras,
    known: Bool[Tensor, "1 h w"],
    suspected: Bool[Tensor, " n"] | None = None,
    old_places: Footprints | None = None,
    limits: LeakLimits = STRICT,
) -> Trimmed | None:
    """What added Gaussians must become so that they do not show in a view; None where none does.

    Args:
        old, camera, known: as in ``trim_leaks``.
        suspected: which of the added may show there at all; None: any of them.
        old_places: where in the picture the old ones may show, if that is at hand.
        limits: what counts as leaking.
    """
    device = added.device
    indices = torch.arange(len(added), device=device)
    if suspected is not None:
        indices = indices[suspected.to(device)]
    log_scales, kept = added.log_scales.clone(), torch.ones(len(added), dtype=torch.bool, device=device)
    places = Footprints.of(added.select(indices), camera)
    if old_places is None:
        old_places = Footprints.of(old, camera)
    touched = with_known = _cells_with(known)
    changed = False
    for attempt in range(limits.rounds):
        # Only those are looked at again that lie where something was changed: the others show what they showed.
        again = places.touching(touched)
        if not again.any():
            break
        around = places.select(again).cells() & with_known  # nothing else of the picture is covered
        others = places.touching(around)
        tried = added.with_values(log_scales=log_scales).select(indices[others])
        leaking, plainly = (torch.zeros_like(again) for _ in range(2))
        leaking[others], plainly[others] = _leaking(old.select(old_places.touching(around)), tried, camera, known, limits)
        leaking &= again
        if not leaking.any():
            break
        changed = True
        touched = places.select(leaking).cells() & with_known
        left_out = leaking
        if attempt == 0:  # the thin axis stays: it says how finely the surface was sampled
            left_out = leaking & plainly
            log_scales[indices[leaking & ~plainly], :2] -= math.log(SHRUNK)
        # What they hid in the view may leak then.
        kept[indices[left_out]] = False
        indices, places = indices[~left_out], places.select(~left_out)
    return Trimmed(log_scales, kept) if changed else None


def _cells_with(pixels: Bool[Tensor, "1 h w"]) -> Bool[Tensor, "rows columns"]:
    """The cells of a picture that hold some of these pixels."""
    return F.max_pool2d(pixels.float(), CELL, ceil_mode=True)[0] > 0


def _leaking(
    old: Gaussians, added: Gaussians, camera: Cameras, known: Bool[Tensor, "1 h w"], limits: LeakLimits
) -> tuple[Bool[Tensor, " n"], Bool[Tensor, " n"]]:
    """Which of the added Gaussians cover too much of the known pixels of a view, and which of these would, drawn in, too."""
    scene = Gaussians.cat([old, added])
    covered = contributions(scene, camera, known.float(), chosen=(len(old), len(scene)))[0]
    alone = _alone(added, camera)[0]
    leaking = (covered > limits.pixels) & (covered > limits.share * alone)
    inside = camera.sees(added.means)[0]
    return leaking, leaking & inside & (covered > limits.plain * (alone + LEAST_FOOTPRINT))


def _alone(gaussians: Gaussians, cameras: Cameras) -> Float[Tensor, "v n"]:
    """Pixels that each Gaussian would cover at most if nothing hid it: seen from the front, and only what of it reaches into
    the picture."""
    pixels, depth = cameras.project(gaussians.means)
    radius = cameras.focal.mean(1)[:, None, None] * gaussians.scales[None, :, :2] / depth.clamp_min(1e-12)[..., None]
    size = pixels.new_tensor([cameras.width, cameras.height])
    outside = (torch.maximum(-pixels, pixels - size)).clamp_min(0).norm(dim=-1)
    reaching = torch.erfc(outside / (math.sqrt(2) * radius.amax(-1)).clamp_min(1e-6))
    return 2 * math.pi * radius.prod(-1) * reaching
