"""A room that goes on plainly: walls, floor and ceiling where no view shows them, each in the colour that was seen of it.

What a photo of a room shows does not come again beside it: pictures, windows and lamps that are seen twice make a hall of
mirrors. Bare sides that meet at sharp edges are what a stranger takes for the rest of a room.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from splatmem.classes import PixelClass
from splatmem.extrapolate.first_view import classes_of
from splatmem.extrapolate.room_layout import RoomLayout
from splatmem.extrapolate.scene import fit_scene_layout
from splatmem.geometry.cameras import Cameras
from splatmem.memory import SpatialMemory
from splatmem.memory.stored_view import StoredView
from splatmem.pixels import from_uint8

ENOUGH = 0.01
"""Share of a picture that must show a side for its colour to be taken from there."""
FLOOR_LIGHT, CEILING_LIGHT = 0.65, 1.08
"""How bright, in units of the walls, a floor and a ceiling are that no view shows."""
SHADE = 0.12
"""Of the light: how much darker a wall is at a right angle to the one that the view looks at. Else nothing shows a corner."""
CORNER_SHADE, CORNER_REACH = 0.2, 0.12
"""How much darker sides are where they meet, and how far from there the shade reaches, in units of the room's height: little
light gets into a corner (ambient occlusion)."""


@dataclass(frozen=True)
class PlainReading:
    """A plain room rendered into ``t`` views.

    Attributes:
        rgb: ``[t, h, w, 3]`` in 0..1.
        depth: z-depth, ``[t, h, w]``.
    """

    rgb: Float[Tensor, "t h w 3"]
    depth: Float[Tensor, "t h w"]


@dataclass(frozen=True)
class PlainRoom:
    """A closed box with plain sides.

    Attributes:
        layout: the box.
        sides: sRGB of the sides -x, +x, -y (ceiling), +y (floor), -z, +z, ``[6, 3]``.
    """

    layout: RoomLayout
    sides: Float[Tensor, "6 3"]

    @staticmethod
    def around(memory: SpatialMemory, cameras: Cameras) -> PlainRoom:
        """The room that closes what a memory shows, in the colours of its first view.

        Args:
            memory: with at least one view.
            cameras: that will look at it: all of them are inside.
        """
        layout, view = fit_scene_layout(memory, cameras), memory.views[0]
        walls, floor, ceiling = _colours(view, memory.down)
        ahead = layout.axes @ view.camera.forward[0]
        aside = torch.stack([1 - SHADE * ahead[2].square(), 1 - SHADE * ahead[0].square()])
        sides = torch.stack([walls * aside[0], walls * aside[0], ceiling, floor, walls * aside[1], walls * aside[1]])
        return PlainRoom(layout, sides.clamp(0, 1))

    def render(self, cameras: Cameras) -> PlainReading:
        """What cameras inside the room see of it."""
        reading = self.layout.render(cameras)
        axis = reading.position.abs().argmax(dim=-1, keepdim=True)
        side = 2 * axis[..., 0] + (reading.position.gather(-1, axis)[..., 0] > 0)
        size = self.layout.high - self.layout.low
        apart = 0.5 * (1 - reading.position.abs()) * size / size[1]
        shade = 1 - CORNER_SHADE * torch.exp(-apart / CORNER_REACH)
        light = shade.scatter(-1, axis, 1.0).prod(dim=-1, keepdim=True)
        return PlainReading(self.sides[side] * light, reading.depth)


def _colours(
    view: StoredView, down: Float[Tensor, "3"] | None
) -> tuple[Float[Tensor, "3"], Float[Tensor, "3"], Float[Tensor, "3"]]:
    """Colours of walls, floor and ceiling."""
    assert down is not None
    rgb = from_uint8(view.rgb)
    classes = classes_of(view, down)
    empty = (classes.things == 0) & view.written

    def median(kind: PixelClass) -> Float[Tensor, "3"] | None:
        shown = classes.where(kind) & empty
        return rgb[shown].median(dim=0).values if shown.float().mean() > ENOUGH else None

    walls = median(PixelClass.WALL)
    if walls is None:
        walls = rgb.flatten(0, 1).median(dim=0).values
    floor, ceiling = median(PixelClass.FLOOR), median(PixelClass.CEILING)
    return walls, FLOOR_LIGHT * walls if floor is None else floor, CEILING_LIGHT * walls if ceiling is None else ceiling
