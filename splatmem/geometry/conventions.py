"""Converters between ``Cameras`` and the camera conventions of other tools, each named after its convention.

========== ======================= ============================== ===================================
convention camera axes (x, y, z)   pose                           pixel centres
========== ======================= ============================== ===================================
ours       right, down, forward    world-to-cam 4x4               at +0.5
OpenGL     right, up, backward     cam-to-world 4x4               at +0.5 (nerfstudio, Blender too)
COLMAP     right, down, forward    world-to-cam, quaternion wxyz  at +0.5
TUM        right, down, forward    cam-to-world, quaternion xyzw  the file has no intrinsics
PyTorch3D  left, up, forward       world-to-cam, row vectors      at +0.5
Open3D     right, down, forward    world-to-cam 4x4               at integers (see ``cameras_to_open3d``)
========== ======================= ============================== ===================================

Only camera axes are converted; the world stays as it is. ``splatmem.io`` reads and writes files in these conventions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from splatmem.geometry.cameras import Cameras
from splatmem.geometry.poses import rigid_from, rigid_inverse
from splatmem.geometry.rotations import quats_to_rotations, rotations_to_quats

if TYPE_CHECKING:
    import open3d as o3d


def crop_intrinsics(
    intrinsics: Float[Tensor, "n 3 3"], sizes: Float[Tensor, "n 2"], width: int, height: int
) -> Float[Tensor, "n 3 3"]:
    """Intrinsics after each image, of its own size ``(w, h)``, was scaled to cover the target and centre-cropped.

    Unlike ``Cameras.resized`` this keeps the pixels' shape. ``splatmem.io.photo`` treats the photo in the same way.
    """
    target = sizes.new_tensor([float(width), float(height)])
    scale = (target / sizes).amax(dim=1)
    cropped = intrinsics * scale[:, None, None]
    cropped[:, :2, 2] += (target - sizes * scale[:, None]) / 2
    cropped[:, 2, 2] = 1.0
    return cropped


# ---------------------------------------------------------------------------------------------- OpenGL


def cameras_from_opengl(
    cam_to_world: Float[Tensor, "n 4 4"], intrinsics: Float[Tensor, "n 3 3"], width: int, height: int
) -> Cameras:
    """Cameras from OpenGL poses (x right, y up, z backward), as nerfstudio, Blender and NeRF data sets hold them."""
    opencv = cam_to_world.double() * _flip_columns_yz()
    return Cameras(rigid_inverse(opencv).float(), intrinsics.float(), width, height)


def cameras_to_opengl(cameras: Cameras) -> Float[Tensor, "n 4 4"]:
    """Cam-to-world matrices with OpenGL camera axes (x right, y up, z backward)."""
    opencv = rigid_inverse(cameras.world_to_cam.double())
    return (opencv * _flip_columns_yz().to(opencv.device)).to(cameras.world_to_cam.dtype)


def _flip_columns_yz() -> Float[Tensor, "4"]:
    """Multiplying columns is the product with ``diag(1, -1, -1, 1)`` from the right: new camera axes, same world."""
    return torch.tensor([1.0, -1.0, -1.0, 1.0], dtype=torch.float64)


# ---------------------------------------------------------------------------------------------- COLMAP


def cameras_from_colmap(
    quats_wxyz: Float[Tensor, "n 4"],
    translations: Float[Tensor, "n 3"],
    intrinsics: Float[Tensor, "n 3 3"],
    width: int,
    height: int,
) -> Cameras:
    """Cameras from COLMAP's world-to-cam rotation ``(QW, QX, QY, QZ)`` and translation ``(TX, TY, TZ)``."""
    world_to_cam = rigid_from(quats_to_rotations(quats_wxyz.double()), translations.double())
    return Cameras(world_to_cam.float(), intrinsics.float(), width, height)


def cameras_to_colmap(cameras: Cameras) -> tuple[Float[Tensor, "n 4"], Float[Tensor, "n 3"]]:
    """COLMAP's world-to-cam quaternions ``wxyz`` (with w >= 0) and translations."""
    return rotations_to_quats(cameras.world_to_cam[:, :3, :3]), cameras.world_to_cam[:, :3, 3]


# ------------------------------------------------------------------------------------------------- TUM


def cameras_from_tum(
    positions: Float[Tensor, "n 3"],
    quats_xyzw: Float[Tensor, "n 4"],
    intrinsics: Float[Tensor, "n 3 3"],
    width: int,
    height: int,
) -> Cameras:
    """Cameras from the TUM RGB-D benchmark's cam-to-world positions and quaternions ``(qx, qy, qz, qw)``."""
    cam_to_world = rigid_from(quats_to_rotations(quats_xyzw.double().roll(1, dims=-1)), positions.double())
    return Cameras(rigid_inverse(cam_to_world).float(), intrinsics.float(), width, height)


def cameras_to_tum(cameras: Cameras) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n 4"]]:
    """TUM's camera positions and cam-to-world quaternions ``xyzw``."""
    cam_to_world = rigid_inverse(cameras.world_to_cam)
    return cam_to_world[:, :3, 3], rotations_to_quats(cam_to_world[:, :3, :3]).roll(-1, dims=-1)


# ------------------------------------------------------------------------------------------- PyTorch3D


class PyTorch3DParameters(NamedTuple):
    """Arguments of ``pytorch3d.renderer.PerspectiveCameras`` with ``in_ndc=False``.

    Attributes:
        R: a world point as a row vector has camera coordinates ``X @ R + T``; x points left, y up, z forward.
        T: see ``R``.
        focal_length: ``(fx, fy)`` in pixels.
        principal_point: ``(cx, cy)`` in pixels from the left upper corner.
        image_size: ``(height, width)``.
    """

    R: Float[Tensor, "n 3 3"]
    T: Float[Tensor, "n 3"]
    focal_length: Float[Tensor, "n 2"]
    principal_point: Float[Tensor, "n 2"]
    image_size: Float[Tensor, "n 2"]


def cameras_to_pytorch3d(cameras: Cameras) -> PyTorch3DParameters:
    """Plain tensors for PyTorch3D; ``perspective_cameras_pytorch3d`` builds its object from them.

    With ``F = diag(-1, -1, 1)``: ``R = (F R_ours)^T`` and ``T = F t_ours``. A point then lands on the pixel
    ``c - f * (x, y) / z`` (``get_ndc_camera_transform`` and ``transform_points_screen`` in PyTorch3D's ``cameras.py``).
    """
    flip = cameras.world_to_cam.new_tensor([-1.0, -1.0, 1.0])
    size = cameras.intrinsics.new_tensor([[float(cameras.height), float(cameras.width)]])
    return PyTorch3DParameters(
        R=(flip[:, None] * cameras.world_to_cam[:, :3, :3]).transpose(1, 2).contiguous(),
        T=flip * cameras.world_to_cam[:, :3, 3],
        focal_length=cameras.focal,
        principal_point=cameras.intrinsics[:, :2, 2],
        image_size=size.repeat(len(cameras), 1),
    )


def cameras_from_pytorch3d(parameters: PyTorch3DParameters) -> Cameras:
    """Cameras from the parameters of PyTorch3D's ``PerspectiveCameras`` with ``in_ndc=False``."""
    sizes = parameters.image_size
    if not (sizes == sizes[:1]).all():
        raise ValueError("PyTorch3D cameras of different image sizes cannot become one batch; convert them one by one")
    flip = parameters.R.new_tensor([-1.0, -1.0, 1.0])
    world_to_cam = rigid_from(flip[:, None] * parameters.R.transpose(1, 2), flip * parameters.T)
    intrinsics = _intrinsics(parameters.focal_length, parameters.principal_point)
    return Cameras(world_to_cam.float(), intrinsics.float(), width=int(sizes[0, 1]), height=int(sizes[0, 0]))


def perspective_cameras_pytorch3d(cameras: Cameras) -> Any:
    """A ``pytorch3d.renderer.PerspectiveCameras``; PyTorch3D must be installed, it is no dependency of this package."""
    from pytorch3d.renderer import PerspectiveCameras  # pyright: ignore[reportMissingImports]

    return PerspectiveCameras(**cameras_to_pytorch3d(cameras)._asdict(), in_ndc=False, device=cameras.world_to_cam.device)


def _intrinsics(focal: Float[Tensor, "n 2"], center: Float[Tensor, "n 2"]) -> Float[Tensor, "n 3 3"]:
    intrinsics = torch.eye(3).to(focal).repeat(len(focal), 1, 1)
    intrinsics[:, 0, 0], intrinsics[:, 1, 1] = focal[:, 0], focal[:, 1]
    intrinsics[:, :2, 2] = center
    return intrinsics


# ---------------------------------------------------------------------------------------------- Open3D


def cameras_to_open3d(cameras: Cameras, *, pixel_centers_at: float = 0.0) -> list[o3d.camera.PinholeCameraParameters]:
    """Open3D's ``PinholeCameraParameters``, one for each camera (Open3D is imported here).

    Args:
        cameras: the cameras to convert.
        pixel_centers_at: coordinate of the first pixel's centre. Open3D's RGB-D functions and its legacy visualizer
            count pixel centres as integers (0.0); ``rendering.OffscreenRenderer.setup_camera`` spans the image over
            ``[0, width]`` as we do (0.5).
    """
    import open3d as o3d

    shift = pixel_centers_at - 0.5
    parameters = []
    for world_to_cam, k in zip(cameras.world_to_cam.double().cpu(), cameras.intrinsics.double().cpu(), strict=True):
        fx, fy, cx, cy = k[0, 0].item(), k[1, 1].item(), k[0, 2].item(), k[1, 2].item()
        one = o3d.camera.PinholeCameraParameters()
        one.intrinsic = o3d.camera.PinholeCameraIntrinsic(cameras.width, cameras.height, fx, fy, cx + shift, cy + shift)
        one.extrinsic = world_to_cam.numpy()
        parameters.append(one)
    return parameters


def cameras_from_open3d(parameters: Sequence[o3d.camera.PinholeCameraParameters], *, pixel_centers_at: float = 0.0) -> Cameras:
    """Cameras from Open3D's ``PinholeCameraParameters``; for ``pixel_centers_at`` see ``cameras_to_open3d``."""
    if not parameters:
        raise ValueError("expected at least one Open3D camera, got none")
    sizes = {(p.intrinsic.width, p.intrinsic.height) for p in parameters}
    if len(sizes) > 1:
        raise ValueError(f"Open3D cameras of different image sizes cannot become one batch: {sorted(sizes)}")
    width, height = sizes.pop()
    world_to_cam = torch.stack([torch.tensor(p.extrinsic, dtype=torch.float32) for p in parameters])
    intrinsics = torch.stack([torch.tensor(p.intrinsic.intrinsic_matrix, dtype=torch.float32) for p in parameters])
    intrinsics[:, :2, 2] += 0.5 - pixel_centers_at
    return Cameras(world_to_cam, intrinsics, width, height)
