"""Windows as an inpainter is given them, with a hole and a patch that is known but poor."""

from __future__ import annotations

import torch
from splatmem.geometry.cameras import Cameras, identity_camera
from splatmem.inpaint import PartialFrames, ReferenceViews


def window(frames: int, height: int, width: int, trust: float = 1.0) -> PartialFrames:
    """Random frames whose unknown strip on the right grows from frame to frame; a poor patch on the left."""
    generator = torch.Generator().manual_seed(0)
    known = torch.ones(frames, height, width, dtype=torch.bool)
    for index in range(frames):
        known[index, :, width - 3 - 2 * index :] = False
    confidence = torch.ones(frames, height, width)
    confidence[:, : height // 2, : width // 4] = trust
    return PartialFrames(
        torch.rand(frames, height, width, 3, generator=generator), torch.ones(frames, height, width), known,
        confidence * known, Cameras.cat([identity_camera(60, width, height)] * frames),
    )  # fmt: skip


def views(count: int, height: int, width: int) -> ReferenceViews:
    cameras = Cameras.cat([identity_camera(60, width, height)] * count)
    return ReferenceViews(torch.rand(count, height, width, 3), torch.ones(count, height, width), cameras)
