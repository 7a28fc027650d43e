"""A scene's unit of length may be anything: the same scene in another unit gives the same pictures and the same decisions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import splatmem as sm
import torch
from splatmem import assets
from splatmem.gaussians.transform import transformed
from splatmem.geometry.similarity import Similarity
from splatmem.metrics import psnr

from scene_folders import in_unit, there_and_back, write_colmap_binary, write_scene

PHOTO = assets.path("photos/interior_table.jpg")
SIZE = (96, 54)
FAST = sm.ExploreSettings(photo_refine_steps=10, refine_steps=2)
SLOW = pytest.mark.slow
UNITS = (pytest.param(1 / 512, marks=SLOW), 512.0)  # powers of two: what is multiplied by them is rounded as before


class DepthInUnit:
    """The embedded estimator's depth in another unit."""

    name = "embedded, in another unit"
    estimates_fov = False

    def __init__(self, unit: float) -> None:
        self.unit, self.embedded = unit, sm.load_depth_estimator("embedded")

    def __call__(self, images: torch.Tensor, *, fov_x_degrees: float | None = None) -> sm.DepthPrediction:
        told = self.embedded(images, fov_x_degrees=fov_x_degrees)
        return replace(told, depth=told.depth * self.unit, metric=False)


def smooth(partial: sm.PartialFrames, **_: object) -> sm.FilledFrames:
    """Fills with one colour. What copies patches would find others by rounding alone."""
    return sm.FilledFrames(torch.full_like(partial.rgb, 0.5))


def of_photo(unit: float) -> sm.Scene:
    scene = sm.Scene.from_photo(PHOTO, SIZE, depth=DepthInUnit(unit), inpainter=smooth, settings=FAST)
    scene.explore("turn", frames=5)
    return scene


@pytest.fixture(scope="module")
def usual() -> sm.Scene:
    return of_photo(1.0)


@pytest.fixture(scope="module", params=UNITS)
def other(request: pytest.FixtureRequest) -> tuple[float, sm.Scene]:
    return request.param, of_photo(request.param)


def assert_alike(some: sm.MemoryReading, others: sm.MemoryReading, unit: float) -> None:
    assert psnr(some.rgb, others.rgb) > 45
    assert (some.known != others.known).float().mean() < 0.002
    both = some.known & others.known & torch.isfinite(some.depth) & torch.isfinite(others.depth)
    ratio = (others.depth / some.depth)[both] / unit
    assert (ratio - 1).abs().quantile(0.95) < 0.01  # edges of things may fall to the next pixel
    assert (some.trust - others.trust).abs().mean() < 0.005


def test_a_photo_is_kept_as_well(usual: sm.Scene, other: tuple[float, sm.Scene]) -> None:
    unit, scene = other
    assert scene.memory.scale == pytest.approx(unit * usual.memory.scale, rel=1e-4)
    assert scene.memory.views[0].gaussians == usual.memory.views[0].gaussians
    assert scene.memory.photo_fidelity().psnr == pytest.approx(usual.memory.photo_fidelity().psnr, abs=0.05)


def test_the_same_is_made_of_it(usual: sm.Scene, other: tuple[float, sm.Scene]) -> None:
    unit, scene = other
    assert scene.history[1].details == usual.history[1].details
    assert [view.gaussians[0] for view in scene.memory.views][:2] == [view.gaussians[0] for view in usual.memory.views][:2]
    assert len(scene.memory.gaussians) == pytest.approx(len(usual.memory.gaussians), rel=0.01)
    for name in ("turn", "arc"):
        film = sm.Trajectory.preset(name, usual, frames=5).cameras
        same = sm.Trajectory.preset(name, scene, frames=5).cameras
        # An arc swings as far as the scene bears it: rounding may choose the next farther one.
        assert torch.allclose(same.centers / unit, film.centers, atol=0.05 * usual.memory.scale)
        assert_alike(usual.render(film), scene.render(in_unit(film, unit)), unit)


def test_the_same_thing_is_found_and_taken_away(usual: sm.Scene, other: tuple[float, sm.Scene], tmp_path: Path) -> None:
    _, scene = other

    def without(scene: sm.Scene, folder: Path) -> tuple[int, sm.MemoryReading]:
        scene.save(folder)
        opened = sm.Scene.open(folder, settings=FAST, inpainter=smooth)
        removed = opened.remove(opened.select(at=(48, 38)))
        return removed, opened.render(opened.memory.views[0].camera)

    (count, view), (same_count, same_view) = (
        without(some, tmp_path / name) for some, name in ((usual, "usual"), (scene, "other"))
    )
    assert same_count == pytest.approx(count, rel=0.01)
    assert psnr(view.rgb, same_view.rgb) > 35


CAMERAS = there_and_back(12, *SIZE, sway=1.2)[[0, 1, 2, 3]]


def of_pictures(folder: Path, unit: float, *, colmap: bool = False) -> sm.Scene:
    write_scene(folder, CAMERAS, depth=False, unit=unit)
    if colmap:
        (folder / "transforms.json").unlink()
        (folder / "sparse" / "0").mkdir(parents=True)
        names = sorted(file.name for file in (folder / "images").iterdir())
        write_colmap_binary(in_unit(CAMERAS, unit), folder / "sparse" / "0", names)
    return sm.Scene.from_pictures(folder, SIZE, inpainter=smooth, settings=FAST)


@pytest.fixture(scope="module")
def pictured(tmp_path_factory: pytest.TempPathFactory) -> sm.Scene:
    return of_pictures(tmp_path_factory.mktemp("usual"), 1.0)


@pytest.mark.parametrize(("unit", "colmap"), [(0.002, True), pytest.param(0.05, False, marks=SLOW), (500.0, False)])
def test_posed_pictures_meet_as_well(pictured: sm.Scene, tmp_path: Path, unit: float, colmap: bool) -> None:
    scene = of_pictures(tmp_path, unit, colmap=colmap)
    assert scene.memory.num_given_views == pictured.memory.num_given_views
    assert len(scene.memory.gaussians) == pytest.approx(len(pictured.memory.gaussians), rel=0.005)
    between = there_and_back(10, *SIZE, sway=1.0)[[0, 1, 2]]
    told = scene.memory.world.to_memory(in_unit(between, unit))
    assert_alike(pictured.render(between), scene.render(told), unit / scene.memory.world.unit)
    turns = [sm.Trajectory.preset("turn", some, frames=6) for some in (pictured, scene)]
    assert turns[0].notes == turns[1].notes
    assert psnr(*(some.render(turn).rgb for some, turn in zip((pictured, scene), turns, strict=True))) > 40


@pytest.mark.parametrize("unit", UNITS)
def test_splats_from_elsewhere_are_seen_as_well(usual: sm.Scene, tmp_path: Path, unit: float) -> None:
    gaussians = usual.memory.gaussians
    sm.save_ply(gaussians, tmp_path / "usual.ply")
    sm.save_ply(transformed(gaussians, Similarity(torch.eye(3), unit, torch.zeros(3))), tmp_path / "other.ply")
    some, other = (sm.Scene.from_splats(tmp_path / name, SIZE, inpainter=smooth) for name in ("usual.ply", "other.ply"))
    # A median of 5,000 pixels: rounding may choose one of the next values.
    assert other.memory.scale == pytest.approx(unit * some.memory.scale, rel=3e-3)
    cameras = some.memory.views[0].camera.turned(right_degrees=20.0)
    assert_alike(some.render(cameras), other.render(in_unit(cameras, unit)), unit)
