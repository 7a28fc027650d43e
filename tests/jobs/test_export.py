"""`splatmem export`, `cameras`, `render`, `inspect` and `extend` with files of every format, as a user runs them."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import splatmem as sm
import torch
from PIL import Image
from plyfile import PlyData
from splatmem.io.path_files import load_path
from splatmem.io.source import read_source
from splatmem.io.video import read_video
from splatmem.metrics import psnr

from forked_commands import ForkedCommands

ENDINGS = [
    ".compressed.ply", ".splat", ".ksplat", ".spz", ".sog", ".glb",
    *(pytest.param(e, marks=pytest.mark.skipif(find_spec("pxr") is None, reason="needs usd-core")) for e in (".usdc", ".usdz")),
]  # fmt: skip


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_scene_is_the_same_picture_in_every_format(
    splatmem: ForkedCommands, small_run: Path, tmp_path: Path, ending: str
) -> None:
    ended = splatmem("export", small_run, tmp_path / f"s{ending}")
    assert ended.status == 0, ended.err
    assert "x right" in ended.err, "it says which axes the file has"
    memory = sm.load_session(small_run / "memory")[0]
    read = sm.load_splats(tmp_path / f"s{ending}")
    assert len(read) == len(memory.gaussians)
    camera = memory.views[0].camera
    pictures = [sm.SpatialMemory(g, list(memory.views)).read(camera).rgb for g in (memory.gaussians, read)]
    assert psnr(*pictures) >= 35


def test_flyaround_leaves_a_small_scene_and_a_page(small_run: Path) -> None:
    sizes = {name: (small_run / name).stat().st_size for name in ("scene.ply", "scene.spz", "scene.html")}
    assert sizes["scene.spz"] < sizes["scene.ply"] / 15
    assert len(sm.load_splats(small_run / "scene.spz")) == len(sm.load_splats(small_run / "scene.ply"))
    page = (small_run / "scene.html").read_text()
    assert page.startswith("<!")
    assert 'src="http' not in page


def test_a_file_is_filmed(splatmem: ForkedCommands, small_run: Path, tmp_path: Path) -> None:
    ended = splatmem(
        "render", small_run / "scene.spz", "--out", tmp_path / "v.mp4", "--path", "orbit", "--frames", 3, "--size", "96x64",
        "--fov", 60,
    )  # fmt: skip
    assert ended.status == 0, ended.err
    memory = sm.load_session(small_run / "memory")[0]
    first = torch.from_numpy(read_video(tmp_path / "v.mp4")[0]).float() / 255
    assert psnr(first, memory.read(memory.views[0].camera).rgb[0]) > 25, "from the first camera, upright and not mirrored"


def test_a_file_is_extended(splatmem: ForkedCommands, small_run: Path, tmp_path: Path) -> None:
    ended = splatmem("extend", small_run / "scene.spz", "--out", tmp_path / "s", "--path", "arc", "--frames", 4)
    assert ended.status == 0, ended.err
    assert len(sm.Scene.open(tmp_path / "s").memory.gaussians) >= len(sm.load_splats(small_run / "scene.spz"))


def test_a_file_is_converted(splatmem: ForkedCommands, small_run: Path, tmp_path: Path) -> None:
    ended = splatmem("export", small_run / "scene.spz", tmp_path / "s.ply", "--compact")
    assert ended.status == 0, ended.err
    assert len(sm.load_ply(tmp_path / "s.ply")) == len(sm.load_splats(small_run / "scene.spz"))


def test_a_data_set(splatmem: ForkedCommands, small_run: Path, tmp_path: Path) -> None:
    """Both of its descriptions give the film's cameras back; frames and points are those of the scene."""
    data = tmp_path / "data"
    ended = splatmem("export", small_run, "--dataset", data)
    assert ended.status == 0, ended.err
    cameras = sm.Scene.open(small_run).film_cameras
    assert cameras is not None
    source = read_source(data, None, 96, 64, None)
    assert source.cameras is not None
    assert len(source.rgb) == len(cameras) == 12
    torch.testing.assert_close(source.cameras.world_to_cam, cameras.world_to_cam, atol=1e-5, rtol=0)
    colmap = load_path(data / "sparse" / "0", width=96, height=64, fov_x_degrees=60.0)
    torch.testing.assert_close(colmap.world_to_cam, cameras.world_to_cam, atol=1e-5, rtol=0)
    film = torch.from_numpy(read_video(small_run / "video.mp4")).float() / 255
    assert psnr(source.rgb, film) > 28
    vertex = PlyData.read(str(data / "points.ply"))["vertex"]
    places = torch.from_numpy(np.stack([vertex[name] for name in "xyz"], -1))
    rows = [line.split() for line in (data / "sparse/0/points3D.txt").read_text().splitlines()[1:]]
    assert len(rows) == len(places) > 1000
    np.testing.assert_allclose(np.array([row[1:4] for row in rows], np.float64), places, rtol=1e-6)
    assert [int(value) for value in rows[5][4:7]] == [int(vertex[name][5]) for name in ("red", "green", "blue")]
    again = splatmem("export", small_run, "--dataset", data)
    assert again.status == 2
    assert "not empty" in again.error


def test_colmap_itself_reads_a_data_set(splatmem: ForkedCommands, small_run: Path, tmp_path: Path) -> None:
    pycolmap = pytest.importorskip("pycolmap", reason="needs pycolmap: the extra 'colmap'")
    ended = splatmem("export", small_run, "--dataset", tmp_path / "data")
    assert ended.status == 0, ended.err
    model = pycolmap.Reconstruction(str(tmp_path / "data/sparse/0"))
    film = sm.Scene.open(small_run).film_cameras
    assert film is not None
    images = sorted(model.images.values(), key=lambda image: image.name)
    poses = np.stack([image.cam_from_world().matrix() for image in images])
    np.testing.assert_allclose(poses, film.world_to_cam[:, :3], atol=1e-5)
    (lens,) = model.cameras.values()
    np.testing.assert_allclose(lens.calibration_matrix(), film.intrinsics[0], rtol=1e-6)
    # The points lie where the pictures show their colours; those that something hides are in the minority of the photo's view.
    picture = np.asarray(Image.open(tmp_path / "data/images" / images[0].name), np.float32)
    differences = []
    for point in model.points3D.values():
        place = images[0].project_point(point.xyz)
        if place is not None and 0 <= place[0] < lens.width and 0 <= place[1] < lens.height:
            differences.append(np.abs(picture[int(place[1]), int(place[0])] - point.color).mean())
    assert len(differences) > 500
    assert np.median(differences) < 20


def test_a_data_set_needs_a_film(splatmem: ForkedCommands, small_run: Path, tmp_path: Path) -> None:
    ended = splatmem("export", small_run / "scene.spz", "--dataset", tmp_path / "data")
    assert ended.status == 2
    assert "has no film whose frames could be written" in ended.error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["camera_path.json", "transforms.json", "a.txt", "model", "a.supersplat.json"])
def test_cameras(splatmem: ForkedCommands, small_run: Path, tmp_path: Path, name: str) -> None:
    ended = splatmem("cameras", small_run, tmp_path / name)
    assert ended.status == 0, ended.err
    cameras = sm.Scene.open(small_run).film_cameras
    assert cameras is not None
    read = load_path(tmp_path / name, width=96, height=64, fov_x_degrees=60.0)
    torch.testing.assert_close(read.centers, cameras.centers, atol=1e-4, rtol=0)
    torch.testing.assert_close(read.forward, cameras.forward, atol=1e-4, rtol=0)
    if "supersplat" not in name:  # whose cameras have no roll
        torch.testing.assert_close(read.world_to_cam, cameras.world_to_cam, atol=1e-4, rtol=0)


def test_cameras_of_another_path(splatmem: ForkedCommands, small_run: Path, tmp_path: Path) -> None:
    ended = splatmem("cameras", small_run, tmp_path / "a.py", "--path", "orbit", "--frames", 5)
    assert ended.status == 0, ended.err
    assert "5 cameras as a script for Blender" in ended.err
    assert "import bpy" in (tmp_path / "a.py").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("export", "{run}"), "say what to write"),
        (("export", "{run}", "{out}/a.obj"), "expected a name that ends in .ply, "),
        (("export", "{run}", "{out}/a.spz", "--compact"), "--compact is a choice of .ply files"),
        (("export", "{out}/nothere.spz", "{out}/a.ply"), "there is no file"),
        (("export", "{run}/report.json", "{out}/a.ply"), "or a file of splats that ends in"),
        (("render", "{run}/scene.spz", "--out", "{out}/a.mp4", "--fill"), "make a scene of it first"),
        (("cameras", "{run}", "{out}/a.fbx"), "it is not known which cameras"),
        (("cameras", "{run}/scene.spz", "{out}/a.txt"), "has no film of its own"),
        (("inspect", "{run}/scene.spz", "--colour", "trust"), "does not say who made it"),
        (("extend", "{run}/scene.spz"), "name a folder for the scene with --out"),
    ],
)  # fmt: skip
def test_refused(splatmem: ForkedCommands, small_run: Path, tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    ended = splatmem(*(word.format(run=small_run, out=tmp_path) for word in arguments))
    assert ended.status == 2
    assert said in ended.error
    assert list(tmp_path.iterdir()) == []


def test_inspect_shows_a_file(splatmem: ForkedCommands, small_run: Path, tmp_path: Path) -> None:
    pytest.importorskip("open3d", reason="needs Open3D: the extra 'inspect' or 'inspect-cpu'")
    ended = splatmem("inspect", small_run / "scene.spz", "--screenshot", tmp_path / "p.png")
    if ended.status == 2 and "libegl1" in ended.err:
        pytest.skip(f"Open3D cannot draw here: {ended.error}")
    assert ended.status == 0, ended.err
    with Image.open(tmp_path / "p.png") as picture:
        assert (np.abs(np.asarray(picture.convert("RGB")).astype(float) - 255).max(-1) > 8).mean() > 0.1
