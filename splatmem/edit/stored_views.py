"""The frames that a memory has stored, brought into line with a memory that was changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.gaussians import Gaussians
from splatmem.gaussians.draw import rasterize
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.filters import dilate
from splatmem.memory import PlainPictures, SpatialMemory, StoredView
from splatmem.pixels import from_uint8, to_uint8
from splatmem.threads import side_by_side

SHOWS = 0.02  # opacity from which on something shows at a pixel
MARGIN = 16  # pixels drawn around what is looked at: what is known, and colours in gaps, are told by neighbours


@dataclass(frozen=True)
class Shown:
    """Where some Gaussians show in a view.

    Attributes:
        where: pixels, ``[h, w]``.
        depth: their z-depth there, ``[h, w]``; 0 elsewhere.
    """

    where: Bool[Tensor, "h w"]
    depth: Float[Tensor, "h w"]


@torch.no_grad()
def shown_in(gaussians: Gaussians, camera: Cameras) -> Shown | None:
    """Where Gaussians would show in a view if nothing stood before them; None where they would not."""
    if not len(gaussians) or not camera.sees(gaussians.means.cpu()).any():
        return None
    drawn = rasterize(gaussians, camera.to(gaussians.device))
    where = drawn.alpha[0].cpu() > SHOWS
    return Shown(where, drawn.depth[0].cpu()) if where.any() else None


@torch.no_grad()
def shown_among(gaussians: Gaussians, chosen: Bool[Tensor, " n"], camera: Cameras) -> Shown | None:
    """Where the chosen ones of all Gaussians show in a view, between the others; None where they do not.

    A wide Gaussian reaches far under what stands before it. There it does not show, and nothing is missed without it.
    """
    alone = shown_in(gaussians.select(chosen.to(gaussians.device)), camera)
    if alone is None:
        return None
    share = chosen.to(gaussians.means)[:, None]
    rectangle = rectangle_around(alone.where, 0)
    drawn = rasterize(gaussians, part_of(camera, rectangle).to(gaussians.device), extra=share)
    assert drawn.extra is not None
    where = torch.zeros_like(alone.where)
    where[rectangle] = (drawn.extra[0, ..., 0].cpu() > SHOWS) & alone.where[rectangle]
    return Shown(where, torch.where(where, alone.depth, 0.0)) if where.any() else None


def rectangle_around(where: Bool[Tensor, "h w"], margin: int) -> tuple[slice, slice]:
    """Rows and columns of the rectangle around some pixels, at least one, and a margin within the picture."""
    rows, columns = (torch.nonzero(where.any(axis))[:, 0] for axis in (1, 0))
    first, last = (max(0, int(i[0]) - margin) for i in (rows, columns)), (int(i[-1]) + margin + 1 for i in (rows, columns))
    row, column = (slice(*ends) for ends in zip(first, last, strict=True))
    return slice(row.start, min(row.stop, where.shape[0])), slice(column.start, min(column.stop, where.shape[1]))


def part_of(camera: Cameras, rectangle: tuple[slice, slice]) -> Cameras:
    """The camera of some rows and columns of a picture."""
    rows, columns = rectangle
    return camera.part(columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)


def renumbered(views: Sequence[StoredView], kept: Bool[Tensor, " n"]) -> list[StoredView]:
    """The views after the Gaussians that are not ``kept`` were taken away."""
    before = torch.cat([torch.zeros(1, dtype=torch.int64), kept.cumsum(0)])
    return [replace(view, gaussians=(int(before[view.gaussians[0]]), int(before[view.gaussians[1]]))) for view in views]


def seen_again(memory: SpatialMemory, changed: Sequence[Bool[Tensor, "h w"] | None]) -> SpatialMemory:
    """The memory with what its views store replaced, where something has changed, by what they show now.

    What is unknown there now keeps its depth (the space before it is still known to be empty) and counts as never written.

    Args:
        changed: pixels of each view; None where nothing has.
    """
    views = side_by_side(lambda part: _seen_again(memory, *part), list(zip(memory.views, changed, strict=True)))
    return replace(memory, views=views)


def _seen_again(memory: SpatialMemory, view: StoredView, where: Bool[Tensor, "h w"] | None) -> StoredView:
    """A view with what it stores replaced, at some pixels, by what it shows now."""
    if where is None or not where.any():
        return view
    where = dilate(where[None], 1)[0]
    rectangle = rectangle_around(where, MARGIN)
    now = memory.read(part_of(view.camera, rectangle))
    rgb, depth, lost = from_uint8(view.rgb).clone(), view.depth.clone(), torch.zeros_like(where)
    inner = where[rectangle]
    known = inner & now.known[0]
    rgb[rectangle] = torch.where(inner[..., None], now.rgb[0], rgb[rectangle])
    depth[rectangle] = torch.where(known, now.depth[0], depth[rectangle])
    lost[rectangle] = inner & ~now.known[0]
    first = view is memory.views[0]
    written = view.written & ~lost if first else view.written | lost
    classes = None if view.classes is None else view.classes.without(where)
    return replace(view, pictures=PlainPictures(torch.from_numpy(to_uint8(rgb)), depth, written, classes))
