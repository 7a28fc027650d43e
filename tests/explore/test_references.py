"""The pictures of the scene that an inpainter is shown beside a window."""

from __future__ import annotations

import pytest
import torch
from splatmem.explore.loop import references
from splatmem.geometry.cameras import Cameras
from splatmem.memory import SpatialMemory

from textured_room import room, turn

SEEN = (0, 3, 6, 18)  # of 24 directions: the photo, two to the right of it, and one to the left


@pytest.fixture(scope="module")
def around() -> Cameras:
    return turn(24, 64, 36)


@pytest.fixture(scope="module")
def memory(around: Cameras) -> SpatialMemory:
    made, seen = SpatialMemory(), room().render(around)
    for index in SEEN:
        unknown = torch.ones(36, 64, dtype=torch.bool)
        if made.views:
            unknown = ~made.read(around[index]).known[0]
        made.write(seen.rgb[index], seen.depth[index], around[index], unknown)
    return made


def shown(memory: SpatialMemory, window: Cameras, count: int) -> list[int]:
    """Which of the 24 directions the pictures were taken in."""
    chosen = references(memory, window, count)
    assert chosen is not None
    assert chosen.rgb.shape[:3] == chosen.depth.shape == (len(chosen.cameras), 36, 64)
    numbers = []
    for rgb, camera in zip(chosen.rgb, chosen.cameras.world_to_cam, strict=True):
        (index,) = [i for i, view in enumerate(memory.views) if torch.equal(view.camera.world_to_cam[0], camera)]
        assert torch.equal(rgb, memory.views[index].rgb.float() / 255)
        numbers.append(SEEN[index])
    return numbers


def test_the_photo_leads_and_what_overlaps_most_follows(memory: SpatialMemory, around: Cameras) -> None:
    assert shown(memory, around[[5, 6]], 2) == [0, 6]
    assert shown(memory, around[[3, 4]], 3) == [0, 3, 6]
    assert shown(memory, around[[5, 6]], 3) == [0, 6, 3]
    assert shown(memory, around[[17, 18]], 2) == [0, 18]


def test_what_shows_nothing_of_the_window_is_left_out(memory: SpatialMemory, around: Cameras) -> None:
    assert shown(memory, around[[18]], 4) == [0, 18]
    assert shown(memory, around[[12]], 4) == [0], "behind the photo's camera only the photo is shown"


def test_as_many_as_are_asked_for(memory: SpatialMemory, around: Cameras) -> None:
    assert shown(memory, around[[3]], 1) == [0]
    assert references(memory, around[[3]], 0) is None
