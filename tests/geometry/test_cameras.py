import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from splatmem.geometry.cameras import Cameras, identity_camera
from splatmem.geometry.poses import rigid_from
from splatmem.geometry.rotations import quats_to_rotations


def random_cameras(n: int, seed: int = 0, width: int = 20, height: int = 12) -> Cameras:
    generator = torch.Generator().manual_seed(seed)
    rotation = quats_to_rotations(torch.randn(n, 4, generator=generator))
    poses = rigid_from(rotation, torch.randn(n, 3, generator=generator))
    return Cameras.from_fov(poses, 65.0, width, height)


@settings(max_examples=25, deadline=None)
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
