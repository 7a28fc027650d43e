"""Stretches of an unrolled view side by side, joined where they look most alike.

Neighbours overlap. Each is cut along the way from top to bottom on which the two differ least (Efros & Freeman 2001); what they
differ there in light and in distance, if it is little, goes over from one into the other along their length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from splatmem.extrapolate.unrolled import Unrolled
from splatmem.extrapolate.walk import Stretch
from splatmem.geometry.connected import numbered_parts

OVERLAP = 0.05  # of the view's width on either side of a joint
LIGHT = 0.12  # difference of colour or log relief up to which it goes over from one stretch into the next
EVENED_ROWS = 0.04  # of the height over which such differences are averaged
"""Widths in units of the view's."""


def joined(source: Unrolled, stretches: Sequence[Stretch], total: int) -> Unrolled:
    """The view, followed by stretches of it all around: ``total`` columns, the last beside the first.

    Args:
        source: the view.
        stretches: in their order to the right.
        total: columns of the whole turn.
    """
    height, width = source.log_relief.shape
    overlap = max(2, round(OVERLAP * width))
    ends = np.cumsum([0.0, *(stretch.length for stretch in stretches)])
    ends = [0, *(width + np.round(ends / ends[-1] * (total - width)).astype(int)).tolist()]
    starts = [0, *(round(stretch.begin * width) - (stretch.step < 0) for stretch in stretches)]
    steps = [1, *(stretch.step for stretch in stretches)]
    rows = torch.arange(height)[:, None]
    # Each with a margin on both sides.
    parts = [
        source.take(rows, _folded(start + step * torch.arange(-2 * overlap, end - begin + 2 * overlap), width)[None])
        for start, step, begin, end in zip(starts, steps, ends[:-1], ends[1:], strict=True)
    ]
    # The view itself stays as it is: beside it the overlap lies beyond its ends.
    joints = list(ends[1:])
    joints[0], joints[-1] = joints[0] + overlap, joints[-1] - overlap

    def around(index: int, joint: int) -> Unrolled:
        first = joint - overlap - ends[index] + 2 * overlap
        return parts[index].take(rows, torch.arange(first, first + 2 * overlap)[None])

    count = len(parts)
    following = [(index, (index + 1) % count, joints[index]) for index in range(count)]

    def both(index: int, after: int, joint: int) -> tuple[Unrolled, Unrolled]:
        return around(index, joint), around(after, joint if after else joint - total)

    offsets = [_offsets(*both(*joint)) for joint in following]
    for index in range(1, count):
        before, after = offsets[index - 1], offsets[index]
        shares = 1.0 if index == 1 else 0.5, 1.0 if index == count - 1 else 0.5
        parts[index] = _evened(parts[index], -shares[0] * before, shares[1] * after, 2 * overlap)
    whole = _empty_like(source, total)
    for index, (begin, end) in enumerate(pairwise(ends)):
        _put(whole, parts[index], torch.arange(2 * overlap, 2 * overlap + end - begin), torch.arange(begin, end))
    sides = [both(*joint) for joint in following]
    seams = _seams(torch.stack([_unlikeness(*pair) for pair in sides]).numpy())
    for (_, _, joint), pair, seam in zip(following, sides, seams, strict=True):
        _blend(whole, *pair, torch.from_numpy(seam), torch.arange(joint - overlap, joint + overlap) % total)
    return whole


def with_halves(turn: Unrolled, view: Unrolled, cut: Bool[Tensor, "h w"]) -> Unrolled:
    """The turn with the other halves of what the view's sides cut: mirror images, beside the view and nowhere else.

    Args:
        turn: once around, beginning with the view's columns.
        view: what the view shows.
        cut: pixels of it that belong to something that may be mirrored.
    """
    height, width = cut.shape
    total = turn.log_relief.shape[1]
    rows, made = torch.arange(height)[:, None], {name: value.clone() for name, value in vars(turn).items()}
    numbers = torch.from_numpy(numbered_parts(cut.numpy())).long()
    for side, inwards in ((0, 1), (width - 1, -1)):
        touching = numbers[:, side].unique()
        own = torch.isin(numbers, touching[touching > 0])
        columns = side + inwards * torch.arange(min(_end(own, side, inwards), (total - width) // 2))
        beyond = (side - inwards * (torch.arange(len(columns)) + 1)) % total
        mask, taken = own[:, columns], view.take(rows, columns[None])
        for name, value in made.items():
            old, new = value[:, beyond], getattr(taken, name)
            value[:, beyond] = torch.where(mask[..., None] if new.ndim == 3 else mask, new, old)
    return replace(turn, **made)


def _end(own: Bool[Tensor, "h w"], side: int, inwards: int) -> int:
    """How many columns of a mirror image are shown: up to where least of the thing is, within half of the view."""
    tall = own.sum(0).float()
    tall = tall if inwards > 0 else tall.flip(0)
    half = tall[: max(1, len(tall) // 2)]
    # Where it ends, the first such place; of a row of houses the gap between two.
    return int(half.argmin()) if half[0] > 0 else 0


def _folded(columns: Int[Tensor, " n"], width: int) -> Int[Tensor, " n"]:
    """Columns beyond the ends are those of the mirror image."""
    folded = columns % (2 * width)
    return torch.where(folded < width, folded, 2 * width - 1 - folded)


def _empty_like(source: Unrolled, total: int) -> Unrolled:
    def empty(value: Tensor) -> Tensor:
        return torch.zeros(value.shape[0], total, *value.shape[2:], dtype=value.dtype)

    return replace(source, **{name: empty(value) for name, value in vars(source).items()})


def _put(whole: Unrolled, part: Unrolled, taken: Int[Tensor, " n"], columns: Int[Tensor, " n"]) -> None:
    for name, value in vars(whole).items():
        value[:, columns] = getattr(part, name)[:, taken]


def _channels(part: Unrolled) -> Float[Tensor, "h w 4"]:
    return torch.cat([part.rgb, part.log_relief[..., None]], dim=-1)


def _offsets(left: Unrolled, right: Unrolled) -> Float[Tensor, "h 4"]:
    """What ``right`` has more than ``left`` in each row of their overlap, where that is little."""
    more = _channels(right) - _channels(left)
    weight = torch.exp(-0.5 * (more / LIGHT).square())
    weight = torch.where((left.sky & right.sky)[..., None], 1.0, weight)
    mean = ((more * weight).mean(1)).numpy()
    return torch.from_numpy(gaussian_filter1d(mean, EVENED_ROWS * len(mean), axis=0, mode="nearest"))


def _evened(part: Unrolled, at_begin: Float[Tensor, "h 4"], at_end: Float[Tensor, "h 4"], margin: int) -> Unrolled:
    """A stretch whose light and distance change by one amount at its begin and by another at its end."""
    width = part.log_relief.shape[1]
    share = ((torch.arange(width) - margin + 0.5) / max(1, width - 2 * margin)).clamp(0, 1)[None, :, None]
    changed = _channels(part) + at_begin[:, None] * (1 - share) + at_end[:, None] * share
    return replace(part, rgb=changed[..., :3].clamp(0, 1), log_relief=changed[..., 3])


def _unlikeness(left: Unrolled, right: Unrolled) -> Float[Tensor, "h w"]:
    return (_channels(left) - _channels(right)).square().sum(-1) + (left.sky != right.sky).float()


def _blend(whole: Unrolled, left: Unrolled, right: Unrolled, seam: Int[Tensor, " h"], window: Int[Tensor, " w"]) -> None:
    """Puts both sides of a joint into ``whole``, cut at a column of each row."""
    at = torch.arange(len(window))[None]
    of_right = at >= seam[:, None]
    alike = (left.log_relief - right.log_relief).abs() < LIGHT
    # Two columns wide, since a hard edge shows; skies go over into each other.
    share = torch.where(alike, ((at - seam[:, None]) / 2 + 0.5).clamp(0, 1), of_right.float())
    share = torch.where(left.sky & right.sky, (at + 0.5) / len(window), share)
    for name, value in vars(whole).items():
        a, b = getattr(left, name), getattr(right, name)
        if name in ("rgb", "log_relief"):
            value[:, window] = torch.lerp(a, b, share[..., None] if value.ndim == 3 else share)
        else:
            value[:, window] = torch.where(of_right, b, a)


def _seams(difference: Float[np.ndarray, "n h w"]) -> Int[np.ndarray, "n h"]:
    """For each row the column of the way from top to bottom on which the differences are least, ``n`` ways at once."""
    count, height, width = difference.shape
    cost, came = difference[:, 0].astype(float), np.zeros((height, count, width), int)
    beyond = np.full((count, 1), np.inf)
    for row in range(1, height):
        options = np.stack([np.hstack([beyond, cost[:, :-1]]), cost, np.hstack([cost[:, 1:], beyond])])
        choice = options.argmin(0)
        came[row] = np.arange(width) + choice - 1
        cost = np.take_along_axis(options, choice[None], 0)[0] + difference[:, row]
    seams = np.zeros((count, height), int)
    seams[:, -1] = cost.argmin(1)
    for row in range(height - 1, 0, -1):
        seams[:, row - 1] = came[row, np.arange(count), seams[:, row]]
    return seams
