"""A room that goes on plainly."""

from __future__ import annotations

import pytest
import torch
from splatmem.classes import PixelClass, PixelClasses
from splatmem.extrapolate.plain_room import CEILING_LIGHT, FLOOR_LIGHT, SHADE, PlainRoom
from splatmem.geometry.cameras import Cameras
from splatmem.memory import SpatialMemory

from textured_room import room

WALL, FLOOR = torch.tensor([0.8, 0.7, 0.6]), torch.tensor([0.4, 0.2, 0.1])
WIDTH, HEIGHT = 96, 72


def seen(with_floor: bool) -> SpatialMemory:
    """A memory of the room, looked at along its length, with walls in one colour, the floor in another and a red thing."""
    view = Cameras.from_fov(torch.eye(4)[None], 80.0, WIDTH, HEIGHT)
    shown = room().render(view)
    on_floor = (shown.position[0, ..., 1] > 0.999) & torch.tensor(with_floor)
    labels = torch.where(on_floor, int(PixelClass.FLOOR), int(PixelClass.WALL)).to(torch.uint8)
    rgb = torch.where(on_floor[..., None], FLOOR, WALL)
    things = torch.zeros(HEIGHT, WIDTH, dtype=torch.int16)
    things[30:50, 10:40] = 1
    labels[things > 0] = int(PixelClass.THING)
    rgb[things > 0] = torch.tensor([1.0, 0.0, 0.0])
    memory = SpatialMemory(down=torch.tensor([0.0, 1.0, 0.0]))
    everywhere = torch.ones(HEIGHT, WIDTH, dtype=torch.bool)
    memory.write(rgb, shown.depth[0], view, everywhere, classes=PixelClasses(labels, things))
    return memory


def middle_of(plain: PlainRoom, camera: Cameras, axis: int, side: float) -> torch.Tensor:
    """The colour of a side far from where it meets another."""
    position = plain.layout.render(camera).position[0]
    on_side = (position[..., axis] * side > 0.999) & (position.abs().sort(dim=-1).values[..., 1] < 0.5)
    assert on_side.any()
    return plain.render(camera).rgb[0][on_side].median(dim=0).values


@pytest.mark.parametrize("with_floor", [True, False])
def test_sides_have_the_colours_that_were_seen_of_them(with_floor: bool) -> None:
    memory = seen(with_floor)
    view = memory.views[0].camera
    plain = PlainRoom.around(memory, view)
    floor = FLOOR if with_floor else FLOOR_LIGHT * WALL
    for direction, axis, side, colour in (
        ((0.0, 0.0, -1.0), 2, -1, WALL),
        ((1.0, 0.0, 0.0), 0, 1, (1 - SHADE) * WALL),
        ((0.0, 1.0, 0.0), 1, 1, floor),
        ((0.0, -1.0, 0.0), 1, -1, CEILING_LIGHT * WALL),
    ):
        ahead = torch.tensor(direction)
        up = torch.tensor([0.0, 0.0, 1.0]) if direction[1] else torch.tensor([0.0, 1.0, 0.0])
        pose = torch.eye(4)
        pose[:3, :3] = torch.stack([torch.linalg.cross(up, ahead), up, ahead])
        camera = Cameras.from_fov(torch.linalg.inv(pose)[None], 100.0, 64, 64)
        torch.testing.assert_close(middle_of(plain, camera, axis, side), colour, atol=0.03, rtol=0)


def test_sides_are_darker_where_they_meet() -> None:
    memory = seen(True)
    behind = memory.views[0].camera.turned(180.0)
    plain = PlainRoom.around(memory, behind)
    position, reading = plain.layout.render(behind).position[0], plain.render(behind)
    wall = position[..., 2] < -0.999
    corner, middle = wall & (position[..., :2].abs().amax(-1) > 0.95), wall & (position[..., :2].abs().amax(-1) < 0.5)
    assert reading.rgb[0][corner].mean() < 0.93 * reading.rgb[0][middle].mean()


def test_a_low_room_has_a_ceiling_all_the_same() -> None:
    """What is taken for a floor may be a table."""
    view = Cameras.from_fov(torch.eye(4)[None], 60.0, WIDTH, HEIGHT)
    depth = torch.full((HEIGHT, WIDTH), 3.0)
    rows = view.world_rays()[0][..., 1]
    depth = torch.where(rows > 0.1, torch.minimum(depth, 0.4 / rows.clamp_min(1e-3)), depth)
    memory = SpatialMemory(metric=True, down=torch.tensor([0.0, 1.0, 0.0]))
    memory.write(torch.full((HEIGHT, WIDTH, 3), 0.6), depth, view, torch.ones(HEIGHT, WIDTH, dtype=torch.bool))
    layout = PlainRoom.around(memory, view).layout
    assert float(layout.high[1] - layout.low[1]) > 2.4
