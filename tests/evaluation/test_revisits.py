"""Walks out and back: what is compared with what."""

from __future__ import annotations

import pytest
import torch
from splatmem.classes import PixelClass, PixelClasses
from splatmem.edit.selection import Box
from splatmem.evaluation.revisits import ThingRemoval, middle_of_a_thing, pixels_of, walk
from splatmem.geometry.cameras import Cameras, identity_camera
from splatmem.memory import SpatialMemory

CAMERAS = Cameras.cat([identity_camera(60.0, 64, 64)] * 3)


class StubMemory:
    def __init__(self, owner: StubScene) -> None:
        self.owner = owner

    def film(self, camera: Cameras) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.full((1, 64, 64, 3), self.owner.grey), torch.ones(1, 64, 64, dtype=torch.bool)


class StubScene:
    """Every look makes it a little brighter; so far from what it was are places that are seen again."""

    def __init__(self, step: float) -> None:
        self.grey, self.step, self.memory = 0.25, step, StubMemory(self)

    def look(self, camera: Cameras) -> None:
        self.grey += self.step


@pytest.mark.breaks_annotations
def test_places_are_compared_with_their_first_visit() -> None:
    found = walk(StubScene(0.01), CAMERAS, 2)  # type: ignore[arg-type]
    # 0 1 2 1 0, 1 2 1 0: the first three are new.
    assert [one.frame for one in found] == [1, 0, 1, 2, 1, 0]
    assert [one.visit for one in found] == [1, 1, 2, 1, 3, 2]
    steps = [2, 4, 4, 4, 6, 8]
    expected = [-20 * torch.log10(torch.tensor(0.01 * n)).item() for n in steps]
    assert [one.psnr for one in found] == pytest.approx(expected, abs=0.01)


@pytest.mark.breaks_annotations
def test_what_a_change_is_meant_to_alter_counts_as_it_is_afterwards_and_nothing_else() -> None:
    left = torch.zeros(1, 64, 64, 1, dtype=torch.bool)
    left[:, :, :32] = True

    def darken(meant: torch.Tensor) -> object:
        def change(scene: StubScene, cameras: Cameras) -> list[torch.Tensor]:
            scene.grey -= 0.2
            return [meant] * len(cameras)

        return change

    everywhere, half = torch.ones_like(left), left
    found = walk(StubScene(0.0), CAMERAS, 3, [darken(everywhere)])  # type: ignore[arg-type, list-item]
    assert {one.psnr for one in found} == {100.0}
    assert [one.ssim for one in found] == pytest.approx([1.0] * len(found))
    found = walk(StubScene(0.0), CAMERAS, 2, [darken(half)])  # type: ignore[arg-type, list-item]
    assert found[-1].psnr == pytest.approx(-10 * torch.log10(torch.tensor(0.04 / 2)).item(), abs=0.01)


def test_the_thing_that_is_taken_away_is_neither_tiny_nor_most_of_the_picture() -> None:
    things = torch.zeros(40, 50, dtype=torch.int16)
    things[:20] = 1  # half of the picture
    things[25:31, 10:20] = 2
    things[35, 35] = 3
    classes = PixelClasses(torch.full((40, 50), int(PixelClass.THING), dtype=torch.uint8), things)
    x, y = middle_of_a_thing(classes) or (0, 0)
    assert things[int(y), int(x)] == 2
    assert (x, y) == (pytest.approx(15, abs=1), pytest.approx(28, abs=1))
    assert middle_of_a_thing(PixelClasses(classes.labels, (things == 1).short())) is None


def a_square_before_a_wall() -> tuple[SpatialMemory, Cameras]:
    """Rows and columns 24 to 39 of the picture show a square half as far away as the wall: a thing."""
    camera = identity_camera(60.0, 64, 64)
    depth, rgb = torch.full((64, 64), 4.0), torch.full((64, 64, 3), 0.5)
    depth[24:40, 24:40] = 2.0
    things = (depth < 3).short()
    labels = torch.where(things > 0, int(PixelClass.THING), int(PixelClass.WALL)).byte()
    memory = SpatialMemory()
    memory.write(rgb, depth, camera, torch.ones(64, 64, dtype=torch.bool), classes=PixelClasses(labels, things))
    return memory, camera


class EditedScene:
    """A scene of which more is taken away than was selected, as a shadow goes with its thing."""

    def __init__(self, selected: Box, gone: Box) -> None:
        self.memory, self.camera = a_square_before_a_wall()
        self.selected, self.gone, self.asked = selected, gone, 0

    def select(self, at: tuple[float, float]) -> Box:
        return self.selected

    def remove(self, selection: Box) -> None:
        self.asked += 1
        self.memory.gaussians = self.memory.gaussians.select(~self.gone.mask(self.memory))


LEFT_HALF, SQUARE, NOTHING = Box((-1, -1, 1.5), (0, 1, 2.5)), Box((-1, -1, 1.5), (1, 1, 2.5)), Box((8, 8, 8), (9, 9, 9))


@pytest.mark.breaks_annotations
def test_all_that_goes_with_a_thing_is_meant_to_change() -> None:
    scene = EditedScene(selected=LEFT_HALF, gone=SQUARE)
    (meant,) = ThingRemoval()(scene, scene.camera)  # type: ignore[arg-type]
    assert meant[0, 24:40, 24:40].all()
    assert not meant[0, :10].any()


@pytest.mark.breaks_annotations
def test_where_the_thing_cannot_be_selected_nothing_is_taken_away() -> None:
    scene = EditedScene(selected=NOTHING, gone=SQUARE)
    assert ThingRemoval()(scene, scene.camera) == []  # type: ignore[arg-type]
    assert scene.asked == 0


def test_pixels_of_a_thing_are_those_that_show_it() -> None:
    """A near square before a wall, and one that the wall hides: only the near one shows."""
    memory, camera = a_square_before_a_wall()
    near, hidden = Box((-1, -1, 1.5), (1, 1, 2.5)).mask(memory), Box((-9, -9, 8), (9, 9, 9)).mask(memory)
    (shown,) = pixels_of(memory.gaussians, near, camera)
    assert shown[0, 24:40, 24:40].all()
    beside = shown.clone()
    beside[0, 14:50, 14:50] = False
    assert not beside.any()
    assert not pixels_of(memory.gaussians, hidden, camera)[0].any()
