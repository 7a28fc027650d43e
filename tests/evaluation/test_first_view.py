import pytest
import torch
from splatmem.evaluation.first_view import split_by_first_view
from splatmem.evaluation.scenes import Truth
from splatmem.geometry.cameras import Cameras

from textured_room import turn

WIDTH, HEIGHT = 80, 40
EDGE, FAR = 1.0, 3.0  # z of a near screen over x < 0, and of a wall behind it


def screen_before_wall(offsets: list[float]) -> Truth:
    """Cameras that look along z from beside each other."""
    poses = torch.eye(4).repeat(len(offsets), 1, 1)
    poses[:, 0, 3] = torch.tensor(offsets)
    cameras = Cameras.from_fov(poses, 90.0, WIDTH, HEIGHT)
    x_on_screen = cameras.unproject(torch.full((len(offsets), HEIGHT, WIDTH), EDGE))[..., 0]
    depth = torch.where(x_on_screen < 0, EDGE, FAR)
    return Truth(cameras, torch.zeros(*depth.shape, 3), depth, torch.ones_like(depth, dtype=torch.bool))


def test_what_the_screen_hid_is_made_and_the_rest_kept():
    truth = screen_before_wall([0.0, 0.5])
    seen = split_by_first_view(truth)
    x = truth.cameras[1].unproject(truth.depth[1:])[0, ..., 0]
    wall = truth.depth[1] == FAR
    # The first camera sees x >= 0 of the wall, up to x = 3; the second sees on from x = -1 to x = 3.5.
    assert seen.made[1][wall & (x < -0.1)].all()
    assert seen.made[1][wall & (x > 3.1)].all()
    assert seen.kept[1][wall & (x > 0.1) & (x < 2.9)].all()
    assert seen.kept[1][~wall & (x < -0.05)].all()
    # Of what is made the screen hid one part; the other lies outside of the picture.
    assert seen.uncovered[1][wall & (x < -0.1)].all()
    assert not seen.uncovered[1][x > 3.1].any()
    assert not (seen.uncovered & ~seen.made).any()
    assert not (seen.kept & seen.made).any()


def test_the_first_frame_is_kept_whole():
    seen = split_by_first_view(screen_before_wall([0.0, 0.5]))
    assert seen.kept[0].all()
    assert not (seen.made | seen.uncovered)[0].any()


def test_without_depth_a_moving_camera_tells_nothing():
    truth = screen_before_wall([0.0, 0.5])
    blind = Truth(truth.cameras, truth.rgb, truth.depth, torch.zeros_like(truth.measured))
    seen = split_by_first_view(blind)
    assert not (seen.kept | seen.made)[1:].any()


def test_what_the_first_frame_did_not_measure_is_not_told():
    truth = screen_before_wall([0.0, 0.5])
    measured = truth.measured.clone()
    measured[0, :, 60:] = False
    seen = split_by_first_view(Truth(truth.cameras, truth.rgb, truth.depth, measured))
    pixels, _ = truth.cameras[0].project(truth.cameras[1].unproject(truth.depth[1:]))
    blind = (pixels[0, 0, ..., 0] > 61) & (pixels[0, 0, ..., 0] < WIDTH)
    assert blind.any()
    assert not (seen.kept | seen.made)[1][blind].any()


def test_without_depth_a_pixel_is_made_if_it_is_outside_at_any_depth():
    truth = screen_before_wall([0.0, 0.5])
    turned = turn(2, WIDTH, HEIGHT, fov=90.0)  # the other way round
    poses = torch.stack([truth.cameras.cam_to_world[0], turned.cam_to_world[1]])
    poses[1, 0, 3] = 0.5
    behind = Cameras.from_fov(poses, 90.0, WIDTH, HEIGHT)
    measured = truth.measured.clone()
    measured[1] = False
    depth = torch.where(measured, truth.depth, torch.inf)
    assert split_by_first_view(Truth(behind, truth.rgb, depth, measured)).made[1].all()
    # Beside the first camera, looking the same way: a far point is inside, a near one at the right end is not.
    assert not split_by_first_view(Truth(truth.cameras, truth.rgb, depth, measured)).made[1].any()


@pytest.mark.parametrize("measured", [True, False])
def test_a_turn_on_the_spot_needs_no_depth(measured):
    cameras = turn(8, WIDTH, HEIGHT, fov=90.0)
    size = (8, HEIGHT, WIDTH)
    depth = torch.full(size, 2.0) if measured else torch.full(size, torch.inf)
    seen = split_by_first_view(Truth(cameras, torch.zeros(*size, 3), depth, torch.full(size, measured)))
    # By 45 degrees: half of a field of 90 degrees is left, seen from the middle row.
    middle = HEIGHT // 2
    assert seen.kept[1, middle].sum() == pytest.approx(WIDTH / 2, abs=2)
    assert seen.made[1, middle].sum() == pytest.approx(WIDTH / 2, abs=2)
    assert seen.made[4].all()
    assert not seen.uncovered.any()
    assert seen.kept[0].all()
