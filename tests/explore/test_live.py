"""A camera whose path is not known."""

from __future__ import annotations

import pytest
import splatmem as sm
import torch
from splatmem import assets
from splatmem.explore import live
from splatmem.metrics import psnr

PHOTO = assets.path("photos/interior_table.jpg")
FAST = sm.ExploreSettings(photo_refine_steps=4, refine_steps=3)


def walk(first: sm.Cameras, scale: float, steps: int) -> sm.Cameras:
    """Turns and steps at random, and the same way back."""
    generator, cameras = torch.Generator().manual_seed(3), [first]
    for _ in range(steps):
        turn, ahead = (torch.rand(2, generator=generator) - 0.3).tolist()
        cameras.append(cameras[-1].turned(40 * turn).moved(ahead=0.05 * scale * ahead))
    return sm.Cameras.cat([*cameras, *cameras[::-1]])


def test_a_random_walk_and_back_changes_nothing_that_was_shown() -> None:
    scene = sm.Scene.from_photo(PHOTO, (128, 72), settings=FAST)
    cameras = walk(scene.memory.views[0].camera, scene.memory.scale, 8)
    shown, made = [], []
    for index in range(len(cameras)):
        made.append(scene.look(cameras[index]).generated_frames)
        rgb, known = scene.memory.film(cameras[index])
        shown.append(rgb[0])
        assert known.float().mean() > 0.98, f"view {index} was filled"
    assert sum(made) > 1
    assert sum(made[len(cameras) // 2 :]) == 0, "on the way back all is known"
    last = scene.memory.film(cameras)[0]
    assert min(psnr(rgb, before) for rgb, before in zip(last, shown, strict=True)) > 35
    assert min(scene.memory.retention_psnr()) > 35
    looks = [step for step in scene.history if step.operation == "look"]
    assert len(looks) == sum(count > 0 for count in made), "where nothing was made there is no step"


def test_a_look_is_undone_like_any_step() -> None:
    scene = sm.Scene.from_photo(PHOTO, (96, 54), settings=FAST)
    before = len(scene.memory.gaussians)
    assert scene.look(scene.memory.views[0].camera.turned(25.0)).generated_frames > 0
    after = scene.memory.gaussians.means.clone()
    scene.undo()
    assert len(scene.memory.gaussians) == before
    scene.redo()
    assert torch.equal(scene.memory.gaussians.means, after)


def test_what_finds_no_place_is_not_tried_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that is made can be written, as in the slivers that a removal may leave."""
    made: list[int] = []
    monkeypatch.setattr(live, "make_window", lambda memory, cameras, *rest: made.append(len(cameras)))
    scene = sm.Scene.from_photo(PHOTO, (96, 54), settings=FAST)
    first = scene.memory.views[0].camera
    scene.look(first.turned(20.0))
    tried = len(made)
    assert 0 < tried <= 9
    scene.look(first.turned(20.0))
    scene.look(first.turned(20.1))
    assert len(made) == tried, "the same place once more"
    scene.look(first.turned(-20.0))
    assert len(made) > tried, "another place"
    tried = len(made)
    scene.remove(scene.select(region=[(40, 20), (60, 40)]), fill=False)
    scene.look(first.turned(20.0))
    assert len(made) > tried, "the scene is another one now"
