import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from splatmem.geometry import conventions as cv
from splatmem.geometry.cameras import Cameras, identity_camera
from splatmem.geometry.rotations import quats_to_rotations
from torch import Tensor

coordinate = st.floats(-10, 10, allow_nan=False)
vector = st.tuples(coordinate, coordinate, coordinate)
quaternion = st.tuples(*[st.floats(-1, 1)] * 4).filter(lambda q: sum(x * x for x in q) > 0.01)
shared = settings(max_examples=40, deadline=None)


@st.composite
def rigid(draw: st.DrawFn) -> Tensor:
    quat, position = draw(quaternion), draw(vector)
    rotation = quats_to_rotations(torch.tensor(quat, dtype=torch.float64))
    return cv.rigid_from(rotation, torch.tensor(position, dtype=torch.float64))


@st.composite
def camera_batches(draw: st.DrawFn) -> Cameras:
    poses = torch.stack(draw(st.lists(rigid(), min_size=1, max_size=3)))
    width, height = draw(st.integers(8, 800)), draw(st.integers(8, 800))
    fx, fy = draw(st.floats(10, 2000)), draw(st.floats(10, 2000))
    cx, cy = draw(st.floats(0, 1)) * width, draw(st.floats(0, 1)) * height
    k = torch.tensor([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
    return Cameras(poses.float(), k.repeat(len(poses), 1, 1), width, height)


def assert_same_cameras(a: Cameras, b: Cameras) -> None:
    assert (a.width, a.height) == (b.width, b.height)
    torch.testing.assert_close(a.world_to_cam, b.world_to_cam, atol=2e-5, rtol=1e-5)
    torch.testing.assert_close(a.intrinsics, b.intrinsics, atol=1e-4, rtol=1e-6)


def points_in_front(cameras: Cameras) -> Tensor:
    """World points ``[n, 4, 3]`` at depth 1 to 4 in each camera, float64."""
    local = torch.tensor([[0.3, -0.2, 1.0], [-0.5, 0.4, 2.0], [0.0, 0.0, 3.0], [1.0, 1.0, 4.0]]).double()
    world = cv.rigid_inverse(cameras.world_to_cam.double())
    return torch.einsum("nij,pj->npi", world[:, :3, :3], local) + world[:, None, :3, 3]


def our_pixels(cameras: Cameras, points: Tensor) -> Tensor:
    pixels = [cameras[i].project(points[i].float())[0][0] for i in range(len(cameras))]
    return torch.stack(pixels).double()


def assert_same_pixels(cameras: Cameras, pixels: Tensor, points: Tensor) -> None:
    tolerance = 1e-4 * float(cameras.focal.max()) + 1e-3
    torch.testing.assert_close(pixels, our_pixels(cameras, points), atol=tolerance, rtol=1e-4)


class TestRigidTransforms:
    @shared
    @given(rigid(), rigid(), rigid())
    def test_group_axioms(self, a: Tensor, b: Tensor, c: Tensor) -> None:
        identity = torch.eye(4).double()
        torch.testing.assert_close((a @ b) @ c, a @ (b @ c))
        torch.testing.assert_close(a @ cv.rigid_inverse(a), identity, atol=1e-9, rtol=0)
        torch.testing.assert_close(cv.rigid_inverse(a) @ a, identity, atol=1e-9, rtol=0)
        torch.testing.assert_close(cv.rigid_inverse(a @ b), cv.rigid_inverse(b) @ cv.rigid_inverse(a))
        torch.testing.assert_close(identity @ a, a)
        cv.require_rigid((a @ b)[None], "the product")  # closure

    @shared
    @given(rigid())
    def test_inverse_is_the_matrix_inverse(self, a: Tensor) -> None:
        torch.testing.assert_close(cv.rigid_inverse(a), torch.linalg.inv(a), atol=1e-8, rtol=1e-8)

    def test_rounded_poses_are_made_exact(self) -> None:
        pose = cv.rigid_from(quats_to_rotations(torch.tensor([0.9, 0.1, -0.3, 0.2]).double()), torch.ones(3).double())
        exact = cv.require_rigid((pose * 1e4).round()[None] / 1e4, "a file")[0]
        torch.testing.assert_close(exact[:3, :3] @ exact[:3, :3].T, torch.eye(3).double(), atol=1e-12, rtol=0)
        torch.testing.assert_close(exact, pose, atol=2e-4, rtol=0)

    @pytest.mark.parametrize(
        ("spoil", "message"),
        [
            (lambda m: m.__setitem__((1, 0, 3), math.nan), "pose 1 has a value that is NaN"),
            (lambda m: m[1, :3, :3].mul_(1.1), "pose 1 is not rigid"),
            (lambda m: m[1, :3, 0].mul_(-1), "determinant is -1"),
            (lambda m: m.__setitem__((1, 3, 0), 1.0), "last row of pose 1 must be 0 0 0 1"),
        ],
    )
    def test_not_rigid(self, spoil, message: str) -> None:
        poses = torch.eye(4).repeat(3, 1, 1)
        spoil(poses)
        with pytest.raises(ValueError, match=message):
            cv.require_rigid(poses, "path.json")


@shared
@given(camera_batches())
def test_opengl(cameras: Cameras) -> None:
    cam_to_world = cv.cameras_to_opengl(cameras)
    assert_same_cameras(cv.cameras_from_opengl(cam_to_world, cameras.intrinsics, cameras.width, cameras.height), cameras)
    # OpenGL looks along -z with y up; the image's v runs down.
    points = points_in_front(cameras)
    local = torch.einsum("nji,npj->npi", cam_to_world[:, :3, :3].double(), points - cam_to_world[:, None, :3, 3].double())
    focal, center = cameras.focal[:, None].double(), cameras.intrinsics[:, None, :2, 2].double()
    u = center[..., 0] + focal[..., 0] * local[..., 0] / -local[..., 2]
    v = center[..., 1] - focal[..., 1] * local[..., 1] / -local[..., 2]
    assert_same_pixels(cameras, torch.stack([u, v], dim=-1), points)


@shared
@given(camera_batches())
def test_colmap(cameras: Cameras) -> None:
    quats, translations = cv.cameras_to_colmap(cameras)
    assert_same_cameras(cv.cameras_from_colmap(quats, translations, cameras.intrinsics, cameras.width, cameras.height), cameras)
    # COLMAP's "qvec2rotmat", and X_cam = R X + t; the image's left upper pixel has its centre at (0.5, 0.5).
    w, x, y, z = quats.double().unbind(-1)
    rows = [
        1 - 2 * y**2 - 2 * z**2, 2 * x * y - 2 * w * z, 2 * z * x + 2 * w * y,
        2 * x * y + 2 * w * z, 1 - 2 * x**2 - 2 * z**2, 2 * y * z - 2 * w * x,
        2 * z * x - 2 * w * y, 2 * y * z + 2 * w * x, 1 - 2 * x**2 - 2 * y**2,
    ]  # fmt: skip
    rotation = torch.stack(rows, dim=-1).unflatten(-1, (3, 3))
    points = points_in_front(cameras)
    local = torch.einsum("nij,npj->npi", rotation, points) + translations[:, None].double()
    uvw = torch.einsum("nij,npj->npi", cameras.intrinsics.double(), local)
    assert_same_pixels(cameras, uvw[..., :2] / uvw[..., 2:], points)


@shared
@given(camera_batches())
def test_tum(cameras: Cameras) -> None:
    positions, quats = cv.cameras_to_tum(cameras)
    assert_same_cameras(cv.cameras_from_tum(positions, quats, cameras.intrinsics, cameras.width, cameras.height), cameras)
    torch.testing.assert_close(positions, cameras.centers, atol=1e-4, rtol=1e-5)
    # A vector in the camera is turned to the world by q v q*, with q = (xyz, w).
    axis, w = quats[:, :3].double(), quats[:, 3:].double()
    ahead = torch.tensor([[0.0, 0.0, 1.0]]).double().expand(len(cameras), 3)
    twice_cross = 2 * torch.linalg.cross(axis, ahead)
    turned = ahead + w * twice_cross + torch.linalg.cross(axis, twice_cross)
    pixels = our_pixels(cameras, (positions.double() + turned)[:, None])
    torch.testing.assert_close(pixels[:, 0].float(), cameras.intrinsics[:, :2, 2], atol=0.2, rtol=1e-3)


def pytorch3d_pixels(parameters: cv.PyTorch3DParameters, points: Tensor) -> Tensor:
    """PyTorch3D's road for in_ndc=False: projection, principal point fix, screen to NDC, NDC to screen with xy flip."""
    local = points @ parameters.R.double() + parameters.T[:, None].double()
    focal, center = parameters.focal_length[:, None].double(), parameters.principal_point[:, None].double()
    half = parameters.image_size.double().flip(dims=(1,))[:, None] / 2
    projected = focal * local[..., :2] / local[..., 2:] + center
    fixed = projected - 2 * center
    unit = half.amin(dim=-1, keepdim=True)
    ndc = (fixed + half) / unit
    return -(unit * ndc - half)


@shared
@given(camera_batches())
def test_pytorch3d(cameras: Cameras) -> None:
    parameters = cv.cameras_to_pytorch3d(cameras)
    assert_same_cameras(cv.cameras_from_pytorch3d(parameters), cameras)
    points = points_in_front(cameras)
    assert_same_pixels(cameras, pytorch3d_pixels(parameters, points), points)


def test_pytorch3d_object() -> None:
    pytest.importorskip("pytorch3d")
    cameras = identity_camera(60.0, 64, 48)
    points = points_in_front(cameras).float()
    pixels = cv.perspective_cameras_pytorch3d(cameras).transform_points_screen(points)[..., :2]
    torch.testing.assert_close(pixels.double(), our_pixels(cameras, points), atol=1e-3, rtol=0)


def test_pytorch3d_of_several_sizes_is_refused() -> None:
    parameters = cv.cameras_to_pytorch3d(identity_camera(60.0, 64, 48)[[0, 0]])
    parameters.image_size[1, 0] = 50
    with pytest.raises(ValueError, match="different image sizes"):
        cv.cameras_from_pytorch3d(parameters)


@pytest.mark.parametrize("pixel_centers_at", [0.0, 0.5])
def test_open3d_round_trip(pixel_centers_at: float) -> None:
    pytest.importorskip("open3d")

    @settings(max_examples=20, deadline=None)
    @given(camera_batches())
    def check(cameras: Cameras) -> None:
        parameters = cv.cameras_to_open3d(cameras, pixel_centers_at=pixel_centers_at)
        assert_same_cameras(cv.cameras_from_open3d(parameters, pixel_centers_at=pixel_centers_at), cameras)

    check()


def test_open3d_unprojects_a_depth_image_to_our_points() -> None:
    o3d = pytest.importorskip("open3d")
    pose = cv.rigid_from(quats_to_rotations(torch.tensor([0.9, 0.1, -0.3, 0.2])), torch.tensor([0.4, -1.0, 2.0]))
    cameras = Cameras.from_fov(pose[None], 70.0, 12, 8)
    depth = torch.rand(1, 8, 12, generator=torch.Generator().manual_seed(0)) + 1
    one = cv.cameras_to_open3d(cameras)[0]
    cloud = o3d.geometry.PointCloud.create_from_depth_image(
        o3d.geometry.Image(depth[0].numpy()), one.intrinsic, one.extrinsic, depth_scale=1.0, depth_trunc=100.0
    )
    points = torch.from_numpy(np.asarray(cloud.points)).float()
    torch.testing.assert_close(points, cameras.unproject(depth).reshape(-1, 3), atol=1e-5, rtol=1e-5)


def test_open3d_of_several_sizes_is_refused() -> None:
    pytest.importorskip("open3d")
    parameters = cv.cameras_to_open3d(identity_camera(60.0, 8, 8)) + cv.cameras_to_open3d(identity_camera(60.0, 9, 8))
    with pytest.raises(ValueError, match="different image sizes"):
        cv.cameras_from_open3d(parameters)
    with pytest.raises(ValueError, match="at least one"):
        cv.cameras_from_open3d([])


@shared
@given(camera_batches())
def test_relative_to_makes_the_reference_the_identity(cameras: Cameras) -> None:
    moved = cv.relative_to(cameras, cameras[0])
    torch.testing.assert_close(moved.world_to_cam[0], torch.eye(4), atol=1e-4, rtol=0)
    # What one camera sees of another does not depend on the world.
    before = cameras.world_to_cam[-1:].double() @ cameras.cam_to_world[:1].double()
    after = moved.world_to_cam[-1:].double() @ moved.cam_to_world[:1].double()
    torch.testing.assert_close(after, before, atol=1e-4, rtol=1e-4)


def test_relative_to_takes_one_reference() -> None:
    with pytest.raises(ValueError, match="one camera, got 2"):
        cv.relative_to(identity_camera(60.0, 8, 8), identity_camera(60.0, 8, 8)[[0, 0]])


def test_crop_intrinsics_keeps_square_pixels_and_the_centre() -> None:
    k = torch.tensor([[[1000.0, 0, 960], [0, 1000, 540], [0, 0, 1]]])
    cropped = cv.crop_intrinsics(k, torch.tensor([[1920.0, 1080.0]]), 512, 512)
    expected = torch.tensor([[1000 * 512 / 1080, 0, 256], [0, 1000 * 512 / 1080, 256], [0, 0, 1]])
    torch.testing.assert_close(cropped[0], expected)
