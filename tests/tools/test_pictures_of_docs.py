"""The tools that make the pictures of the documents."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from splatmem.io.video import VideoWriter
from splatmem.trajectory.names import PRESET_NAMES

PROJECT = Path(__file__).parents[2]
sys.path.insert(0, str(PROJECT / "tools"))

import draw_paths  # noqa: E402
import make_gallery  # noqa: E402


@pytest.mark.parametrize("name", PRESET_NAMES)
def test_the_drawings_are_those_of_the_code(name: str) -> None:
    drawn = draw_paths.draw(name)
    ElementTree.fromstring(drawn)
    assert (PROJECT / "docs" / "images" / f"path_{name}.svg").read_text() == drawn, "run tools/draw_paths.py"


def test_a_strip_shows_frames_of_the_whole_film(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "film.mp4", 64, 64, 24.0) as video:
        for grey in range(0, 250, 10):
            video.write(np.full((64, 64, 3), grey, np.uint8))
    strip = np.asarray(make_gallery.film_strip(tmp_path / "film.mp4", frames=5, width=320))
    assert strip.shape == (64, 320, 3)
    assert strip[32, 32::64, 0] == pytest.approx([0, 50, 100, 150, 200], abs=6)


def test_pictures_stay_small(tmp_path: Path) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 300, 3), np.uint8))
    make_gallery.save_jpeg(noise, tmp_path / "noise.jpg", 40_000)
    assert (tmp_path / "noise.jpg").stat().st_size <= 40_000


def test_a_film_becomes_a_picture_that_moves(tmp_path: Path) -> None:
    frames = np.repeat(np.linspace(0, 200, 5).astype(np.uint8), 64 * 96 * 3).reshape(5, 64, 96, 3)
    make_gallery.save_loop(frames, tmp_path / "loop.webp", width=48, fps=10, max_bytes=40_000)
    with Image.open(tmp_path / "loop.webp") as loop:
        assert (loop.size, loop.n_frames, loop.info["loop"]) == ((48, 32), 5, 0)
        loop.seek(4)
        assert np.asarray(loop.convert("L")).mean() == pytest.approx(200, abs=4)
