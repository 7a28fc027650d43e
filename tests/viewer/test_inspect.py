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


def cloud(count: int, spread: float, log_scale: float = -3.0) -> Gaussians:
    generator = torch.Generator().manual_seed(0)
    means = spread * torch.randn(count, 3, generator=generator) + torch.tensor([0.0, 0.0, 3.0])
    quats = torch.tensor([[1.0, 0, 0, 0]]).repeat(count, 1)
    return Gaussians(means, quats, torch.full((count, 3), log_scale), torch.full((count,), 2.0), torch.zeros(count, 1, 3))


def giant() -> Gaussians:
    gaussians = cloud(500, 1.0)
    gaussians.log_scales[7] = 6.0
    return gaussians


def far_away() -> Gaussians:
    gaussians = cloud(500, 1.0)
    gaussians.means += torch.tensor([4e3, -2e3, 1e3])
    return gaussians


def outlier() -> Gaussians:
    gaussians = cloud(500, 1.0)
    gaussians.means[7] = 1e9
    return gaussians


SCENES = {
    "one": lambda: cloud(1, 0.0),
    "two": lambda: cloud(2, 1.0),
    "two, small": lambda: cloud(2, 1e-4, -15.0),
    "all in one place": lambda: cloud(100, 0.0),
    "one and a giant": giant,
    "an outlier": outlier,
    "far from the origin": far_away,
    "a large unit": lambda: cloud(500, 1e6, 10.0),
    "a small unit": lambda: cloud(500, 1e-6, -17.0),
}


@pytest.mark.parametrize("name", SCENES)
def test_any_scene_is_framed(name: str) -> None:
    near, middle, reach = inspect._scene_proper(SCENES[name]())
    assert len(near) >= min(2, len(SCENES[name]()))
    assert len(near) >= 0.99 * len(SCENES[name]())
    assert reach > 0
    points, _ = inspect._spread(near, inspect.SPACING * reach)
    away = ((points - middle) / reach).norm(dim=-1)
    assert away.isfinite().all()
    assert away.quantile(0.9) < 2.5, "most of it lies within the picture"


@needs_open3d
@pytest.mark.parametrize("name", ["one", "two", "all in one place", "one and a giant", "a small unit"])
def test_any_scene_draws_something(splatmem: ForkedCommands, tmp_path: Path, name: str) -> None:
    from splatmem.io.ply import save_ply

    save_ply(SCENES[name](), tmp_path / "a.ply")
    picture = screenshot(splatmem, tmp_path / "a.ply", tmp_path / "p.png")
    drawn = (np.abs(picture - 255).max(-1) > 8).mean()
    assert drawn > (1e-5 if len(SCENES[name]()) == 2 else 5e-4)
