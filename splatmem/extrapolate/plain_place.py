"""The place that a photo shows, going on plainly: nothing that it shows comes again."""

from __future__ import annotations

from typing import Protocol

from splatmem.extrapolate.first_view import shows_room
from splatmem.extrapolate.plain_land import PlainLand
from splatmem.extrapolate.plain_room import PlainReading, PlainRoom
from splatmem.geometry.cameras import Cameras
from splatmem.memory import SpatialMemory


class PlainPlace(Protocol):
    """A place without things."""

    def render(self, cameras: Cameras) -> PlainReading:
        """What cameras in it see."""
        ...


def plain_place(memory: SpatialMemory, cameras: Cameras) -> PlainPlace:
    """The plain room around what shows a room; plain land around all else.

    Args:
        memory: with at least one view.
        cameras: that will look at it: it leaves room for all of them.
    """
    return PlainRoom.around(memory, cameras) if shows_room(memory) else PlainLand.around(memory, cameras)
