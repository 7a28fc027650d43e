"""What the things of a photo hide: the background goes on behind every silhouette, so that a step aside uncovers something.

A silhouette is where something clearly farther shows beside a surface. The part of the surface that a step aside may move away
from what it hides is taken for a hole in the background, and filled from the background alone: depth by the planes that are
seen beside it, colours patch by patch. The top of a table goes on behind what stands on it. All this is made at half the
photo's size: it is less to be trusted than what was seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, Int16
from scipy import ndimage
from torch import Tensor

from splatmem.classes import LEVEL_CLASSES, PixelClass, PixelClasses
from splatmem.depth.behind import SKY_LABEL, Behind, continue_behind
from splatmem.depth.classes import connected_surfaces
from splatmem.depth.tops import Top, tops_of_things
from splatmem.explore.reduced import Reduced
from splatmem.extrapolate.continuation import Guide, continue_colours
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.distance import distance_inside
from splatmem.geometry.nearest import nearest_pixels

STEP = 0.06
"""Difference of log depth, beyond that of a slanted surface, that makes a silhouette."""
REACH = 0.15
"""How far inward from a silhouette the background goes on, as a share of the picture's width: a swing of 30 degrees about a
thing at two thirds of the background's distance uncovers about so much."""
WHOLE = 0.6
"""Share of a surface within that reach from which the background goes on behind all of it."""
SMALLEST = 0.0004
"""Share of the picture that a hole covers at least."""
MOST = 24
FARTHER = 1.05
"""By how many times another thing must be farther to be background."""
TOUCHING = 2
"""Pixels between two parts of one thing at most."""
GAP = 1.01
"""By how many times the background lies behind what hides it, at least."""
SKY_STEPS = 4.0
"""Sky counts as so many times as far as the farthest surface."""
SKY_KIND, LEVEL_KIND, UPRIGHT_KIND, FIRST_TOP_KIND = range(4)
BESIDE = 3
"""Pixels beside a surface in which is looked what it stands before."""
SURROUNDED = 0.5
"""Share of these that other things must have for them to go on behind it: a cup on a table stands before the table, while what
stands beside a thing does not go on behind it."""
SIDES = 0.05
"""Share of the picture's width along its sides behind which nothing goes on that is ``FAR_BEHIND`` times as far: what is cut
off there goes on beside the picture, and a step aside uncovers what is made of that, not what is behind it."""
FAR_BEHIND = 1.5
FAR_SIDE = 0.05
"""How far a surface's own far side goes on behind a step within it, as a share of the picture's width."""
MARGIN = 0.12
"""How far around a hole the picture is looked at, as a share of its width."""


@dataclass(frozen=True)
class Hidden:
    """The background where a photo does not show it.

    Attributes:
        camera: the photo's, at a smaller size.
        rgb: 0..1, ``[h, w, 3]``.
        depth: z-depth, ``inf`` for sky, ``[h, w]``.
        where: pixels that are hidden, ``[h, w]``; elsewhere the rest is what the photo shows.
    """

    camera: Cameras
    rgb: Float[Tensor, "h w 3"]
    depth: Float[Tensor, "h w"]
    where: Bool[Tensor, "h w"]


def hidden_background(
    rgb: Float[Tensor, "h w 3"],
    depth: Float[Tensor, "h w"],
    classes: PixelClasses,
    camera: Cameras,
    down: Float[Tensor, "3"],
) -> Hidden:
    """The background behind a photo's silhouettes.

    Args:
        rgb: the photo, 0..1.
        depth: its z-depth, ``inf`` for sky.
        classes: what its pixels show.
        camera: of the photo.
        down: unit vector of gravity in the world.
    """
    reduced = Reduced.of(rgb, depth, classes, camera)
    colours, shown, classes, small = reduced.rgb, reduced.depth, reduced.classes, reduced.camera
    thing, level = classes.where(PixelClass.THING), classes.where(*LEVEL_CLASSES)
    tops = tops_of_things(shown, thing, small, down)
    surfaces = _surfaces(thing, shown, ~level, tops)
    hole = _near_silhouettes(shown, surfaces)
    made_rgb, made_depth, where = colours.clone(), shown.clone(), torch.zeros_like(hole)
    counts = np.bincount(surfaces[hole].numpy().ravel(), minlength=1)
    counts[0] = 0
    smallest = max(6, SMALLEST * hole.numel())
    order = [int(index) for index in np.argsort(-counts, kind="stable")[:MOST] if counts[index] >= smallest]
    generator = torch.Generator().manual_seed(0)
    rays = small.world_rays()[0]
    drop = (rays @ down) / rays.norm(dim=-1)
    for surface in order:
        own = surfaces == surface
        part = _around(hole & own, round(MARGIN * small.width))
        others = [top.within(part) for top in tops if not (top.seen & own).any()]
        filled = _filled(
            colours[part],
            shown[part],
            (hole & own)[part],
            own[part],
            ~thing[part],
            level[part],
            others,
            generator,
            drop[part],
            FAR_SIDE * small.width,
        )
        if filled is None:
            continue
        new_rgb, new_depth, new = filled
        made_rgb[part][new], made_depth[part][new] = new_rgb[new], new_depth[new]
        where[part] |= new
    sides, edge = torch.ones_like(where), torch.ones_like(where)
    margin = round(SIDES * small.width)
    sides[margin : small.height - margin, margin : small.width - margin] = False
    # Beyond the picture's edge there is nothing that wide Gaussians of the background would hide behind.
    edge[1:-1, 1:-1] = False
    where &= ~edge & ~(sides & (made_depth > FAR_BEHIND * shown))
    return Hidden(small, made_rgb, made_depth, where)


def _surfaces(
    thing: Bool[Tensor, "h w"], depth: Float[Tensor, "h w"], hiding: Bool[Tensor, "h w"], tops: list[Top]
) -> Int16[Tensor, "h w"]:
    """Numbers of connected surfaces that hide something, of things and of the rest apart; 0 for all others and specks. What
    stands on a top, or before it, is parted from it, and the top is one with what carries it."""
    there, on_top = torch.isfinite(depth) & hiding, torch.zeros_like(thing)
    for top in tops:
        on_top |= top.seen
    numbers = connected_surfaces(thing & there & ~on_top, depth, 6)
    carriers: list[int] = []  # of each top, the number of what carries it, the top included
    for index, top in enumerate(tops):
        fresh = int(numbers.max()) + 1
        numbers[top.seen] = fresh
        # What this top itself stands on is not what carries it.
        below = [numbers[other.seen].unique() for other in tops[:index] if other.carries(top.seen, depth)]
        beside = torch.from_numpy(ndimage.binary_dilation(top.seen.numpy(), np.ones((3, 3), bool), TOUCHING)) & ~top.seen
        for number in numbers[beside].unique().tolist():
            own = numbers == number
            if number > 0 and not any(number in others for others in below) and not top.carries(own, depth):
                numbers[own] = fresh
                carriers = [fresh if carrier == number else carrier for carrier in carriers]
        carriers.append(fresh)
    for top, carrier in zip(tops, carriers, strict=True):
        hiding_it = connected_surfaces((numbers == carrier) & top.reach & top.is_behind(depth), depth, 6)
        numbers = torch.where(hiding_it > 0, hiding_it + numbers.max(), numbers)
    rest = connected_surfaces(~thing & there, depth, 6)
    return torch.where(rest > 0, rest + numbers.max(), numbers)


def _near_silhouettes(depth: Float[Tensor, "h w"], surfaces: Int16[Tensor, "h w"]) -> Bool[Tensor, "h w"]:
    """Pixels of surfaces within reach of their silhouettes, and all of the surfaces that mostly are."""
    finite = torch.isfinite(depth)
    if not finite.any():
        return torch.zeros_like(finite)
    log_depth = torch.where(finite, depth, SKY_STEPS * depth[finite].max()).log()[None, None]
    farther = F.max_pool2d(log_depth, 3, 1, 1) - log_depth
    nearer = log_depth + F.max_pool2d(-log_depth, 3, 1, 1)
    silhouette = (farther - nearer > STEP)[0, 0] & (surfaces > 0)
    numbers, near = surfaces.numpy(), torch.zeros_like(finite)
    for number, place in enumerate(ndimage.find_objects(numbers), start=1):
        own_silhouette = silhouette[place] & (surfaces[place] == number) if place else silhouette[:0]
        if not own_silhouette.any():
            continue
        own = surfaces[place] == number
        reached = own & (distance_inside(~own_silhouette) <= REACH * depth.shape[1])
        near[place] |= own if reached.sum() >= WHOLE * own.sum() else reached
    return near


def _around(hole: Bool[Tensor, "h w"], margin: int) -> tuple[slice, slice]:
    row, column = torch.nonzero(hole, as_tuple=True)
    return (
        slice(max(0, int(row.min()) - margin), int(row.max()) + margin + 1),
        slice(max(0, int(column.min()) - margin), int(column.max()) + margin + 1),
    )


def _filled(
    rgb: Float[Tensor, "h w 3"],
    depth: Float[Tensor, "h w"],
    hole: Bool[Tensor, "h w"],
    own: Bool[Tensor, "h w"],
    background: Bool[Tensor, "h w"],
    level: Bool[Tensor, "h w"],
    tops: list[Top],
    generator: torch.Generator,
    drop: Float[Tensor, "h w"],
    reach: float,
) -> tuple[Float[Tensor, "h w 3"], Float[Tensor, "h w"], Bool[Tensor, "h w"]] | None:
    """Colours and depth behind one surface, and where they lie behind it; None where nothing shows of what is behind.

    Args:
        hole: part of the surface behind which the background goes on.
        own: the whole surface.
        background: pixels of no thing.
        level: pixels of floors and ceilings: these go on behind what stands nearer or farther alike.
        tops: all that are not the surface's own: it stands on some of them, or before them.
        drop: see ``continue_behind``.
        reach: how far the surface goes on behind steps within it, in pixels.
    """
    front = depth[nearest_pixels(hole)]
    # Pixels at the silhouette show both sides: they say nothing of the background.
    rim = torch.from_numpy(ndimage.binary_dilation(own.numpy(), np.ones((3, 3), bool)))
    farther = depth > FARTHER * front
    beside = torch.from_numpy(ndimage.binary_dilation(rim.numpy(), np.ones((3, 3), bool), BESIDE)) & ~rim
    surrounded = (farther & ~background)[beside].float().mean() > SURROUNDED if beside.any() else False
    known = ~rim & (level | (background & (depth > front / FARTHER)) | (farther if surrounded else farther & background))
    if int(known.sum()) >= 12:
        blocked = ~known & ~rim & ~hole & ((depth < front / FARTHER) | farther)
        removed = torch.where(hole, front, 0.0)
        behind = continue_behind(depth, known, hole | (rim & ~own), removed, level, drop=drop, blocked=blocked)
    elif tops:
        behind = Behind(torch.where(hole, front, depth), torch.full(hole.shape, -1))
    else:
        return None
    behind_depth, top_number = _with_tops(behind.depth, hole, front, tops)
    for number, top in enumerate(tops, start=1):
        # At its foot a thing seems to be as level as what it stands on.
        shown = top.seen & ~rim & ~beside
        top_number[shown], known = number, known | shown
    # What is no thing hides only what is clearly behind it: a wall's depth is not so exact that a step in it were its end.
    gap = torch.where(background, 1 + STEP, GAP)
    made = torch.maximum(behind_depth, GAP * front)
    new = hole & (behind_depth > gap * front)
    if not new.any():
        return None
    finite = torch.isfinite(made)
    far = SKY_STEPS * (made[finite].max() if finite.any() else torch.tensor(1.0))
    # Floor is made of floor and wall of wall: of which wall is for its depth and colours to tell.
    made_level = (behind.label > SKY_LABEL) & (behind.label <= behind.num_level)
    surface = torch.where(torch.where(hole, made_level, level), LEVEL_KIND, UPRIGHT_KIND)
    surface = surface.masked_fill(torch.where(hole, behind.label == SKY_LABEL, torch.isinf(depth)), SKY_KIND)
    surface = torch.where(top_number > 0, FIRST_TOP_KIND - 1 + top_number, surface)
    guide = Guide(surface, torch.where(finite, made, far).clamp_min(1e-12).log())
    filled = continue_colours(rgb, known, hole | (rim & ~own), guide, generator)
    return _with_own_far_side(filled, made, new, rgb, depth, hole, own, reach)


def _with_own_far_side(
    filled: Float[Tensor, "h w 3"],
    made: Float[Tensor, "h w"],
    new: Bool[Tensor, "h w"],
    rgb: Float[Tensor, "h w 3"],
    depth: Float[Tensor, "h w"],
    hole: Bool[Tensor, "h w"],
    own: Bool[Tensor, "h w"],
    reach: float,
) -> tuple[Float[Tensor, "h w 3"], Float[Tensor, "h w"], Bool[Tensor, "h w"]]:
    """The same, with the surface's own far side behind steps within it: else such a gap would show the sky in a house."""
    log_depth = torch.where(own, depth, 1.0).log()
    far = F.max_pool2d(torch.where(own, log_depth, -torch.inf)[None, None], 3, 1, 1)[0, 0]
    near = -F.max_pool2d(torch.where(own, -log_depth, -torch.inf)[None, None], 3, 1, 1)[0, 0]
    far_side = own & (far + near - 2 * log_depth < -STEP)
    if not far_side.any():
        return filled, made, new
    height, width = depth.shape
    nearest = nearest_pixels(far_side, (float(width), 1.0))
    behind = depth[nearest]
    # It is no higher than it was seen there.
    away = (nearest[1] - torch.arange(width)).abs()
    within = (nearest[0] == torch.arange(height)[:, None]) & (away <= reach)
    shown = hole & within & (behind > (1 + STEP) * depth) & ((made > behind) | ~new)
    return torch.where(shown[..., None], rgb[nearest], filled), torch.where(shown, behind, made), new | shown


def _with_tops(
    depth: Float[Tensor, "h w"], hole: Bool[Tensor, "h w"], front: Float[Tensor, "h w"], tops: list[Top]
) -> tuple[Float[Tensor, "h w"], Int[Tensor, "h w"]]:
    """Depth behind a surface with the tops that it hides, and the number of the top that shows in each pixel of the hole,
    from 1; 0 where none does."""
    shown = torch.zeros(hole.shape, dtype=torch.int64)
    for number, top in enumerate(tops, start=1):
        nearer = hole & top.reach & (top.depth > GAP * front) & (top.depth < depth)
        depth = torch.where(nearer, top.depth, depth)
        shown[nearer] = number
    return depth, shown
