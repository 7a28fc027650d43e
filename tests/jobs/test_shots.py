"""A film of several shots: its file and its cameras."""

from __future__ import annotations

from pathlib import Path

import pytest
import splatmem as sm
from splatmem import assets
from splatmem.io.video import read_video
from splatmem.jobs.edit import film
from splatmem.jobs.edit_options import FilmOptions
from splatmem.jobs.shots import Shot, read_shots, shot_trajectory

FAST = sm.ExploreSettings(photo_refine_steps=2, refine_steps=1)
WALK = "keyframes:\n  - {position: [0, 0, 0], look_at: [0, 0, 2]}\n  - {position: [0.3, 0, 0.1], look_at: [0, 0, 2]}\n"


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shots") / "room"
    sm.Scene.from_photo(assets.path("photos/interior_table.jpg"), (96, 54), settings=FAST).save(folder)
    return folder


def test_a_list_of_shots(tmp_path: Path, room: Path) -> None:
    (tmp_path / "walk.yaml").write_text(WALK)
    (tmp_path / "shots.yaml").write_text(
        "shots:\n  - {path: arc, frames: 7}\n  - {path: walk.yaml, fov: 40, seconds: 0.5, prompt: a hall}\n"
    )
    shots = read_shots(tmp_path / "shots.yaml", fps=10)
    assert shots == [Shot("arc", 7), Shot(str(tmp_path / "walk.yaml"), 5, 40.0, "a hall")]
    scene = sm.Scene.open(room)
    first, second = (shot_trajectory(shot, scene, None) for shot in shots)
    assert (len(first), len(second)) == (7, 5)
    assert second.cameras.fov_x_degrees == pytest.approx(40)
    assert second.cameras.centers[-1].tolist() == pytest.approx([0.3, 0, 0.1], abs=1e-5)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("shots: []", "expected a list of shots"),
        ("- {frames: 3}", "shot 1: expected a path"),
        ("- {path: arc, lens: 3}", "expected path, frames, seconds, fov, prompt, got lens"),
        ("- {path: arc, frames: 3, seconds: 1}", "frames or seconds, not both"),
        ("- {path: arc, fov: 400}", "fov in degrees is a number from 1 to 170, got 400"),
        ("- {path: arc, frames: 0}", "a shot has 1 to 10000 frames, got 0"),
    ],
)
def test_what_is_no_shot(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "shots.yaml").write_text(text)
    with pytest.raises(ValueError, match=said):
        read_shots(tmp_path / "shots.yaml", 24.0)


def test_the_film_is_cut_and_what_it_lacks_is_made(tmp_path: Path, room: Path) -> None:
    (tmp_path / "shots.yaml").write_text("- {path: arc, frames: 4}\n- {path: dolly, frames: 3, fov: 50}\n")
    before = len(sm.Scene.open(room).memory.views)
    made = film(FilmOptions(scene=room, shots=tmp_path / "shots.yaml", out=tmp_path / "film.mp4"))
    assert read_video(tmp_path / "film.mp4").shape == (7, 54, 96, 3)
    assert made.generated_frames > 0
    scene = sm.Scene.open(room)
    assert len(scene.memory.views) == before + made.generated_frames
    assert [step.operation for step in scene.history] == ["begin", "extend", "extend"]
    again = film(FilmOptions(scene=room, shots=tmp_path / "shots.yaml", out=tmp_path / "again.mp4", no_fill=True))
    assert again.generated_frames == 0
    assert made.film.unknown_fraction < 0.03
