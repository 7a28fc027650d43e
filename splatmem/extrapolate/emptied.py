"""The empty place: what a view shows without the things that stand in it.

Where a thing stood, the shell shows: its wall, and its floor or ceiling beyond it, or else, in the open, what lies beside the
thing. Colours are continued patch by patch from what is left.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy import ndimage
from torch import Tensor

from splatmem.classes import PixelClass, PixelClasses
from splatmem.extrapolate.continuation import Guide, continue_colours
from splatmem.extrapolate.shell import Shell
from splatmem.extrapolate.standing import removable_standing, standing_out, without_strips
from splatmem.extrapolate.unrolled import Grid, Unrolled
from splatmem.geometry.filters import dilate
from splatmem.geometry.nearest import nearest_pixels

WIDE = 0.35  # of the picture's width: a thing that covers more of it, a house or a hedge, may belong to the place
GAP = 0.3  # of that: what is open between two parts of a thing that count as one
MIN_LEFT = 0.42  # share of a room's picture that must be left without its things: of less no room can be made
ATTACHED = 0.35  # of an outline: a bottle touches the table with less of its own, a bed's head the bed with more
OPEN_SHARE = 0.25  # of a picture that shows the open air: a room shows less through its windows
ROOM = 10.0  # metres: of a room hardly a wall is farther away
HALO = 0.015  # of the picture's width around a thing that goes with it: its blurred edge and the foot of its shadow
HEIGHT = 1.5  # the picture's height, in natural logarithms of depth, when patches are compared


def removable(classes: PixelClasses, depth: Float[Tensor, "h w"], open_air: bool) -> Bool[Tensor, "h w"]:
    """Pixels of the things that can be taken away and leave the place.

    A room is made of its walls, floor and ceiling: a second sofa, or a second bed, is what a stranger would see first. Where
    things hide most of them, and in the open, what is wide belongs to the place. In the open whatever stands out goes as well;
    of a building that stays, no part is taken.
    """
    things = classes.things.long()
    out = torch.zeros_like(things, dtype=torch.bool)
    if open_air:
        out = removable_standing(
            depth, classes.where(PixelClass.GROUND, PixelClass.FLOOR), classes.where(PixelClass.VEGETATION)
        )
        things = _alone(things, classes)
    elif (things == 0).float().mean() >= MIN_LEFT:
        return things > 0
    gone = torch.zeros_like(out)
    numbers = things.numpy()
    for number, part in enumerate(ndimage.find_objects(numbers), start=1):
        if part is None:
            continue
        own = numbers[part] == number
        gone[part] |= torch.from_numpy(own & ~_place(own, max(1, round(WIDE * things.shape[1]))))
    parts = _numbered(gone.numpy())
    gone = out | gone & ~torch.from_numpy(_attached(parts, (numbers > 0) & ~gone.numpy())[parts])
    return without_strips(gone) if open_air else gone


def _alone(things: Int[Tensor, "h w"], classes: PixelClasses) -> Int[Tensor, "h w"]:
    """Numbers of things in the open that are no part of a building and stand in no greenery."""
    natural = PixelClass.SKY, PixelClass.GROUND, PixelClass.VEGETATION, PixelClass.FLOOR
    parts = torch.from_numpy(_numbered((~classes.where(*natural) | (things > 0)).numpy())).long()
    sizes, own = torch.bincount(parts.flatten()), torch.bincount(parts.flatten(), (things > 0).flatten().float())
    green = classes.where(PixelClass.VEGETATION)
    around = dilate(green[None], max(1, round(HALO * green.shape[1])))[0]
    overgrown = torch.bincount(parts.flatten(), around.flatten().float())
    return torch.where(((own > 0.5 * sizes) & (overgrown < 0.1 * sizes))[parts], parts, 0)


def _numbered(mask: Bool[np.ndarray, "h w"]) -> Int[np.ndarray, "h w"]:
    """Numbers of the connected parts of a mask, 0 outside of it."""
    numbers = np.zeros(mask.shape, np.int32)
    ndimage.label(mask, np.ones((3, 3)), output=numbers)
    return numbers


def _place(thing: Bool[np.ndarray, "h w"], width: int) -> Bool[np.ndarray, "h w"]:
    """What of a thing belongs to the place: where it is at least so wide, and what of it is below."""
    if thing.shape[1] < width:
        return np.zeros_like(thing)
    # What shows between a table's boards makes it no narrower; between the things on it there is more room.
    padded = np.pad(thing, ((0, 0), (width, width)))
    closed = ndimage.binary_closing(padded, np.ones((1, max(1, round(GAP * width))), bool))[:, width:-width]
    wide = ndimage.binary_opening(closed, np.ones((1, width), bool))
    return np.logical_or.accumulate(wide, axis=0) & thing


def _attached(parts: Int[np.ndarray, "h w"], place: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, " n"]:
    """Which numbered parts have much of their outline on things that belong to the place: they are parts of these."""
    outlines = ndimage.maximum_filter(parts, 3) * (parts == 0)
    lengths, shared = (np.bincount(outlines.ravel(), weights, parts.max() + 1) for weights in (None, place.ravel()))
    return shared >= ATTACHED * np.maximum(lengths, 1)


def prominent(classes: PixelClasses, depth: Float[Tensor, "h w"], open_air: bool) -> Bool[Tensor, "h w"]:
    """Pixels that a stranger would know again: of things, of windows, and in the open of what was built or stands out."""
    known_again = classes.where(PixelClass.THING, PixelClass.OPENING, PixelClass.BUILDING)
    return known_again | standing_out(depth, classes.where(PixelClass.GROUND, PixelClass.FLOOR)) if open_air else known_again


def in_the_open(classes: PixelClasses, depth: Float[Tensor, "h w"], metric: bool) -> bool:
    """Whether a picture shows no room: by what its pixels show, or by how far away they are.

    Args:
        classes: what the pixels show.
        depth: their z-depth, ``inf`` for sky.
        metric: whether its unit is the metre.
    """
    outdoors = classes.where(PixelClass.SKY, PixelClass.GROUND, PixelClass.VEGETATION, PixelClass.BUILDING)
    far = torch.isfinite(depth) & (depth > ROOM)
    return outdoors.float().mean().item() > OPEN_SHARE or (metric and far.float().mean().item() > OPEN_SHARE)


def emptied(shown: Unrolled, open_air: bool, shell: Shell, grid: Grid, generator: torch.Generator) -> Unrolled:
    """A view on the shell without its things; what is unseen stays as it is.

    In the open nothing prominent goes on where a thing stood, if there is anything else.
    """
    hole = dilate(shown.thing[None], max(1, round(HALO * shown.thing.shape[1])))[0] & shown.seen
    known = shown.seen & ~hole
    if not hole.any() or not known.any():
        return shown
    if open_air and (known & ~shown.prominent).any():
        known = known & ~shown.prominent
    # Places go on beside a thing rather than above or below it.
    below = (grid.heights > 0)[:, None].expand_as(hole)
    beside, grounded = _nearest(shown, known), known & ~(shown.sky & below)
    if grounded.any():  # below the horizon there is no sky
        beside = _nearest(shown, grounded).where(below, beside)
    relief = torch.minimum(beside.log_relief, level_relief(shell, grid)[:, None])
    label = beside.label
    empty = replace(
        beside,
        log_relief=torch.where(hole, relief, shown.log_relief),
        sky=torch.where(hole, beside.sky, shown.sky),
        seen=shown.seen,
        rgb=shown.rgb,
    )
    # What lies at another height is something else: skirting, panelling, windows, the horizon.
    height = HEIGHT * torch.linspace(0, 1, len(grid.heights))[:, None].expand_as(label)
    surface = (label + 100 * empty.sky).long()
    rgb = shown.rgb
    # A wall is not made of the table that stands before it; a table may need some of the wall.
    for of_things in (False, True):
        part = hole & ((label == int(PixelClass.THING)) == of_things)
        source = known if of_things else known & (shown.label != int(PixelClass.THING))
        rgb = continue_colours(rgb, source, part, Guide(surface, height.contiguous()), generator, fine_search=False)
        known = known | part
    return replace(empty, rgb=rgb, prominent=shown.prominent & ~hole, thing=hole)


def _nearest(shown: Unrolled, known: Bool[Tensor, "h w"]) -> Unrolled:
    return shown.take(*nearest_pixels(known, (8, 1)))


def level_relief(shell: Shell, grid: Grid) -> Float[Tensor, " h"]:
    """Logarithm of where floor and ceiling lie before the wall in each row, relative to it; 0 between them."""
    plane = torch.where(grid.heights > 0, shell.floor, shell.ceiling)
    return (plane / grid.heights.where(grid.heights != 0, torch.ones(()))).clamp(1e-3, 1).log()
