"""Slender things that stand upright: bottles, trunks, posts, glasses on their stems.

A depth map that is right to a few percent lets such a thing lean towards the ground at its foot and away from it at its head,
and from aside it bows. All of an upright line is equally far away along the ground, so one distance, told where the thing
stands, holds for all of its rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy import ndimage
from torch import Tensor

from splatmem.geometry.cameras import Cameras

WIDEST = 0.25
"""Width of a slender thing at most, as a share of the picture's shorter side."""
BEFORE = 0.03
"""By what share what shows on both sides of a slender thing in its row is farther away than the thing."""
STEP = 0.04
"""By what share the farther of two neighbours in a row that are not parts of one thing is farther away."""
TALL = 1.5
"""Height of a slender thing in units of its width, at least."""
SHORTEST = 0.12
"""The same as a share of the picture's shorter side."""
ALIKE = 0.5
"""Share of the columns of two rows of one thing that are in both."""
SPREAD = 0.75
"""How far from its axis a thing reaches, in units of its typical width: at its foot the ground beside it is as near."""
EVEN = 0.4
"""Its rows may be so many times as narrow as its typical one, or wider by as much."""
GAP = 0.03
"""Rows of a thing that may be missing, as a share of the picture's shorter side: there something as near touches it."""
UPRIGHT_DEGREES = 6.0
"""How far the plane of the camera and the thing's axis may miss the direction of gravity."""
FOOT = 0.34
"""Share of a thing's height, from its foot, that tells how far away it stands."""
LOWEST, LOWEST_TOUCHING = 0.1, 0.06
"""The same, and as ``TOUCHING``, for what leans so far that this leads to no place where it would stand."""
ABOVE, ALL_ABOVE = 3, 0.9
"""Pixels above its head, and share of what shows there and beside that, which is as near as a ridge: it is a part of a larger
surface."""
LARGEST_CHANGE, AGREEING = 0.8, 0.7
"""Change of log depth beyond which a row belongs to something else, and the share of the rows that must not."""
CONTACT = 0.3
"""How far below its lowest row that stands out a thing may reach to where it stands, as a share of its height."""
ROUNDS = 8
"""Of the robust fit of an axis."""
TOUCHING, PASSES = 0.03, 0.1
"""By how much, in log distance, a surface may be farther away than the thing that it carries, and by how much nearer: one that
is nearer than that passes before the thing."""
STEM = 1.5
"""Length of a stem at most, in heights of what it carries."""
STEM_CONTRAST = 0.06
"""Difference of the colours of a stem and of what lies beside it, summed over the channels."""


@dataclass(frozen=True)
class _Rows:
    """Rows of a slender thing from its head to its foot.

    Attributes:
        row: of the picture.
        start, stop: the first column, and the one after the last.
    """

    row: Int[np.ndarray, " r"]
    start: Int[np.ndarray, " r"]
    stop: Int[np.ndarray, " r"]

    @property
    def height(self) -> int:
        """From the first row to the last."""
        return int(self.row[-1] - self.row[0]) + 1

    @property
    def width(self) -> float:
        """Of a typical row."""
        return float(np.median(self.stop - self.start))

    def pixels(self) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"], Int[np.ndarray, " n"]]:
        """Rows and columns of the pixels, and which of these rows each is in."""
        widths = self.stop - self.start
        place = np.repeat(np.arange(len(widths)), widths)
        return self.row[place], np.arange(len(place)) - np.repeat(np.cumsum(widths) - widths - self.start, widths), place


def stand_upright(
    depth: Float[Tensor, "h w"], rgb: Float[Tensor, "h w 3"], camera: Cameras, down: Float[Tensor, "3"]
) -> Float[Tensor, "h w"]:
    """The depth map with slender things upright: each row of one is as far away along the ground as its foot.

    What hangs in the air above a place where it would stand gets the stem on which the picture shows it, if it shows one.

    Args:
        depth: z-depth, ``inf`` for sky.
        rgb: the picture, 0..1.
        camera: the one camera that took the picture.
        down: unit vector of gravity in the world.
    """
    side = min(depth.shape)
    rays = camera.pixel_rays()[0].double().numpy()
    gravity = (camera.world_to_cam[0, :3, :3] @ down).double().numpy()
    along_ground = np.linalg.norm(rays - (rays @ gravity)[..., None] * gravity, axis=-1)
    distance = depth.double().numpy() * along_ground
    changed = depth.double().numpy().copy()
    for found in _slender_things(depth, side):
        if found.height < SHORTEST * side / 2 or (thing := _about_axis(found, depth.shape[1])) is None:
            continue
        rows, columns, place = thing.pixels()
        there = np.isfinite(distance[rows, columns])
        rows, columns, place = rows[there], columns[there], place[there]
        by_row = np.full(len(thing.row), np.nan)
        shown = np.unique(place)
        if not len(shown):
            continue
        by_row[shown] = ndimage.median(distance[rows, columns], place, shown)
        if _is_ridge(thing, distance):
            continue
        for share, touching in ((FOOT, TOUCHING), (LOWEST, LOWEST_TOUCHING)):
            at_foot = by_row[thing.row >= thing.row[-1] + 1 - share * thing.height]
            foot = float(np.nanmedian(at_foot)) if np.isfinite(at_foot).any() else np.nan  # of a low thing that is no whole row
            contact = _contact(thing, distance, foot, share, touching)
            if contact is not None:
                break
        if not (np.abs(np.log(foot / by_row[shown])) < LARGEST_CHANGE).mean() > AGREEING:
            continue
        if contact is None:
            lower = _stem(thing, distance, foot, rgb.numpy(), rays, gravity)
        elif found.height >= max(SHORTEST * side, TALL * found.width) and _is_upright(thing, rays, gravity):
            lower = _lower_part(thing, contact, distance)
        else:
            lower = None
        if lower is None:
            continue
        if contact is not None:  # below it lies what the thing stands on
            own = rows < contact
            rows, columns, place = rows[own], columns[own], place[own]
        # Within a row depth varies by no more than the thing is wide.
        relief = 0.5 * (thing.stop - thing.start)[place] / float(camera.focal[0, 0])
        stood = foot * np.clip(distance[rows, columns] / by_row[place], 1 - relief, 1 + relief)
        changed[rows, columns] = stood / along_ground[rows, columns]
        changed[lower] = foot / along_ground[lower]
    return torch.from_numpy(changed).to(depth.dtype)


def _slender_things(depth: Float[Tensor, "h w"], side: int) -> list[_Rows]:
    """What is nearer, row by row, than what shows on both sides of it not far away, and goes on from row to row."""
    # Ratios of depths, unlike differences of their logarithms, are the same to the last digit in units that are powers of two.
    values = depth.double().numpy()
    there = np.isfinite(values)
    width = 2 * round(WIDEST * side / 2) + 1
    # Beyond the sides of the picture nothing is known, so nothing is slender there.
    padded = np.pad(values, ((0, 0), (width, width)), constant_values=-np.inf)
    behind = ndimage.grey_closing(padded, (1, width))[:, width:-width]
    slender = there & (behind > (1 + BEFORE) * np.where(there, values, 0.0))
    left, right = values[:, :-1], values[:, 1:]
    parted = np.maximum(left, right) > (1 + STEP) * np.minimum(left, right)
    starts = slender & np.pad(~slender[:, :-1] | parted, ((0, 0), (1, 0)), constant_values=True)
    stops = slender & np.pad(~slender[:, 1:] | parted, ((0, 0), (0, 1)), constant_values=True)
    row, start = np.nonzero(starts)
    run = np.where(slender, np.cumsum(starts).reshape(slender.shape) - 1, -1)
    return _chained(run, row, start, np.nonzero(stops)[1] + 1, 1 + round(GAP * side))


def _chained(
    run: Int[np.ndarray, "h w"],
    row: Int[np.ndarray, " n"],
    start: Int[np.ndarray, " n"],
    stop: Int[np.ndarray, " n"],
    farthest: int,
) -> list[_Rows]:
    """Runs of pixels, each joined with the closest one, at most ``farthest`` rows below it, that covers about the same columns.

    Args:
        run: which run a pixel belongs to, -1 where to none.
        row, start, stop: of the runs, from the top of the picture to its bottom.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    widths, ends, begins = stop - start, np.ones(len(row), bool), np.ones(len(row), bool)
    joined = []
    for away in range(1, farthest + 1):
        upper, lower = run[:-away].ravel(), run[away:].ravel()
        both = (upper >= 0) & (lower >= 0)
        both[both] = ends[upper[both]] & begins[lower[both]]
        pairs, shared = np.unique(upper[both] * len(row) + lower[both], return_counts=True)
        upper, lower = pairs // len(row), pairs % len(row)
        # More than half of the columns are in both, so no run has two such partners in a row.
        alike = shared > ALIKE * (widths[upper] + widths[lower] - shared)
        upper, lower = upper[alike], lower[alike]
        ends[upper], begins[lower] = False, False
        joined.append(np.stack([upper, lower]))
    upper, lower = np.concatenate(joined, axis=1)
    links = coo_matrix((np.ones(len(upper), bool), (upper, lower)), shape=(len(row), len(row)))
    chain = connected_components(links, directed=False)[1]
    order = np.argsort(chain, kind="stable")
    return [
        _Rows(row[runs], start[runs], stop[runs])
        for runs in np.split(order, np.flatnonzero(np.diff(chain[order])) + 1)
        if len(runs) > 1
    ]


def _about_axis(thing: _Rows, columns: int) -> _Rows | None:
    """A thing with all of its rows, cut to what is close to its axis; None if its rows are too uneven for one.

    Args:
        columns: of the picture.
    """
    widths = (thing.stop - thing.start) / thing.width
    if ((widths > EVEN) & (widths < 2 - EVEN)).mean() < AGREEING:
        return None
    slope, at_top = _axis(thing)
    row = np.arange(thing.row[0], thing.row[-1] + 1)
    middle, reach = slope * row + at_top, SPREAD * thing.width
    start = np.maximum(np.interp(row, thing.row, thing.start), middle - reach)
    stop = np.minimum(np.interp(row, thing.row, thing.stop), middle + reach + 1)
    start, stop = (np.clip(np.round(ends), 0, columns).astype(int) for ends in (start, stop))
    kept = stop > start
    return _Rows(row[kept], start[kept], stop[kept]) if kept.any() else None


def _axis(thing: _Rows) -> tuple[float, float]:
    """Columns per row, and the column at row 0, of the straight line with the least absolute distances from the middles of a
    thing's rows."""
    middle, weight = 0.5 * (thing.start + thing.stop - 1), np.ones(len(thing.row))
    slope, at_top = 0.0, float(np.median(middle))
    for _ in range(ROUNDS):
        slope, at_top = np.polyfit(thing.row, middle, 1, w=np.sqrt(weight))
        weight = 1 / np.maximum(np.abs(middle - slope * thing.row - at_top), 0.5)
    return float(slope), float(at_top)


def _is_upright(thing: _Rows, rays: Float[np.ndarray, "h w 3"], gravity: Float[np.ndarray, "3"]) -> bool:
    """Whether the axis of a thing may be the image of an upright line."""
    slope, at_top = _axis(thing)
    ends = thing.row[[0, -1]]
    across = np.clip(np.round(slope * ends + at_top), 0, rays.shape[1] - 1).astype(int)
    plane = np.cross(rays[ends[0], across[0]], rays[ends[1], across[1]])
    length = float(np.linalg.norm(plane))
    return length > 0 and abs(float(plane @ gravity)) < math.sin(math.radians(UPRIGHT_DEGREES)) * length


def _is_ridge(thing: _Rows, distance: Float[np.ndarray, "h w"]) -> bool:
    """Whether what shows above a thing, and above what lies beside it, is about as far away as the thing itself."""
    head, above = thing.row[0], thing.row[0] - ABOVE
    if above < 0:
        return False
    start, stop = thing.start[0], thing.stop[0]
    reach = max(ABOVE, (stop - start) // 2)
    around = distance[above, max(0, start - reach) : stop + reach]
    return float((around < (1 + STEP) * np.median(distance[head, start:stop])).mean()) > ALL_ABOVE


def _lower_end(thing: _Rows) -> tuple[int, int]:
    """First and last column of a thing near its foot, the last one exclusive."""
    last = thing.row >= thing.row[-1] + 1 - FOOT * thing.height
    return round(float(np.median(thing.start[last]))), round(float(np.median(thing.stop[last])))


def _beside(thing: _Rows, columns: int) -> list[int]:
    """Columns of the picture on both sides of a thing's foot."""
    start, stop = _lower_end(thing)
    reach = 1 + round(SPREAD * (stop - start))
    return [column for column in (start - reach, stop - 1 + reach) if 0 <= column < columns]


def _contact(thing: _Rows, distance: Float[np.ndarray, "h w"], foot: float, share: float, touching: float) -> int | None:
    """The row in which a thing stands: the first in the lowest share of its height, or below it, where a surface beside it is
    as far away as the thing.

    Or the one below which something nearer hides it. The row below the picture for what the picture's lower side cuts; None for
    what stands on nothing.
    """
    height, width = distance.shape
    first, last = (round(thing.row[-1] + 1 + share * thing.height) for share in (-share, CONTACT))
    beside = _beside(thing, width)
    if not beside:
        return height
    below = np.arange(max(first, 0), min(last, height))
    away = np.log(distance[np.ix_(below, beside)] / foot)
    reached = ((away < touching) & (away > -PASSES)).any(1) | (away < 0).all(1)
    if reached.any():
        return int(below[reached.argmax()])
    return height if last >= height else None


def _lower_part(
    thing: _Rows, contact: int, distance: Float[np.ndarray, "h w"]
) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]]:
    """Rows and columns of a thing's pixels below those that stand out, down to the row where it stands; sky stays sky."""
    rows, columns = np.meshgrid(np.arange(thing.row[-1] + 1, contact), np.arange(*_lower_end(thing)), indexing="ij")
    seen = np.isfinite(distance[rows, columns])
    return rows[seen], columns[seen]


def _stem(
    thing: _Rows,
    distance: Float[np.ndarray, "h w"],
    foot: float,
    rgb: Float[np.ndarray, "h w 3"],
    rays: Float[np.ndarray, "h w 3"],
    gravity: Float[np.ndarray, "3"],
) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]] | None:
    """Rows and columns of the thin upright line, from what hangs in the air down to a surface as far away as it, whose colours
    differ from those on both sides of it; None if there is none.

    A thin thing is easily missed by a depth map, and what it carries hangs in the air.
    """
    height, width = distance.shape
    middle, reach = 0.5 * (sum(_lower_end(thing)) - 1), max(4, round(0.5 * thing.width))
    row = np.arange(thing.row[-1] + 1, min(height, thing.row[-1] + 1 + round(STEM * thing.height)))
    # Columns of the upright line through the middle of the thing's lower end.
    start, down = rays[thing.row[-1], int(np.clip(middle, 0, width - 1))], rays[row, 0, 1]
    way = (down - start[1]) / (gravity[1] - down * gravity[2])
    aside = (start[0] + way * gravity[0]) / (1 + way * gravity[2]) - start[0]
    line = middle + aside / (rays[0, 1, 0] - rays[0, 0, 0])
    columns = np.round(line[:, None] + np.arange(-reach, reach + 1)).astype(int)
    if not len(row) or columns.min() < 0 or columns.max() >= width:
        return None
    away = np.log(distance[row, columns[:, reach]] / foot)
    count = int((away < TOUCHING).argmax())
    if count < 2 or away[count] < -PASSES:
        return None
    row, columns = row[:count], columns[:count]
    band = rgb[row[:, None], columns]
    # Each pixel beside those a stem's width to its left and to its right: a shadow's edge differs from one of them alone.
    apart = max(2, round(reach / 3))
    left, right = np.roll(band, apart, axis=1), np.roll(band, -apart, axis=1)
    differs = np.minimum(np.abs(band - left).sum(-1), np.abs(band - right).sum(-1))
    differs[:, :apart], differs[:, -apart:] = 0.0, 0.0
    contrast = differs.mean(0)
    best = int(contrast.argmax())
    if (differs[:, best] > STEM_CONTRAST).mean() < AGREEING:
        return None
    faint = np.flatnonzero(np.pad(contrast <= 0.5 * contrast[best], 1, constant_values=True)) - 1
    first, last = int(faint[faint < best].max()) + 1, int(faint[faint > best].min())
    return np.repeat(row, last - first), columns[:, first:last].ravel()
