"""Cameras that COLMAP finds against those that were asked for."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from splatmem.evaluation import colmap
from splatmem.evaluation.colmap import STARTS, Verdict, colmap_figures, judge_frames
from splatmem.evaluation.judge import JudgeOptions, judge
from splatmem.evaluation.pose_error import PoseError, pose_error
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.poses import look_at
from splatmem.geometry.similarity import axis_rotation
from splatmem.io.transforms_json import save_transforms_json
from splatmem.io.video import write_video
from splatmem.scene import silent

SIZE = (320, 192)


def arc(frames: int) -> Cameras:
    """Cameras on an arc about a point two metres ahead."""
    angles = torch.linspace(-0.25, 0.25, frames)
    centers = torch.stack([2 * angles.sin(), torch.zeros(frames), 2 - 2 * angles.cos()], dim=1)
    poses = look_at(centers, torch.tensor([[0.0, 0.0, 2.0]]).expand(frames, 3))
    return Cameras.from_fov(poses, 60.0, *SIZE)


def films(cameras: Cameras) -> np.ndarray:
    """Frames of a step of two walls with a random texture, one a metre behind the other."""
    texture = torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    texture = torch.nn.functional.interpolate(texture, scale_factor=4, mode="bicubic").clamp(0, 1)
    frames = []
    for index in range(len(cameras)):
        camera = cameras[index]
        y, x = torch.meshgrid(torch.arange(SIZE[1]) + 0.5, torch.arange(SIZE[0]) + 0.5, indexing="ij")
        k = camera.intrinsics[0]
        rays = torch.stack([(x - k[0, 2]) / k[0, 0], (y - k[1, 2]) / k[1, 1], torch.ones_like(x)], dim=-1)
        rays = rays @ camera.world_to_cam[0, :3, :3]
        near, far = (camera.centers[0] + rays * ((depth - camera.centers[0, 2]) / rays[..., 2:]) for depth in (2.0, 3.0))
        picture = torch.where((near[..., :1] < 0).movedim(-1, 0), _painted(texture[0], near), _painted(texture[1], far))
        frames.append((255 * picture.permute(1, 2, 0)).round().to(torch.uint8).numpy())
    return np.stack(frames)


def _painted(texture: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.grid_sample(texture[None], places[None, ..., :2] / 2, align_corners=False)[0]


def moved(world_to_cam: torch.Tensor, degrees: float, scale: float) -> torch.Tensor:
    """The same cameras in a world that is turned, scaled and moved."""
    rotation, shift = axis_rotation(torch.tensor([1.0, 2.0, 3.0]), degrees), torch.tensor([3.0, -1.0, 2.0])
    other = world_to_cam.clone()
    other[:, :3, :3] = world_to_cam[:, :3, :3] @ rotation.T
    other[:, :3, 3] = scale * world_to_cam[:, :3, 3] - other[:, :3, :3] @ shift
    return other


def test_another_world_and_unit_make_no_error() -> None:
    wanted = arc(6).world_to_cam
    error = pose_error(moved(wanted, 70.0, 5.0), wanted)
    assert error.rotation_degrees < 0.05
    assert error.translation_percent < 1e-3
    assert error.ate < 1e-5


def test_errors_have_their_size() -> None:
    wanted = arc(6).world_to_cam
    turned = wanted.clone()
    for index, degrees in enumerate((1.0, -1.0) * 3):
        turned[index, :3] = axis_rotation(torch.tensor([0.0, 1.0, 0.0]), degrees) @ wanted[index, :3]
    assert pose_error(turned, wanted).rotation_degrees == pytest.approx(1.0, abs=0.01)
    # Two cameras a metre apart; a third in the middle, off by a tenth to either side in two films.
    line = torch.eye(4).repeat(4, 1, 1)
    line[:, 0, 3] = torch.tensor([0.0, 0.0, -1.0, -1.0])
    off = line.clone()
    off[:, 1, 3] = torch.tensor([0.1, -0.1, 0.1, -0.1])
    error = pose_error(off, line)
    # The best scale is 1 / 1.04: what is too wide is shrunk.
    left = math.hypot(0.5 * (1 - 1 / 1.04), 0.1 / 1.04)
    assert error.translation_percent == pytest.approx(100 * left, abs=0.01)
    assert error.ate == pytest.approx(left, abs=1e-4)
    on_the_spot = torch.eye(4).repeat(3, 1, 1)
    assert math.isnan(pose_error(on_the_spot, on_the_spot).translation_percent)
    with pytest.raises(ValueError, match="no cameras"):
        pose_error(line[:0], line[:0])


def test_colmap_finds_the_cameras_of_a_film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pycolmap")
    monkeypatch.setattr(colmap, "STARTS", STARTS[:1])  # for time's sake
    cameras = arc(8)
    frames = films(cameras)
    write_video(tmp_path / "video.mp4", frames, 24.0)
    save_transforms_json(cameras, tmp_path / "cameras.json")
    (found,) = judge(JudgeOptions(scenes=(tmp_path,), frames=6, out=tmp_path / "judge.json"), silent)
    assert found["frames"] == 6  # of the video, as it was compressed
    assert found["registered"] == 6
    assert found["poses"]["rotation_degrees"] < 0.3
    assert found["poses"]["translation_percent"] < 2
    assert found["reprojection_error"] < 1
    assert (tmp_path / "judge.json").is_file()


def test_a_judgement_goes_on_where_it_was_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pycolmap")
    films_of_noise = [tmp_path / "first", tmp_path / "second"]
    noise = np.random.default_rng(0).integers(0, 255, (4, SIZE[1], SIZE[0], 3), dtype=np.uint8)
    for folder in films_of_noise:
        folder.mkdir()
        write_video(folder / "video.mp4", noise, 24.0)
        save_transforms_json(arc(4), folder / "cameras.json")
    file, judged = tmp_path / "judge.json", []

    def stopped_at_the_second(frames: np.ndarray, cameras: Cameras) -> Verdict:
        judged.append(len(frames))
        if len(judged) == 2:
            raise KeyboardInterrupt
        return Verdict(len(frames), 0, 0, math.nan, PoseError(math.nan, math.nan, math.nan))

    monkeypatch.setattr("splatmem.evaluation.colmap.judge_frames", stopped_at_the_second)
    options = JudgeOptions(scenes=tuple(films_of_noise), frames=4, out=file, resume=True)
    with pytest.raises(KeyboardInterrupt):
        judge(options, silent)
    assert [film["film"] for film in json.loads(file.read_text())["films"]] == [str(films_of_noise[0])]
    assert [film["film"] for film in judge(options, silent)] == [str(folder) for folder in films_of_noise]
    assert len(judged) == 3  # the first film once, the second twice
    file.write_text("{}")
    with pytest.raises(ValueError, match="holds no figures"):
        judge(options, silent)
    with pytest.raises(ValueError, match="name it by --out"):
        JudgeOptions(scenes=tuple(films_of_noise), resume=True).check()


def test_of_several_starts_the_one_that_explains_most_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pycolmap")
    cameras, reconstructions, explained = arc(4), colmap._reconstructions, []

    def poor_at_first(*arguments: Any) -> list[Any]:
        models = reconstructions(*arguments)
        for model in models:
            if arguments[-1] == STARTS[0]:
                for point in list(model.points3D)[::2]:
                    model.delete_point3D(point)
            explained.append(model.num_points3D())
        return models

    monkeypatch.setattr(colmap, "_reconstructions", poor_at_first)
    monkeypatch.setattr(colmap, "STARTS", STARTS[:2])  # for time's sake
    verdict = judge_frames(films(cameras), cameras)
    assert verdict.registered == 4
    assert verdict.points == explained[1] > 1.5 * explained[0]


def test_a_film_of_noise_has_no_cameras() -> None:
    pytest.importorskip("pycolmap")
    frames = np.random.default_rng(0).integers(0, 255, (4, SIZE[1], SIZE[0], 3), dtype=np.uint8)
    figures = colmap_figures(frames, arc(4))
    assert figures["colmap_registered"] == 0
    assert figures["colmap_rotation"] is None


@pytest.mark.parametrize(("name", "said"), [(None, "there is no video.mp4"), ("video.mp4", "there is no cameras.json")])
def test_folders_without_a_film_are_refused(name: str | None, said: str, tmp_path: Path) -> None:
    if name is not None:
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match=said):
        JudgeOptions(scenes=(tmp_path,)).check()
