"""What cameras see of a memory."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.geometry.cameras import Cameras
from splatmem.pixels import to_png


@dataclass(frozen=True, repr=False)
class MemoryReading:
    """What ``v`` cameras see of the memory.

    Attributes:
        rgb: 0..1, composited over colours smeared in from around the gaps; meaningful where known, ``[v, h, w, 3]``.
        depth: expected z-depth; ``inf`` on the far shell and where nothing is, ``[v, h, w]``.
        alpha: accumulated opacity, ``[v, h, w]``.
        known: covered by surfaces seen from their front, thin cracks closed, ``[v, h, w]``.
        trust: 0..1; lower where the memory saw the surface from much farther away, ``[v, h, w]``.
        features: what was written with ``write_features``, meaningful where known, ``[v, h, w, f]``; None if not asked for.
    """

    rgb: Float[Tensor, "v h w 3"]
    depth: Float[Tensor, "v h w"]
    alpha: Float[Tensor, "v h w"]
    known: Bool[Tensor, "v h w"]
    trust: Float[Tensor, "v h w"]
    features: Float[Tensor, "v h w f"] | None = None

    def __repr__(self) -> str:
        views, height, width = self.alpha.shape
        share = 100 * self.known.float().mean().item()
        return f"MemoryReading of {views} {'view' if views == 1 else 'views'}, {width}x{height}, {share:.1f} % known"

    def _repr_png_(self) -> bytes:
        """The views beside each other, for notebooks; what is not known is grey."""
        shown = torch.where(self.known[..., None], self.rgb, 0.5)
        return to_png(torch.cat(list(shown), dim=1))


@dataclass(frozen=True)
class Cells:
    """Cells of a coarse grid over a view: colour, depth, and whether all of a cell is known."""

    rgb: Float[Tensor, "h w 3"]
    depth: Float[Tensor, "h w"]
    known: Bool[Tensor, "h w"]


def sampled(reading: MemoryReading, fine: Cameras, coarse: Cameras) -> Cells:
    """A reading sampled at the centres of the coarse camera's pixels; outside of the fine picture nothing is known."""
    step = fine.focal[0] / coarse.focal[0]  # fine pixels for each coarse one
    columns, rows = (
        ((torch.arange(count) + 0.5 - coarse.intrinsics[0, axis, 2]) * step[axis] + fine.intrinsics[0, axis, 2]).floor().long()
        for axis, count in ((0, coarse.width), (1, coarse.height))
    )
    inside = ((rows >= 0) & (rows < fine.height))[:, None] & ((columns >= 0) & (columns < fine.width))[None]
    rows, columns = rows.clamp(0, fine.height - 1)[:, None], columns.clamp(0, fine.width - 1)[None]
    reach = [max(1, int(s) // 2) for s in step.flip(0).tolist()]
    size = [2 * r + 1 for r in reach]
    gaps = F.max_pool2d((~reading.known).float(), size, 1, reach)[0] > 0
    rgb = F.avg_pool2d(reading.rgb.permute(0, 3, 1, 2), size, 1, reach, count_include_pad=False)[0].permute(1, 2, 0)
    return Cells(rgb[rows, columns], reading.depth[0][rows, columns], inside & ~gaps[rows, columns])
