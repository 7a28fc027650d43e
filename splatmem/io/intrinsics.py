"""Intrinsics as path files state them, brought to one image size."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from splatmem.geometry.cameras import FARTHEST, FOCAL_RANGE, Cameras
from splatmem.geometry.conventions import crop_intrinsics
from splatmem.io.distortion import Distortion

LARGEST_SIDE = 1_000_000  # pixels
FARTHEST_CENTER = 20.0  # of the principal point from the picture's, in units of its longer side
FAR_ORIGIN = 1e-3  # extent of a path, relative to its distance from the origin, below which float32 is too coarse


@dataclass(frozen=True)
class Intrinsics:
    """Intrinsics of one frame in pixels of its own image size, and its distortion, of which cameras know nothing."""

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int
    distortion: Distortion | None = None

    @staticmethod
    def from_fov(fov_x_degrees: float, width: int, height: int) -> Intrinsics:
        """Square pixels and a centred principal point."""
        focal = 0.5 * width / math.tan(math.radians(0.5 * fov_x_degrees))
        return Intrinsics(focal, focal, width / 2, height / 2, width, height)

    def check(self, source: str) -> None:
        """Raises ``ValueError``, naming ``source``, if the numbers are no pinhole."""
        values = (self.fx, self.fy, self.cx, self.cy)
        if not all(map(math.isfinite, values)) or self.fx <= 0 or self.fy <= 0 or self.width < 1 or self.height < 1:
            raise ValueError(f"{source}: expected positive focal lengths and image size and finite numbers, got {self}")
        longer = max(self.width, self.height)
        off = max(abs(self.cx - self.width / 2), abs(self.cy - self.height / 2)) / longer
        within = all(FOCAL_RANGE[0] <= focal / longer <= FOCAL_RANGE[1] for focal in (self.fx, self.fy))
        if longer > LARGEST_SIDE or off > FARTHEST_CENTER or not within:
            raise ValueError(f"{source}: expected focal lengths and a principal point that a lens can have, got {self}")

    def at(self, width: int, height: int) -> Intrinsics:
        """The same lens at another size of the picture."""
        x, y = width / self.width, height / self.height
        return Intrinsics(self.fx * x, self.fy * y, self.cx * x, self.cy * y, width, height, self.distortion)


def intrinsics_to_cameras(
    world_to_cam: Float[Tensor, "n 4 4"], lenses: list[Intrinsics], width: int | None, height: int | None, source: str
) -> Cameras:
    """Cameras at ``width x height`` (None: the files' own, which must be one): scaled to cover it and centre-cropped.

    Poses are float32, or float64 where they lie so far from their world's origin that float32 would move them against each
    other; ``splatmem.geometry.cameras.relative_to`` brings them to float32 in a world that begins at one of them.
    """
    sizes = {(lens.width, lens.height) for lens in lenses}
    if width is None or height is None:
        if len(sizes) > 1:
            raise ValueError(f"{source}: its frames have several image sizes, {sorted(sizes)}; give the one that is wanted")
        width, height = sizes.pop()
    k = torch.tensor([[[lens.fx, 0, lens.cx], [0, lens.fy, lens.cy], [0, 0, 1]] for lens in lenses], dtype=torch.float64)
    own = torch.tensor([[lens.width, lens.height] for lens in lenses], dtype=torch.float64)
    try:
        return Cameras(_in_float32(world_to_cam), crop_intrinsics(k, own, width, height).float(), width, height)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error


def _in_float32(world_to_cam: Float[Tensor, "n 4 4"]) -> Float[Tensor, "n 4 4"]:
    rotation, translation = world_to_cam[:, :3, :3].double(), world_to_cam[:, :3, 3:].double()
    centers = -(rotation.transpose(1, 2) @ translation)[..., 0]
    apart = float((centers - centers.mean(0)).norm(dim=-1).max())
    far = float(centers.norm(dim=-1).max())
    return world_to_cam if 0 < apart < FAR_ORIGIN * far < FARTHEST else world_to_cam.float()
