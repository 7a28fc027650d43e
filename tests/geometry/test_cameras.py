import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from splatmem.geometry.cameras import Cameras, identity_camera
from splatmem.geometry.poses import rigid_from
from splatmem.geometry.rotations import quats_to_rotations
from torch import Tensor


def random_cameras(n: int, seed: int = 0, width: int = 20, height: int = 12) -> Cameras:
    generator = torch.Generator().manual_seed(seed)
    rotation = quats_to_rotations(torch.randn(n, 4, generator=generator))
    poses = rigid_from(rotation, torch.randn(n, 3, generator=generator))
    return Cameras.from_fov(poses, 65.0, width, height)


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.floats(0.05, 50))
def test_project_undoes_unproject(seed: int, depth: float) -> None:
    cameras = random_cameras(2, seed)
    points = cameras.unproject(torch.full((2, 12, 20), depth))
    grid_v, grid_u = torch.meshgrid(torch.arange(12) + 0.5, torch.arange(20) + 0.5, indexing="ij")
    for i in range(2):
        pixels, z = cameras[i].project(points[i])
        torch.testing.assert_close(pixels[0], torch.stack([grid_u, grid_v], dim=-1), atol=5e-3, rtol=0)
        torch.testing.assert_close(z[0], torch.full((12, 20), depth), atol=1e-5, rtol=1e-4)


def test_opencv_axes() -> None:
    camera = identity_camera(90.0, 64, 48)
    pixels, depth = camera.project(torch.tensor([[0.0, 0, 2], [1.0, 0, 2], [0.0, 1, 2], [0.0, 0, -1]]))
    torch.testing.assert_close(pixels[0, :3], torch.tensor([[32.0, 24], [48.0, 24], [32.0, 40]]))
    assert depth[0].tolist() == [2, 2, 2, -1]
    assert pixels.isfinite().all()


def test_points_keep_their_shape() -> None:
    pixels, depth = random_cameras(3).project(torch.rand(4, 5, 3))
    assert pixels.shape == (3, 4, 5, 2)
    assert depth.shape == (3, 4, 5)


@pytest.mark.parametrize("fov", [1.0, 37.5, 60.0, 120.0, 170.0])
def test_from_fov(fov: float) -> None:
    camera = identity_camera(fov, 640, 360)
    assert camera.intrinsics[0, 0, 0] == camera.intrinsics[0, 1, 1]
    assert 2 * math.degrees(math.atan(320 / camera.focal[0, 0].item())) == pytest.approx(fov, abs=1e-3)
    # The ray through the image's left edge leaves at half the field of view.
    edge, _ = camera.project(torch.tensor([[-math.tan(math.radians(fov / 2)), 0.0, 1.0]]))
    assert edge[0, 0, 0].item() == pytest.approx(0.0, abs=1e-2)


@pytest.mark.parametrize("fov", [0.0, 180.0, -60.0, math.nan])
def test_from_fov_refuses_what_is_no_field_of_view(fov: float) -> None:
    with pytest.raises(ValueError, match="field of view"):
        identity_camera(fov, 64, 48)


def test_poses() -> None:
    cameras = random_cameras(4)
    torch.testing.assert_close(cameras.cam_to_world @ cameras.world_to_cam, torch.eye(4).repeat(4, 1, 1), atol=1e-5, rtol=0)
    torch.testing.assert_close(cameras.centers, cameras.cam_to_world[:, :3, 3], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(cameras.forward, cameras.cam_to_world[:, :3, 2], atol=1e-5, rtol=1e-5)


def test_resized_shows_the_same_view() -> None:
    cameras = random_cameras(2)
    points = torch.randn(30, 3)
    half = cameras.resized(10, 24)
    assert (half.width, half.height) == (10, 24)
    pixels, depth = cameras.project(points)
    pixels_half, depth_half = half.project(points)
    torch.testing.assert_close(pixels_half, pixels * torch.tensor([0.5, 2.0]), atol=1e-2, rtol=1e-4)
    torch.testing.assert_close(depth_half, depth)
    back = half.resized(20, 12)
    torch.testing.assert_close(back.intrinsics, cameras.intrinsics)


def test_cat_and_indexing() -> None:
    a, b = random_cameras(2, seed=1), random_cameras(3, seed=2)
    both = Cameras.cat([a, b])
    assert len(both) == 5
    torch.testing.assert_close(both[2:].world_to_cam, b.world_to_cam)
    torch.testing.assert_close(both[[4, 0]].world_to_cam[1], a.world_to_cam[0])
    assert len(both[1]) == len(both[-1]) == 1
    assert len(both[torch.tensor([True, False, True, False, False])]) == 2


def test_cat_refuses() -> None:
    with pytest.raises(ValueError, match="empty list"):
        Cameras.cat([])
    with pytest.raises(ValueError, match="different image sizes"):
        Cameras.cat([random_cameras(1), random_cameras(1, width=30)])


@pytest.mark.breaks_annotations
def test_shapes_are_checked() -> None:
    with pytest.raises(ValueError, match=r"got \(4, 4\) and \(3, 3\)"):
        Cameras(torch.eye(4), torch.eye(3), 8, 8)
    with pytest.raises(ValueError, match="image size"):
        Cameras(torch.eye(4)[None], torch.eye(3)[None], 0, 8)


def test_world_rays_meet_the_unprojected_points() -> None:
    cameras = random_cameras(2)
    points = cameras.centers[:, None, None] + 3.0 * cameras.world_rays()
    torch.testing.assert_close(points, cameras.unproject(torch.full((2, 12, 20), 3.0)))
    assert (cameras.pixel_rays()[..., 2] == 1).all()


def test_cameras_lie_in_memory_the_same_way_however_they_were_made():
    """Else a run that goes on with cameras from a file rounds otherwise than one that was not interrupted."""
    inverted = Cameras.from_fov(torch.eye(4).repeat(2, 1, 1), 60, 8, 6)
    assert inverted.world_to_cam.is_contiguous()
    assert inverted[[1]].resized(4, 3).intrinsics.is_contiguous()


def test_equality_compares_values() -> None:
    cameras = random_cameras(3)
    assert cameras == random_cameras(3)
    assert cameras == cameras[[0, 1, 2]]
    assert cameras != cameras[[0, 2, 1]]
    assert cameras != cameras[:2]
    assert cameras != random_cameras(3, width=21)
    assert cameras != random_cameras(3).resized(20, 13)
    assert cameras != "cameras"


@given(st.integers(-4, 3))
def test_any_integer_is_an_index(index: int) -> None:
    cameras = random_cameras(4)
    for kind in (int, np.int64, np.int32, np.uint8 if index >= 0 else np.int8, torch.tensor, np.array):
        chosen = cameras[kind(index)]
        assert len(chosen) == 1
        assert torch.equal(chosen.world_to_cam[0], cameras.world_to_cam[index])


def test_many_are_chosen_by_arrays_lists_and_masks() -> None:
    cameras = random_cameras(4)
    expected = cameras[[2, 0]]
    assert cameras[np.array([2, 0])] == cameras[torch.tensor([2, 0])] == cameras[(np.int64(2), 0)] == expected
    assert cameras[np.array([True, False, True, False])] == cameras[::2]
    assert len(cameras[[]]) == 0


def test_there_is_no_camera_beyond_the_last() -> None:
    for index in (4, -5, np.int64(4)):
        with pytest.raises(IndexError):
            random_cameras(4)[index]
    assert len(list(random_cameras(4))) == 4


FINITE = st.floats(-5, 5)
PLACES = st.tuples(FINITE, FINITE, FINITE)


@given(PLACES, PLACES, PLACES.filter(lambda v: math.dist(v, (0, 0, 0)) > 0.1))
def test_look_at_has_the_target_in_the_middle_and_stands_upright(position, target, down) -> None:
    forward = torch.tensor(target) - torch.tensor(position)
    across = torch.linalg.cross(torch.tensor(down), forward).norm() / torch.tensor(down).norm()
    assume(forward.norm() > 0.05 and across > 0.05)
    camera = Cameras.look_at(position, target, 70.0, 64, 48, down)
    pixels, depth = camera.project(torch.tensor([target]))
    torch.testing.assert_close(pixels[0, 0], torch.tensor([32.0, 24.0]), atol=2e-2, rtol=0)
    torch.testing.assert_close(depth[0, 0], forward.norm(), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(camera.centers[0], torch.tensor(position), atol=1e-4, rtol=0)
    right, below = camera.world_to_cam[0, 0, :3], camera.world_to_cam[0, 1, :3]
    assert abs((right @ torch.tensor(down)).item()) < 1e-3, "the horizon is level"
    assert below @ torch.tensor(down) > 0


def test_look_at_takes_one_target_for_many_positions() -> None:
    positions = torch.tensor([[0.0, 0, 0], [1.0, 0, 0]])
    cameras = Cameras.look_at(positions, (0.0, 0.0, 4.0), 60.0, 64, 48)
    assert cameras[0] == identity_camera(60.0, 64, 48)
    torch.testing.assert_close(cameras.centers, positions)


@pytest.mark.parametrize("target", [(0.0, 0.0, 0.0), (0.0, 3.0, 0.0)])
def test_look_at_refuses_what_has_no_upright(target) -> None:
    with pytest.raises(ValueError, match="straight up or down"):
        Cameras.look_at((0.0, 0.0, 0.0), target, 60.0, 64, 48)


@given(st.integers(0, 10**6), FINITE, FINITE, FINITE)
def test_moved_moves_along_the_cameras_own_axes(seed: int, right: float, down: float, ahead: float) -> None:
    cameras = random_cameras(3, seed)
    moved = cameras.moved(right=right, down=down, ahead=ahead)
    step = torch.einsum("nij,ni->nj", cameras.world_to_cam[:, :3, :3], torch.tensor([right, down, ahead]).expand(3, 3))
    torch.testing.assert_close(moved.centers, cameras.centers + step, atol=1e-4, rtol=0)
    assert torch.equal(moved.world_to_cam[:, :3, :3], cameras.world_to_cam[:, :3, :3])
    torch.testing.assert_close(moved.moved(-right, -down, -ahead).world_to_cam, cameras.world_to_cam, atol=1e-5, rtol=0)


def test_each_camera_may_move_by_its_own_distance() -> None:
    moved = identity_camera(60.0, 8, 6)[[0, 0]].moved(ahead=torch.tensor([1.0, 2.0]))
    assert moved.centers.tolist() == [[0, 0, 1], [0, 0, 2]]


def test_turned_goes_where_the_names_say() -> None:
    camera = identity_camera(60.0, 8, 6)
    torch.testing.assert_close(camera.turned(right_degrees=90).forward[0], torch.tensor([1.0, 0, 0]), atol=1e-6, rtol=0)
    torch.testing.assert_close(camera.turned(down_degrees=90).forward[0], torch.tensor([0.0, 1, 0]), atol=1e-6, rtol=0)
    clockwise = camera.turned(clockwise_degrees=90).world_to_cam[0, :3, :3]
    torch.testing.assert_close(clockwise[0], torch.tensor([0.0, 1, 0]), atol=1e-6, rtol=0)  # its right is where down was
    # First to the right, then down about the axis that it has by then.
    both = camera.turned(right_degrees=90, down_degrees=30)
    expected = torch.tensor([math.cos(math.radians(30)), 0.5, 0])
    torch.testing.assert_close(both.forward[0], expected, atol=1e-6, rtol=0)


@given(st.integers(0, 10**6), st.floats(-180, 180), st.floats(-180, 180), st.floats(-180, 180))
def test_turned_stays_in_place_and_can_be_undone(seed: int, right: float, down: float, clockwise: float) -> None:
    cameras = random_cameras(3, seed)
    turned = cameras.turned(right, down, clockwise)
    torch.testing.assert_close(turned.centers, cameras.centers, atol=1e-4, rtol=0)
    back = turned.turned(clockwise_degrees=-clockwise).turned(down_degrees=-down).turned(right_degrees=-right)
    torch.testing.assert_close(back.world_to_cam, cameras.world_to_cam, atol=1e-4, rtol=0)
    each = torch.tensor([right, down, clockwise])
    assert cameras.turned(right_degrees=each)[1] == cameras.turned(right_degrees=down)[1]


@given(st.integers(0, 10**6))
def test_sees_is_what_falls_into_the_picture(seed: int) -> None:
    cameras = random_cameras(2, seed)
    points = torch.randn(40, 5, 3, generator=torch.Generator().manual_seed(seed))
    pixels, depth = cameras.project(points)
    column, row = pixels.floor().unbind(-1)
    expected = (depth > 0) & (column >= 0) & (column <= 19) & (row >= 0) & (row <= 11)
    assert torch.equal(cameras.sees(points), expected)


def test_sees_what_it_unprojects_and_nothing_behind() -> None:
    cameras = random_cameras(2)
    points = cameras.unproject(torch.full((2, 12, 20), 2.0))
    assert cameras[0].sees(points[0]).all()
    assert not cameras[0].sees(2 * cameras.centers[0] - points[0]).any()


@pytest.mark.parametrize("size", [(288, 512), (64, 64), (1024, 288), (512, 288)])
def test_cropped_shows_the_middle_and_nothing_beyond(size: tuple[int, int]) -> None:
    camera = identity_camera(60.0, 512, 288)
    cropped = camera.cropped(*size)
    assert (cropped.width, cropped.height) == size
    assert cropped.focal[0, 0] == cropped.focal[0, 1]
    corners = torch.tensor([[x, y] for x in (0.0, size[0]) for y in (0.0, size[1])])
    rays = torch.cat([(corners - cropped.intrinsics[0, :2, 2]) / cropped.focal[0], torch.ones(4, 1)], dim=1)
    pixels = camera.project(rays)[0][0]
    assert (pixels >= -1e-3).all()
    assert (pixels <= torch.tensor([512.0, 288.0]) + 1e-3).all()
    spans = pixels.amax(0) - pixels.amin(0)
    assert torch.isclose(spans, torch.tensor([512.0, 288.0]), atol=1e-2).any(), "one side is shown whole"
    torch.testing.assert_close(0.5 * (pixels.amax(0) + pixels.amin(0)), torch.tensor([256.0, 144.0]))


def test_coarse_keeps_the_aspect_ratio() -> None:
    cameras = random_cameras(1, width=512, height=288)
    assert (cameras.coarse(32).width, cameras.coarse(32).height) == (32, 18)
    assert random_cameras(1, width=400, height=2).coarse(10).height == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda pose, k: pose[0, 0].fill_(math.nan), "finite"),
        (lambda pose, k: pose[1, 3].fill_(math.inf), "finite"),
        (lambda pose, k: k[0, 2].fill_(math.nan), "finite"),
        (lambda pose, k: pose[:3, :3].mul_(2), "rigid"),
        (lambda pose, k: pose[0, 0].fill_(-1), "rigid"),
        (lambda pose, k: pose[0, 3].fill_(1e30), "of the origin"),
        (lambda pose, k: k[0, 0].fill_(0), "focal lengths"),
        (lambda pose, k: k[1, 1].fill_(-5), "focal lengths"),
        (lambda pose, k: k[0, 0].fill_(1e-40), "focal lengths"),
        (lambda pose, k: k[0, 0].fill_(1e30), "focal lengths"),
    ],
)
def test_cameras_that_no_picture_has_are_refused(change: Callable[[Tensor, Tensor], object], message: str) -> None:
    pose, intrinsics = torch.eye(4), torch.tensor([[50.0, 0, 32], [0, 50, 18], [0, 0, 1]])
    change(pose, intrinsics)
    with pytest.raises(ValueError, match=message):
        Cameras(pose[None], intrinsics[None], 64, 36)
