"""What was looked at stays, also where nothing was written from there."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from splatmem.edit.history import put
from splatmem.geometry.cameras import Cameras, identity_camera
from splatmem.geometry.filters import dilate
from splatmem.memory import SpatialMemory, held_views
from splatmem.metrics import psnr

CAMERA = identity_camera(60.0, 64, 36)
ASIDE = CAMERA.moved(right=2.0).turned(-20.0)  # sees the wall past the edge of the first view's free space
ALL = torch.ones(36, 64, dtype=torch.bool)


def shown(memory: SpatialMemory, camera: Cameras) -> tuple[torch.Tensor, torch.Tensor]:
    rgb, known = memory.film(camera)
    return rgb[0], known[0]


@pytest.fixture
def memory() -> SpatialMemory:
    """A grey wall."""
    memory = SpatialMemory()
    memory.write(torch.full((36, 64, 3), 0.4), torch.full((36, 64), 4.0), CAMERA, ALL)
    return memory


def hang_something_before(memory: SpatialMemory, camera: Cameras) -> float:
    """PSNR of what a camera was shown when something bright has been written right before it."""
    before, known = shown(memory, camera)
    known = ~dilate(~known[None], 4)[0]  # thin rims may be covered
    assert known.float().mean() > 0.3
    memory.write(torch.full((36, 64, 3), 0.9), torch.full((36, 64), 0.8), camera, ALL)
    return psnr(shown(memory, camera)[0], before, known)


def test_what_was_looked_at_is_not_hidden_by_what_is_written_later(memory: SpatialMemory) -> None:
    other = replace(memory, _held=held_views.HeldViews())
    assert hang_something_before(other, ASIDE) < 25
    memory.hold(ASIDE)
    assert hang_something_before(memory, ASIDE) > 40
    assert len(memory.gaussians) > 0


def test_a_view_is_held_once_and_the_oldest_are_let_go(memory: SpatialMemory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_views, "MOST_HELD", 3)
    memory.hold(CAMERA)
    assert not memory._held.views, "what was written is held already"
    for _ in range(2):
        memory.hold(ASIDE)
    assert len(memory._held.views) == 1
    others = [ASIDE.turned(angle) for angle in (5.0, 10.0, 15.0)]
    for camera in others:
        memory.hold(camera)
    assert [view.camera.forward.tolist() for view in memory._held.views] == [camera.forward.tolist() for camera in others]


def test_nothing_is_held_in_another_scene(memory: SpatialMemory) -> None:
    memory.hold(ASIDE)
    assert not memory.as_given()._held.views
    put(memory, replace(memory))
    assert not memory._held.views


def test_of_views_from_one_place_the_latest_stands_for_all() -> None:
    near = CAMERA.moved(right=0.00006)
    between = CAMERA.moved(right=0.00012)  # at the second alone
    cameras = Cameras.cat([CAMERA, near, CAMERA.turned(10.0), between])
    assert held_views.latest_of_alike(cameras, torch.tensor([0, 1, 2, 3]), 1.0).tolist() == [True, False, True, True]
    assert held_views.latest_of_alike(cameras, torch.tensor([3, 2, 1, 0]), 1.0).tolist() == [True, False, True, True]
    assert held_views.latest_of_alike(cameras, torch.tensor([0, 3, 1, 2]), 1.0).tolist() == [False, True, True, False]
    beside = Cameras.cat([CAMERA, CAMERA.moved(right=0.005)])
    assert held_views.latest_of_alike(beside, torch.tensor([0, 1]), 1.0).all(), "one may see past an edge"
    longer = Cameras.cat([CAMERA, identity_camera(50.0, 64, 36)])
    assert held_views.latest_of_alike(longer, torch.tensor([0, 1]), 1.0).all(), "a longer lens sees less"
    assert held_views.latest_of_alike(longer, torch.tensor([1, 0]), 1.0).tolist() == [True, False]


def test_a_write_is_held_off_from_the_latest_of_the_views_from_one_place(
    memory: SpatialMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = torch.zeros_like(ALL)
    for right in (2.0, 2.0, 2.0):
        memory.write(torch.full((36, 64, 3), 0.4), torch.full((36, 64), 4.0), CAMERA.moved(right=right), nothing)
    asked = []
    monkeypatch.setattr(memory, "_trimmed", lambda index, *_: asked.append(index))
    memory.write(torch.full((36, 64, 3), 0.4), torch.full((36, 64), 3.9), CAMERA.moved(right=1.0), ALL)
    assert asked == [0, 3]


def test_views_at_one_place_stand_in_for_later_ones_that_see_no_more_finely() -> None:
    coarse, fine = CAMERA.turned(10.0), CAMERA.resized(128, 72)
    assert held_views.covering([CAMERA, coarse, CAMERA.moved(right=0.01), fine], 1.0) == [[], [0], [], []]
    assert held_views.covering([fine, CAMERA], 1.0) == [[], [0]]


def test_a_glance_tells_what_a_reading_does(memory: SpatialMemory) -> None:
    glance, reading = memory.glance(ASIDE), memory.read(ASIDE)
    assert torch.equal(glance.known, reading.known[0])
    assert torch.equal(glance.depth, reading.depth[0])
    assert glance.unknown == pytest.approx(1 - float(reading.known.float().mean()), abs=0.01)
