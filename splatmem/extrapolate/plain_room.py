"""A room that goes on plainly: walls, floor and ceiling where no view shows them, each in the colour that was seen of it.

What a photo of a room shows does not come again beside it: pictures, windows and lamps that are seen twice make a hall of
mirrors. Bare sides that meet at sharp edges are what a stranger takes for the rest of a room. Walls go on from each side of the
photo in the colour that they have there; behind the camera the one becomes the other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from splatmem.classes import PixelClass, PixelClasses
from splatmem.extrapolate.azimuth import AzimuthRange
from splatmem.extrapolate.first_view import classes_of
from splatmem.extrapolate.room_layout import RoomLayout
from splatmem.extrapolate.scene import fit_scene_layout
from splatmem.extrapolate.wall_colours import wall_colours
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.filters import maximum
from splatmem.memory import SpatialMemory
from splatmem.memory.stored_view import StoredView
from splatmem.pixels import from_uint8

ENOUGH = 0.01
"""Share of a picture that must show a floor or a ceiling for its colour to be taken from there."""
FLOOR_LIGHT, CEILING_LIGHT = 0.65, 1.08
"""How bright, in units of the walls, a floor and a ceiling are that no view shows."""
LIGHTER_REACH = math.radians(20)
"""Angle beside the photo over which walls that are darker than the photo become as light as that, but for 1/e."""
GAMMA = 2.2
"""Of sRGB, roughly."""
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
        directions: what the first view shows of a turn.
        walls: sRGB of the walls where that ends at its left and at its right, in full light, ``[2, 3]``.
        lighter: what is added to these far from there, ``[2, 1]``.
        ceiling, floor: sRGB of these.
        light: share of the full light on the walls at right angles to the box's x and z axes, ``[2]``.
    """

    layout: RoomLayout
    directions: AzimuthRange
    walls: Float[Tensor, "2 3"]
    lighter: Float[Tensor, "2 1"]
    ceiling: Float[Tensor, "3"]
    floor: Float[Tensor, "3"]
    light: Float[Tensor, "2"]

    @staticmethod
    def around(memory: SpatialMemory, cameras: Cameras) -> PlainRoom:
        """The room that closes what a memory shows, in the colours of its first view.

        Args:
            memory: with at least one view.
            cameras: that will look at it: all of them are inside.
        """
        assert memory.down is not None
        layout, view = fit_scene_layout(memory, cameras), memory.views[0]
        classes, directions = classes_of(view, memory.down), AzimuthRange.of(view.camera, memory.down)
        walls = wall_colours(view, classes)
        # What a photo shows close by may be dark in a room that is not: walls become as light as the photo as a whole.
        lighter = (_light(from_uint8(view.rgb)) - walls.mean(-1, keepdim=True)).clamp_min(0)
        ceiling, floor = _ceiling_and_floor(view, classes, (walls + lighter).mean(0), lighter.mean())
        ahead = layout.axes @ view.camera.forward[0]
        light = 1 - SHADE * ahead[[2, 0]].square()
        # What the photo shows of a wall shows it in its light already.
        ends = torch.tensor([directions.left, directions.right])[:, None]
        rays = (ends.sin() * directions.axes[0] + ends.cos() * directions.axes[2]) @ layout.axes.T
        centre = layout.axes @ directions.center
        across = torch.where(rays > 0, layout.high - centre, layout.low - centre) / rays
        walls = walls / light[across[:, [0, 2]].argmin(-1)][:, None]
        return PlainRoom(layout, directions, walls, lighter, ceiling, floor, light)

    def render(self, cameras: Cameras) -> PlainReading:
        """What cameras inside the room see of it."""
        reading = self.layout.render(cameras)
        axis = reading.axis[..., None]
        upright, high = axis != 1, reading.position[..., 1:2] < 0
        walls = self._wall_colours(cameras, reading.depth) * torch.where(axis == 0, *self.light)
        rgb = torch.where(upright, walls, torch.where(high, self.ceiling, self.floor))
        size = self.layout.high - self.layout.low
        apart = 0.5 * (1 - reading.position.abs()) * size / size[1]
        shade = 1 - CORNER_SHADE * torch.exp(-apart / CORNER_REACH)
        rgb = rgb.clamp(0, 1) * shade.scatter(-1, axis, 1.0).prod(dim=-1, keepdim=True)
        # Edges are soft, as a camera shows them: lifted, a stair of whole pixels is a saw.
        edge = maximum(reading.axis, 3) != -maximum(-reading.axis, 3)
        soft = F.avg_pool2d(rgb.permute(0, 3, 1, 2), 3, 1, 1, count_include_pad=False).permute(0, 2, 3, 1)
        return PlainReading(torch.where(edge[..., None], soft, rgb), reading.depth)

    def _wall_colours(self, cameras: Cameras, depth: Float[Tensor, "t h w"]) -> Float[Tensor, "t h w 3"]:
        """Of walls at some depth, in full light: from the right end of what the first view shows behind it to the left one, and
        within it from one to the other; lighter the farther from it."""
        turned = (self.directions.azimuth(cameras.unproject(depth)) - self.directions.right) % (2 * math.pi)
        unseen = 2 * math.pi - self.directions.width
        left = torch.where(turned < unseen, turned / unseen, (2 * math.pi - turned) / self.directions.width)[..., None]
        away = torch.minimum(turned, unseen - turned).clamp_min(0)[..., None]
        walls, lighter = (torch.lerp(some[1], some[0], left) for some in (self.walls, self.lighter))
        return walls + lighter * (1 - torch.exp(-away / LIGHTER_REACH))


def _ceiling_and_floor(
    view: StoredView, classes: PixelClasses, walls: Float[Tensor, "3"], lighter: Float[Tensor, ""]
) -> tuple[Float[Tensor, "3"], Float[Tensor, "3"]]:
    """Colours of ceiling and floor in a room with such walls, which become lighter by so much."""
    rgb = from_uint8(view.rgb)
    empty = (classes.things == 0) & view.written

    def colour(kind: PixelClass, light: float) -> Float[Tensor, "3"]:
        shown = classes.where(kind) & empty
        return rgb[shown].median(dim=0).values + light * lighter if shown.float().mean() > ENOUGH else light * walls

    return colour(PixelClass.CEILING, CEILING_LIGHT), colour(PixelClass.FLOOR, FLOOR_LIGHT)


def _light(rgb: Float[Tensor, "h w 3"]) -> Float[Tensor, ""]:
    """How light a picture is as a whole, as a value of sRGB: the mean is one of light, not of values."""
    return rgb.pow(GAMMA).mean().pow(1 / GAMMA)
