"""Undo and redo, in memory and in a session; who made what."""

from __future__ import annotations

from pathlib import Path

import pytest
import splatmem as sm
import torch
from splatmem import assets
from splatmem.edit.provenance import Makers
from splatmem.memory import SpatialMemory
from splatmem.memory.content_hash import content_hash

PHOTO = assets.path("photos/interior_table.jpg")
SIZE = (96, 54)
FAST = sm.ExploreSettings(photo_refine_steps=2, refine_steps=1)


def fingerprint(memory: SpatialMemory) -> tuple[object, ...]:
    views = [
        (v.rgb.sum().item(), v.depth.nan_to_num(posinf=9).sum().item(), v.written.sum().item(), v.gaussians)
        for v in memory.views
    ]
    return content_hash(memory.gaussians, 0, len(memory.gaussians)), len(memory.gaussians), views, memory.scale


@pytest.fixture
def scene() -> sm.Scene:
    return sm.Scene.from_photo(PHOTO, SIZE, settings=FAST)


def test_undo_and_redo_of_windows_and_steps_are_exact(scene: sm.Scene, tmp_path: Path) -> None:
    states = [fingerprint(scene.memory)]
    scene.explore("arc", 8)
    states.append(fingerprint(scene.memory))
    windows = len(scene.history[-1].windows)
    scene.extend("turn", 8, prompt="a hall")
    states.append(fingerprint(scene.memory))
    assert scene.history[-1].details["prompt"] == "a hall"
    record = scene.record()
    with pytest.raises(ValueError, match="3 steps cannot be undone: since the scene began there were 2"):
        scene.undo(3)
    scene.undo()
    assert fingerprint(scene.memory) == states[1]
    scene.undo(windows=windows)
    assert fingerprint(scene.memory) == states[0]
    with pytest.raises(ValueError, match="nothing to undo"):
        scene.undo()
    scene.redo(windows + 1)
    assert fingerprint(scene.memory) == states[2]
    assert scene.record() == record
    scene.undo(windows=1)
    before = fingerprint(scene.memory)
    scene.save(tmp_path / "room")
    opened = sm.Scene.open(tmp_path / "room", settings=FAST)
    assert fingerprint(opened.memory) == before
    opened.redo()
    assert fingerprint(opened.memory) == states[2]
    opened.undo(2)
    opened.save()
    assert fingerprint(sm.Scene.open(tmp_path / "room").memory) == states[0]


def test_each_gaussian_knows_its_maker(scene: sm.Scene) -> None:
    scene.explore("turn", 8)
    step, window = scene.makers.step, scene.makers.window
    assert len(step) == len(scene.memory.gaussians)
    begun = scene.history[0].gaussians  # the photo, and what may stand behind its things
    assert begun >= scene.memory.views[0].gaussians[1]
    assert (step[:begun] == 0).all()
    assert (window[:begun] == -1).all()
    assert (step[begun:] == 1).all()
    assert window[-1] == len(scene.history[1].windows) - 1
    assert torch.equal(Makers.of_json(scene.makers.to_json()).window, window)


def test_an_operation_that_fails_leaves_the_scene_as_it_was(scene: sm.Scene) -> None:
    before, record = fingerprint(scene.memory), scene.record()
    asked = []

    def breaks(stage: str, share: float) -> None:
        asked.append(share)
        if len(asked) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scene.extend("turn", 8, announce=breaks)
    assert fingerprint(scene.memory) == before
    assert scene.record() == record
    scene.extend("turn", 8)
    assert fingerprint(scene.memory) != before
