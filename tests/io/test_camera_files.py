"""Cameras for other programs: read back by this package where it reads them, and by what stands for the programs."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from splatmem.geometry.cameras import Cameras
from splatmem.io.cameras.files import save_cameras
from splatmem.io.cameras.kinds import kind_of
from splatmem.io.path_files import load_path

needs_usd = pytest.mark.skipif(find_spec("pxr") is None, reason="needs usd-core: the extra 'usd'")
SIZE = {"width": 96, "height": 64}


def film(roll: float = 0.0) -> Cameras:
    """Cameras on an arc that look ahead and a little down."""
    places = torch.tensor([[0.3 * i, -0.1 * i, 0.05 * i] for i in range(5)])
    targets = torch.tensor([[0.0, 0.3, 3.0]]).repeat(5, 1)
    cameras = Cameras.look_at(places, targets, 60.0, 96, 64)
    if roll:
        turn = torch.eye(4)
        c, s = np.cos(roll), np.sin(roll)
        turn[:2, :2] = torch.tensor([[c, -s], [s, c]])
        cameras = Cameras(turn @ cameras.world_to_cam, cameras.intrinsics, 96, 64)
    return cameras


@pytest.mark.parametrize("name", ["camera_path.json", "transforms.json", "a.txt", "model", "a.supersplat.json"])
def test_is_read_back(tmp_path: Path, name: str) -> None:
    before = film(roll=0.0 if "supersplat" in name else 0.3)  # its cameras have no roll
    save_cameras(before, tmp_path / name)
    after = load_path(tmp_path / name, **SIZE, fov_x_degrees=60.0)
    torch.testing.assert_close(after.world_to_cam, before.world_to_cam, atol=1e-5, rtol=0)
    torch.testing.assert_close(after.intrinsics, before.intrinsics, atol=1e-3, rtol=0)


def test_supersplat_s_world_has_y_up(tmp_path: Path) -> None:
    """The viewer turns .ply and .sog by half a turn about z."""
    save_cameras(film(), tmp_path / "a.supersplat.json", fps=5.0)
    settings = json.loads((tmp_path / "a.supersplat.json").read_text())
    track = settings["animTracks"][0]
    assert (track["duration"], track["frameRate"], track["keyframes"]["times"]) == (1.0, 5.0, [0, 1, 2, 3, 4])
    assert track["keyframes"]["values"]["position"][3:6] == pytest.approx([-0.3, 0.1, 0.05])
    first = settings["cameras"][0]["initial"]
    assert first["position"] == pytest.approx([0, 0, 0])
    assert first["target"][1] < 0 < first["target"][2]
    assert first["fov"] == pytest.approx(60.0), "along the longer side, as the viewer takes it"


@needs_usd
def test_usd(tmp_path: Path) -> None:
    from pxr import Usd, UsdGeom

    before = film(roll=0.3)
    before.intrinsics[:, 0, 2] += 5.0
    save_cameras(before, tmp_path / "a.usda", fps=12.0)
    stage = Usd.Stage.Open(str(tmp_path / "a.usda"))
    assert (stage.GetEndTimeCode(), stage.GetTimeCodesPerSecond()) == (4.0, 12.0)
    point = np.array([0.2, -0.3, 2.5])
    for frame in range(5):
        camera = UsdGeom.Camera(stage.GetPrimAtPath("/World/Camera")).GetCamera(float(frame))
        seen = np.array([0.2, 0.3, -2.5, 1.0]) @ np.array(
            camera.frustum.ComputeViewMatrix() * camera.frustum.ComputeProjectionMatrix()
        )
        x, y = (seen[:2] / seen[3] * [0.5, -0.5] + 0.5) * [96, 64]
        ours = before.intrinsics[frame].double().numpy() @ (before.world_to_cam[frame].double().numpy() @ [*point, 1.0])[:3]
        assert (x, y) == pytest.approx(tuple(ours[:2] / ours[2]), abs=1e-2)


def test_blender(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The script, run with a stand-in for Blender, which projects as Blender's documents say."""
    before = film(roll=0.3)
    before.intrinsics[:, 0, 2] += 5.0
    save_cameras(before, tmp_path / "a.py", fps=24.0)
    keys: dict[tuple[int, str], object] = {}
    lens = SimpleNamespace()
    camera = SimpleNamespace()
    lens.keyframe_insert = lambda name, frame: keys.__setitem__((frame, name), getattr(lens, name))
    camera.keyframe_insert = lambda name, frame: keys.__setitem__((frame, name), camera.matrix_world)
    scene = SimpleNamespace(render=SimpleNamespace(), collection=SimpleNamespace(objects=SimpleNamespace(link=lambda _: None)))
    bpy, mathutils = ModuleType("bpy"), ModuleType("mathutils")
    bpy.context = SimpleNamespace(scene=scene)  # type: ignore[attr-defined]
    bpy.data = SimpleNamespace(  # type: ignore[attr-defined]
        cameras=SimpleNamespace(new=lambda _: lens), objects=SimpleNamespace(new=lambda _, data: camera)
    )
    mathutils.Matrix = np.array  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "bpy", bpy)
    monkeypatch.setitem(sys.modules, "mathutils", mathutils)
    exec(compile((tmp_path / "a.py").read_text(), "a.py", "exec"), {})
    assert (scene.frame_start, scene.frame_end, scene.camera is camera, scene.render.fps) == (1, 5, True, 24)
    assert (scene.render.resolution_x, scene.render.resolution_y, lens.sensor_fit) == (96, 64, "HORIZONTAL")
    point = np.array([0.2, -0.3, 2.5])
    for frame in range(5):
        pose = np.asarray(keys[frame + 1, "location"])
        x, y, z = (np.linalg.inv(pose) @ [point[0], point[2], -point[1], 1.0])[:3]
        focal, shift = keys[frame + 1, "lens"] / 36.0, (keys[frame + 1, "shift_x"], keys[frame + 1, "shift_y"])  # type: ignore[operator]
        column = 96 * (0.5 + focal * x / -z - shift[0])  # type: ignore[operator]
        row = 64 * 0.5 - 96 * (focal * y / -z - shift[1])  # type: ignore[operator]
        ours = before.intrinsics[frame].double().numpy() @ (before.world_to_cam[frame].double().numpy() @ [*point, 1.0])[:3]
        assert (column, row) == pytest.approx(tuple(ours[:2] / ours[2]), abs=1e-2)


def test_names() -> None:
    expected = {
        "camera_path.json": "nerfstudio", "transforms.json": "transforms", "x.supersplat.json": "supersplat", "x.txt": "tum",
        "x.py": "blender", "x.usda": "usd", "folder": "colmap",
    }  # fmt: skip
    assert {name: kind_of(name) for name in expected} == expected
    with pytest.raises(ValueError, match=r"x\.fbx: it is not known which cameras"):
        kind_of("x.fbx")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"animTracks": []}, "expected an animation"),
        ({"animTracks": [{"keyframes": {}}]}, "expected an animation"),
        ({"animTracks": [{"keyframes": {"values": {"position": [0], "target": [1], "fov": [60]}}}]}, "three numbers"),
        ({"animTracks": [{"keyframes": {"values": {"position": "x", "target": [1], "fov": [60]}}}]}, "lists of numbers"),
    ],
)
def test_malformed_settings(tmp_path: Path, change: dict, said: str) -> None:
    (tmp_path / "a.json").write_text(json.dumps(change))
    with pytest.raises(ValueError, match=said):
        load_path(tmp_path / "a.json", **SIZE, fov_x_degrees=60.0)
