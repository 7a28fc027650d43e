"""A calm place: the colours of a view, going on around it ever more blurred, as what lies behind a lens's focus.

What a photo shows may be nothing that can go on: one wall with its windows, an animal's fur, a flower before a blurred garden.
Shown again it makes a hall of mirrors. Its light and its colours at each height go on all the same. Beside the view its mirror
image begins, which is blurred the more the farther from the view, so that there is no edge, and nothing is seen twice. In the
open its colours drift around it out of focus, each at its height and no two heights together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from splatmem.classes import PixelClass
from splatmem.extrapolate.unrolled import Grid, Unrolled, extended
from splatmem.geometry.push_pull import push_pull

MARGIN = 0.05  # of the view's width, in which its mirror image is sharp: small moves show no more
GROWTH = 0.6  # how much wider the blur gets on a way: less, and the mirror image is seen; more, and the view has a border
TALLEST = 0.04  # of that width: how far colours are blurred upwards and downwards; a horizon stays where it is
ENOUGH = 0.1  # share of what the view shows of its rows that colours must come from: fewer pixels are a stain, not the place
REACH = 0.12  # of that width, over which what goes over the view's edge fades away
SOFT = 0.16  # of that width: blur of what is seen in the open far from the view, where the mirror image is a mere mean
BANDS = 3  # of heights that drift each for itself: what lies above each other in the view does so nowhere else
WAVES = (0.35, 0.6, 1.0)  # of a drift over the view's columns, per width of the view


def calm_turn(shown: Unrolled, planes: Float[Tensor, " h"], grid: Grid, indoors: bool, total: int) -> Unrolled:
    """Once around, beginning with the view's columns, in which the view goes on calmly.

    Args:
        shown: the view. What is prominent, or to be taken away, does not go on if there is anything else.
        planes: logarithm of the relief of floor and ceiling in each row.
        grid: rows of the pictures.
        indoors: whether walls, floor and ceiling each have their own colours, and meet at an edge.
        total: columns of the whole turn.
    """
    height, width = shown.seen.shape
    left = shown.seen & ~shown.thing
    source = _enough([left & ~shown.prominent, left], shown.seen)
    sky = _sky_rows(shown.sky, source)
    surfaces, label = torch.zeros(height, dtype=torch.int64), torch.zeros_like(shown.label)
    if indoors:
        level = torch.where(grid.heights > 0, int(PixelClass.FLOOR), int(PixelClass.CEILING))
        surfaces, label = torch.where(planes == 0, int(PixelClass.WALL), level), shown.label
    surfaces = surfaces.masked_fill(sky, int(PixelClass.SKY))
    label = torch.where(shown.sky, float(PixelClass.SKY), label)
    relief = planes.masked_fill(sky, 0.0)[:, None].expand(height, width)
    thing = shown.thing[..., None]
    filled = replace(
        shown,
        rgb=torch.where(thing, _extended(shown.rgb, source), shown.rgb),
        log_relief=torch.where(shown.thing, relief, shown.log_relief),
    )
    whole = extended(filled, planes, grid)
    edges = _Edges(
        _ever_coarser(torch.cat([whole.rgb, whole.log_relief[..., None]], dim=-1)),
        _ever_coarser(torch.cat([shown.rgb, torch.ones_like(relief)[..., None]], dim=-1) * thing),
    )
    turn = torch.zeros(height, total, 4)
    for surface in surfaces.unique().tolist():
        rows, own = surfaces == surface, left & (label == surface)
        place = _extended(shown.rgb, _enough([own & ~shown.prominent, own, source], shown.seen & rows[:, None]))
        levels = _ever_coarser(torch.cat([place, relief[..., None]], dim=-1))
        turn[rows] = _around(levels, edges, None if indoors else _drifting(levels, total), total)[rows]
    turn[:, :width] = torch.where(shown.seen[..., None], turn[:, :width], edges.beside[0])  # above and below the view
    log_relief = turn[..., 3].masked_fill(sky[:, None], 0.0)

    def once_around(values: Tensor) -> Tensor:
        return values[:, None].expand(height, total).contiguous()

    nothing = torch.zeros(height, total, dtype=torch.bool)
    seen, gone = nothing.clone(), nothing.clone()
    seen[:, :width], gone[:, :width] = shown.seen, shown.thing
    kinds = once_around(surfaces.to(shown.label.dtype))
    return Unrolled(turn[..., :3].clamp(0, 1), log_relief, once_around(sky), kinds, nothing, gone, seen)


def _enough(masks: list[Bool[Tensor, "h w"]], shown: Bool[Tensor, "h w"]) -> Bool[Tensor, "h w"]:
    """The first of the masks that holds enough of what is shown; else all of that."""
    least = max(1.0, ENOUGH * float(shown.sum()))
    return next((mask for mask in masks if mask.sum() >= least), shown)


def _sky_rows(sky: Bool[Tensor, "h w"], source: Bool[Tensor, "h w"]) -> Bool[Tensor, " h"]:
    """The rows down to the horizon: above it most of what goes on is sky, below it is not."""
    surplus = torch.where(sky, 1.0, -1.0).mul(source).sum(1)
    above = torch.cat([torch.zeros(1), surplus.cumsum(0)])
    return torch.arange(len(sky)) < int(above.argmax())


@dataclass(frozen=True)
class _Edges:
    """What goes over a view's ends, ever coarser.

    Attributes:
        beside: colours and log relief of walls and ground, which go on from where they are.
        cut: colours of things, times how much of a pixel they cover, and that share: a blur of them goes on, flat on the wall.
    """

    beside: Float[Tensor, "k h w 4"]
    cut: Float[Tensor, "k h w 4"]


def _around(
    place: Float[Tensor, "k h w 4"], edges: _Edges, far_away: Float[Tensor, "h t 4"] | None, total: int
) -> Float[Tensor, "h t 4"]:
    """A picture, colours and log relief, and beyond both of its ends its mirror images, ever more blurred.

    Args:
        place: what goes on, ever coarser.
        edges: what fades away beyond the ends.
        far_away: what comes in the place of the mirror images where these are mere means, once around.
        total: columns of the whole turn.
    """
    width = place.shape[2]
    columns = torch.arange(total)
    right, left = (columns - width + 1).clamp_min(0), (total - columns).clamp_min(0)
    share = right / (right + left).clamp_min(1)
    share = (share * share * (3 - 2 * share))[:, None]

    def beyond(source: Int[Tensor, " t"], away: Int[Tensor, " t"]) -> Float[Tensor, "h t 4"]:
        after = (away - MARGIN * width).clamp_min(0)
        far, near = (_at_blur(levels, source, GROWTH * after) for levels in (place, edges.beside))
        if far_away is not None:
            far = torch.lerp(far, far_away, (after / width).clamp(max=1)[:, None])
        ground = torch.lerp(far, near, torch.exp(-after / (REACH * width))[:, None])
        cut = _at_blur(edges.cut, source, GROWTH * away) * torch.exp(-away / (REACH * width))[:, None]
        colours = ground[..., :3] * (1 - cut[..., 3:].clamp(0, 1)) + cut[..., :3]
        return torch.cat([colours, ground[..., 3:]], dim=-1)

    around = torch.lerp(beyond(width - right, right), beyond(left - 1, left), share)
    around[:, :width] = place[0]
    return around


def _drifting(place: Float[Tensor, "k h w 4"], total: int) -> Float[Tensor, "h t 4"]:
    """Once around in the colours of a picture out of focus, at their heights, and at no place those of one of its columns."""
    _, height, width, _ = place.shape
    generator = torch.Generator().manual_seed(0)
    once = torch.linspace(0, 2 * math.pi, total + 1)[:-1]
    blur = torch.full((total,), SOFT * width)
    band = torch.linspace(0, BANDS - 1, height)
    drifting = torch.zeros(height, total, 4)
    for number in range(BANDS):
        phases = 2 * math.pi * torch.rand(len(WAVES), generator=generator)
        waves = [(round(wave * total / width) * once + phase).sin() for wave, phase in zip(WAVES, phases, strict=True)]
        columns = (width * (0.5 + 0.5 * torch.stack(waves).mean(0))).long().clamp(0, width - 1)
        share = (1 - (band - number).abs()).clamp_min(0)
        drifting += share[:, None, None] * _at_blur(place, columns, blur)
    return drifting


def _ever_coarser(picture: Float[Tensor, "h w c"]) -> Float[Tensor, "k h w c"]:
    """The picture, and what is left of it over 2, 4, 8, ... columns."""
    maps = picture.permute(2, 0, 1)[None]
    levels, coarse, tallest = [maps], maps, TALLEST * picture.shape[1]
    while coarse.shape[-1] > 1:
        rows = 2 if 2 ** len(levels) <= tallest and coarse.shape[-2] > 1 else 1
        coarse = F.avg_pool2d(coarse, (rows, 2), ceil_mode=True, count_include_pad=False)
        levels.append(F.interpolate(coarse, size=maps.shape[-2:], mode="bicubic", align_corners=False))
    return torch.cat(levels).permute(0, 2, 3, 1)


def _at_blur(levels: Float[Tensor, "k h w c"], columns: Int[Tensor, " t"], blur: Float[Tensor, " t"]) -> Float[Tensor, "h t c"]:
    """Columns of a picture and of its mirror images, each blurred over its own number of columns."""
    width = levels.shape[2]
    folded = columns % (2 * width)
    folded = torch.where(folded < width, folded, 2 * width - 1 - folded)
    level = (1 + blur).log2().clamp(max=len(levels) - 1)
    finer = level.floor().long()
    coarser = (finer + 1).clamp(max=len(levels) - 1)
    taken = torch.lerp(levels[finer, :, folded], levels[coarser, :, folded], (level - finer)[:, None, None])
    return taken.transpose(0, 1)


def _extended(maps: Float[Tensor, "h w c"], source: Bool[Tensor, "h w"]) -> Float[Tensor, "h w c"]:
    return push_pull(maps.permute(2, 0, 1)[None], source[None, None].float())[0].permute(1, 2, 0)
