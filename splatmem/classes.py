"""What the pixels of a picture show: the classes, and a picture's map of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Int16, UInt8
from torch import Tensor


class PixelClass(IntEnum):
    """What a pixel shows.

    An opening is a window or a door; stairs and rugs are floor; pictures on a wall are wall; everything that stands, lies, is
    held or lives is a thing; ground, vegetation and building are outdoors. What shows through a window is sky.
    """

    UNKNOWN = 0
    FLOOR = 1
    CEILING = 2
    WALL = 3
    OPENING = 4
    THING = 5
    SKY = 6
    GROUND = 7
    VEGETATION = 8
    BUILDING = 9


LEVEL_CLASSES = (PixelClass.FLOOR, PixelClass.GROUND, PixelClass.CEILING)


@dataclass(frozen=True)
class PixelClasses:
    """The classes of a picture's pixels.

    Attributes:
        labels: values of ``PixelClass``, ``[h, w]``.
        things: which thing a pixel belongs to, from 1, the largest first; 0 where it belongs to none, ``[h, w]``.
        indoors: whether the picture was taken in a room; None where that was not told.
    """

    labels: UInt8[Tensor, "h w"]
    things: Int16[Tensor, "h w"]
    indoors: bool | None = None

    @property
    def num_things(self) -> int:
        """How many things there are."""
        return int(self.things.max()) if self.things.numel() else 0

    def where(self, *classes: PixelClass) -> Bool[Tensor, "h w"]:
        """Pixels of any of the classes."""
        return torch.isin(self.labels, torch.tensor(list(classes), dtype=torch.uint8, device=self.labels.device))

    def without(self, gone: Bool[Tensor, "h w"]) -> PixelClasses:
        """The classes with nothing said of some pixels."""
        labels, things = self.labels.masked_fill(gone, int(PixelClass.UNKNOWN)), self.things.masked_fill(gone, 0)
        return PixelClasses(labels, things, self.indoors)

    def at(self, width: int, height: int) -> PixelClasses:
        """The classes of the picture at another size (sampled)."""
        both = torch.stack([self.labels.short(), self.things])[None].float()
        labels, things = F.interpolate(both, size=(height, width), mode="nearest-exact")[0]
        return PixelClasses(labels.to(torch.uint8), things.to(torch.int16), self.indoors)
