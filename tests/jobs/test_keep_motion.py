"""``--keep-motion``: what moves within a window of a video model is in the film, and never in the scene."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from splatmem.explore.loop import ExploreSettings
from splatmem.inpaint import FilledFrames, PartialFrames
from splatmem.io.video import read_video
from splatmem.jobs.flyaround import flyaround

from forked_commands import PHOTO
from moving_ball import with_ball

FAST = ExploreSettings(photo_refine_steps=2, refine_steps=1)


class Video:
    """Shows grey walls three metres away, before which a ball runs along beside the camera's turn."""

    name = "video"
    window_frames = 7
    continuous = True

    def __init__(self, stop_after: int | None = None) -> None:
        self.left = stop_after

    def __call__(self, partial: PartialFrames, **given: object) -> FilledFrames:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt
        cameras = partial.cameras
        turned = torch.atan2(cameras.forward[:, 0], cameras.forward[:, 2])
        at = math.radians(20) * turned.sign() + 0.9 * turned
        centres = torch.stack([2.2 * at.sin(), torch.full_like(at, 0.2), 2.2 * at.cos()], dim=1)
        rgb, depth, _ = with_ball(cameras, centres, radius=0.3)
        return FilledFrames(rgb, depth)


def made(out: Path, keep: bool, video: Video, resume: bool = False) -> Path:
    flyaround(
        photo=PHOTO,
        out=out,
        path="arc",
        frames=9,
        size=(96, 64),
        keep_motion=keep,
        inpainter=video,
        settings=FAST,
        resume=resume,
    )
    return out


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that keeps what moves."""
    return made(tmp_path_factory.mktemp("kept") / "kept", True, Video())


def test_motion_is_in_the_film_and_not_in_the_scene(kept: Path, tmp_path: Path) -> None:
    still = made(tmp_path / "still", False, Video())
    assert (still / "scene.ply").read_bytes() == (kept / "scene.ply").read_bytes()
    assert not (still / "motion").exists()
    assert list((kept / "motion").glob("window*_moment*.ply"))
    films = [read_video(folder / "video.mp4").astype(np.float32) for folder in (still, kept)]
    changed = (np.abs(films[0] - films[1]).max(-1) > 40).mean((1, 2))
    assert changed.max() > 0.005, "the ball shows"
    assert changed[0] < 0.002, "the photo's own view has none"


def test_an_interrupted_run_keeps_the_same_motion(kept: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        made(tmp_path / "cut", True, Video(stop_after=1))
    cut = made(tmp_path / "cut", True, Video(), resume=True)
    assert (cut / "video.mp4").read_bytes() == (kept / "video.mp4").read_bytes()
    assert sorted(p.name for p in (cut / "motion").iterdir()) == sorted(p.name for p in (kept / "motion").iterdir())
