"""What lies behind something that was taken away: the surfaces around it go on.

Inverse depth is linear in the picture on a plane. Planes are fitted to the inverse depth of what surrounds the hole (RANSAC,
Fischler & Bolles 1981), to floors and ceilings apart from the rest; where no plane fits the rest, its inverse depth goes on
smoothly. Each pixel of the hole belongs to the nearest of these surfaces that does not stand before what was taken away, and
where two of them meet in the hole as the sides of a room do, the nearer one shows. Where it is told what goes on for itself
(walls, and each thing), planes are fitted to each of these, and the borders between the surfaces are as short as can be.
Nothing goes up into a sky that shows beside it and above it, and no ground above the horizon.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from splatmem.geometry.distance import distance_inside
from splatmem.geometry.nearest import nearest_pixels
from splatmem.geometry.partition import shortest_borders
from splatmem.geometry.planes import fit_plane, plane_basis
from splatmem.geometry.push_pull import push_pull
from splatmem.geometry.sampling import evenly_spread

RIM = 0.05  # width of the rim, as a share of the picture's width
LEVEL_RIM = 0.15  # the same for floors and ceilings: each is one plane, and little of it may show beside the hole
MOST_PLANES = 4
MOST_LEVEL = 2
TRIALS = 150
ASKED = 3000  # pixels of the rim that tell how many lie on a plane that is tried
TOLERANCE = 0.025  # relative difference of inverse depth up to which a pixel lies on a plane
SUPPORT = 0.08  # share of the rim that a plane must explain
LOOSE = 0.08  # as TOLERANCE, for one plane that is a whole wall: depth that is estimated is not quite flat
MOSTLY = 0.75  # share of the rim that such a wall must explain
OCCLUDER = 0.9  # what is nearer than this share of the thing's depth stood before it, and does not go on behind it
SKY_LABEL = 0
FADE = 0.25  # share of the hole's size over which differences at the rim fall off


@dataclass(frozen=True)
class Behind:
    """What goes on behind a hole.

    Attributes:
        depth: z-depth, ``inf`` for sky: the given one outside of the hole, ``[h, w]``.
        label: which surface a pixel belongs to: 0 for sky, then floors and ceilings, then others; -1 for pixels outside of the
            hole that lie on none of them, ``[h, w]``.
        num_level: how many of the surfaces are floors and ceilings.
    """

    depth: Float[Tensor, "h w"]
    label: Int[Tensor, "h w"]
    num_level: int = 0


@dataclass(frozen=True)
class _Surface:
    """A surface that goes on: inverse depth everywhere, the pixels that showed it, how far others on it may be off, and where
    others may be at all."""

    inverse: Float[Tensor, "h w"]
    seen: Bool[Tensor, "h w"]
    tolerance: float
    part: Bool[Tensor, "h w"]


def continue_behind(
    depth: Float[Tensor, "h w"],
    known: Bool[Tensor, "h w"],
    hole: Bool[Tensor, "h w"],
    removed_depth: Float[Tensor, "h w"],
    level: Bool[Tensor, "h w"] | None = None,
    kinds: Int[Tensor, "h w"] | None = None,
    picture_width: int | None = None,
    drop: Float[Tensor, "h w"] | None = None,
    blocked: Bool[Tensor, "h w"] | None = None,
) -> Behind:
    """The surfaces around a hole, continued into it.

    Args:
        depth: z-depth where known, ``inf`` for sky.
        known: pixels whose depth is known.
        hole: pixels to be continued.
        removed_depth: z-depth of what was taken away, meaningful in the hole.
        level: pixels of floors and ceilings; None if nothing says where these are.
        kinds: numbers, from 0, of what goes on for itself beside these, such as a wall, a table, a tree; surfaces are looked
            for in each. Then the parts of the hole have the shortest borders that what is seen around it allows.
        picture_width: of the whole picture in pixels, if these are a part of it.
        drop: of each pixel's ray, how far it goes down along gravity, negative above the horizon; None if that is not known.
        blocked: pixels at which something else hides what goes on, if any.
    """
    width = depth.shape[1] if picture_width is None else picture_width
    away = distance_inside(~hole)
    thing = removed_depth[nearest_pixels(hole)]
    floors = torch.zeros_like(hole) if level is None else level & known & ~hole & torch.isfinite(depth)
    around = known & ~hole & ~floors & (away <= max(6.0, RIM * width))
    rim = around & (depth > OCCLUDER * thing)
    floors &= away <= max(6.0, LEVEL_RIM * width)
    if not (rim | floors).any():
        rim = around if around.any() else known & ~hole
    inverse = torch.where(torch.isfinite(depth), 1 / depth.clamp_min(1e-12), 0.0)
    anywhere = torch.ones_like(hole)
    seen_sky = known & ~hole & torch.isinf(depth)
    # What is as near as what was taken away is no part of what lies behind it, but for the ground that it stands on.
    told = floors | (known & ~hole & (depth * OCCLUDER > thing))
    open_sky = hole & _under_sky(seen_sky, told if blocked is None else told | blocked)
    sky = _Surface(
        torch.zeros_like(inverse),
        rim & seen_sky if (rim & seen_sky).any() else seen_sky & open_sky.any(),
        0.0,
        known & torch.isinf(depth),
    )
    on_level = _planes(inverse, floors, MOST_LEVEL, TOLERANCE, SUPPORT, anywhere if kinds is None or level is None else level)
    if not on_level:  # a floor that no plane fits goes on like anything else
        rim = rim | floors
    surfaces = [sky, *on_level]
    least = SUPPORT * int(rim.sum())
    parts = [anywhere] if kinds is None else _parts(kinds, rim, least)
    for part in parts:
        surfaces += _rest(inverse, rim & part & (inverse > 0), least, level is not None, part)
    models = torch.stack([surface.inverse for surface in surfaces])
    barred = torch.stack([open_sky & (index != SKY_LABEL) for index in range(len(surfaces))])
    if drop is not None:
        for index, surface in enumerate(on_level, start=1):
            barred[index] |= _beyond_horizon(surface.seen, drop)
    chosen = _labels(surfaces, removed_depth, None if kinds is None else hole, barred)
    own = models.gather(0, chosen[None])[0]
    # Differences at the rim go on into the hole, less and less.
    seen = torch.stack([surface.seen for surface in surfaces])
    difference = torch.where(seen, inverse - models, 0.0).sum(0)
    spread = push_pull(difference[None, None], seen.any(0)[None, None].float())[0, 0]
    inward = distance_inside(hole)
    value = own + spread * torch.exp(-inward / (FADE * float(hole.sum()) ** 0.5))
    least = inverse[(rim | floors) & (inverse > 0)]
    least = 0.2 * float(least.min()) if len(least) else 1e-6
    made = torch.where(chosen == SKY_LABEL, torch.inf, 1 / value.clamp_min(least))
    # Nothing that goes on may stand before what was seen there.
    made = torch.maximum(made, torch.where(hole, removed_depth.nan_to_num(posinf=0.0), 0.0))
    near = torch.stack(
        [
            surface.seen | (((inverse - surface.inverse).abs() <= surface.tolerance * inverse) & surface.part)
            for surface in surfaces
        ]
    )
    elsewhere = torch.where(known & near.any(0), near.int().argmax(0), -1)
    return Behind(torch.where(hole, made, depth), torch.where(hole, chosen, elsewhere), len(on_level))


def _parts(kinds: Int[Tensor, "h w"], rim: Bool[Tensor, "h w"], least: float) -> list[Bool[Tensor, "h w"]]:
    """Pixels of each kind of which the rim shows enough; of all where it does of none."""
    numbers, counts = kinds[rim].unique(return_counts=True)
    enough = numbers[counts >= least].tolist()
    return [kinds == kind for kind in enough] if enough else [torch.ones_like(rim)]


def _rest(
    inverse: Float[Tensor, "h w"],
    rim: Bool[Tensor, "h w"],
    min_pixels: float,
    upright: bool,
    part: Bool[Tensor, "h w"],
) -> list[_Surface]:
    """Planes of what of the rim is no sky and not known to be level; what goes on smoothly where too little lies on planes.

    Args:
        min_pixels: number of pixels that are worth a plane.
        upright: whether nothing of it is level: then one plane may stand for most of it, a wall.
        part: where more of the same surfaces may be.
    """
    count = int(rim.sum())
    if count < max(12, min_pixels):
        return [_smooth(inverse, rim, part)] if count else []
    wall = _planes(inverse, rim, 1, LOOSE, MOSTLY, part) if upright else []
    if wall:
        return wall
    planes = _planes(inverse, rim, MOST_PLANES, TOLERANCE, SUPPORT, part)
    left = rim & ~torch.stack([plane.seen for plane in planes]).any(0) if planes else rim
    return [*planes, _smooth(inverse, left, part)] if left.sum() > (1 - MOSTLY) * count else planes


def _smooth(inverse: Float[Tensor, "h w"], rim: Bool[Tensor, "h w"], part: Bool[Tensor, "h w"]) -> _Surface:
    filled = push_pull(inverse[None, None], rim[None, None].float())[0, 0].clamp_min(1e-9)
    return _Surface(filled, rim, LOOSE, part)


def _planes(
    inverse: Float[Tensor, "h w"],
    rim: Bool[Tensor, "h w"],
    most: int,
    tolerance: float,
    support: float,
    part: Bool[Tensor, "h w"],
) -> list[_Surface]:
    """Planes that each explain a share of the rim's pixels, none of which is sky."""
    basis = plane_basis(*inverse.shape)
    generator = torch.Generator().manual_seed(0)
    left, planes, min_pixels = rim.clone(), [], max(12.0, support * int(rim.sum()))
    while len(planes) < most and left.sum() >= min_pixels:
        row, column = torch.nonzero(left, as_tuple=True)
        points, values = basis[row, column], inverse[row, column].double()
        picks = torch.randint(len(row), (TRIALS, 3), generator=generator)
        sampled, wanted = points[picks], values[picks][..., None]
        good = torch.linalg.det(sampled).abs() > 1e-7
        if not good.any():
            break
        candidates = torch.linalg.solve(sampled[good], wanted[good])[..., 0]
        asked = evenly_spread(len(row), ASKED)
        off = (points[asked] @ candidates.T - values[asked, None]).abs()
        best = candidates[int((off <= tolerance * values[asked, None]).sum(0).argmax())]
        inliers = (points @ best - values).abs() <= tolerance * values
        plane = torch.zeros(3, dtype=torch.float64)
        for _ in range(2):
            if int(inliers.sum()) < 6:
                break
            plane = fit_plane(points[inliers], values[inliers])
            inliers = (points @ plane - values).abs() <= tolerance * values
        if int(inliers.sum()) < min_pixels:
            break
        seen = torch.zeros_like(rim)
        seen[row[inliers], column[inliers]] = True
        left &= ~seen
        planes.append(_Surface((basis @ plane).float(), seen, tolerance, part))
    return planes


def _under_sky(sky: Bool[Tensor, "h w"], known: Bool[Tensor, "h w"]) -> Bool[Tensor, "h w"]:
    """Pixels of which the next known one to the left, to the right and above is sky, as far as there is one; and there is one
    beside."""
    to_left, to_right, above = (_next_along(sky, known, axis, reverse) for axis, reverse in ((1, False), (1, True), (0, False)))
    return (torch.maximum(to_left, to_right) > 0) & (torch.minimum(to_left, to_right) >= 0) & (above >= 0)


def _next_along(sky: Bool[Tensor, "h w"], known: Bool[Tensor, "h w"], axis: int, reverse: bool) -> Int[Tensor, "h w"]:
    """What the last known pixel before each one along an axis, or the first after it, shows: 1 for sky, -1 for anything else, 0
    where there is none."""
    value = torch.where(sky, 1, -1)
    if reverse:
        value, known = value.flip(axis), known.flip(axis)
    length = known.shape[axis]
    number = torch.arange(length).view(-1, 1) if axis == 0 else torch.arange(length)
    last = torch.where(known, number, -1).cummax(axis).values
    found = torch.where(last >= 0, value.gather(axis, last.clamp_min(0)), 0)
    return found.flip(axis) if reverse else found


def _beyond_horizon(seen: Bool[Tensor, "h w"], drop: Float[Tensor, "h w"]) -> Bool[Tensor, "h w"]:
    """Pixels that a level surface can't reach: those beyond the horizon, and beyond where it was seen."""
    if not seen.any():
        return seen
    side = 1.0 if drop[seen].mean() > 0 else -1.0
    return side * drop < min(0.0, float((side * drop[seen]).min()))


def _labels(
    surfaces: list[_Surface],
    removed_depth: Float[Tensor, "h w"],
    hole: Bool[Tensor, "h w"] | None,
    barred: Bool[Tensor, "k h w"],
) -> Int[Tensor, "h w"]:
    """Which surface would show at each pixel.

    Args:
        hole: where the borders between them are to be short, if at all.
        barred: where each surface may not be.
    """
    present = [k for k, surface in enumerate(surfaces) if surface.seen.any()]
    models = torch.stack([surfaces[k].inverse for k in present])
    away = torch.stack([distance_inside(~surfaces[k].seen) for k in present]).double()
    # It would stand before what was taken away, or where it can't be.
    wrong = (models * removed_depth.nan_to_num(posinf=0.0) > 1 / OCCLUDER) | barred[present]
    if present[0] != SKY_LABEL:
        wrong |= models <= 0  # it would be behind the camera
    chosen = (away + 1e6 * wrong).argmin(0)
    for first in range(len(present)):
        for second in range(first + 1, len(present)):
            ahead = models[first] - models[second]
            # As the sides of a room meet: each of the two is the nearer one where it was seen.
            if ahead[surfaces[present[first]].seen].median() > 0 > ahead[surfaces[present[second]].seen].median():
                either = (chosen == first) | (chosen == second)
                nearer = (ahead > 0) & ~wrong[first] | wrong[second]
                chosen = torch.where(either, torch.where(nearer, first, second), chosen)
    if hole is not None and len(present) > 1:
        seen = torch.stack([surfaces[k].seen for k in present])
        given = torch.where(seen.any(0), seen.int().argmax(0), chosen)
        chosen = shortest_borders(given, seen.any(0), hole, wrong & hole)
    if present[0] == SKY_LABEL:
        chosen = torch.where(models.gather(0, chosen[None])[0] <= 0, 0, chosen)
    return torch.tensor(present)[chosen]
