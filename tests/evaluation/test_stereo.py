import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from splatmem.evaluation.first_view import split_by_first_view
from splatmem.evaluation.inputs import each_scene, open_scene, scene_name
from splatmem.evaluation.scenes import load_scene
from splatmem.evaluation.stereo import load_pair

WIDTH, HEIGHT, FOCAL, BASELINE = 480, 120, 200.0, 0.1
NEAR, FAR = 24, 8  # pixels of disparity of a board and of the wall behind it
BOARD = slice(220, 300)  # columns in the left picture


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """A folder with one pair: a board before a wall, both with fine random patterns."""
    rng = np.random.default_rng(0)
    wall, board = (rng.integers(30, 226, (HEIGHT, WIDTH + 64), np.uint8) for _ in range(2))
    left, right = wall[:, :WIDTH].copy(), wall[:, FAR : FAR + WIDTH].copy()
    left[:, BOARD] = board[:, BOARD]
    right[:, BOARD.start - NEAR : BOARD.stop - NEAR] = board[:, BOARD]
    folder = tmp_path / "home"
    folder.mkdir()
    Image.fromarray(left).save(folder / "desk_left.png")
    Image.fromarray(right).save(folder / "desk_right.png")
    calibrate(folder)
    return folder


def calibrate(folder: Path, **changes: object) -> None:
    content = {
        "width": WIDTH, "height": HEIGHT, "fx": FOCAL, "cx0": 230.0, "cx1": 230.0, "cy": 61.0, "baseline_meters": BASELINE,
    }  # fmt: skip
    (folder / "stereodemo_calibration.json").write_text(json.dumps(content | changes))


def test_a_folder_of_pairs_is_taken_as_scenes_and_other_folders_as_they_are(pairs, tmp_path):
    assert each_scene([pairs, tmp_path]) == [pairs / "desk_left.png", tmp_path]
    assert [scene_name(scene) for scene in each_scene([pairs, tmp_path])] == ["desk", tmp_path.name]
    assert open_scene(pairs / "desk_left.png", frames=32).name == "desk"


def test_depth_is_what_the_disparity_says_in_both_pictures(pairs):
    scene = load_pair(pairs / "desk_left.png")
    near, far = (FOCAL * BASELINE / disparity for disparity in (NEAR, FAR))
    inner = slice(20, 100)
    board, wall = scene.truth.depth[0, inner, 230:290], scene.truth.depth[0, inner, 175:200]
    torch.testing.assert_close(board[torch.isfinite(board)].median().item(), near, rtol=0.02, atol=0)
    torch.testing.assert_close(wall[torch.isfinite(wall)].median().item(), far, rtol=0.02, atol=0)
    assert torch.isfinite(board).float().mean() > 0.8
    right = scene.truth.depth[1, inner, 230 - NEAR : 290 - NEAR]
    torch.testing.assert_close(right[torch.isfinite(right)].median().item(), near, rtol=0.02, atol=0)
    assert scene.photo_measured.any()
    assert not (scene.photo_measured & ~torch.isfinite(scene.photo_depth)).any()


def test_the_second_view_is_kept_where_it_shows_the_same(pairs):
    truth = load_pair(pairs / "desk_left.png").truth
    kept = split_by_first_view(truth).kept
    assert kept[1].float().mean() > 0.2  # matching tells nothing within 160 columns of the rim
    # Each kept pixel of the right picture has its own colour in the left one, at the place that geometry says.
    pixels, _ = truth.cameras[0].project(truth.cameras[1].unproject(truth.depth[1:])[0][kept[1]])
    column = pixels[0, :, 0].floor().long().clamp(0, WIDTH - 1)
    row = pixels[0, :, 1].floor().long().clamp(0, HEIGHT - 1)
    same = (truth.rgb[0, row, column] - truth.rgb[1][kept[1]]).abs().amax(-1) < 0.01
    assert same.float().mean() > 0.8


def test_what_is_no_picture_is_not_measured(pairs):
    calibrate(pairs, left_image_rect_normalized=[0, 0.25, 0.75, 1])
    measured = load_pair(pairs / "desk_left.png").truth.measured[0]
    assert not measured[: HEIGHT // 4].any()
    assert not measured[:, 3 * WIDTH // 4 :].any()
    assert measured[HEIGHT // 4 :, : 3 * WIDTH // 4].any()


def test_a_film_of_another_shape_is_cropped(pairs):
    scene = load_pair(pairs / "desk_left.png", size=(120, 60))
    assert scene.photo.shape == (60, 120, 3)
    assert (scene.truth.cameras.width, scene.truth.cameras.height) == (120, 60)
    focal = scene.path.intrinsics[0]
    # Half the size, and 60 of 240 columns cut off at either side.
    torch.testing.assert_close(focal[0], torch.tensor([FOCAL / 2, 0.0, 115.0 - 60.0]))
    torch.testing.assert_close(focal[1], torch.tensor([0.0, FOCAL / 2, 30.5]))
    full = load_pair(pairs / "desk_left.png")
    finite = torch.isfinite(scene.truth.depth[0])
    assert torch.isin(scene.truth.depth[0][finite], full.truth.depth[0]).all()


def test_what_is_wrong_is_named(pairs, tmp_path):
    with pytest.raises(ValueError, match="is no scene"):
        open_scene(pairs / "desk_right.png")
    calibrate(pairs, baseline_meters=None)
    with pytest.raises(ValueError, match="'baseline_meters'"):
        load_pair(pairs / "desk_left.png")
    calibrate(pairs, width=100)
    with pytest.raises(ValueError, match=r"desk_left\.png"):
        load_pair(pairs / "desk_left.png")
    calibrate(pairs)
    (pairs / "desk_right.png").unlink()
    with pytest.raises(ValueError, match=r"no right picture desk_right\.png"):
        load_pair(pairs / "desk_left.png")
    assert each_scene([pairs]) == [pairs]
    with pytest.raises(ValueError, match="is no scene"):
        load_scene(pairs)
