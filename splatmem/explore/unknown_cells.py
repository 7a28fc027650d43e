"""Which cells of coarse views a memory does not show, kept up to date while the memory grows."""

from __future__ import annotations

from operator import is_

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from splatmem.gaussians.bounds import Spheres
from splatmem.geometry.cameras import Cameras
from splatmem.memory import SpatialMemory, StoredView

SUPERSAMPLING = 4  # pixels across a cell
UNKNOWN = 0.25  # share of a cell
GROUP = 8  # Gaussians that are tested together for whether a view may show them; neighbours follow each other in a memory


def unknown_cells(memory: SpatialMemory, coarse: Cameras) -> tuple[Bool[Tensor, "f h w"], float]:
    """Which cells of coarse views the memory does not show, and their mean share.

    A cell counts as unknown once a quarter of it is: what appears behind the edges of things is thin, and must be found too.
    """
    shares = _unknown_shares(memory, coarse)
    return shares >= UNKNOWN, _means(shares).mean().item()


def _unknown_shares(memory: SpatialMemory, coarse: Cameras) -> Float[Tensor, "f h w"]:
    pixels = coarse.resized(SUPERSAMPLING * coarse.width, SUPERSAMPLING * coarse.height)
    unknown = (~memory.coverage(pixels, coarse=True)[0]).float()[:, None]
    return F.avg_pool2d(unknown, SUPERSAMPLING)[:, 0]


def _means(shares: Float[Tensor, "f h w"]) -> Float[Tensor, " f"]:
    return shares.flatten(1).double().mean(1)


class UnknownCells:
    """``unknown_cells`` of the same views again and again: only those views are drawn anew of which something is unknown and
    that may show what was added. What is known stays known: nothing is written that would hide it.

    Of the other views, thousands perhaps, only what is kept of each as one number is looked at.

    Attributes:
        coarse: the views.
        fresh: share of each view's cells that are unknown, as of the last call, ``[f]``.
    """

    def __init__(self, coarse: Cameras) -> None:
        self.coarse = coarse
        self.fresh: Float[Tensor, " f"] = torch.ones(len(coarse))
        self._cells = torch.empty(len(coarse), coarse.height, coarse.width, dtype=torch.bool)
        self._undrawn = torch.ones(len(coarse), dtype=torch.bool)
        self._shares: Float[Tensor, " f"] = torch.ones(len(coarse), dtype=torch.float64)
        self._views: list[StoredView] = []
        self._gaussians = 0

    def take_over(self, others: UnknownCells, places: list[int]) -> None:
        """Takes what ``others``, views that stand here at ``places``, saw at their last call: it need not be drawn again."""
        self._cells[places], self._shares[places], self.fresh[places] = others._cells, others._shares, others.fresh
        self._undrawn[:] = True
        self._undrawn[places] = False
        self._views, self._gaussians = others._views, others._gaussians

    def of(self, memory: SpatialMemory) -> tuple[Bool[Tensor, "f h w"], float]:
        """What ``unknown_cells`` gives. The next call changes these cells."""
        grown = len(memory.views) >= len(self._views) and len(memory.gaussians) >= self._gaussians
        if not grown or not all(map(is_, self._views, memory.views)):
            self._cells, self._undrawn = torch.empty_like(self._cells), torch.ones_like(self._undrawn)
        stale = self._undrawn
        if len(memory.gaussians) > self._gaussians and not stale.all():
            added = memory.gaussians.select(slice(self._gaussians, None))
            near = Spheres.around(added, len(added)).shown(self.coarse)[:, 0]  # most views are far from all of it
            touched = torch.nonzero(near & (self._shares > 0) & ~stale)[:, 0]
            if len(touched):
                touched = touched[Spheres.around(added, GROUP).shown(self.coarse[touched]).any(1)]
            stale = stale.clone()
            stale[touched] = True
        if stale.any():
            self._draw(memory, torch.nonzero(stale)[:, 0])
        self._undrawn[:] = False
        self._views, self._gaussians = list(memory.views), len(memory.gaussians)
        return self._cells, self._shares.mean().item()

    def _draw(self, memory: SpatialMemory, views: Int[Tensor, " n"]) -> None:
        """Looks anew what the memory shows of some of the views."""
        shares = _unknown_shares(memory, self.coarse[views])
        unknown = shares >= UNKNOWN
        self._cells[views], self._shares[views], self.fresh[views] = unknown, _means(shares), unknown.flatten(1).float().mean(1)
