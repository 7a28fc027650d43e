"""Runs that begin with posed pictures, and what else a run finds out about what it begins with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from splatmem.depth import DepthPrediction
from splatmem.explore.beginnings import field_of_view
from splatmem.geometry.cameras import Cameras
from splatmem.io.transforms_json import load_transforms_json, save_transforms_json
from splatmem.memory.session import load_session

from forked_commands import PHOTO, SMALL_RUN, ForkedCommands
from scene_folders import write_scene
from textured_room import turn


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Cameras]:
    """Three pictures of the room, in a world of their own; the cameras are in that world too."""
    cameras = turn(24, 96, 64)
    moved = torch.eye(4)
    moved[:3, 3] = torch.tensor([5.0, -2.0, 3.0])
    elsewhere = Cameras(cameras.world_to_cam @ moved, cameras.intrinsics, 96, 64)
    folder = write_scene(tmp_path_factory.mktemp("scene") / "room", cameras[[0, 1, 2]], depth=False)
    names = [frame["file_path"] for frame in json.loads((folder / "transforms.json").read_text())["frames"]]
    save_transforms_json(elsewhere[[0, 1, 2]], folder / "transforms.json", names)
    return folder, elsewhere


@pytest.fixture(scope="module")
def run(scene: tuple[Path, Cameras], splatmem: ForkedCommands, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, cameras = scene
    out = tmp_path_factory.mktemp("run")
    save_transforms_json(cameras[[0, 1, 2, 3]], out / "path.json")
    ended = splatmem(
        "flyaround", folder, "--out", out / "out", "--path", out / "path.json", "--size", "96x64", "--prompt", "a room"
    )
    assert ended.status == 0, ended.err
    return out / "out"


def test_all_pictures_are_written_before_anything_is_made(run: Path) -> None:
    memory, progress = load_session(run / "memory")
    report = json.loads((run / "report.json").read_text())
    assert memory.num_given_views == report["given_pictures"] == 3
    assert len(memory.views) > 3
    assert report["source"] == "room"
    # From the middle of the last picture on all is made: a third of a picture at most.
    assert progress["coverage"][0] < 0.15
    assert any("the depth model's own unit is taken for it" in note for note in report["notes"]), "cameras on one spot"
    assert any(
        note.startswith("3 pictures were given; where they show the same, their depths differed by ")
        for note in report["notes"]
    )


def test_the_path_lies_in_the_world_of_the_pictures(run: Path, scene: tuple[Path, Cameras]) -> None:
    made = load_transforms_json(run / "cameras.json")
    path = scene[1][[0, 1, 2, 3]]
    torch.testing.assert_close(made.world_to_cam.double(), path.world_to_cam.double(), atol=1e-5, rtol=0)
    torch.testing.assert_close(made.intrinsics.double(), path.intrinsics.double(), atol=1e-2, rtol=0)


def test_words_that_reach_no_model_are_remarked(run: Path) -> None:
    notes = json.loads((run / "report.json").read_text())["notes"]
    assert "embedded reads no words: the prompt did not reach it" in notes


class TellingDepth:
    name = "telling"

    def __init__(self, fov_x_degrees: float | None) -> None:
        self.told, self.estimates_fov = fov_x_degrees, fov_x_degrees is not None

    def __call__(self, images: torch.Tensor, *, fov_x_degrees: float | None = None) -> DepthPrediction:
        return DepthPrediction(torch.ones(images.shape[:3]), True, self.told)


@pytest.mark.parametrize(
    ("given", "photo", "told", "degrees", "note"),
    [
        (50.0, 60.0, 70.0, 50.0, None),
        (None, 65.0, 70.0, 65.0, None),
        (None, None, 71.5, 71.5, "the picture does not say its field of view: telling tells 71.5 degrees"),
        (None, None, None, 60.0, "the picture does not say its field of view: 60 degrees are assumed"),
    ],
)
def test_field_of_view(given, photo, told, degrees, note) -> None:
    assert field_of_view(torch.rand(1, 8, 8, 3), given or photo, TellingDepth(told)) == (
        degrees,
        [] if note is None else [note],
    )


def test_a_prompt_is_part_of_what_a_resumed_run_must_repeat(splatmem: ForkedCommands, tmp_path: Path) -> None:
    options = ("flyaround", PHOTO, "--out", tmp_path / "out", *SMALL_RUN)
    running = splatmem.start(*options, die_at=30, watch=tmp_path)
    assert running.wait().status < 0
    assert (tmp_path / "out.partial" / "memory").is_dir()
    ended = splatmem(*options, "--prompt", "a garden", "--resume")
    assert ended.status == 2
    assert "begun with other options (prompt = )" in ended.error
