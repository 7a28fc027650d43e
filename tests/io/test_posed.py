"""Posed pictures from folders and videos of every kind."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from splatmem.geometry.cameras import Cameras
from splatmem.io.colmap import save_colmap
from splatmem.io.source import MOST_PICTURES, read_source
from splatmem.io.transforms_json import save_transforms_json
from splatmem.io.tum import save_tum
from splatmem.io.video import write_video

from scene_folders import there_and_back, write_colmap_binary, write_scene
from textured_room import room

SIZE = (128, 72)


@pytest.fixture(scope="module")
def cameras() -> Cameras:
    return there_and_back(8, *SIZE, sway=0.4)


@pytest.fixture(scope="module")
def scene(cameras: Cameras, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scene(tmp_path_factory.mktemp("posed") / "scene", cameras, depth=False)


def check(source, cameras: Cameras, tolerance: float = 0.003) -> None:
    seen = room().render(cameras)
    assert source.rgb.shape == seen.rgb.shape
    assert (source.rgb - seen.rgb).abs().mean() < tolerance
    torch.testing.assert_close(source.cameras.world_to_cam, cameras.world_to_cam, atol=1e-5, rtol=0)
    torch.testing.assert_close(source.cameras.intrinsics, cameras.intrinsics, atol=1e-3, rtol=0)


def test_transforms_json(scene: Path, cameras: Cameras) -> None:
    source = read_source(scene, None, *SIZE, None)
    check(source, cameras)
    assert (source.name, source.notes, source.fov_x_degrees) == ("scene", [], None)


@pytest.mark.parametrize("place", [".", "sparse", "sparse/0"])
@pytest.mark.parametrize("save", [save_colmap, write_colmap_binary])
def test_colmap(scene: Path, cameras: Cameras, tmp_path: Path, place: str, save: Callable[..., None]) -> None:
    (tmp_path / place).mkdir(parents=True, exist_ok=True)
    (tmp_path / "images").symlink_to(scene / "images")
    save(cameras, tmp_path / place, [f"frame_{i:03d}.png" for i in range(len(cameras))])
    check(read_source(tmp_path, None, *SIZE, None), cameras)


def test_pictures_of_another_shape_are_cropped_with_their_cameras(scene: Path, cameras: Cameras) -> None:
    source = read_source(scene, None, 72, 72, None)
    assert source.rgb.shape == (7, 72, 72, 3)
    assert source.cameras is not None
    torch.testing.assert_close(source.cameras.focal, cameras.focal)
    assert source.cameras.intrinsics[0, 0, 2] == 36


def test_a_video_with_poses(cameras: Cameras, tmp_path: Path) -> None:
    write_video(tmp_path / "walk.mp4", room().render(cameras).rgb, 24, crf=8)
    save_transforms_json(cameras, tmp_path / "poses.json")
    check(read_source(tmp_path / "walk.mp4", tmp_path / "poses.json", *SIZE, None), cameras, tolerance=0.02)
    save_tum(cameras, tmp_path / "poses.txt")
    check(read_source(tmp_path / "walk.mp4", tmp_path / "poses.txt", *SIZE, 70.0), cameras, tolerance=0.02)
    save_transforms_json(cameras[:3], tmp_path / "poses.json")
    with pytest.raises(ValueError, match=r"holds 3 cameras, but .*walk\.mp4 has 7 frames"):
        read_source(tmp_path / "walk.mp4", tmp_path / "poses.json", *SIZE, None)
    with pytest.raises(ValueError, match="is a video: give --poses FILE"):
        read_source(tmp_path / "walk.mp4", None, *SIZE, None)


def test_of_many_pictures_some_are_taken_evenly(scene: Path, tmp_path: Path) -> None:
    content = json.loads((scene / "transforms.json").read_text())
    content["frames"] = [content["frames"][i % 7] for i in range(MOST_PICTURES + 6)]
    (tmp_path / "transforms.json").write_text(json.dumps(content))
    (tmp_path / "images").symlink_to(scene / "images")
    source = read_source(tmp_path, None, *SIZE, None)
    assert len(source.rgb) == MOST_PICTURES
    assert source.notes == [f"{MOST_PICTURES} of the {MOST_PICTURES + 6} pictures were taken, evenly spread"]


class TestFoldersThatAreNoScenes:
    def test_nothing_posed(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="is a folder without posed pictures: expected a transforms"):
            read_source(tmp_path, None, *SIZE, None)

    def test_missing_picture(self, scene: Path, cameras: Cameras, tmp_path: Path) -> None:
        (tmp_path / "transforms.json").write_text((scene / "transforms.json").read_text())
        with pytest.raises(ValueError, match=r"frame 0: there is no picture .*frame_000\.png"):
            read_source(tmp_path, None, *SIZE, None)

    def test_missing_picture_of_colmap(self, cameras: Cameras, tmp_path: Path) -> None:
        save_colmap(cameras, tmp_path)
        lacking = (
            r"images\.txt: there is no picture .*images/frame_00001\.png \(there is no folder .*images\); put the pictures"
        )
        with pytest.raises(ValueError, match=lacking):
            read_source(tmp_path, None, *SIZE, None)
        (tmp_path / "images").mkdir()
        with pytest.raises(ValueError, match=r"there is no picture .*images/frame_00001\.png; put the pictures there"):
            read_source(tmp_path, None, *SIZE, None)

    def test_pictures_of_another_shape_than_their_cameras(self, scene: Path, tmp_path: Path) -> None:
        content = json.loads((scene / "transforms.json").read_text()) | {"w": 72, "h": 72}
        (tmp_path / "transforms.json").write_text(json.dumps(content))
        (tmp_path / "images").symlink_to(scene / "images")
        with pytest.raises(ValueError, match=r"has 128x72 pixels: expected the shape of 72x72"):
            read_source(tmp_path, None, *SIZE, None)

    def test_pictures_of_another_shape_than_colmaps_cameras(self, scene: Path, cameras: Cameras, tmp_path: Path) -> None:
        (tmp_path / "images").symlink_to(scene / "images")
        save_colmap(cameras.resized(72, 72), tmp_path, [f"frame_{i:03d}.png" for i in range(len(cameras))])
        with pytest.raises(ValueError, match=r"has 128x72 pixels: expected the shape of 72x72, as .*images\.txt has it"):
            read_source(tmp_path, None, *SIZE, None)
