"""Which colour the walls of a room have, by what a photo shows of them near each of its sides."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from splatmem.classes import PixelClass, PixelClasses
from splatmem.geometry.sampling import evenly_spread
from splatmem.memory.stored_view import StoredView
from splatmem.pixels import from_uint8

REACH = 0.25
"""Of a picture's width: how far from a side a wall says less about what goes on there, by 1/e."""
NO_WALL = 0.02
"""What a pixel that was not told to be wall says, in units of one that was: it decides where no wall is seen."""
ALIKE = 0.1
"""Difference of colours (Euclidean) up to which, roughly, they are one wall's in other light."""
ASKED = 1500
"""Pixels from which a colour is told."""


def wall_colours(view: StoredView, classes: PixelClasses) -> Float[Tensor, "2 3"]:
    """Colours of the walls that go on from the left and from the right side of a view, sRGB in 0..1.

    The most frequent colour near that side (the mode of a kernel density), not the mean of a white and a brown wall. Walls are
    light and grey more often than dark and colourful, so such colours count more.
    """
    rgb, width = from_uint8(view.rgb), view.rgb.shape[1]
    no_wall = classes.where(PixelClass.FLOOR, PixelClass.CEILING, PixelClass.OPENING, PixelClass.SKY) | ~view.written
    told = torch.where(classes.where(PixelClass.WALL) & (classes.things == 0), 1.0, NO_WALL).masked_fill(no_wall, 0.0)
    told = told if told.any() else torch.ones_like(told)
    asked = torch.tensor(evenly_spread(told.numel(), ASKED))
    # In double precision: how a library rounds depends on where its memory lies, and a run is to be repeated exactly.
    colours, column = rgb.flatten(0, 1)[asked].double(), (asked.double() % width + 0.5) / width
    weights = torch.stack([torch.exp(-away / REACH) for away in (column, 1 - column)]) * told.flatten()[asked].double()
    kernel = torch.exp(-0.5 * (torch.cdist(colours, colours) / ALIKE).square())
    usual = (colours.mean(-1) * (1 - (colours.amax(-1) - colours.amin(-1)))).square()
    modes = (weights @ kernel * usual).argmax(-1)
    shares = weights * kernel[modes]
    return (shares @ colours / shares.sum(-1, keepdim=True)).float()
