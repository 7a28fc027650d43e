"""Views that were looked at, and not written: what they showed is held, as what the written ones showed is."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int

from splatmem.geometry.cameras import Cameras
from splatmem.memory.free_space import View

HELD_WIDTH = 256  # pixels: of the pictures in which what is held is looked up
MOST_HELD = 50  # views; beyond them the oldest are let go
SAME_PLACE = 0.02  # of the memory's scale: cameras nearer to each other, and turned by less than ...
SAME_TURN = 0.999  # ... what this is the cosine of, show the same
SAME_ANGLE = 0.02  # share by which a view may be narrower than another one and still show what that does
EXACT = 1e-4  # of the memory's scale, and of a turn's cosine: cameras that are nearer and turned less are the same one
SAME_FOCAL = 0.1  # share by which a view may be coarser than another one and still show all that leaks there
NEAR_NOTHING = 1e-6  # depth of what is unknown: there nothing was seen to be empty


def alike(
    cameras: Cameras, others: Cameras, scale: float, place: float = SAME_PLACE, turn: float = SAME_TURN
) -> Bool[torch.Tensor, "n m"]:
    """Which of some cameras stand where which of others do, and look the same way."""
    same = torch.cdist(cameras.centers, others.centers) <= place * scale
    for axis in (0, 2):
        same &= cameras.world_to_cam[:, axis, :3] @ others.world_to_cam[:, axis, :3].T >= turn
    return same


def latest_of_alike(cameras: Cameras, numbers: Int[torch.Tensor, " n"], scale: float) -> Bool[torch.Tensor, " n"]:
    """The cameras but for those that are the same as one with a higher number that stays and sees as much. What is only near to
    another one may see past an edge that hides something there: all such views are kept."""
    focal = cameras.focal[:, 0]
    same = alike(cameras, cameras, scale, EXACT, 1 - EXACT) & (focal <= (1 + SAME_ANGLE) * focal[:, None])
    stays = torch.zeros(len(cameras), dtype=torch.bool)
    for index in numbers.argsort(descending=True).tolist():
        stays[index] = not (same[index] & stays).any()
    return stays


def covering(cameras: Sequence[Cameras], scale: float) -> list[list[int]]:
    """For each of some cameras, which of those before it stand at the very same place and see as finely: along the rays that
    both see they see the same."""
    centers = torch.cat([camera.centers for camera in cameras])
    focal = torch.tensor([float(camera.focal.amax()) for camera in cameras])
    same = (torch.cdist(centers, centers) <= EXACT * scale) & (focal >= (1 - SAME_FOCAL) * focal[:, None])
    return [torch.nonzero(same[place, :place])[:, 0].tolist() for place in range(len(cameras))]


class HeldViews:
    """Cameras and what they were shown, the latest last."""

    def __init__(self) -> None:
        self.views: list[View] = []

    def add(self, camera: Cameras, depth: Float[torch.Tensor, "h w"], known: Bool[torch.Tensor, "h w"]) -> None:
        """Holds what a camera was shown.

        Args:
            camera: one, ``HELD_WIDTH`` wide at most.
            depth: z-depth, ``inf`` for sky.
            known: where it was shown something.
        """
        self.views = [*self.views, View(camera, torch.where(known, depth, NEAR_NOTHING))][-MOST_HELD:]
