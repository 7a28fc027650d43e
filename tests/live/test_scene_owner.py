"""The owner of a scene: what is done is saved, what fails is told and changes nothing."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import thing_before_wall
import torch
from splatmem.config import load_preset
from splatmem.edit.selection import Sphere, Stroke
from splatmem.explore.loop import ExploreState
from splatmem.explore.models import Models
from splatmem.geometry.cameras import Cameras
from splatmem.live.framing import View
from splatmem.live.growing import Growing
from splatmem.live.picking import Picking
from splatmem.live.session import INTERRUPTED, Session, Work
from splatmem.scene import Announce, Scene
from thing_before_wall import MIDDLE, camera

NEAR_BLOCK = Sphere((0.0, 0.2, 1.7), 0.4)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    made = Scene(thing_before_wall.memory(), Models(load_preset("push-pull", ())), "push-pull", source="wall")
    made._record("begin")
    made.save(tmp_path / "scene")
    return made


@pytest.fixture
def session(scene: Scene, tmp_path: Path) -> Iterator[Session]:
    session = Session(scene, tmp_path / "scene")
    session.start()
    yield session
    session.stop()


def carried_out(session: Session, work: Work) -> bool:
    """Has an operation carried out, and waits for its end."""
    ended = threading.Event()
    results: list[bool] = []

    def done(result: bool) -> None:
        results.append(result)
        ended.set()

    session.submit("working", work, done=done)
    assert ended.wait(60)
    return results[0]


def darken(scene: Scene, announce: Announce) -> str:
    scene.recolour(NEAR_BLOCK, exposure=-2.0)
    return "darker"


def test_what_was_done_is_saved_and_told(session: Session, tmp_path: Path) -> None:
    before = session.snapshot
    assert carried_out(session, darken)
    assert session.told.text == "darker"
    assert session.snapshot.version == before.version + 1
    kept = Scene.open(tmp_path / "scene", device="cpu")
    assert torch.equal(kept.memory.gaussians.sh, session.snapshot.memory.gaussians.sh)
    assert not torch.equal(kept.memory.gaussians.sh, before.memory.gaussians.sh)


def test_undo_brings_back_the_bytes(session: Session, tmp_path: Path) -> None:
    before = session.snapshot.memory.gaussians
    assert carried_out(session, darken)
    assert carried_out(session, lambda scene, announce: scene.undo())
    after = session.snapshot
    assert after.can_redo
    for name in ("means", "quats", "log_scales", "opacity_logits", "sh"):
        assert torch.equal(getattr(after.memory.gaussians, name), getattr(before, name))


def test_an_operation_that_fails_changes_nothing(session: Session) -> None:
    before = session.snapshot
    assert not carried_out(session, lambda scene, announce: scene.undo())
    assert session.told.is_error
    assert "nothing to undo" in session.told.text
    assert session.snapshot is before
    assert carried_out(session, darken)


def test_a_fault_of_the_program_does_not_end_the_session(session: Session) -> None:
    def fail(scene: Scene, announce: Announce) -> str:
        raise RuntimeError("a fault")

    assert not carried_out(session, fail)
    assert session.told.text == "RuntimeError: a fault"
    assert carried_out(session, darken)


def test_a_full_disk_is_told_and_made_good_with_the_next_step(
    session: Session, scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Scene) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path))

    with monkeypatch.context() as patch:
        patch.setattr(Scene, "save", full)
        assert not carried_out(session, darken)
        assert "No space left on device" in session.told.text
    assert [step.operation for step in session.snapshot.history] == ["begin", "recolour"]
    assert [step.operation for step in Scene.open(tmp_path / "scene", device="cpu").history] == ["begin"]
    assert carried_out(session, lambda scene, announce: None)
    assert [step.operation for step in Scene.open(tmp_path / "scene", device="cpu").history] == ["begin", "recolour"]


def test_what_is_under_way_can_be_stopped(session: Session) -> None:
    begun = threading.Event()

    def go_on(scene: Scene, announce: Announce) -> str:
        for _ in range(100_000):
            begun.set()
            announce("", 0.5)
        return "never"

    ended = threading.Event()
    session.submit("going on", go_on, done=lambda done: ended.set())
    assert begun.wait(60)
    assert session.activity is not None
    session.stop_current()
    assert ended.wait(60)
    assert session.told.text == "stopped: going on"
    assert session.activity is None


def test_a_selection_is_what_is_changed(session: Session) -> None:
    picking = Picking(session, lambda: None)
    with pytest.raises(ValueError, match="nothing is selected"):
        picking.require()
    picking.pick(lambda memory: Stroke(camera(), [MIDDLE], 12.0), "new")
    assert carried_out(session, lambda scene, announce: None)
    small = len(picking.points)
    assert small > 0
    picking.grow(0.1)
    picking.pick(lambda memory: Sphere((0.0, 0.0, 3.0), 0.3), "add")
    assert carried_out(session, lambda scene, announce: None)
    assert len(picking.points) > small
    picking.invert()
    assert carried_out(session, lambda scene, announce: None)
    chosen = picking.require()
    assert len(picking.points) == int(chosen.chosen.sum()) == len(chosen.chosen) - int((~chosen.chosen).sum())
    gone: list[int] = []
    assert carried_out(session, lambda scene, announce: gone.append(scene.remove(chosen, False)))
    assert gone[0] >= len(picking.points)
    picking.follow(session.snapshot)
    assert picking.picked is None


def test_what_is_told_to_go_is_what_goes(session: Session) -> None:
    picking = Picking(session, lambda: None)
    picking.pick(lambda memory: Stroke(camera(), [MIDDLE], 6.0), "new")
    assert carried_out(session, lambda scene, announce: None)
    assert carried_out(session, lambda scene, announce: None)  # what goes along is found after the selection
    chosen, along = picking.require(), picking.along
    assert along is not None
    assert not (along & chosen.chosen).any()
    told = int((along | chosen.chosen).sum())
    gone: list[int] = []
    assert carried_out(session, lambda scene, announce: gone.append(scene.remove(chosen)))
    assert carried_out(session, lambda scene, announce: scene.undo())
    assert carried_out(session, lambda scene, announce: gone.append(scene.remove(chosen, exactly=True)))
    assert gone == [told, int(chosen.chosen.sum())]


def test_nothing_is_told_to_go_along_where_it_does_not(session: Session) -> None:
    picking = Picking(session, lambda: None, lambda: False)
    picking.pick(lambda memory: Stroke(camera(), [MIDDLE], 6.0), "new")
    assert carried_out(session, lambda scene, announce: None)
    assert carried_out(session, lambda scene, announce: None)  # what goes along is found after the selection
    assert picking.picked is not None
    assert picking.along is None


def test_what_is_kept_in_the_middle_outlives_the_program(session: Session, scene: Scene, tmp_path: Path) -> None:
    turned = Cameras.cat([camera(), camera().turned(25.0), camera().turned(50.0)])
    kept: list[Scene] = []

    def extend(scene: Scene, announce: Announce) -> None:
        def after_window(state: ExploreState) -> None:
            session.keep()
            kept.append(Scene.open(tmp_path / "scene", device="cpu"))  # as after a kill at this moment
            session.stop_current()
            announce("", 0.0)

        scene.extend(turned, after_window=after_window)

    before = session.snapshot
    assert not carried_out(session, extend)
    again = kept[0]
    assert [step.operation for step in again.history] == ["begin", "extend"]
    assert len(again.memory.views) == len(before.memory.views) + 1
    assert Session(again, tmp_path / "scene").told.text == INTERRUPTED
    again.undo()
    assert torch.equal(again.memory.gaussians.means, before.memory.gaussians.means)
    stopped = Scene.open(tmp_path / "scene", device="cpu")
    assert [step.operation for step in stopped.history] == ["begin"], "what is stopped is taken back on disk too"
    assert torch.equal(stopped.memory.gaussians.means, session.snapshot.memory.gaussians.means)


def test_an_empty_selection_is_answered(session: Session) -> None:
    picking = Picking(session, lambda: None)
    picking.pick(lambda memory: Sphere((0.0, 0.0, -50.0), 0.1), "new")
    assert carried_out(session, lambda scene, announce: None)
    assert session.told.is_error
    assert "nothing is there" in session.told.text


def test_the_scene_grows_once_for_a_view_that_lacks_much(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[float] = []
    monkeypatch.setattr(Scene, "look", lambda self, camera, **options: looked.append(camera.fov_x_degrees) or _nothing())
    growing = Growing(session)

    def view(degrees: float) -> View:
        return View(camera().turned(degrees).cam_to_world[0].double(), (128, 72), 0.628, 16 / 9)

    def rests(at: View) -> float | None:
        answer = growing.rests(at)
        assert carried_out(session, lambda scene, announce: None)
        return answer

    assert rests(view(0.0)) is None
    assert (rests(view(40.0)) or 0) > 0.3
    assert rests(view(40.5)) is None
    assert looked == [pytest.approx(60.0, abs=0.1)]
    growing.on = False
    assert rests(view(-40.0)) is None


def _nothing() -> object:
    from splatmem.explore.loop import ExploreState

    return ExploreState(finished=True)


def test_spare_time_is_used_while_nothing_waits_and_given_up_for_what_comes(scene: Scene, tmp_path: Path) -> None:
    session, has_time, at_work, left_off = Session(scene, tmp_path / "scene"), [False], threading.Event(), []
    pieces = iter(("1 of 2", "2 of 2"))

    def spare(scene: Scene, pause: Callable[[], None]) -> str | None:
        at_work.set()
        try:
            while not left_off:
                pause()
        except BaseException:
            left_off.append(True)
            raise
        return next(pieces, None)

    session.in_spare_time(spare, lambda: has_time[0])
    session.start()
    try:
        assert carried_out(session, darken)
        assert not at_work.is_set(), "a view moves"
        has_time[0] = True
        assert at_work.wait(20)
        assert not session.is_busy, "who wants something need not wait until it is done"
        assert carried_out(session, darken)
        assert left_off
        for _ in range(200):
            if session.ahead == "2 of 2":
                break
            time.sleep(0.05)
        assert session.ahead == "2 of 2", "it goes on"
    finally:
        session.stop()
