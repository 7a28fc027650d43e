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
GROUPS = 64  # groups that are left out together
SLACK = 1e-4  # share by which a sphere around spheres is larger than it must be, for rounding
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

    def together(self, size: int) -> Spheres:
        """Spheres around ``size`` successive ones each; the last one may have fewer."""
        count = len(self.radii)
        index = torch.arange((count + size - 1) // size * size).clamp_max(count - 1).view(-1, size)
        centers, radii = self.centers[index], self.radii[index]
        middles = (centers.amin(1) + centers.amax(1)) / 2
        reach = ((centers - middles[:, None]).norm(dim=-1) + radii).amax(1)
        return Spheres(middles, (1 + SLACK) * reach + SLACK * middles.norm(dim=-1))

    def beyond(self, kept: int, new: Spheres) -> Spheres:
        """The first ``kept`` of these, and then others."""
        return Spheres(torch.cat([self.centers[:kept], new.centers]), torch.cat([self.radii[:kept], new.radii]))

    def select(self, index: Int[Tensor, " n"] | slice) -> Spheres:
        """Some of them."""
        return Spheres(self.centers[index], self.radii[index])

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
    """The spheres of a scene to whose end Gaussians are added: those around what it had before are kept.

    They lie in spheres around many of them, so that most of a large scene is left out without looking at its groups.
    """

    def __init__(self) -> None:
        self._lineage = Lineage()
        self._spheres = self._large = Spheres(torch.zeros(0, 3), torch.zeros(0))

    def of(self, gaussians: Gaussians) -> Spheres:
        """The spheres around groups of ``GROUP`` Gaussians."""
        lineage = gaussians.lineage
        same = lineage.shared(self._lineage)
        if same < len(gaussians) or lineage.ends != self._lineage.ends:
            kept = same // GROUP
            self._spheres = self._spheres.beyond(kept, Spheres.around(gaussians.select(slice(kept * GROUP, None)), GROUP))
            whole = kept // GROUPS
            self._large = self._large.beyond(whole, self._spheres.select(slice(whole * GROUPS, None)).together(GROUPS))
        self._lineage = lineage
        return self._spheres

    def near(self, gaussians: Gaussians, cameras: Cameras, beside: float = LOW_PASS) -> Int[Tensor, " m"] | None:
        """Indices, in order, of the Gaussians that the cameras may show in their pictures or within ``beside`` pixels of them;
        None where choosing would not pay: in small scenes, and where they show most of it.

        Args:
            gaussians: the scene. On the GPU, where drawing leaves out what lies beside a picture at no cost, nothing is chosen.
            cameras: the views.
            beside: how far around the pictures.
        """
        count = len(gaussians)
        if count < LARGE or gaussians.device.type == "cuda":
            return None
        cameras, spheres = cameras.to("cpu"), self.of(gaussians)
        large = torch.nonzero(self._large.shown(cameras, beside).any(0))
        groups = (GROUPS * large + torch.arange(GROUPS)).flatten()
        groups = groups[groups < len(spheres.radii)]
        groups = groups[spheres.select(groups).shown(cameras, beside).any(0)]
        if len(groups) > MOST_CHOSEN * len(spheres.radii):
            return None
        index = (GROUP * groups[:, None] + torch.arange(GROUP)).flatten()
        return index[index < count]


def near_picture(gaussians: Gaussians, camera: Cameras, beside: float = 0.0) -> Bool[Tensor, " n"]:
    """All Gaussians of which one camera shows something in its picture or within ``beside`` pixels of it, and a few others.

    Worth it where they are looked at several times: to draw a picture once, the kernels find them as fast.
    """
    pose, scales = camera.world_to_cam[0, :3], gaussians.scales
    x, y, depth = torch.addmm(pose[:, 3:], pose[:, :3], gaussians.means.T)
    widest = torch.maximum(torch.maximum(scales[:, 0], scales[:, 1]), scales[:, 2])
    # All is multiplied by the depth, which is positive wherever it matters, instead of divided by it.
    reach = DRAWN_EXTENT * camera.focal.amax() * widest + (LOW_PASS + beside) * depth
    near = depth > 0
    for along, axis, length in ((x, 0, camera.width), (y, 1, camera.height)):
        at = camera.intrinsics[0, axis, axis] * along + camera.intrinsics[0, axis, 2] * depth
        near &= (at + reach > 0) & (at - reach < length * depth)
    return near
