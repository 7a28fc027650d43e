"""Which cells of coarse views a memory does not show, kept up to date while the memory grows."""

from __future__ import annotations

from operator import is_

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.gaussians.bounds import Spheres
from splatmem.geometry.cameras import Cameras
from splatmem.memory import SpatialMemory, StoredView

SUPERSAMPLING = 4  # pixels across a cell
GROUP = 8  # Gaussians that are tested together for whether a view may show them; neighbours follow each other in a memory


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
            added = memory.gaussians.select(slice(self._gaussians, None))
            stale = torch.nonzero(self._shares.flatten(1).any(1))[:, 0]
            for size in (len(added), GROUP):  # most views are far from all of it
                stale = stale[Spheres.around(added, size).shown(self.coarse[stale]).any(1)]
            if len(stale):
                self._shares[stale] = _unknown_shares(memory, self.coarse[stale])
        self._views, self._gaussians = list(memory.views), len(memory.gaussians)
        return self._shares >= 0.25, self._shares.mean().item()
