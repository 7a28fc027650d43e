"""What kind of place a first view shows: a room, the open air, or nothing but what is near."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from splatmem.classes import PixelClass, PixelClasses
from splatmem.extrapolate.first_view import in_the_open, shows_room
from splatmem.extrapolate.plain_land import PlainLand
from splatmem.extrapolate.plain_place import plain_place
from splatmem.extrapolate.plain_room import PlainRoom
from splatmem.memory import SpatialMemory

from textured_room import room as textured_room
from textured_room import turn

HEIGHT, WIDTH = 54, 96
LEVEL_DEPTH = torch.full((HEIGHT, WIDTH), 3.0)


def room() -> PixelClasses:
    """Wall over floor."""
    labels = torch.full((HEIGHT, WIDTH), int(PixelClass.WALL), dtype=torch.uint8)
    labels[40:] = PixelClass.FLOOR
    return PixelClasses(labels, torch.zeros(HEIGHT, WIDTH, dtype=torch.int16))


def written(classes: PixelClasses) -> SpatialMemory:
    """A memory of one view of a room, of which these classes are told."""
    view = turn(1, WIDTH, HEIGHT)[[0]]
    shown = textured_room().render(view)
    memory = SpatialMemory(down=torch.tensor([0.0, 1.0, 0.0]))
    memory.write(shown.rgb[0], shown.depth[0], view, torch.ones(HEIGHT, WIDTH, dtype=torch.bool), classes=classes)
    return memory


def test_a_room_is_not_the_open_air() -> None:
    assert not in_the_open(room(), LEVEL_DEPTH, metric=True)
    assert not in_the_open(room(), 20 * LEVEL_DEPTH, metric=False)


def test_what_is_as_far_away_as_no_wall_is_the_open_air() -> None:
    assert in_the_open(room(), 20 * LEVEL_DEPTH, metric=True)


def test_ground_under_the_sky_is_the_open_air() -> None:
    classes = room()
    classes.labels[:35], classes.labels[35:] = PixelClass.SKY, PixelClass.GROUND
    assert in_the_open(classes, LEVEL_DEPTH, metric=True)


@pytest.mark.parametrize("indoors", [True, False])
@pytest.mark.parametrize("near", [True, False], ids=["close-up", "view"])
def test_what_a_model_tells_of_the_place_is_believed(indoors: bool, near: bool) -> None:
    memory = written(replace(room(), indoors=indoors))
    memory.metric, memory.scale = True, 0.5 if near else 3.0
    assert shows_room(memory) == indoors


@pytest.mark.parametrize(("near", "kind"), [(False, PlainRoom), (True, PlainLand)], ids=["room", "close-up"])
def test_a_room_goes_on_as_a_room_and_a_close_up_does_not(near: bool, kind: type) -> None:
    memory = written(room())
    memory.metric, memory.scale = True, 0.5 if near else 3.0
    assert shows_room(memory) != near
    assert isinstance(plain_place(memory, memory.views[0].camera), kind)
