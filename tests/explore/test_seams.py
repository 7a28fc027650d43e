"""Two frames of one wall that meet: no row of holes lies between them."""

from __future__ import annotations

import math

import pytest
import torch
from splatmem.depth import DepthPrediction
from splatmem.explore.frames import write_frame
from splatmem.geometry.cameras import Cameras
from splatmem.inpaint import FilledFrames
from splatmem.memory import SpatialMemory
from splatmem.timing import StageClock

SIZE = (64, 48)
LARGER = 3


def turned(degrees: float) -> Cameras:
    """A camera at the origin, turned to the right."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    pose = torch.tensor([[c, 0.0, s, 0.0], [0.0, 1.0, 0.0, 0.0], [-s, 0.0, c, 0.0], [0.0, 0.0, 0.0, 1.0]])
    return Cameras.from_fov(pose[None], 60.0, *SIZE)


def wall(camera: Cameras, askew: float) -> torch.Tensor:
    """Depth of an upright wall, so many degrees from square to the first picture."""
    c, s = math.cos(math.radians(askew)), math.sin(math.radians(askew))
    return 3.0 / (camera.world_rays()[0] @ torch.tensor([s, 0.0, c]))


def no_model(images: torch.Tensor, *, fov_x_degrees: float | None = None) -> DepthPrediction:
    raise AssertionError("depth is given")


@pytest.mark.parametrize(("askew", "wavy"), [(0.0, 0.0), (0.0, 0.03), (20.0, 0.03)])
def test_frames_that_meet_leave_no_holes(askew: float, wavy: float) -> None:
    memory, first, second = SpatialMemory(), turned(0.0), turned(30.0)
    grey = torch.full((SIZE[1], SIZE[0], 3), 0.7)
    memory.write(grey, wall(first, askew), first, torch.ones(SIZE[1], SIZE[0], dtype=torch.bool))
    waves = 1 + wavy * torch.sin(12 * torch.arange(SIZE[1]) / SIZE[1])[:, None]
    filled = FilledFrames(grey[None], (wall(second, askew) * waves)[None])
    write_frame(memory, filled, 0, second, 1, no_model, 0, StageClock())
    alpha = memory.read(turned(28.0).resized(LARGER * SIZE[0], LARGER * SIZE[1])).alpha[0]
    middle = alpha[len(alpha) // 4 : -len(alpha) // 4, alpha.shape[1] // 10 : -alpha.shape[1] // 4]
    assert float(middle.min()) > 0.96, "a viewer composites plainly: its background shows through less"
