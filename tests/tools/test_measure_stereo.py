"""The ruler of real stereo pairs, on a made-up pair."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

from measure_stereo import border_f1, depth_edges, errors, load_pair, scaled, second_view_psnr

FOCAL_TIMES_BASELINE = 30.0


@pytest.fixture(scope="module")
def left_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A textured wall at 3 m (10 px of disparity) with a textured board at 1 m (30 px) before it."""
    folder = tmp_path_factory.mktemp("pairs")
    rng = np.random.default_rng(0)
    wall, board = (cv2.GaussianBlur(rng.integers(0, 256, (160, 660)).astype(np.uint8), (0, 0), 1.2) for _ in range(2))
    left, right = wall[:, :640].copy(), wall[:, 10:650].copy()
    left[50:120, 300:380] = board[50:120, 300:380]
    right[50:120, 270:350] = board[50:120, 300:380]
    cv2.imwrite(str(folder / "made_left.png"), left)
    cv2.imwrite(str(folder / "made_right.png"), right)
    (folder / "stereodemo_calibration.json").write_text(json.dumps({"fx": 300.0, "baseline_meters": 0.1}))
    return folder / "made_left.png"


def test_matching_finds_the_depth_of_both(left_file: Path) -> None:
    pair = load_pair(left_file)
    assert (pair.name, pair.focal_times_baseline) == ("made", pytest.approx(FOCAL_TIMES_BASELINE))
    board, wall = pair.depth[60:110, 315:365], pair.depth[130:, 250:420]
    assert np.median(board[pair.measured[60:110, 315:365]]) == pytest.approx(1.0, rel=0.03)
    assert np.median(wall[pair.measured[130:, 250:420]]) == pytest.approx(3.0, rel=0.03)


def test_a_better_depth_shows_a_better_second_view(left_file: Path) -> None:
    pair = load_pair(left_file)
    flat = scaled(np.full_like(pair.depth, 2.0), pair.depth, pair.measured)
    assert second_view_psnr(pair, pair.depth, pair.measured) > second_view_psnr(pair, flat, pair.measured) + 1
    assert errors(pair.depth, pair.depth, pair.measured) == (0.0, 1.0)
    assert errors(1.5 * pair.depth, pair.depth, pair.measured) == (pytest.approx(0.5), 0.0)
    np.testing.assert_allclose(scaled(7 * pair.depth, pair.depth, pair.measured), pair.depth, rtol=1e-5)


def test_border_f1() -> None:
    truth = np.full((40, 60), 3.0)
    truth[10:30, 20:40] = 1.5
    assert border_f1(truth, truth) == 1.0
    assert border_f1(np.roll(truth, 1, axis=1), truth) > 0.95
    assert border_f1(np.roll(truth, 5, axis=1), truth) < 0.8
    assert border_f1(np.full_like(truth, 2.0), truth) == 0.0
    assert np.isnan(border_f1(truth, np.full_like(truth, 2.0)))


def test_the_border_of_sky_is_an_edge() -> None:
    depth = np.full((10, 10), 5.0)
    depth[:5] = np.inf
    assert depth_edges(depth)[4].all()
    assert depth_edges(depth).sum() == 10
