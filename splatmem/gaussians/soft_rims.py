"""Rims of things that show some of the thing and some of what is behind it, as two layers.

A pixel of fur, of hair or of any outline that falls between pixels has a colour of both sides. Lifted with the thing it is a
halo around it from aside, and lifted with what is behind it a thread where the thing was. So it becomes two: the background,
opaque, in the background's colour, and before it the thing in the thing's colour, which covers as much of it as the picture
shows (layered depth with soft silhouettes; Jampani et al. 2021, "SLIDE").
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.gaussians.container import Gaussians, logit
from splatmem.gaussians.lift import LiftSettings, lift
from splatmem.geometry.cameras import Cameras

SPREAD = 0.5
"""Standard deviation of a rim's Gaussian, in pixels."""
OVERLAP = 1.6
"""How many Gaussians of that spread lie on a pixel, in all: the sum of their weights there."""


@dataclass(frozen=True)
class SoftRims:
    """Pixels of a picture that show some of a thing and some of what is behind it.

    Attributes:
        where: these pixels; all else is meaningful there alone, ``[h, w]``.
        share: how much of the pixel the thing covers, 0..1, ``[h, w]``.
        rgb, depth: of the thing, 0..1 and z-depth, ``[h, w, 3]`` and ``[h, w]``.
        rgb_behind, depth_behind: of what is behind it.
    """

    where: Bool[Tensor, "h w"]
    share: Float[Tensor, "h w"]
    rgb: Float[Tensor, "h w 3"]
    depth: Float[Tensor, "h w"]
    rgb_behind: Float[Tensor, "h w 3"]
    depth_behind: Float[Tensor, "h w"]

    def lifted_with(
        self,
        rgb: Float[Tensor, "h w 3"],
        depth: Float[Tensor, "h w"],
        camera: Cameras,
        selected: Bool[Tensor, "h w"],
        settings: LiftSettings,
    ) -> tuple[Gaussians, int]:
        """Selected pixels of a picture as Gaussians, and how many of these, at the beginning, lie behind rims."""
        where = self.where & selected
        rgb = torch.where(where[..., None], self.rgb_behind, rgb)
        depth = torch.where(where, self.depth_behind, depth)
        behind, opaque = (lift(rgb, depth, camera, some, settings=settings) for some in (where, selected & ~where))
        return Gaussians.cat([behind, opaque, self._in_front(camera, where, settings)]), len(behind)

    def _in_front(self, camera: Cameras, where: Bool[Tensor, "h w"], settings: LiftSettings) -> Gaussians:
        """The things' share of the rims, each pixel a Gaussian that covers so much of what is behind it."""
        settings = replace(settings, largest_block=1, underlay_block=0, spread=SPREAD, detail_spread=SPREAD)
        rims = lift(self.rgb, self.depth, camera, where, features=self.share[..., None], settings=settings)
        assert rims.features is not None
        opacity = 1 - (1 - rims.features[:, 0].clamp(0, settings.opacity)) ** (1 / OVERLAP)
        return replace(rims, opacity_logits=logit(opacity.clamp_min(1e-3)), features=None)
