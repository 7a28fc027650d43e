"""Batched pinhole cameras in the one convention that the package uses inside.

Axes are OpenCV's: x right, y down, z forward. Pixel centres lie at +0.5, so the image spans ``[0, width] x [0, height]``.
Every other convention is converted at the border (``splatmem.geometry.conventions``, ``splatmem.io``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import index as as_index
from typing import SupportsIndex

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.geometry.poses import camera_centers, look_at, rigid_inverse

NOT_RIGID = 5e-3  # difference of R R^T from the identity; files are held to less, and made exact
IDENTITY = np.eye(3, dtype=np.float32)
FARTHEST = 1e12  # in units of the world: squares of distances must not leave float32
FOCAL_RANGE = (1e-3, 1e4)  # in units of the picture's longer side: 179.9 degrees to 20 seconds of arc


@dataclass(frozen=True, eq=False)
class Cameras:
    """``n`` pinhole cameras of one image size; equal (``==``) if all their values are.

    Attributes:
        world_to_cam: rigid transforms, float32 ``[n, 4, 4]``; a world point ``X`` has camera coordinates ``R X + t``.
        intrinsics: ``[n, 3, 3]`` in pixels, ``[[fx, 0, cx], [0, fy, cy], [0, 0, 1]]``.
        width, height: image size in pixels.

    Raises:
        ValueError: wrong shapes or sizes, values that are not finite, poses that are not rigid, or focal lengths that are not
            positive or beyond all lenses.
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
        self._require_plausible()
        # Sums of products round differently with the layout in memory; cameras read back from a file must give the same bits.
        for name in ("world_to_cam", "intrinsics"):
            object.__setattr__(self, name, getattr(self, name).contiguous())

    def _require_plausible(self) -> None:
        """Raises ``ValueError`` for cameras that no picture can have: what overflows or vanishes on the way to float32 is one.

        Cameras on other devices, and such as gradients flow to, were checked before they came there.
        """
        if self.world_to_cam.device.type != "cpu" or self.world_to_cam.requires_grad or self.intrinsics.requires_grad:
            return
        poses, intrinsics = self.world_to_cam.detach().numpy(), self.intrinsics.detach().numpy()
        if not (np.isfinite(poses).all() and np.isfinite(intrinsics).all()):
            raise ValueError("cameras must have finite poses and intrinsics, but a value is NaN, infinite or beyond float32")
        if not len(poses):
            return
        rotation, focal = poses[:, :3, :3], intrinsics[:, [0, 1], [0, 1]]
        off = np.abs(rotation @ rotation.transpose(0, 2, 1) - IDENTITY).max()
        if off > NOT_RIGID or np.linalg.det(rotation).min() < 0:
            raise ValueError("cameras must have rigid poses: the 3x3 part must be a rotation without scale, shear or mirroring")
        if np.abs(poses[:, :3, 3]).max() > FARTHEST:
            raise ValueError(f"cameras must lie within {FARTHEST:g} units of the origin: float32 cannot place them beyond")
        smallest, largest = (limit * max(self.width, self.height) for limit in FOCAL_RANGE)
        if focal.min() < smallest or focal.max() > largest:
            raise ValueError(
                f"cameras must have focal lengths of {FOCAL_RANGE[0]:g} to {FOCAL_RANGE[1]:g} times the picture's longer side, "
                f"got {focal.min():.3g} to {focal.max():.3g} pixels for {self.width}x{self.height}"
            )

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
    def look_at(
        position: Float[Tensor, "*n 3"] | Sequence[float],
        target: Float[Tensor, "*n 3"] | Sequence[float],
        fov_x_degrees: float,
        width: int,
        height: int,
        down: Float[Tensor, "3"] | Sequence[float] | None = None,
    ) -> Cameras:
        """Upright cameras at ``position`` that have ``target`` in the middle of their pictures.

        Args:
            position, target: in the world, one of each or one for each camera: ``[3]`` or ``[n, 3]``.
            fov_x_degrees, width, height: see ``from_fov``.
            down: direction of gravity in the world, of any length; None: +y.

        Raises:
            ValueError: a camera stands on its target or looks along ``down``, where "upright" means nothing.
        """
        ends = (torch.atleast_2d(torch.as_tensor(end, dtype=torch.float64)) for end in (position, target))
        places, targets = torch.broadcast_tensors(*ends)
        gravity = None if down is None else torch.as_tensor(down, dtype=torch.float64)
        return Cameras.from_fov(look_at(places, targets, gravity), fov_x_degrees, width, height)

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

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Cameras):
            return NotImplemented
        same_size = (self.width, self.height) == (other.width, other.height)
        other = other.to(self.world_to_cam.device)
        same_poses = torch.equal(self.world_to_cam, other.world_to_cam)
        return same_size and same_poses and torch.equal(self.intrinsics, other.intrinsics)

    def __getitem__(self, index: SupportsIndex | slice | Sequence[SupportsIndex] | np.ndarray | Tensor) -> Cameras:
        """The chosen cameras, by a slice, by several integers or by a mask; one integer of any type gives a batch of one.

        Negative integers count from the end; ``IndexError`` if there is no such camera.
        """
        chosen: slice | list[int] | Tensor
        if isinstance(index, slice) or (isinstance(index, Tensor) and index.ndim > 0):
            chosen = index
        elif isinstance(index, np.ndarray) and index.ndim > 0:
            chosen = torch.from_numpy(index)
        elif isinstance(index, SupportsIndex):
            chosen = [as_index(index)]
        else:
            chosen = [as_index(i) for i in index]
        return self._of_these(self.world_to_cam[chosen], self.intrinsics[chosen])

    def to(self, device: torch.device | str) -> Cameras:
        """The same cameras with their tensors on another device."""
        return self._of_these(self.world_to_cam.to(device), self.intrinsics.to(device))

    def _of_these(self, world_to_cam: Float[Tensor, "m 4 4"], intrinsics: Float[Tensor, "m 3 3"]) -> Cameras:
        """Cameras with values of these, which were looked at before: a loop chooses thousands of times."""
        chosen = object.__new__(Cameras)
        vars(chosen).update(
            world_to_cam=world_to_cam.contiguous(), intrinsics=intrinsics.contiguous(), width=self.width, height=self.height
        )
        return chosen

    @property
    def cam_to_world(self) -> Float[Tensor, "n 4 4"]:
        """Inverses of ``world_to_cam``, computed in float64."""
        return torch.linalg.inv(self.world_to_cam.double()).to(self.world_to_cam.dtype)

    @property
    def centers(self) -> Float[Tensor, "n 3"]:
        """Positions of the cameras in the world."""
        return camera_centers(self.world_to_cam)

    @property
    def forward(self) -> Float[Tensor, "n 3"]:
        """Viewing directions in the world, of unit length."""
        return self.world_to_cam[:, 2, :3]

    @property
    def focal(self) -> Float[Tensor, "n 2"]:
        """Focal lengths ``fx, fy`` in pixels."""
        return torch.stack([self.intrinsics[:, 0, 0], self.intrinsics[:, 1, 1]], dim=-1)

    @property
    def fov_x_degrees(self) -> float:
        """Horizontal field of view of the first camera."""
        return float(2 * torch.rad2deg(torch.atan(0.5 * self.width / self.intrinsics[0, 0, 0])))

    def resized(self, width: int, height: int) -> Cameras:
        """The same views at another image size; the axes scale independently."""
        scale = self.intrinsics.new_tensor([[width / self.width], [height / self.height], [1.0]])
        return Cameras(self.world_to_cam, self.intrinsics * scale, width, height)

    def cropped(self, width: int, height: int) -> Cameras:
        """The middle of the same views at another shape and size: as much of it as has that shape, with square pixels."""
        scale = max(width / self.width, height / self.height)
        intrinsics = self.intrinsics.clone()
        intrinsics[:, :2] *= scale
        intrinsics[:, 0, 2] += 0.5 * (width - scale * self.width)
        intrinsics[:, 1, 2] += 0.5 * (height - scale * self.height)
        return Cameras(self.world_to_cam, intrinsics, width, height)

    def part(self, left: int, top: int, width: int, height: int) -> Cameras:
        """A rectangle of the same views, at their density of pixels, from its upper left pixel on."""
        intrinsics = self.intrinsics.clone()
        intrinsics[:, :2, 2] -= intrinsics.new_tensor([left, top])
        return Cameras(self.world_to_cam, intrinsics, width, height)

    def coarse(self, width: int) -> Cameras:
        """The same views ``width`` pixels wide, at about their aspect ratio."""
        return self.resized(width, max(1, round(width * self.height / self.width)))

    def moved(
        self,
        right: float | Float[Tensor, " n"] = 0.0,
        down: float | Float[Tensor, " n"] = 0.0,
        ahead: float | Float[Tensor, " n"] = 0.0,
    ) -> Cameras:
        """The cameras moved along their own axes, by one distance for all or one for each, in world units."""
        way = torch.stack([self._for_each(distance) for distance in (right, down, ahead)], dim=-1)
        world_to_cam = self.world_to_cam.clone()
        world_to_cam[:, :3, 3] -= way
        return replace(self, world_to_cam=world_to_cam)

    def turned(
        self,
        right_degrees: float | Float[Tensor, " n"] = 0.0,
        down_degrees: float | Float[Tensor, " n"] = 0.0,
        clockwise_degrees: float | Float[Tensor, " n"] = 0.0,
    ) -> Cameras:
        """The cameras turned where they stand, by one angle for all or one for each.

        They turn to the right about their own vertical axis, then downwards about the horizontal axis that they have by then,
        then clockwise, as seen from behind them, about the axis along which they look by then.
        """
        angles = (right_degrees, down_degrees, clockwise_degrees)
        yaw, pitch, roll = (torch.deg2rad(self._for_each(angle).double()) for angle in angles)
        zero, one = torch.zeros_like(yaw), torch.ones_like(yaw)

        def rotation(*entries: Tensor) -> Float[Tensor, "n 3 3"]:
            return torch.stack(entries, dim=-1).unflatten(-1, (3, 3))

        turn = (
            rotation(yaw.cos(), zero, yaw.sin(), zero, one, zero, -yaw.sin(), zero, yaw.cos())
            @ rotation(one, zero, zero, zero, pitch.cos(), pitch.sin(), zero, -pitch.sin(), pitch.cos())
            @ rotation(roll.cos(), -roll.sin(), zero, roll.sin(), roll.cos(), zero, zero, zero, one)
        )
        world_to_cam = self.world_to_cam.clone()
        world_to_cam[:, :3] = (turn.transpose(1, 2) @ self.world_to_cam[:, :3].double()).to(world_to_cam)
        return replace(self, world_to_cam=world_to_cam)

    def _for_each(self, value: float | Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        return torch.as_tensor(value).to(self.world_to_cam).expand(len(self))

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
        local = self.local(points.reshape(-1, 3))
        depth = local[..., 2]
        safe = torch.where(depth.abs() < 1e-8, torch.full_like(depth, 1e-8), depth)
        pixels = local[..., :2] / safe[..., None] * self.focal[:, None] + self.intrinsics[:, None, :2, 2]
        shape = (len(self), *points.shape[:-1])
        return pixels.reshape(*shape, 2), depth.reshape(shape)

    def in_picture(self, pixels: Float[Tensor, "n *points 2"], depth: Float[Tensor, "n *points"]) -> Bool[Tensor, "n *points"]:
        """Whether projected points, as ``project`` returns them, lie in front of a camera and inside its picture."""
        x, y = pixels.unbind(-1)
        return (depth > 0) & (x >= 0) & (x < self.width) & (y >= 0) & (y < self.height)

    @property
    def side_slopes(self) -> tuple[Float[Tensor, "n 2"], Float[Tensor, "n 2"]]:
        """``x / z`` and ``y / z`` at the first and at the last sides of the pictures: the planes through each camera between
        which lies what it sees."""
        principal, size = self.intrinsics[:, :2, 2], self.intrinsics.new_tensor([self.width, self.height])
        return -principal / self.focal, (size - principal) / self.focal

    def local(self, points: Float[Tensor, "p 3"]) -> Float[Tensor, "n p 3"]:
        """World points in the coordinates of every camera."""
        return torch.einsum("nij,pj->npi", self.world_to_cam[:, :3, :3], points) + self.world_to_cam[:, None, :3, 3]

    def sees(self, points: Float[Tensor, "*points 3"]) -> Bool[Tensor, "n *points"]:
        """Whether world points fall into the picture of each camera, whatever may hide them there."""
        return self.in_picture(*self.project(points))


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
    return replace(cameras, world_to_cam=moved.float())
