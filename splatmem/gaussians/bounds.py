"""Which Gaussians of a scene cameras may show, told by spheres around groups of them.

Neighbours in a scene's order are mostly neighbours in space: a frame is written row by row. So a view of a large scene is
drawn from the groups that it may show, and costs no more than in a small one.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from splatmem.gaussians.container import Gaussians
from splatmem.gaussians.lineage import Lineage
from splatmem.geometry.cameras import Cameras

DRAWN_EXTENT = 4.5  # standard deviations beyond which a Gaussian is not drawn, with what a slanted view adds
LOW_PASS = 2.0  # pixels that drawing adds to a footprint
GROUP = 128  # Gaussians of a group in a growing scene
LARGE = 32_768  # Gaussians of a scene from which on choosing among them pays
MOST_CHOSEN = 0.5  # share of the groups beyond which the whole scene is drawn


@dataclass(frozen=True)
class Spheres:
    """Spheres that hold all that is drawn of ``g`` groups of successive Gaussians, in main memory.

    Attributes:
        centers: in the world, ``[g, 3]``.
        radii: in world units, ``[g]``.
    """

    centers: Float[Tensor, "g 3"]
    radii: Float[Tensor, " g"]

    @staticmethod
    def around(gaussians: Gaussians, size: int) -> Spheres:
        """Around groups of ``size`` Gaussians; the last one may have fewer."""
        count = len(gaussians)
        groups = (count + size - 1) // size
        index = torch.arange(groups * size).clamp_max(count - 1).view(groups, size)
        means = gaussians.means.detach().cpu()[index]
        centers = (means.amin(1) + means.amax(1)) / 2
        reach = DRAWN_EXTENT * gaussians.log_scales.detach().amax(1).exp().cpu()[index].amax(1)
        return Spheres(centers, (means - centers[:, None]).norm(dim=-1).amax(1) + reach)

    def shown(self, cameras: Cameras, beside: float = LOW_PASS) -> Bool[Tensor, "v g"]:
        """Groups of which each view may show something in its picture or within ``beside`` pixels of it; of the others it
        shows nothing for certain."""
        local = cameras.local(self.centers)
        depth = local[..., 2]
        reach = self.radii + beside * (depth + self.radii).clamp_min(0) / cameras.focal.amin(-1)[:, None]
        shown = ~(depth + self.radii <= 0)  # what is not finite counts as shown
        for sign, slopes in zip((-1.0, 1.0), cameras.side_slopes, strict=True):
            edge = slopes[:, None]
            outside = sign * (local[..., :2] - edge * depth[..., None]) / (1 + edge.square()).sqrt()
            shown &= ~(outside >= reach[..., None]).any(-1)
        return shown


class GrowingSpheres:
    """The spheres of a scene to whose end Gaussians are added: those around what it had before are kept."""

    def __init__(self) -> None:
        self._lineage = Lineage()
        self._spheres = Spheres(torch.zeros(0, 3), torch.zeros(0))

    def of(self, gaussians: Gaussians) -> Spheres:
        """The spheres around groups of ``GROUP`` Gaussians."""
        lineage = gaussians.lineage
        same = lineage.shared(self._lineage)
        if same < len(gaussians) or lineage.ends != self._lineage.ends:
            kept = same // GROUP
            new = Spheres.around(gaussians.select(slice(kept * GROUP, None)), GROUP)
            old = self._spheres
            self._spheres = Spheres(torch.cat([old.centers[:kept], new.centers]), torch.cat([old.radii[:kept], new.radii]))
        self._lineage = lineage
        return self._spheres

    def near(self, gaussians: Gaussians, cameras: Cameras, beside: float = LOW_PASS, last: int = 0) -> Int[Tensor, " m"] | None:
        """Indices, in order, of the Gaussians that the cameras may show in their pictures or within ``beside`` pixels of them;
        None where choosing would not pay: in small scenes, and where they show most of it.

        Args:
            gaussians: the scene. On the GPU, where drawing leaves out what lies beside a picture at no cost, nothing is chosen.
            cameras: the views.
            beside: how far around the pictures.
            last: so many Gaussians at the end of the scene are chosen in any case.
        """
        count = len(gaussians)
        if count < LARGE or gaussians.means.is_cuda:
            return None
        chosen = self.of(gaussians).shown(cameras.to("cpu"), beside).any(0)
        chosen[(count - last) // GROUP :] |= last > 0
        if chosen.float().mean() > MOST_CHOSEN:
            return None
        index = (GROUP * torch.nonzero(chosen) + torch.arange(GROUP)).flatten()
        return index[index < count]
