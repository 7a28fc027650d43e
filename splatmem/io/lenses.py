"""Intrinsics as path files state them, brought to one image size."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from splatmem.geometry.cameras import Cameras
from splatmem.geometry.conventions import crop_intrinsics


@dataclass(frozen=True)
class Lens:
    """Intrinsics of one frame in pixels of its own image size."""

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int

    @staticmethod
    def from_fov(fov_x_degrees: float, width: int, height: int) -> Lens:
        """Square pixels and a centred principal point."""
        focal = 0.5 * width / math.tan(math.radians(0.5 * fov_x_degrees))
        return Lens(focal, focal, width / 2, height / 2, width, height)

    def check(self, source: str) -> None:
        """Raises ``ValueError``, naming ``source``, if the numbers are no pinhole."""
        values = (self.fx, self.fy, self.cx, self.cy)
        if not all(map(math.isfinite, values)) or self.fx <= 0 or self.fy <= 0 or self.width < 1 or self.height < 1:
            raise ValueError(f"{source}: expected positive focal lengths and image size and finite numbers, got {self}")


def lens_cameras(
    world_to_cam: Float[Tensor, "n 4 4"], lenses: list[Lens], width: int | None, height: int | None, source: str
) -> Cameras:
    """Cameras at ``width x height`` (None: the files' own, which must be one): scaled to cover it and centre-cropped."""
    sizes = {(lens.width, lens.height) for lens in lenses}
    if width is None or height is None:
        if len(sizes) > 1:
            raise ValueError(f"{source}: its frames have several image sizes, {sorted(sizes)}; give the one that is wanted")
        width, height = sizes.pop()
    k = torch.tensor([[[lens.fx, 0, lens.cx], [0, lens.fy, lens.cy], [0, 0, 1]] for lens in lenses], dtype=torch.float64)
    own = torch.tensor([[lens.width, lens.height] for lens in lenses], dtype=torch.float64)
    return Cameras(world_to_cam.float(), crop_intrinsics(k, own, width, height).float(), width, height)
