"""What goes on behind a hole that a removal leaves in a view, by what its surroundings show."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from splatmem.classes import LEVEL_CLASSES, PixelClass, PixelClasses
from splatmem.depth.behind import LEVEL_RIM, Behind, continue_behind
from splatmem.edit.stored_views import rectangle_around
from splatmem.extrapolate.continuation import same_colours
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.distance import distance_inside
from splatmem.geometry.nearest import nearest_pixels
from splatmem.memory import MemoryReading

FIRST_THING = 3
"""Number of the first kind that is a thing."""
COARSE = 0.03  # of a view's width: how far outlines of classes may be off


@dataclass(frozen=True)
class Hole:
    """What a view shows of what was taken away.

    Attributes:
        camera: of the view.
        where: pixels, ``[h, w]``.
        depth: z-depth of what was there, ``[h, w]``.
        shadow: pixels beside it of which only its shadow was taken away, ``[h, w]``.
        surface: z-depth of what the shadow lay on, there, ``[h, w]``.
    """

    camera: Cameras
    where: Bool[Tensor, "h w"]
    depth: Float[Tensor, "h w"]
    shadow: Bool[Tensor, "h w"]
    surface: Float[Tensor, "h w"]


def behind_hole(hole: Hole, now: MemoryReading, unknown: Bool[Tensor, "h w"], classes: PixelClasses | None) -> Behind:
    """What goes on behind a hole. What a shadow lay on stays where it is."""
    shadow = unknown & hole.shadow
    depth, known, gone = torch.where(shadow, hole.surface, now.depth[0]), now.known[0] | shadow, unknown & ~shadow
    if not gone.any():
        return Behind(depth, torch.where(known, 1, -1))
    kinds = None if classes is None else kinds_around(classes, now.rgb[0], unknown)
    level = None if classes is None else classes.where(*LEVEL_CLASSES)
    behind = _continued(depth, known, gone, _filled_depth(hole), level, kinds)
    nearest = nearest_pixels(behind.label >= 0) if shadow.any() and (behind.label >= 0).any() else None
    return behind if nearest is None else replace(behind, label=torch.where(shadow, behind.label[nearest], behind.label))


def _continued(
    depth: Float[Tensor, "h w"],
    known: Bool[Tensor, "h w"],
    gone: Bool[Tensor, "h w"],
    removed: Float[Tensor, "h w"],
    level: Bool[Tensor, "h w"] | None,
    kinds: Int[Tensor, "h w"] | None,
) -> Behind:
    """``continue_behind``, shown no more of the picture than may tell what goes on; of all of it if there is nothing known."""
    width = depth.shape[1]
    part = rectangle_around(gone, round(LEVEL_RIM * width) + 1)
    if not (known & ~gone)[part].any():
        part = (slice(None), slice(None))
    maps = (None if values is None else values[part] for values in (level, kinds))
    inner = continue_behind(depth[part], known[part], gone[part], removed[part], *maps, picture_width=width)
    whole, label = depth.clone(), torch.full(depth.shape, -1)
    whole[part], label[part] = inner.depth, inner.label
    return Behind(whole, label, inner.num_level)


def kinds_around(classes: PixelClasses, rgb: Float[Tensor, "h w 3"], hole: Bool[Tensor, "h w"]) -> Int[Tensor, "h w"]:
    """Numbers of what goes on for itself around a hole: what is no thing by its class, and each thing.

    Outlines of classes are coarse: what close to the border of a thing has the colours of what is beside it belongs to that.
    """
    kinds = torch.zeros(hole.shape, dtype=torch.int64)
    for number, kind in enumerate((PixelClass.BUILDING, PixelClass.VEGETATION), start=1):
        kinds[classes.where(kind)] = number
    things = classes.where(PixelClass.THING) & (classes.things > 0) & ~hole
    kinds = torch.where(things, classes.things.long() - 1 + FIRST_THING, kinds)
    plain = ~things & ~hole
    if not things.any() or not plain.any():
        return kinds
    near = distance_inside(~plain) <= COARSE * hole.shape[1]
    around = distance_inside(~hole) <= 4 * COARSE * hole.shape[1]
    alike = same_colours(rgb, around & plain) & things & near
    return torch.where(alike, 0, kinds)


def _filled_depth(hole: Hole) -> Float[Tensor, "h w"]:
    """Depth of what was there for all pixels of the hole, those of its rim as the nearest ones of the thing."""
    shown = hole.depth > 0
    return hole.depth[nearest_pixels(shown)] if shown.any() else torch.zeros_like(hole.depth)
