"""Keyframes, shots, and the files that they come from and go to."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from splatmem.config import load_preset
from splatmem.explore.models import Models
from splatmem.geometry.cameras import identity_camera
from splatmem.geometry.world import World
from splatmem.live.files import COLMAP, NERFSTUDIO, PATH_KINDS, SHOTS, TUM, inside, read_path, save_path, uploaded
from splatmem.live.framing import View, fov_y_of_canvas
from splatmem.live.shoot_panel import laid
from splatmem.live.storyboard import FILE, Key, Shot, Storyboard
from splatmem.memory import SpatialMemory
from splatmem.scene import Scene

SIZE = (96, 64)


def key(x: float, degrees: float = 0.0, fov: float = 60.0, seconds: float = 1.0) -> Key:
    camera = identity_camera(fov, *SIZE).turned(0.0, 0.0, degrees).moved(right=x)
    return Key.of(camera.cam_to_world[0], fov, seconds)


def board() -> Storyboard:
    first = Shot("first", (key(0.0), key(0.1, 10.0, 50.0, 0.5), key(0.3, 0.0, 40.0, 1.5)))
    return Storyboard((first, Shot("second", (key(0.3), key(0.0)), prompt="a lamp")))


@pytest.fixture(scope="module")
def scene() -> Scene:
    memory = SpatialMemory(down=torch.tensor([0.0, 1.0, 0.0]))
    rgb, depth = torch.full((64, 96, 3), 0.5), torch.full((64, 96), 2.0)
    memory.write(rgb, depth, identity_camera(60.0, *SIZE), torch.ones(64, 96, dtype=torch.bool))
    return Scene(memory, Models(load_preset("push-pull", ())), "push-pull")


def test_a_shot_passes_its_keyframes_at_their_times() -> None:
    shot = board().shots[0]
    cameras = shot.cameras(24, *SIZE)
    assert len(cameras) == 49  # two seconds, and the last keyframe
    for frame, place in ((0, 0), (12, 1), (48, 2)):
        assert torch.allclose(cameras.cam_to_world[frame], shot.keys[place].cam_to_world.float(), atol=1e-5)
        assert cameras[frame].fov_x_degrees == pytest.approx(shot.keys[place].fov, abs=1e-3)
    assert torch.allclose(shot.at(0.5, *SIZE).cam_to_world, cameras.cam_to_world[12:13], atol=1e-5)
    assert len(shot.lasting(4.0).cameras(24, *SIZE)) == 97


def test_a_closed_shot_goes_back_to_its_first_keyframe_and_does_not_show_it_twice() -> None:
    shot = replace(board().shots[0], closed=True)
    cameras = shot.cameras(24, *SIZE)
    assert len(cameras) == 72  # three seconds: the first keyframe's are those from the last to it
    step = (cameras.centers[1:] - cameras.centers[:-1]).norm(dim=-1).max()
    assert (cameras.centers[0] - cameras.centers[-1]).norm() < 1.5 * step


@pytest.mark.parametrize("keys", [(), (key(0.0),)])
def test_too_few_keyframes_are_no_path(keys: tuple[Key, ...]) -> None:
    with pytest.raises(ValueError, match="needs two keyframes"):
        Shot("short", keys).cameras(24, *SIZE)


def test_keyframes_are_reordered_and_taken_away() -> None:
    shot = board().shots[0]
    assert shot.moved_key(0, 1).keys == (shot.keys[1], shot.keys[0], shot.keys[2])
    assert shot.moved_key(0, -1) == shot
    assert shot.without_key(1).keys == (shot.keys[0], shot.keys[2])


def test_a_storyboard_is_kept_in_the_scenes_folder(tmp_path: Path) -> None:
    assert Storyboard.load(tmp_path) == Storyboard()
    board().save(tmp_path)
    kept = Storyboard.load(tmp_path)
    assert torch.allclose(kept.cameras(*SIZE).world_to_cam, board().cameras(*SIZE).world_to_cam, atol=1e-6)
    assert kept.shots[1].prompt == "a lamp"


@pytest.mark.parametrize(
    "wrong",
    [
        replace(board(), fps=float("nan")),
        replace(board(), fps=0.0),
        board().with_shot(0, board().shots[0].lasting(1e-4)),
        board().with_shot(1, board().shots[1].lasting(5000.0)),
    ],
)
def test_what_could_not_be_read_again_is_not_saved(tmp_path: Path, wrong: Storyboard) -> None:
    board().save(tmp_path)
    with pytest.raises(ValueError, match=r"frames a second|from one keyframe to the next"):
        wrong.save(tmp_path)
    assert Storyboard.load(tmp_path).fps == board().fps


@pytest.mark.parametrize("damage", ["{", "[]", '{"shots": [], "fps": 24}', '{"shots": [{"name": "x"}], "fps": 24}'])
def test_a_damaged_storyboard_names_itself(tmp_path: Path, damage: str) -> None:
    (tmp_path / FILE).write_text(damage)
    with pytest.raises(ValueError, match=r"storyboard\.json is damaged"):
        Storyboard.load(tmp_path)


@pytest.mark.parametrize("kind", PATH_KINDS)
def test_what_was_saved_is_read_again(tmp_path: Path, scene: Scene, kind: str) -> None:
    file = save_path(board(), kind, tmp_path, SIZE, World())
    shots = read_path(file, scene, board(), "read")
    whole = board().cameras(*SIZE)
    read = Storyboard(shots).cameras(*SIZE)
    assert len(read) == len(whole)
    assert torch.allclose(read.world_to_cam, whole.world_to_cam, atol=2e-4)
    if kind != TUM:  # which holds no lens
        assert torch.allclose(read.intrinsics, whole.intrinsics, rtol=1e-3)
    assert len(shots) == (2 if kind == SHOTS else 1)
    assert save_path(board(), kind, tmp_path, SIZE, World()) != file


def test_camera_path_json_is_nerfstudios(tmp_path: Path) -> None:
    content = json.loads(save_path(board(), NERFSTUDIO, tmp_path, SIZE, World()).read_text())
    assert content["camera_type"] == "perspective"
    first = content["camera_path"][0]
    assert first["camera_to_world"] == pytest.approx([1, 0, 0, 0, 0, -1, 0, 0, 0, 0, -1, 0, 0, 0, 0, 1], abs=1e-6)
    assert first["fov"] == pytest.approx(42.1, abs=0.1)  # vertical, of 60 degrees across 3:2


def test_colmaps_folder_holds_its_three_files(tmp_path: Path) -> None:
    folder = save_path(board(), COLMAP, tmp_path, SIZE, World())
    assert {file.name for file in folder.iterdir()} == {"cameras.txt", "images.txt", "points3D.txt"}


@pytest.mark.parametrize("name", ["../a.mp4", "/etc/passwd", "..", "a/b.mp4", "", "a\0b", ".hidden", "a\\..\\b", "x" * 200])
def test_names_do_not_lead_out_of_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        inside(tmp_path, name)


def test_links_do_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "films" / "film.mp4").symlink_to(tmp_path / "secret")
    with pytest.raises(ValueError, match="leads out"):
        inside(tmp_path / "films", "film.mp4")


def test_uploads_are_path_files_and_are_not_kept() -> None:
    with pytest.raises(ValueError, match="expected a path file"), uploaded("a.exe", b""):
        pass
    with uploaded("../../x.json", b"{}") as file:
        assert file.read_bytes() == b"{}"
        assert file.name == "upload.json"
    assert not file.exists()


@pytest.mark.parametrize("name", ["turn", "orbit", "arc", "spiral", "dolly"])
def test_a_preset_begins_at_the_view_that_it_is_laid_from(scene: Scene, name: str) -> None:
    camera = identity_camera(50.0, *SIZE).turned(20.0, 5.0)
    view = View(camera.cam_to_world[0].double(), SIZE, fov_y_of_canvas(SIZE, 1.5, 50.0), 1.5)
    shot, _ = laid(name, view, 2.0, SIZE, scene)
    assert torch.allclose(shot.keys[0].cam_to_world, view.cam_to_world, atol=1e-5)
    assert shot.keys[0].fov == pytest.approx(50.0, abs=0.01)
    assert shot.seconds == pytest.approx(4.0)


@pytest.mark.parametrize("canvas", [(1600, 900), (900, 1600), (700, 700), (1, 500)])
def test_the_films_frame_lies_whole_in_the_canvas(canvas: tuple[int, int]) -> None:
    view = View(torch.eye(4, dtype=torch.float64), canvas, fov_y_of_canvas(canvas, 16 / 9, 60.0), 16 / 9)
    width, height = view.frame
    assert width <= canvas[0] + 1e-6
    assert height <= canvas[1] + 1e-6
    assert view.fov_x_degrees == pytest.approx(60.0, abs=1e-3)
    small = view.canvas_camera(160)
    assert small.focal[0, 0] == pytest.approx(view.film_camera(160, 90).focal[0, 0])
