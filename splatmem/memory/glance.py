"""A look at a memory that tells no more than how much of a view is unknown, and what is kept of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.gaussians import Gaussians
from splatmem.gaussians.draw import rasterize
from splatmem.geometry.cameras import Cameras
from splatmem.memory.held_views import HELD_WIDTH
from splatmem.memory.visibility import CRACK_WIDTH, known_pixels

COUNTED_WIDTH = 128
"""Pixels of the picture in which is told how much is unknown."""


class Glance(NamedTuple):
    """What a camera is shown, as it is held.

    Attributes:
        camera: one, ``HELD_WIDTH`` wide at most.
        depth: z-depth, ``inf`` for sky.
        known: where it is shown something.
        unknown: share of the view that it is shown nothing of.
    """

    camera: Cameras
    depth: Float[Tensor, "h w"]
    known: Bool[Tensor, "h w"]
    unknown: float

    @staticmethod
    def of(scene_near: Callable[[Cameras], Gaussians], camera: Cameras, farthest: float, device: torch.device) -> Glance:
        """What a camera is shown now.

        Args:
            scene_near: what of a scene must be drawn for a camera.
            camera: one camera.
            farthest: what is farther away than this is sky.
            device: where the scene lies.
        """
        coarse = camera.coarse(min(camera.width, HELD_WIDTH))
        drawn = rasterize(scene_near(coarse), coarse.to(device), backfacing=True)
        assert drawn.backfacing_alpha is not None
        known = known_pixels(drawn.alpha, drawn.backfacing_alpha)
        far = (drawn.depth > farthest) | (drawn.alpha < 1e-3)
        depth = torch.where(far, torch.inf, drawn.depth)
        # Told as planners tell it, in a small picture, in which a gap of a pixel is no crack.
        small = camera.coarse(min(camera.width, COUNTED_WIDTH))
        size = (small.height, small.width)
        alpha, behind = (F.adaptive_avg_pool2d(maps, size) for maps in (drawn.alpha, drawn.backfacing_alpha))
        covered = known_pixels(alpha, behind, 0 if small.width < camera.width else CRACK_WIDTH)
        return Glance(coarse, depth[0].cpu(), known[0].cpu(), 1 - covered.float().mean().item())
