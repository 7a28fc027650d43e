"""What `splatmem inspect` draws where there is no display."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from splatmem.gaussians import Gaussians
from splatmem.viewer import inspect
from splatmem.viewer.inspect import WINDOW, show_scene

from forked_commands import ForkedCommands

needs_open3d = pytest.mark.skipif(find_spec("open3d") is None, reason="needs Open3D: the extra 'inspect' or 'inspect-cpu'")
FRUSTUM = np.array([0.9, 0.2, 0.5]) * 255


@pytest.fixture(autouse=True)
def no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)


def screenshot(splatmem: ForkedCommands, scene: Path, file: Path) -> np.ndarray:
    ended = splatmem("inspect", scene, "--screenshot", file)
    if ended.status == 2 and "libegl1" in ended.err:
        pytest.skip(f"Open3D cannot draw here: {ended.error}")
    assert ended.status == 0, ended.err
    assert ended.err.splitlines()[-1].endswith(str(file)), "the last line says what was written"
    assert "error" not in ended.err.lower()
    with Image.open(file) as picture:
        assert picture.size == WINDOW
        return np.asarray(picture.convert("RGB")).astype(float)


def share_near(picture: np.ndarray, colour: np.ndarray, tolerance: float) -> float:
    return float((np.abs(picture - colour).max(-1) < tolerance).mean())


@needs_open3d
def test_a_run_s_folder_shows_scene_and_cameras(splatmem: ForkedCommands, small_run: Path, tmp_path: Path) -> None:
    picture = screenshot(splatmem, small_run, tmp_path / "scene.png")
    drawn = np.abs(picture - 255).max(-1) > 8
    assert 0.1 < drawn.mean() < 0.8, "the scene fills a good part of the picture"
    rows, columns = np.nonzero(drawn)
    middle = (rows.mean() / WINDOW[1], columns.mean() / WINDOW[0])
    assert all(0.25 < m < 0.75 for m in middle), "and stands in its middle"
    assert picture[drawn].std() > 15, "in more than one colour"
    assert share_near(picture, FRUSTUM, 25) > 5e-4, "with the cameras' frustums"
    assert [f.name for f in tmp_path.iterdir()] == ["scene.png"]


@needs_open3d
def test_a_splat_file_shows_the_scene_alone(splatmem: ForkedCommands, small_run: Path, tmp_path: Path) -> None:
    assert splatmem("export", small_run, tmp_path / "compact.ply", "--compact").status == 0
    picture = screenshot(splatmem, tmp_path / "compact.ply", tmp_path / "ply.png")
    assert (np.abs(picture - 255).max(-1) > 8).mean() > 0.1
    assert share_near(picture, FRUSTUM, 25) < 5e-4


def test_without_a_display_the_screenshot_is_named(splatmem: ForkedCommands, small_run: Path) -> None:
    """It must not wait for a window that nobody sees."""
    ended = splatmem("inspect", small_run)
    assert ended.status == 2
    assert "there is no display to open a window on: give --screenshot FILE.png" in ended.error


def test_an_empty_scene_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nothing to show"):
        show_scene(Gaussians.empty(), [], tmp_path / "p.png")


def test_large_gaussians_are_drawn_as_many_points() -> None:
    """One Gaussian may stand for many pixels: its points cover the square that it stands for, in its own plane."""
    turn = torch.tensor([[0.7071068, 0.0, 0.7071068, 0.0]])  # local z along the world's x
    gaussians = Gaussians(
        means=torch.tensor([[1.0, 2.0, 3.0]]),
        quats=turn,
        log_scales=torch.tensor([[0.35, 0.175, 0.01]]).log(),
        opacity_logits=torch.zeros(1),
        sh=torch.zeros(1, 1, 3),
    )
    points, colours = inspect._spread(gaussians, spacing=0.1)
    assert len(points) == len(colours) == 49
    torch.testing.assert_close(points.mean(0), gaussians.means[0])
    torch.testing.assert_close(points[:, 0], torch.full((49,), 1.0), atol=1e-5, rtol=0)
    span = points.amax(0) - points.amin(0)
    assert span[2].item() == pytest.approx(2 * 0.35 * 6 / 7, rel=1e-3)
    assert span[1].item() == pytest.approx(2 * 0.175 * 6 / 7, rel=1e-3)
    assert len(inspect._spread(gaussians, spacing=10.0)[0]) == 1
