"""Which cells of coarse views a memory does not show, kept up to date while the memory grows."""

from __future__ import annotations

from operator import is_

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.gaussians import Gaussians
from splatmem.geometry.cameras import Cameras
from splatmem.memory import SpatialMemory, StoredView

SUPERSAMPLING = 4  # pixels across a cell
GROUP = 8  # Gaussians that are tested together for whether a view may show them; neighbours follow each other in a memory
FOOTPRINT = 4.5  # standard deviations beyond which a Gaussian is not drawn, with what a slanted view adds
LOW_PASS = 2.0  # pixels that drawing adds to a footprint


def unknown_cells(memory: SpatialMemory, coarse: Cameras) -> tuple[Bool[Tensor, "f h w"], float]:
    """Which cells of coarse views the memory does not show, and their mean share.

    A cell counts as unknown once a quarter of it is: what appears behind the edges of things is thin, and must be found too.
    """
    share = _unknown_shares(memory, coarse)
    return share >= 0.25, share.mean().item()


def _unknown_shares(memory: SpatialMemory, coarse: Cameras) -> Float[Tensor, "f h w"]:
    pixels = coarse.resized(SUPERSAMPLING * coarse.width, SUPERSAMPLING * coarse.height)
    unknown = (~memory.coverage(pixels)[0]).float()[:, None]
    return F.avg_pool2d(unknown, SUPERSAMPLING)[:, 0]


class UnknownCells:
    """``unknown_cells`` of the same views again and again: only those views are drawn anew of which something is unknown and
    that may show what was added. What is known stays known: nothing is written that would hide it."""

    def __init__(self, coarse: Cameras) -> None:
        self.coarse = coarse
        self._shares: Float[Tensor, "f h w"] | None = None
        self._views: list[StoredView] = []
        self._gaussians = 0

    def of(self, memory: SpatialMemory) -> tuple[Bool[Tensor, "f h w"], float]:
        """What ``unknown_cells`` gives."""
        grown = len(memory.views) >= len(self._views) and len(memory.gaussians) >= self._gaussians
        if self._shares is None or not grown or not all(map(is_, self._views, memory.views)):
            self._shares = _unknown_shares(memory, self.coarse)
        elif len(memory.gaussians) > self._gaussians:
            added = memory.gaussians.select(slice(self._gaussians, None)).to("cpu")
            open_views = torch.nonzero(self._shares.flatten(1).any(1))[:, 0]
            stale = open_views[may_show(self.coarse[open_views], added)] if len(open_views) else open_views
            if len(stale):
                self._shares[stale] = _unknown_shares(memory, self.coarse[stale])
        self._views, self._gaussians = list(memory.views), len(memory.gaussians)
        return self._shares >= 0.25, self._shares.mean().item()


def may_show(cameras: Cameras, gaussians: Gaussians) -> Bool[Tensor, " f"]:
    """Views in which some of the Gaussians may be drawn; a view that is left out shows none of them for certain."""
    count = len(gaussians)
    groups = (count + GROUP - 1) // GROUP
    index = torch.arange(groups * GROUP).clamp_max(count - 1).view(groups, GROUP)
    means = gaussians.means[index]
    low, high = means.amin(1), means.amax(1)
    centre = (low + high) / 2
    radius = (means - centre[:, None]).norm(dim=-1).amax(1) + FOOTPRINT * gaussians.scales.amax(-1)[index].amax(1)
    local = cameras.local(centre)
    depth = local[..., 2]
    reach = radius + LOW_PASS * (depth + radius).clamp_min(0) / cameras.focal.amin(-1)[:, None]
    shown = depth + radius > 0
    for sign, slopes in zip((-1.0, 1.0), cameras.side_slopes, strict=True):
        edge = slopes[:, None]
        outside = sign * (local[..., :2] - edge * depth[..., None]) / (1 + edge.square()).sqrt()
        shown &= (outside < reach[..., None]).all(-1)
    return shown.any(1)
