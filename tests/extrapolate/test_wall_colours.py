"""The colours in which the walls of a room go on."""

from __future__ import annotations

import torch
from splatmem.classes import PixelClass, PixelClasses
from splatmem.extrapolate.plain_room import PlainRoom
from splatmem.extrapolate.wall_colours import wall_colours
from splatmem.geometry.cameras import Cameras
from splatmem.memory import SpatialMemory

from textured_room import room

WIDTH, HEIGHT = 96, 72
WHITE, BROWN, BLUE = torch.tensor([0.85, 0.85, 0.8]), torch.tensor([0.5, 0.35, 0.25]), torch.tensor([0.3, 0.4, 0.6])


def told(rgb: torch.Tensor, labels: torch.Tensor) -> SpatialMemory:
    """A memory of the room that shows these colours, told to be of these classes."""
    view = Cameras.from_fov(torch.eye(4)[None], 60.0, WIDTH, HEIGHT)
    classes = PixelClasses(labels, torch.zeros(HEIGHT, WIDTH, dtype=torch.int16))
    memory = SpatialMemory(down=torch.tensor([0.0, 1.0, 0.0]))
    memory.write(rgb, room().render(view).depth[0], view, torch.ones(HEIGHT, WIDTH, dtype=torch.bool), classes=classes)
    return memory


def columns(*parts: tuple[int, torch.Tensor]) -> torch.Tensor:
    """A picture of upright stripes of so many columns."""
    stripes = torch.cat([colour.expand(count, 3) for count, colour in parts])
    return stripes.expand(HEIGHT, -1, 3).clone()


def everywhere(kind: PixelClass) -> torch.Tensor:
    return torch.full((HEIGHT, WIDTH), int(kind), dtype=torch.uint8)


def wall_at(plain: PlainRoom, camera: Cameras, azimuth: float) -> torch.Tensor:
    """The colour of the wall at eye height in some direction, in degrees."""
    turned = camera.turned(azimuth)
    middle = turned.intrinsics[0, :2, 2].long()
    return plain.render(turned).rgb[0, middle[1], middle[0]]


def test_each_side_has_its_own_colour_and_no_mixture() -> None:
    memory = told(columns((48, BLUE), (24, BROWN), (24, WHITE)), everywhere(PixelClass.WALL))
    view = memory.views[0]
    assert view.classes is not None
    left, right = wall_colours(view, view.classes)
    torch.testing.assert_close(left, BLUE, atol=0.04, rtol=0)
    torch.testing.assert_close(right, WHITE, atol=0.04, rtol=0)


def test_what_is_no_wall_says_nothing_where_walls_are_seen() -> None:
    labels = everywhere(PixelClass.WALL)
    labels[:, 72:] = int(PixelClass.THING)
    labels[:, :20] = int(PixelClass.OPENING)
    memory = told(columns((20, torch.ones(3)), (52, BROWN), (24, BLUE)), labels)
    view = memory.views[0]
    assert view.classes is not None
    torch.testing.assert_close(wall_colours(view, view.classes), BROWN.expand(2, 3), atol=0.04, rtol=0)


def test_walls_go_on_at_both_ends_of_the_photo_as_they_are_there() -> None:
    memory = told(columns((48, BLUE), (48, WHITE)), everywhere(PixelClass.WALL))
    camera = memory.views[0].camera
    plain = PlainRoom.around(memory, camera)
    torch.testing.assert_close(wall_at(plain, camera, -31.0), BLUE, atol=0.05, rtol=0)
    torch.testing.assert_close(wall_at(plain, camera, 31.0), WHITE, atol=0.05, rtol=0)


def test_a_dark_photo_has_no_night_around_it() -> None:
    dark, lit = torch.full((3,), 0.05), torch.full((3,), 0.9)
    rgb = columns((36, dark), (24, lit), (36, dark))
    labels = everywhere(PixelClass.WALL)
    labels[:, 36:60] = int(PixelClass.THING)
    memory = told(rgb, labels)
    camera = memory.views[0].camera
    plain = PlainRoom.around(memory, camera)
    light = float((rgb**2.2).mean() ** (1 / 2.2))
    assert all(float(wall_at(plain, camera, azimuth).mean()) > 0.75 * light for azimuth in (90.0, 135.0, 180.0, 225.0, 270.0))
