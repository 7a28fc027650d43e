"""What kind of place the first view of a memory shows."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from splatmem.classes import PixelClass, PixelClasses
from splatmem.depth.classes import classify
from splatmem.memory import SpatialMemory
from splatmem.memory.stored_view import StoredView
from splatmem.pixels import from_uint8

OPEN_SHARE = 0.25
"""Share of a picture that shows the open air: a room shows less through its windows."""
ROOM = 10.0
"""Metres: of a room hardly a wall is farther away."""
CLOSE_UP = 1.6
"""Metres: what fills a view from nearer, in the median, is no room, whatever its background is taken for."""


def in_the_open(classes: PixelClasses, depth: Float[Tensor, "h w"], metric: bool) -> bool:
    """Whether a picture shows no room: by what its pixels show, or by how far away they are.

    Args:
        classes: what the pixels show.
        depth: their z-depth, ``inf`` for sky.
        metric: whether its unit is the metre.
    """
    outdoors = classes.where(PixelClass.SKY, PixelClass.GROUND, PixelClass.VEGETATION)
    far = torch.isfinite(depth) & (depth > ROOM)
    built = classes.where(PixelClass.BUILDING)
    outdoors |= built & far if metric else built  # white walls of a room are taken for buildings
    return outdoors.float().mean().item() > OPEN_SHARE or (metric and far.float().mean().item() > OPEN_SHARE)


def shows_room(memory: SpatialMemory) -> bool:
    """Whether the first view of a memory shows a room, or something in a room. Where no model has told that, it shows a room if
    it shows no place in the open and is no close-up, which shows no place."""
    assert memory.down is not None
    view, close_up = memory.views[0], memory.metric and memory.scale < CLOSE_UP
    classes = classes_of(view, memory.down)
    if classes.indoors is not None:
        return classes.indoors
    return not close_up and not in_the_open(classes, view.depth, memory.metric)


def classes_of(view: StoredView, down: Float[Tensor, "3"]) -> PixelClasses:
    """What the pixels of a view show."""
    return classify(from_uint8(view.rgb), view.depth, view.camera, down) if view.classes is None else view.classes
