"""Rims of things belong to the things: steps of depth are moved to where the colours change.

A depth map's step lies a pixel or two beside the outline that the picture shows. What of a thing lies on the far side of the
step would stay behind on the background when the camera moves aside, as a thread around the place where the thing was, and what
of the background lies on its near side would move with the thing, as a halo. Such pixels are told by their colours: samples of
both sides are compared, as in sampling-based matting (Wang & Cohen 2007).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from splatmem.classes import PixelClasses
from splatmem.geometry.filters import maximum

STEP = 0.04
"""Difference of log depth that makes a silhouette."""
SHARP = 0.6
"""Share of it that must lie between neighbours: surfaces at a slant have no silhouette."""
REACH, LEAST_REACH = 0.0104, 2
"""How far beside a step pixels may belong to its other side, as a share of the picture's shorter side (3 pixels of 288): the
depth model works at a size of its own, and its steps are as wide as that makes them. The same in pixels, at least."""
TO_THING, TO_BACKGROUND = (0.7, 0.05), (1.5, 0.3)
"""The most similar sample of a pixel's own side must differ by so many times as much as the other's, and by so much more, in
0..1, for it to move to the thing or to what is behind it. A pixel that shows some of both goes to the thing: there it is a soft
rim, and behind it a thread. A part of a thing that is as bright as what is behind it stays with the thing."""
SKY = 20.0
"""Log depth of sky, farther than all else."""
BATCH = 4096
"""Pixels that are compared at a time."""


@dataclass(frozen=True)
class Silhouettes:
    """Where a depth map steps from a thing to what is behind it, and what lies around.

    Attributes:
        log_depth: ``SKY`` where there is none.
        far, near: the largest and the smallest within ``reach`` pixels of each.
        where: pixels within reach of a step.
        reach: in pixels.
    """

    log_depth: Float[Tensor, "h w"]
    far: Float[Tensor, "h w"]
    near: Float[Tensor, "h w"]
    where: Bool[Tensor, "h w"]
    reach: int

    @staticmethod
    def of(depth: Float[Tensor, "h w"]) -> Silhouettes:
        """Those of a map of z-depth, ``inf`` for sky."""
        reach = max(LEAST_REACH, round(REACH * min(depth.shape)))
        log_depth = torch.where(torch.isfinite(depth), depth, torch.inf).log().clamp(max=SKY)
        far, near = _farthest(log_depth, 2 * reach + 1), -_farthest(-log_depth, 2 * reach + 1)
        between = _farthest(log_depth, 3) + _farthest(-log_depth, 3)
        where = (far - near > STEP) & (_farthest(between, 2 * reach + 1) > SHARP * (far - near))
        return Silhouettes(log_depth, far, near, where, reach)

    @property
    def middle(self) -> Float[Tensor, "h w"]:
        """Log depth halfway between the two sides."""
        return 0.5 * (self.far + self.near)

    def around(
        self, pixels: Int[Tensor, "n 2"]
    ) -> tuple[Int[Tensor, "n k"], Int[Tensor, "n k"], Bool[Tensor, "n k"], Float[Tensor, " k"]]:
        """Rows and columns of what lies around pixels, the closest first, within twice the reach and two pixels more; which of
        it is inside of the picture; and how far away it is, in pixels."""
        height, width = self.where.shape
        radius = 2 * self.reach + 2
        offsets = torch.stack(torch.meshgrid(*[torch.arange(-radius, radius + 1)] * 2, indexing="ij"), dim=-1).reshape(-1, 2)
        distance = offsets.float().norm(dim=-1)
        order = distance.argsort(stable=True)
        order = order[distance[order] <= radius]
        rows, columns = (pixels[:, None] + offsets[order]).unbind(dim=-1)
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        return rows.clamp(0, height - 1), columns.clamp(0, width - 1), inside, distance[order]


def with_rims(
    depth: Float[Tensor, "h w"], classes: PixelClasses, rgb: Float[Tensor, "h w 3"]
) -> tuple[Float[Tensor, "h w"], PixelClasses]:
    """Depth and classes with pixels beside silhouettes moved to the side whose colours they have: what looks like the thing and
    not like what is behind it gets the depth and the class of the thing, and the other way round.

    Args:
        depth: z-depth, ``inf`` for sky.
        classes: what the pixels show.
        rgb: the picture, 0..1.
    """
    found = Silhouettes.of(depth)
    behind = found.log_depth > found.middle
    moved, labels, things = depth.clone(), classes.labels.clone(), classes.things.clone()
    for own, excess in ((behind, TO_THING), (~behind, TO_BACKGROUND)):
        for pixels in torch.nonzero(found.where & own).split(BATCH):
            rows, columns = pixels.T
            other, closest = _of_other_side(pixels, found, own is behind, rgb, *excess)
            rows, columns, (from_rows, from_columns) = rows[other], columns[other], closest[other].T
            for made, given in ((moved, depth), (labels, classes.labels), (things, classes.things)):
                made[rows, columns] = given[from_rows, from_columns]
    return moved, PixelClasses(labels, things, classes.indoors)


def _of_other_side(
    pixels: Int[Tensor, "n 2"], found: Silhouettes, behind: bool, rgb: Float[Tensor, "h w 3"], ratio: float, margin: float
) -> tuple[Bool[Tensor, " n"], Int[Tensor, "n 2"]]:
    """Which pixels on one side of silhouettes look like the other side, and the closest pixel of that.

    Args:
        pixels: row and column.
        behind: whether they are behind a thing, or on it.
        rgb: the picture, 0..1.
        ratio, margin: of the difference of colour to the own side, from which on a pixel counts as one of the other.
    """
    rows, columns, inside, _ = found.around(pixels)
    middle = found.middle[pixels[:, 0], pixels[:, 1], None]
    # Of the own side only what no pixel of the other is close to is sure to show nothing of it.
    if behind:
        other, sure = found.log_depth[rows, columns] < middle, found.near[rows, columns] > middle
    else:
        other, sure = found.log_depth[rows, columns] > middle, found.far[rows, columns] < middle
    other, sure = other & inside, sure & inside
    unlike = (rgb[rows, columns] - rgb[pixels[:, 0], pixels[:, 1]][:, None]).norm(dim=-1)
    from_other = torch.where(other, unlike, torch.inf).amin(dim=1)
    from_own = torch.where(sure, unlike, torch.inf).amin(dim=1)
    chosen = torch.isfinite(from_own) & (from_own > ratio * from_other + margin)
    closest = other.int().argmax(dim=1, keepdim=True)
    return chosen, torch.cat([rows.gather(1, closest), columns.gather(1, closest)], dim=1)


def _farthest(values: Float[Tensor, "h w"], size: int) -> Float[Tensor, "h w"]:
    return maximum(values[None], size)[0]
