"""Rims of things belong to the things: steps of depth are moved to where the colours change.

A depth map's step lies a pixel or two beside the outline that the picture shows. What of a thing lies on the far side of the
step would stay behind on the background when the camera moves aside, as a thread around the place where the thing was, and what
of the background lies on its near side would move with the thing, as a halo. Such pixels are told by their colours: samples of
both sides are compared, as in sampling-based matting (Wang & Cohen 2007).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from splatmem.classes import PixelClasses
from splatmem.geometry.filters import maximum
from splatmem.threads import side_by_side

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
BATCH = 1024
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

    @property
    def radius(self) -> int:
        """How far around a pixel is looked: twice the reach and two pixels more."""
        return 2 * self.reach + 2

    def framed(self, values: Shaped[Tensor, "h w *c"], beyond: float = math.nan) -> Shaped[Tensor, " n *c"]:
        """The values of a map's pixels row by row, with a frame of ``radius`` pixels around the picture that have the value
        ``beyond``. That is no number by default, which is neither nearer nor farther than any."""
        framed = values.new_full((self.where.shape[0] + 2 * self.radius, self._columns, *values.shape[2:]), beyond)
        framed[self.radius : -self.radius, self.radius : -self.radius] = values
        return framed.flatten(0, 1)

    def around(self, pixels: Int[Tensor, "n 2"]) -> tuple[Int[Tensor, "k n"], Float[Tensor, " k"]]:
        """Places in ``framed`` maps of what lies around pixels, the closest first; and how far away it is, in pixels."""
        steps = torch.arange(-self.radius, self.radius + 1)
        offsets = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), dim=-1).reshape(-1, 2)
        distance = offsets.float().norm(dim=-1)
        order = distance.argsort(stable=True)
        order = order[distance[order] <= self.radius]
        places = (pixels + self.radius) @ pixels.new_tensor([self._columns, 1])
        return (offsets[order] @ offsets.new_tensor([self._columns, 1]))[:, None] + places, distance[order]

    @staticmethod
    def seen(framed: Shaped[Tensor, "n *c"], places: Int[Tensor, "k m"]) -> Shaped[Tensor, "k m *c"]:
        """The values of a ``framed`` map at places; indexing with brackets takes four times as long."""
        return framed.index_select(0, places.flatten()).view(*places.shape, *framed.shape[1:])

    def pixels(self, places: Int[Tensor, " n"]) -> tuple[Int[Tensor, " n"], Int[Tensor, " n"]]:
        """Rows and columns of places in ``framed`` maps."""
        return places // self._columns - self.radius, places % self._columns - self.radius

    @property
    def _columns(self) -> int:
        return self.where.shape[1] + 2 * self.radius


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
    middle = found.middle
    behind = found.log_depth > middle
    log_depth, near, far, colours = map(found.framed, (found.log_depth, found.near, found.far, rgb))

    def changes(of_thing: bool, pixels: Int[Tensor, "n 2"]) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Pixels of one side that look like the other, and the closest pixel of that."""
        (row, column), (places, _) = pixels.T, found.around(pixels)
        step, depths = middle[row, column], found.seen(log_depth, places)
        # Of the own side only what no pixel of the other is close to is sure to show nothing of it.
        if of_thing:
            other, sure, (ratio, margin) = depths > step, found.seen(far, places) < step, TO_BACKGROUND
        else:
            other, sure, (ratio, margin) = depths < step, found.seen(near, places) > step, TO_THING
        unlike = found.seen(colours, places).sub_(rgb[row, column]).norm(dim=-1)
        from_other = torch.where(other, unlike, torch.inf).amin(dim=0)
        from_own = torch.where(sure, unlike, torch.inf).amin(dim=0)
        chosen = torch.isfinite(from_own) & (from_own > ratio * from_other + margin)
        closest = places.gather(0, other.int().argmax(dim=0, keepdim=True))[0, chosen]
        return (row[chosen], column[chosen]), found.pixels(closest)

    moved, labels, things = depth.clone(), classes.labels.clone(), classes.things.clone()
    sides = [(of_thing, torch.nonzero(found.where & (behind != of_thing))) for of_thing in (False, True)]
    works = [(of_thing, pixels) for of_thing, all_ in sides for pixels in all_.split(BATCH)]
    for to, closest in side_by_side(lambda work: changes(*work), works):
        for made, given in ((moved, depth), (labels, classes.labels), (things, classes.things)):
            made[to] = given[closest]
    return moved, PixelClasses(labels, things, classes.indoors)


def _farthest(values: Float[Tensor, "h w"], size: int) -> Float[Tensor, "h w"]:
    return maximum(values[None], size)[0]
