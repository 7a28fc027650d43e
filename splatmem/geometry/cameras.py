"""Batched pinhole cameras in the one convention that the package uses inside.

Axes are OpenCV's: x right, y down, z forward. Pixel centres lie at +0.5, so the image spans ``[0, width] x [0, height]``.
Every other convention is converted at the border (``splatmem.geometry.conventions``, ``splatmem.io``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.geometry.poses import rigid_inverse


@dataclass(frozen=True)
class Cameras:
    """``n`` pinhole cameras of one image size.

    Attributes:
        world_to_cam: rigid transforms, float32 ``[n, 4, 4]``; a world point ``X`` has camera coordinates ``R X + t``.
        intrinsics: ``[n, 3, 3]`` in pixels, ``[[fx, 0, cx], [0, fy, cy], [0, 0, 1]]``.
        width, height: image size in pixels.
    """

    world_to_cam: Float[Tensor, "n 4 4"]
    intrinsics: Float[Tensor, "n 3 3"]
    width: int
    height: int

    def __post_init__(self) -> None:
        n = self.world_to_cam.shape[0] if self.world_to_cam.ndim == 3 else -1
        if tuple(self.world_to_cam.shape) != (n, 4, 4) or tuple(self.intrinsics.shape) != (n, 3, 3):
            raise ValueError(
                "cameras need world_to_cam [n, 4, 4] and intrinsics [n, 3, 3], "
                f"got {tuple(self.world_to_cam.shape)} and {tuple(self.intrinsics.shape)}"
            )
        if self.width < 1 or self.height < 1:
            raise ValueError(f"image size must be at least 1x1, got {self.width}x{self.height}")
        # Sums of products round differently with the layout in memory: cameras read back from a file must give the same bits.
        for name in ("world_to_cam", "intrinsics"):
            object.__setattr__(self, name, getattr(self, name).contiguous())

    @staticmethod
    def from_fov(cam_to_world: Float[Tensor, "n 4 4"], fov_x_degrees: float, width: int, height: int) -> Cameras:
        """Cameras with square pixels, the principal point at the centre and a horizontal field of view."""
        if not 1.0 <= fov_x_degrees <= 170.0:
            raise ValueError(f"a horizontal field of view lies in 1..170 degrees, got {fov_x_degrees}")
        focal = 0.5 * width / torch.tan(torch.deg2rad(torch.tensor(0.5 * fov_x_degrees))).item()
        intrinsics = torch.tensor([[focal, 0.0, width / 2], [0.0, focal, height / 2], [0.0, 0.0, 1.0]])
        world_to_cam = torch.linalg.inv(cam_to_world.double()).float()
        return Cameras(world_to_cam, intrinsics.to(world_to_cam).repeat(len(world_to_cam), 1, 1), width, height)

    @staticmethod
    def cat(parts: Sequence[Cameras]) -> Cameras:
        """All cameras of ``parts`` in order; they must share one image size."""
        if not parts:
            raise ValueError("cannot concatenate an empty list of cameras")
        if len({(p.width, p.height) for p in parts}) > 1:
            raise ValueError("cameras of different image sizes cannot be concatenated; resize them first")
        return Cameras(
            torch.cat([p.world_to_cam for p in parts]),
            torch.cat([p.intrinsics for p in parts]),
            parts[0].width,
            parts[0].height,
        )

    def __len__(self) -> int:
        return self.world_to_cam.shape[0]

    def __getitem__(self, index: int | slice | Sequence[int] | Tensor) -> Cameras:
        """The chosen cameras; a single integer gives a batch of one."""
        if isinstance(index, int):
            index = [index]
        elif not isinstance(index, slice | Tensor):
            index = list(index)
        return replace(self, world_to_cam=self.world_to_cam[index], intrinsics=self.intrinsics[index])

    def to(self, device: torch.device | str) -> Cameras:
        return replace(self, world_to_cam=self.world_to_cam.to(device), intrinsics=self.intrinsics.to(device))

    @property
    def cam_to_world(self) -> Float[Tensor, "n 4 4"]:
        return torch.linalg.inv(self.world_to_cam.double()).to(self.world_to_cam.dtype)

    @property
    def centers(self) -> Float[Tensor, "n 3"]:
        """Positions of the cameras in the world."""
        rotation, translation = self.world_to_cam[:, :3, :3], self.world_to_cam[:, :3, 3]
        return -(rotation.transpose(1, 2) @ translation[..., None])[..., 0]

    @property
    def forward(self) -> Float[Tensor, "n 3"]:
        """Viewing directions in the world, of unit length."""
        return self.world_to_cam[:, 2, :3]

    @property
    def focal(self) -> Float[Tensor, "n 2"]:
        return torch.stack([self.intrinsics[:, 0, 0], self.intrinsics[:, 1, 1]], dim=-1)

    @property
    def fov_x_degrees(self) -> float:
        """Horizontal field of view of the first camera."""
        return float(2 * torch.rad2deg(torch.atan(0.5 * self.width / self.intrinsics[0, 0, 0])))

    def resized(self, width: int, height: int) -> Cameras:
        """The same views at another image size; the axes scale independently."""
        scale = self.intrinsics.new_tensor([[width / self.width], [height / self.height], [1.0]])
        return Cameras(self.world_to_cam, self.intrinsics * scale, width, height)

    def coarse(self, width: int) -> Cameras:
        """The same views, ``width`` pixels wide and of the same shape."""
        return self.resized(width, max(1, round(width * self.height / self.width)))

    def pixel_rays(self) -> Float[Tensor, "n height width 3"]:
        """Directions through the pixel centres in camera coordinates, scaled so that ``z = 1``."""
        like = self.intrinsics
        u = torch.arange(self.width, dtype=like.dtype, device=like.device) + 0.5
        v = torch.arange(self.height, dtype=like.dtype, device=like.device) + 0.5
        x = (u[None, None, :] - like[:, 0, 2, None, None]) / like[:, 0, 0, None, None]
        y = (v[None, :, None] - like[:, 1, 2, None, None]) / like[:, 1, 1, None, None]
        shape = (len(self), self.height, self.width)
        return torch.stack([x.expand(shape), y.expand(shape), torch.ones(shape).to(like)], dim=-1)

    def world_rays(self) -> Float[Tensor, "n height width 3"]:
        """``pixel_rays`` turned into the world: a point at z-depth ``d`` is ``center + d * ray``."""
        return torch.einsum("nji,nhwj->nhwi", self.world_to_cam[:, :3, :3], self.pixel_rays())

    def unproject(self, depth: Float[Tensor, "n height width"]) -> Float[Tensor, "n height width 3"]:
        """World points at z-depth ``depth`` on the rays through the pixel centres."""
        return self.centers[:, None, None] + depth[..., None] * self.world_rays()

    def project(self, points: Float[Tensor, "*points 3"]) -> tuple[Float[Tensor, "n *points 2"], Float[Tensor, "n *points"]]:
        """Pixel coordinates and z-depth of world points in every camera.

        Points at or behind the camera plane have a depth ``<= 0``; their pixel coordinates are finite but meaningless.
        """
        flat = points.reshape(-1, 3)
        rotation, translation = self.world_to_cam[:, :3, :3], self.world_to_cam[:, :3, 3]
        local = torch.einsum("nij,pj->npi", rotation, flat) + translation[:, None]
        depth = local[..., 2]
        safe = torch.where(depth.abs() < 1e-8, torch.full_like(depth, 1e-8), depth)
        pixels = local[..., :2] / safe[..., None] * self.focal[:, None] + self.intrinsics[:, None, :2, 2]
        shape = (len(self), *points.shape[:-1])
        return pixels.reshape(*shape, 2), depth.reshape(shape)

    def sees(self, points: Float[Tensor, "*points 3"]) -> Bool[Tensor, "n *points"]:
        """Which world points fall into the pictures, whatever may hide them there."""
        pixels, depth = self.project(points)
        x, y = pixels.unbind(-1)
        return (depth > 0) & (x >= 0) & (x < self.width) & (y >= 0) & (y < self.height)


def identity_camera(fov_x_degrees: float, width: int, height: int) -> Cameras:
    """One camera at the world's origin, looking along +z: where the first photo is taken from."""
    return Cameras.from_fov(torch.eye(4)[None], fov_x_degrees, width, height)


def relative_to(cameras: Cameras, reference: Cameras) -> Cameras:
    """The same cameras in a world in which the single camera ``reference`` is the identity.

    This brings a path from another program, whose world is its own, to the memory's world: the camera from which the
    photo was taken becomes the identity.
    """
    if len(reference) != 1:
        raise ValueError(f"the reference must be one camera, got {len(reference)}")
    moved = cameras.world_to_cam.double() @ rigid_inverse(reference.world_to_cam.double())
    return replace(cameras, world_to_cam=moved.to(cameras.world_to_cam.dtype))
