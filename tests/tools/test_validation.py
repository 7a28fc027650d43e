import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from splatmem.evaluation.scenes import load_scene

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from rooms.clips import write_scene
from rooms.panoramas import load_panorama, photograph, tone_map
from rooms.sources import (
    FLOOR_TEXTURES,
    HELD_OUT_FLOOR_TEXTURES,
    HELD_OUT_WALL_TEXTURES,
    INDOOR_PANORAMAS,
    WALL_TEXTURES,
    Sources,
)
from rooms.trajectories import closed_turn, look_at, random_closed_turn


def azimuths(width: int = 256) -> np.ndarray:
    """A panorama whose red tells the azimuth and whose green the elevation, both 0..1."""
    u, v = np.meshgrid((np.arange(width) + 0.5) / width, (np.arange(width // 2) + 0.5) / (width // 2))
    return np.stack([u, v, np.zeros_like(u)], axis=-1).astype(np.float32)


@pytest.mark.parametrize(("target", "red"), [((0, 0, -1), 0.5), ((1, 0, 0), 0.75), ((-1, 0, 0), 0.25)])
def test_a_photograph_shows_where_the_camera_looks(target: tuple[float, ...], red: float) -> None:
    picture = photograph(azimuths(), look_at(np.zeros(3), np.array(target, float)), 90.0, 33, 17) / 255
    np.testing.assert_allclose(picture[8, 16, :2], [red, 0.5], atol=0.01)
    # 45 degrees to the right, the right edge: an eighth of a turn.
    assert picture[8, -1, 0] - red == pytest.approx(np.arctan(32 / 33) / (2 * np.pi), abs=0.01)
    assert picture[0, 16, 1] < 0.5 < picture[-1, 16, 1]


def test_there_is_no_seam_behind() -> None:
    wave = np.cos(2 * np.pi * azimuths()[..., :1] * 3).repeat(3, axis=-1) * 0.4 + 0.5
    picture = photograph(wave.astype(np.float32), look_at(np.zeros(3), np.array([0.0, 0.0, 1.0])), 60.0, 64, 36)
    assert np.abs(np.diff(picture.astype(int), axis=1)).max() <= 12


def test_tone_mapping_keeps_order_and_whites() -> None:
    light = np.linspace(0, 50, 400)
    shown = tone_map(light)
    assert (np.diff(shown) >= 0).all()
    assert shown[0] == 0
    assert shown[-1] == pytest.approx(1, abs=1e-3)
    np.testing.assert_allclose(tone_map(np.array([0.5])), 0.5 ** (1 / 2.2))


def test_panoramas_are_exposed_and_black_rims_filled(tmp_path: Path) -> None:
    light = np.full((64, 128, 3), 0.002, np.float16)
    light[30:34, 60:68] = 50.0
    light[29, 60:68] = -0.1
    np.save(tmp_path / "lamp.npy", light)
    shown = load_panorama(tmp_path / "lamp.npy")
    assert shown[16:48].mean() == pytest.approx(0.47, abs=0.01)
    assert shown.min() > 0.3
    assert shown[31, 64, 0] > 0.95


def test_a_closed_turn_comes_back() -> None:
    poses = closed_turn(np.array([0.0, 1.5, 0.0]), 9, 0.3, -0.1, radius=0.1)
    assert len(poses) == 9
    np.testing.assert_array_equal(poses[0], poses[-1])
    headings = np.degrees(np.unwrap(np.arctan2(poses[:, 0, 2], poses[:, 2, 2])))
    np.testing.assert_allclose(np.abs(np.diff(headings)), 45.0, atol=1e-6)
    path = random_closed_turn(np.random.default_rng(0), 4.0, 5.0, 12)
    assert 0.1 < np.ptp(path.cam_to_world[:, 0, 3]) < 0.4
    np.testing.assert_array_equal(path.cam_to_world[0], path.cam_to_world[-1])


def test_a_turn_without_depth_is_a_scene(tmp_path: Path) -> None:
    poses = closed_turn(np.array([0.0, 1.5, 0.0]), 5, 0.0, 0.0)
    rgb = np.stack([photograph(azimuths(), pose, 70.0, 64, 36) for pose in poses])
    write_scene(tmp_path / "panorama", rgb, None, poses, 70.0, "pan360")
    scene = load_scene(tmp_path / "panorama")
    assert scene.truth.turns_on_the_spot
    assert not scene.truth.measured.any()
    np.testing.assert_allclose(scene.truth.rgb.numpy(), rgb / 255, atol=1e-6)
    assert float(scene.path.focal[0, 0]) == pytest.approx(32 / np.tan(np.radians(35)))


def test_what_validation_shows_training_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rooms.sources.CATALOGUE_FILES", {})
    for kind, names in {
        "textures": (*FLOOR_TEXTURES, *WALL_TEXTURES, *HELD_OUT_FLOOR_TEXTURES, *HELD_OUT_WALL_TEXTURES),
        "photos": tuple(f"photo{i}" for i in range(10)),
    }.items():
        (tmp_path / kind).mkdir()
        for name in names:
            Image.new("RGB", (2, 2)).save(tmp_path / kind / f"{name}.jpg")
    (tmp_path / "panoramas").mkdir()
    for name in (*INDOOR_PANORAMAS, "forest"):
        np.save(tmp_path / "panoramas" / f"{name}.npy", np.zeros(1))
    train, validation = (Sources.open(tmp_path, split) for split in ("train", "validation"))
    for kind in ("floors", "walls", "photos", "panoramas"):
        shown, held_out = set(getattr(train, kind)), set(getattr(validation, kind))
        assert shown
        assert held_out
        assert not shown & held_out, kind
