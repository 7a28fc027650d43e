"""What a thing stands on of its own: a foot may have another colour than the rest, or be thin."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.geometry.cameras import Cameras
from splatmem.geometry.filters import dilate
from splatmem.geometry.normals import surface_normals

LEVEL = 0.8  # cosine between a surface's normal and the vertical from which on it is a floor or a table
SIDE = 3  # pixels by which a side of an outline may move from one row to the next, on the way down
SIDE_COLOUR, SIDE_DEPTH = 0.25, 0.02  # differences of colour or of relative depth over two pixels that make a side
STRAIGHT_ON = 0.6  # share of these that is enough for one of the sides, if it goes straight on
LIKE = 0.12  # difference of colour up to which a row that lies flat is still of the thing above it
WIDER = 0.1  # share of a thing's width by which its foot may be wider, on each side
NARROWEST, WIDEST = 0.8, 1.25  # widths of a row to go down from, relative to the median of an outline's rows


def foot_of(
    found: Bool[Tensor, "h w"],
    rgb: Float[Tensor, "h w 3"],
    depth: Float[Tensor, "h w"],
    camera: Cameras,
    down: Float[Tensor, "3"],
    clicked: tuple[int, int],
) -> Bool[Tensor, "h w"]:
    """Rows below a thing's outline, as long as both of its sides go on there as edges; nothing below a floor or a table.

    Where a thing stands, its smooth depth runs over into what it stands on: a row that lies flat is still of the thing if it
    has the colours of the rows above, and its sides are edges of colour.

    A picture on a wall has nothing below it, since the wall has no sides there.

    Args:
        found: pixels of the thing.
        camera: of the view, at this size.
        down: direction of gravity.
        clicked: row and column of a pixel of the thing.
    """
    level = _level(surface_normals(depth[None], camera)[0], down)
    on_level = bool((~dilate(~level[None], 2)[0])[clicked])
    return torch.zeros_like(found) if on_level or not found.any() else _foot(found, rgb, depth, level)


def _level(normals: Float[Tensor, "h w 3"], down: Float[Tensor, "3"]) -> Bool[Tensor, "h w"]:
    """Where a surface is a floor or a table's top."""
    mean = F.avg_pool2d(normals.permute(2, 0, 1)[None], 5, 1, 2, count_include_pad=False)[0].permute(1, 2, 0)
    return F.normalize(mean, dim=-1) @ down < -LEVEL


def _foot(
    found: Bool[Tensor, "h w"], rgb: Float[Tensor, "h w 3"], depth: Float[Tensor, "h w"], level: Bool[Tensor, "h w"]
) -> Bool[Tensor, "h w"]:
    height = len(found)
    foot = torch.zeros_like(found)
    rows = torch.nonzero(found.any(dim=1))[:, 0]
    top, bottom = int(rows[0]), int(rows[-1])
    widths = found[top : bottom + 1].sum(dim=1)
    median = float(widths.float().median())
    row = top + int(torch.nonzero((widths >= NARROWEST * median) & (widths <= WIDEST * median))[-1])
    columns = torch.nonzero(found[row])[:, 0]
    left, right = int(columns[0]), int(columns[-1])
    wider = max(1, round(WIDER * (right - left)))
    farthest = left - wider, right + wider
    log_depth = depth.clamp_max(1e6).log()
    upright = row
    while row + 1 < height:
        row += 1
        told = log_depth[row]
        if level[row, left : right + 1].float().mean() > 0.5:
            if float((rgb[row, left : right + 1] - rgb[upright, left : right + 1]).norm(dim=-1).median()) > LIKE:
                break
            told = torch.zeros_like(told)
        else:
            upright = row
        sides = _edge(rgb[row], told, left), _edge(rgb[row], told, right + 1)
        # One clear side is enough if the other goes straight on.
        weaker, stronger = sorted(side.strength for side in sides)
        if weaker < STRAIGHT_ON or stronger <= 1 or sides[1].place - sides[0].place < 2:
            break
        left, right = max(sides[0].place, farthest[0]), min(sides[1].place - 1, farthest[1])
        foot[row, left : right + 1] = True
    return foot


class _Side(NamedTuple):
    """A side of a row: the pixel before which the edge lies, and how strong that is; 1 is a clear one."""

    place: int
    strength: float


def _edge(rgb: Float[Tensor, "w 3"], log_depth: Float[Tensor, " w"], near: int) -> _Side:
    """The strongest edge of a row close to ``near``; one that is no clear edge lies beside it at most."""
    places = range(max(1, near - SIDE), min(len(rgb) - 1, near + SIDE) + 1)
    strengths = {
        x: max(
            float((rgb[min(x + 1, len(rgb) - 1)] - rgb[x - 1]).norm()) / SIDE_COLOUR,
            float((log_depth[x] - log_depth[x - 1]).abs()) / SIDE_DEPTH,
        )
        for x in places
    }
    best = max(strengths, key=lambda x: strengths[x] - 0.05 * abs(x - near), default=near)
    strength = strengths.get(best, 0.0)
    return _Side(best, strength if strength > 1 or abs(best - near) <= 1 else 0.0)
