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


@dataclass(frozen=True)
class World:
    """How the world of given poses lies to that of a memory, whose origin is its first camera.

    Poses in map coordinates lie millions of units from their origin, where single precision moves them by decimetres. So they
    are brought to the first camera in double precision, and single precision is used from there on.

    Attributes:
        world_from_memory: rigid transform in double precision, ``[4, 4]``.
    """

    world_from_memory: Float64[Tensor, "4 4"] = field(default_factory=_identity)

    @staticmethod
    def of_first(cameras: Cameras) -> World:
        """The world of cameras of which the first becomes the memory's origin."""
        return World(rigid_inverse(cameras.world_to_cam[0].double()))

    @property
    def is_memory(self) -> bool:
        """Whether both worlds are the same."""
        return bool(torch.equal(self.world_from_memory, _identity()))

    def to_memory(self, cameras: Cameras) -> Cameras:
        """Cameras of the given world in that of the memory, in single precision."""
        return replace(cameras, world_to_cam=(cameras.world_to_cam.double() @ self.world_from_memory).float())

    def from_memory(self, cameras: Cameras) -> Cameras:
        """Cameras of the memory's world in the given one, in double precision."""
        memory_from_world = rigid_inverse(self.world_from_memory)
        return replace(cameras, world_to_cam=cameras.world_to_cam.double() @ memory_from_world)
