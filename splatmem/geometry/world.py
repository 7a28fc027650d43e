"""The world in which cameras were given, and the one in which a scene is kept."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float64
from torch import Tensor

from splatmem.geometry.cameras import Cameras
from splatmem.geometry.poses import rigid_inverse


def _identity() -> Float64[Tensor, "4 4"]:
    return torch.eye(4, dtype=torch.float64)


UNIT_RANGE = (0.01, 100.0)  # distances from camera to camera that single precision and the rasterizer's near plane bear well
ROUNDING = 1e-6  # of a position that was kept in single precision, relative to its distance from the origin


@dataclass(frozen=True)
class World:
    """How the world of given poses lies to that of a memory, whose origin is its first camera.

    Poses in map coordinates lie millions of units from their origin, where single precision moves them by decimetres, and some
    worlds have a unit in which a whole room is a thousandth. So poses are brought to the first camera, and where that is needed
    to another unit, in double precision; single precision is used from there on.

    Attributes:
        world_from_memory: similarity (rotation, one scale, translation) in double precision, ``[4, 4]``.
    """

    world_from_memory: Float64[Tensor, "4 4"] = field(default_factory=_identity)

    @staticmethod
    def of_first(cameras: Cameras) -> World:
        """The world of cameras of which the first becomes the memory's origin.

        The unit stays unless the cameras are far too near to or far from each other in it; then it becomes the median distance
        from a camera to the nearest other one.
        """
        world_from_memory = rigid_inverse(cameras.world_to_cam[0].double())
        centers = rigid_inverse(cameras.world_to_cam.double())[:, :3, 3]
        distances = torch.cdist(centers, centers)
        # Cameras on one spot differ by rounding alone, which must not become the unit.
        rounding = max(1e-9 * float(distances.max()), ROUNDING * min(float(centers.abs().max()), 1000.0))
        if bool((distances > rounding).any()):
            nearest = torch.where(distances > rounding, distances, torch.inf).amin(1)
            unit = float(nearest[nearest.isfinite()].median())
            if not UNIT_RANGE[0] <= unit <= UNIT_RANGE[1]:
                world_from_memory[:3, :3] *= unit
        return World(world_from_memory)

    @property
    def is_memory(self) -> bool:
        """Whether both worlds are the same."""
        return bool(torch.equal(self.world_from_memory, _identity()))

    @property
    def unit(self) -> float:
        """The memory's unit of length in the given world's."""
        scale = float(torch.linalg.det(self.world_from_memory[:3, :3])) ** (1 / 3)
        return 1.0 if abs(scale - 1) < 1e-9 else scale

    def to_memory(self, cameras: Cameras) -> Cameras:
        """Cameras of the given world in that of the memory, in single precision."""
        moved = cameras.world_to_cam.double() @ self.world_from_memory
        moved[:, :3] /= self.unit
        return replace(cameras, world_to_cam=moved.float())

    def from_memory(self, cameras: Cameras) -> Cameras:
        """Cameras of the memory's world in the given one, in double precision."""
        scaled = cameras.world_to_cam.double().clone()
        scaled[:, :3] *= self.unit
        return replace(cameras, world_to_cam=scaled @ torch.linalg.inv(self.world_from_memory))
