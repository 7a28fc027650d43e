"""The scene as Python users hold it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import splatmem as sm
import torch
from splatmem import assets
from splatmem.gaussians.lift import lift
from splatmem.io.video import read_video
from splatmem.metrics import psnr

PHOTO = assets.path("photos/interior_table.jpg")
SIZE = (128, 72)
FAST = sm.ExploreSettings(photo_refine_steps=10, refine_steps=2)


def grey(partial: sm.PartialFrames, **_: object) -> sm.FilledFrames:
    """The least that an inpainter can be."""
    return sm.FilledFrames(torch.full_like(partial.rgb, 0.5))


@pytest.fixture(scope="module")
def scene() -> sm.Scene:
    made = sm.Scene.from_photo(PHOTO, SIZE, settings=FAST)
    made.explore("turn", frames=12)
    return made


def test_a_scene_is_one_line(scene: sm.Scene) -> None:
    text = repr(scene)
    assert "\n" not in text
    assert text.startswith("Scene of interior_table.jpg (embedded, seed 0, ")
    assert "Gaussians" in text


def test_a_reading_is_one_line(scene: sm.Scene) -> None:
    first = scene.memory.views[0].camera
    assert repr(scene.render(first)) == "MemoryReading of 1 view, 128x72, 100.0 % known"


def test_history_says_what_was_done(scene: sm.Scene) -> None:
    assert [step.operation for step in scene.history] == ["begin", "explore"]
    assert scene.history[0].views == 1
    assert scene.history[1].views == len(scene.memory.views)
    assert scene.history[1].details["path"] == "turn"


def test_a_saved_scene_opens_as_it_was_and_goes_on(scene: sm.Scene, tmp_path: Path) -> None:
    scene.save(tmp_path / "room")
    opened = sm.Scene.open(tmp_path / "room", settings=FAST)
    assert opened.record() == scene.record()
    assert torch.equal(opened.memory.gaussians.means, scene.memory.gaussians.means)
    with pytest.raises(ValueError, match="not empty"):
        scene.save(tmp_path / "room")
    before = len(opened.memory.views)
    opened.explore(opened.memory.views[0].camera[[0, 0]])
    assert len(opened.memory.views) == before, "all of it is known"
    assert [step.operation for step in opened.history] == ["begin", "explore", "explore"]


def test_a_path_is_laid_by_what_was_known_when_it_was_first_made(scene: sm.Scene) -> None:
    assert scene.views_before("turn") == scene.memory.num_given_views == 1
    assert scene.views_before("orbit") == len(scene.memory.views) > 1
    made = sm.Scene.from_photo(PHOTO, SIZE, inpainter=grey, settings=FAST)
    made.explore("turn", frames=6)
    asked = made.trajectory("orbit", 6)
    made.extend("orbit", frames=6)
    assert made.views_before("orbit") < len(made.memory.views)
    assert torch.equal(made.trajectory("orbit", 6).cameras.world_to_cam, asked.cameras.world_to_cam)


def test_a_film_is_read_only(scene: sm.Scene, tmp_path: Path) -> None:
    count = len(scene.memory.gaussians)
    figures = scene.film("dolly", str(tmp_path / "dolly.mp4"), frames=6)
    assert read_video(tmp_path / "dolly.mp4").shape == (6, 72, 128, 3)
    assert figures.file == tmp_path / "dolly.mp4"
    assert len(scene.memory.gaussians) == count


def test_the_photo_is_seen_as_it_was(scene: sm.Scene) -> None:
    photo = scene.memory.first_photo
    assert psnr(scene.render(scene.memory.views[0].camera).rgb[0], photo) > 28


def test_an_inpainter_needs_no_attributes() -> None:
    made = sm.Scene.from_photo(PHOTO, SIZE, inpainter=grey, settings=FAST)
    state = made.explore("turn", frames=6)
    assert state.generated_frames > 0
    assert psnr(made.render(made.memory.views[0].camera).rgb[0], made.memory.first_photo) > 25, "the known is put back"


@pytest.mark.parametrize(
    ("give", "said"),
    [
        (lambda rgb: rgb[:, :-1], r"must give rgb of shape \(1, 72, 128, 3\), got \(1, 71, 128, 3\)"),
        (lambda rgb: rgb * torch.nan, "gave rgb with NaN"),
    ],
)
def test_what_an_inpainter_may_not_give_is_said(give, said: str) -> None:
    def wrong(partial: sm.PartialFrames, **_: object) -> sm.FilledFrames:
        return sm.FilledFrames(give(partial.rgb))

    made = sm.Scene.from_photo(PHOTO, SIZE, inpainter=wrong, settings=FAST)
    with pytest.raises(ValueError, match=f"the inpainter wrong {said}"):
        made.explore("turn", frames=6)


def test_a_planner_of_ones_own_decides(scene: sm.Scene) -> None:
    asked: list[int] = []

    def last_first(memory: sm.SpatialMemory, film: sm.Trajectory, made) -> sm.Plan:
        asked.append(len(made))
        unknown, share = sm.unknown_cells(memory, film.cameras.coarse(32))
        open_frames = [i for i in range(len(film) - 1, 0, -1) if i not in made and unknown[i].any()]
        return sm.Plan(film.at(open_frames[:1]), share)

    made = sm.Scene.from_photo(PHOTO, SIZE, inpainter=grey, planner=last_first, settings=FAST)
    state = made.explore("arc", frames=3)
    assert asked[:2] == [0, 1]
    assert state.windows[0] == [2]


def test_one_embedded_inpainter_serves_two_scenes() -> None:
    inpainter, depth = sm.load_inpainter("embedded"), sm.load_depth_estimator("embedded")

    def made(seed: int) -> sm.Scene:
        scene = sm.Scene.from_photo(PHOTO, SIZE, seed=seed, inpainter=inpainter, depth=depth, settings=FAST)
        scene.explore("turn", frames=6)
        return scene

    first = made(0)
    made(1)
    again = made(0)
    assert torch.equal(first.memory.gaussians.sh, again.memory.gaussians.sh)


def test_a_short_film_has_no_black_frame(tmp_path: Path) -> None:
    made = sm.Scene.from_photo(PHOTO, SIZE, settings=FAST)
    made.explore("turn", frames=6)
    figures = made.film("turn", tmp_path / "turn.mp4", frames=6)
    assert figures.unknown_fraction < 0.05
    assert read_video(tmp_path / "turn.mp4").mean((1, 2, 3)).min() > 20


def test_a_run_that_stopped_at_its_limit_says_so() -> None:
    settings = replace(FAST, max_generated_share=0.0, min_generated_limit=1)
    made = sm.Scene.from_photo(PHOTO, SIZE, inpainter=grey, settings=settings)
    made.explore("turn", frames=12)
    assert any("stopped after 1 generated frames" in note for note in made.notes)


def test_an_empty_memory_answers_in_a_sentence() -> None:
    with pytest.raises(ValueError, match="the memory is empty: write a photo first"):
        sm.Trajectory.preset("turn", sm.SpatialMemory())
    assert repr(sm.SpatialMemory()) == "SpatialMemory of 0 Gaussians, no views yet, 0.0 MB"


def test_a_lifter_takes_the_place_of_depth() -> None:
    """The Gaussians are its own, the photo is the first view, and the memory goes on from there."""
    seen: list[sm.Cameras] = []

    def lifter(photo: torch.Tensor, camera: sm.Cameras) -> sm.Gaussians:
        seen.append(camera)
        depth = torch.full(photo.shape[:2], 2.0)
        return lift(0.8 * photo, depth, camera, torch.ones_like(depth, dtype=torch.bool))

    lifter.metric = True  # type: ignore[attr-defined]
    lifter.name = "flat"  # type: ignore[attr-defined]
    made = sm.Scene.from_photo(PHOTO, SIZE, inpainter=grey, lifter=lifter, fov=50.0, settings=FAST)
    assert (seen[0].width, seen[0].height, round(seen[0].fov_x_degrees)) == (*SIZE, 50)
    assert made.memory.metric
    assert made.memory.scale == pytest.approx(2.0, rel=0.01)
    assert "the photo's Gaussians were made by flat" in made.notes
    photo = sm.load_photo(PHOTO, *SIZE).rgb
    assert psnr(made.memory.first_photo, photo) > 50
    assert psnr(made.render(made.memory.views[0].camera).rgb[0], photo) > 25, "its dark colours were fitted to the photo"
    before = len(made.memory.gaussians)
    assert made.explore("turn", frames=3).generated_frames > 0
    assert len(made.memory.gaussians) > before


def test_a_lifter_that_gives_nothing_says_so() -> None:
    with pytest.raises(ValueError, match="no Gaussians"):
        sm.Scene.from_photo(PHOTO, SIZE, inpainter=grey, lifter=lambda photo, camera: sm.Gaussians.empty(), settings=FAST)
    behind = sm.identity_camera(60, *SIZE).turned(180.0)
    depth = torch.full((SIZE[1], SIZE[0]), 2.0)

    def backwards(photo: torch.Tensor, camera: sm.Cameras) -> sm.Gaussians:
        return lift(photo, depth, behind, torch.ones_like(depth, dtype=torch.bool))

    with pytest.raises(ValueError, match="sees none of the Gaussians"):
        sm.Scene.from_photo(PHOTO, SIZE, inpainter=grey, lifter=backwards, settings=FAST)
