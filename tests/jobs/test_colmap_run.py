"""The whole job, begun with a COLMAP project: its model and its pictures."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from plyfile import PlyData
from splatmem.geometry.cameras import Cameras, relative_to
from splatmem.io.colmap import save_colmap
from splatmem.io.photo import load_photo
from splatmem.io.transforms_json import load_transforms_json
from splatmem.io.video import read_video
from splatmem.memory.session import load_session
from splatmem.metrics import psnr

from forked_commands import ForkedCommands
from scene_folders import there_and_back, write_colmap_binary, write_scene
from textured_room import room

SIZE = (96, 64)
GIVEN = [0, 1, 2, 3]
UNIT = 2.0  # the model's world is in units of half a metre


def in_colmaps_world(cameras: Cameras) -> Cameras:
    """As structure from motion leaves them: turned, moved and in a unit of its own."""
    poses = cameras.world_to_cam.clone()
    poses[:, :3, 3] *= UNIT
    world = torch.tensor([[0, 0, 1, 5], [1, 0, 0, -2], [0, 1, 0, 3], [0, 0, 0, 1.0]])
    return Cameras(poses @ torch.linalg.inv(world), cameras.intrinsics, cameras.width, cameras.height)


@pytest.fixture(scope="module")
def cameras() -> Cameras:
    return there_and_back(12, *SIZE, sway=1.2)


@pytest.fixture(scope="module")
def project(cameras: Cameras, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As COLMAP lays it out: images/ and a binary model in sparse/0/."""
    folder = write_scene(tmp_path_factory.mktemp("project") / "kitchen", cameras[GIVEN], depth=False)
    (folder / "transforms.json").unlink()
    (folder / "sparse" / "0").mkdir(parents=True)
    write_colmap_binary(in_colmaps_world(cameras[GIVEN]), folder / "sparse" / "0", [f"frame_{i:03d}.png" for i in range(4)])
    return folder


@pytest.fixture(scope="module")
def run(project: Path, cameras: Cameras, splatmem: ForkedCommands, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run")
    save_colmap(in_colmaps_world(cameras), out)  # the path too is COLMAP's, in its text format
    ended = splatmem("flyaround", project, "--out", out / "out", "--path", out / "images.txt", "--size", "96x64")
    assert ended.status == 0, ended.err
    return out / "out"


def test_what_the_report_says(run: Path, cameras: Cameras) -> None:
    report = json.loads((run / "report.json").read_text())
    assert (report["source"], report["given_pictures"], report["frames"]) == ("kitchen", 4, len(cameras))
    assert report["size"] == list(SIZE)
    assert report["fov_x_degrees"] == pytest.approx(70.0, abs=0.01)
    assert any(note.startswith("4 pictures were given; where they show the same, their depths") for note in report["notes"])
    assert not any("do not show how their cameras' unit" in note for note in report["notes"]), "they move: the unit is known"
    assert report["unknown_fraction"] < 0.02


def test_the_pictures_are_kept(run: Path, project: Path, cameras: Cameras) -> None:
    memory, _ = load_session(run / "memory")
    views = memory.views[: memory.num_given_views]
    given = relative_to(in_colmaps_world(cameras[GIVEN]), in_colmaps_world(cameras[[0]]))
    names = []
    for view in views:
        index = int((given.centers - view.camera.centers).norm(dim=-1).argmin())
        torch.testing.assert_close(view.camera.world_to_cam[0], given.world_to_cam[index], atol=1e-5, rtol=0)
        picture = load_photo(project / "images" / f"frame_{index:03d}.png", *SIZE).rgb
        assert psnr(memory.read(view.camera).rgb[0], picture) > (32 if index == 0 else 24)
        names.append(index)
    assert sorted(names) == GIVEN


def test_the_film_shows_the_scene_along_the_path(run: Path, cameras: Cameras) -> None:
    made = load_transforms_json(run / "cameras.json")
    # The path came in COLMAP's world, and its poses come back as they were given.
    torch.testing.assert_close(made.world_to_cam.double(), in_colmaps_world(cameras).world_to_cam.double(), atol=1e-5, rtol=0)
    film = torch.stack([torch.from_numpy(frame) for frame in read_video(run / "video.mp4")]).float() / 255
    truth = room().render(cameras).rgb
    assert film.shape == truth.shape
    for frame, true in zip(film, truth, strict=True):
        assert psnr(frame, true) > 24


def test_scene_and_cameras_say_how_their_worlds_lie(run: Path, cameras: Cameras) -> None:
    first = in_colmaps_world(cameras[[0]]).cam_to_world[0].double()
    told = torch.tensor(json.loads((run / "cameras.json").read_text())["world_from_scene"], dtype=torch.float64)
    torch.testing.assert_close(told, first, atol=1e-5, rtol=0)
    (comment,) = PlyData.read(str(run / "scene.ply")).comments
    assert comment == "world_from_scene " + " ".join(repr(value) for value in told.flatten().tolist())
    memory, _ = load_session(run / "memory")
    assert torch.equal(memory.world.world_from_memory, told)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda project: (project / "images").rename(project / "pictures"), "there is no folder .*images"),
        (lambda project: (project / "sparse/0/cameras.bin").unlink(), r"expected cameras\.bin beside images\.bin"),
        (lambda project: (project / "sparse/0/images.bin").write_bytes(b"1 1 0 0 0"), "expected COLMAP's binary format"),
        (lambda project: (project / "sparse/0/images.bin").unlink(), "COLMAP model .* in its sparse/ or in its sparse/0/"),
        (lambda project: (project / "images/frame_002.png").write_bytes(b"x"), r"frame_002\.png cannot be read as a picture"),
    ],
)
def test_damaged_projects(project: Path, splatmem: ForkedCommands, tmp_path: Path, damage, message: str) -> None:
    copy = shutil.copytree(project, tmp_path / "copy")
    damage(copy)
    ended = splatmem("flyaround", copy, "--out", tmp_path / "out", "--size", "96x64")
    assert ended.status == 2
    assert re.search(message, ended.error), ended.error
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out.partial").exists()
