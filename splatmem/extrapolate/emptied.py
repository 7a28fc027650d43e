"""The empty place: which pixels of a view show things that do not go on around it, and which a stranger would know again."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy import ndimage
from torch import Tensor

from splatmem.classes import PixelClass, PixelClasses
from splatmem.extrapolate.shell import Shell
from splatmem.extrapolate.standing import narrow_parts, removable_standing, standing_out, without_strips
from splatmem.extrapolate.unrolled import Grid
from splatmem.geometry.connected import numbered_parts
from splatmem.geometry.filters import dilate

GROUND_LEFT = 0.05  # share of a picture in the open that must be left of ground and greenery for a place to be made of them
OPEN_SHARE = 0.25  # of a picture that shows the open air: a room shows less through its windows
ROOM = 10.0  # metres: of a room hardly a wall is farther away
UPRIGHT = 0.25  # mean difference of log depth between a wall's top and its foot in a column, at most
WHITE, SMALL_SUN = 0.93, 0.15  # of the sun's darkest channel, and the largest share of the sky that is as white
ROUND = 0.4  # share of the square around it that the sun covers at least, where a hill or a cloud hides some of it
GLOW = 1.0  # width of the glow around it that goes with it, in units of its size
HALO = 0.015  # of the picture's width around a thing that goes with it: its blurred edge and the foot of its shadow


def removable(classes: PixelClasses, depth: Float[Tensor, "h w"], open_air: bool) -> Bool[Tensor, "h w"]:
    """Pixels of what is taken away, so that only the place is left.

    A second sofa, a second house is what a stranger would see first. A room is made of its walls, floor and ceiling, a place in
    the open of its ground, of what grows there, and of the sky. Where no ground shows, walls that go on are all there is: then
    only what stands out goes.
    """
    things = classes.things > 0
    if not open_air:
        return things
    growing = classes.where(PixelClass.VEGETATION)
    ground = classes.where(PixelClass.GROUND, PixelClass.FLOOR)
    out = removable_standing(depth, ground, growing) | narrow_parts(things)
    gone = out | (prominent(classes, depth, open_air) & ~growing)
    enough = ((ground | growing) & ~gone).float().mean().item() > GROUND_LEFT
    return without_strips(gone if enough else out)


def prominent(classes: PixelClasses, depth: Float[Tensor, "h w"], open_air: bool) -> Bool[Tensor, "h w"]:
    """Pixels that a stranger would know again: of things, of windows, and in the open of what was built or stands out."""
    known_again = classes.where(PixelClass.THING, PixelClass.OPENING, PixelClass.BUILDING)
    if not open_air:
        return known_again
    known_again |= _houses(classes.where(PixelClass.WALL, PixelClass.CEILING, PixelClass.BUILDING), classes, depth)
    return known_again | standing_out(depth, classes.where(PixelClass.GROUND, PixelClass.FLOOR))


def _houses(walls: Bool[Tensor, "h w"], classes: PixelClasses, depth: Float[Tensor, "h w"]) -> Bool[Tensor, "h w"]:
    """Connected walls most of which have the sky above them and are as far away at their foot as at their top: what goes on as
    something else, such as a lake, or comes nearer, is no house."""
    parts = numbered_parts(walls.numpy())
    above, at = parts[:-1] != parts[1:], np.where(np.isfinite(depth), np.log(depth.clamp_min(1e-9)), 0.0)
    tops, feet = parts[1:] * above, parts[:-1] * above
    sky = classes.where(PixelClass.SKY)[:-1].numpy()
    columns, before_sky = (np.bincount(tops.ravel(), weights, parts.max() + 1) for weights in (None, sky.ravel()))
    last = np.bincount(parts[-1], at[-1], parts.max() + 1)
    nearer = np.bincount(tops.ravel(), at[1:].ravel(), parts.max() + 1) - last
    nearer -= np.bincount(feet.ravel(), at[:-1].ravel(), parts.max() + 1)
    houses = (before_sky > 0.5 * columns) & (nearer < UPRIGHT * columns)
    houses[0] = False
    return torch.from_numpy(houses[parts])


def sun(rgb: Float[Tensor, "h w 3"], depth: Float[Tensor, "h w"]) -> Bool[Tensor, "h w"]:
    """The sun: most of what is white in a sky that is not, in one round place. A sky has no second one."""
    sky = torch.isinf(depth)
    white = sky & (rgb.amin(dim=-1) > WHITE)
    parts = numbered_parts(white.numpy())
    areas = np.bincount(parts.ravel())[1:]
    if not len(areas):
        return torch.zeros_like(sky)
    largest = int(areas.argmax())
    rows, columns = ndimage.find_objects(parts)[largest]
    disc = areas[largest] > ROUND * max(rows.stop - rows.start, columns.stop - columns.start) ** 2
    if not disc or areas[largest] < areas.sum() / 2 or areas[largest] > SMALL_SUN * int(sky.sum()):
        return torch.zeros_like(sky)
    radius = max(1, round(GLOW * float(areas[largest]) ** 0.5))
    return dilate(torch.from_numpy(parts == largest + 1)[None], radius)[0] & sky


def in_the_open(classes: PixelClasses, depth: Float[Tensor, "h w"], metric: bool) -> bool:
    """Whether a picture shows no room: by what its pixels show, or by how far away they are.

    Args:
        classes: what the pixels show.
        depth: their z-depth, ``inf`` for sky.
        metric: whether its unit is the metre.
    """
    outdoors = classes.where(PixelClass.SKY, PixelClass.GROUND, PixelClass.VEGETATION)
    far = torch.isfinite(depth) & (depth > ROOM)
    built = classes.where(PixelClass.BUILDING)
    outdoors |= built & far if metric else built  # white walls of a room are taken for buildings
    return outdoors.float().mean().item() > OPEN_SHARE or (metric and far.float().mean().item() > OPEN_SHARE)


def with_halo(things: Bool[Tensor, "h w"]) -> Bool[Tensor, "h w"]:
    """Things with what goes with them around them."""
    return dilate(things[None], max(1, round(HALO * things.shape[1])))[0]


def level_relief(shell: Shell, grid: Grid) -> Float[Tensor, " h"]:
    """Logarithm of where floor and ceiling lie before the wall in each row, relative to it; 0 between them."""
    plane = torch.where(grid.heights > 0, shell.floor, shell.ceiling)
    return (plane / grid.heights.where(grid.heights != 0, torch.ones(()))).clamp(1e-3, 1).log()
