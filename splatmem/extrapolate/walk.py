"""Which stretches of a view go on around the turn: a walk over the view's columns that looks the same wherever it jumps.

The walk begins where the view ends on the right, and ends where the view begins on the left. From column to column it goes on,
forwards or backwards (a mirror image), or jumps to where the view looks alike, as the frames of a video texture do (Schödl et
al. 2000); the cheapest walk is found by dynamic programming. What looks like nothing else in the view, and what a stranger
would know again, costs more each time that it comes. Costs are in units of the difference that two columns have as a rule.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from scipy.ndimage import maximum_filter1d
from torch import Tensor

COLUMNS, ROWS = 64, 24  # that the view is divided into: a jump need not be found to the pixel
CONTEXT = 3  # columns on either side of a jump that must look alike: a twentieth of the view, as the overlap of a joint
SHORTEST = 13  # columns between two jumps: a fifth of the view; of shorter pieces nothing is recognised
JUMP = 0.5  # cost of any jump, since none is quite invisible
TURN = 8.0  # of turning round on the spot: a mirror image beside its original is what a stranger sees first
CUT = 5.0  # of a jump beside something prominent, at full share of it: it would be cut
AGAIN = 0.03  # of showing a column once more
PROMINENT = 50.0  # how many times that, where all of a column is prominent
LONGEST = 10.0  # of a walk, in lengths of the view: the time for finding one grows with the square of its length
VARIETY = 0.3  # how much the costs of jumps differ from seed to seed, as a share


@dataclass(frozen=True)
class Stretch:
    """Columns of the view that follow each other in the walk.

    Attributes:
        begin: where it begins, as a share of the view's width.
        length: how long it is, in the same unit.
        step: 1 forwards, -1 backwards.
    """

    begin: float
    length: float
    step: int


def walk_around(features: Float[Tensor, "f h w"], prominent: Float[Tensor, "h w"], length: float, seed: int) -> list[Stretch]:
    """The stretches that fill the rest of the turn, in their order to the right.

    A walk leads from the view's right end to its left end, so that walk and view together can be gone round more than once:
    a rest of the turn that is longer than ``LONGEST`` is filled by one walk again and again, with the view in between.

    Args:
        features: by which columns of the view are compared: colours, relief.
        prominent: 1 for pixels of what a stranger would know again, else 0.
        length: of the rest of the turn, relative to the view's.
        seed: another seed goes another way.
    """
    rounds = max(1, math.ceil((length + 1) / (LONGEST + 1)))
    walk = _walk(features, prominent, (length + 1) / rounds - 1, seed)
    return [*walk, *((Stretch(0.0, 1.0, 1), *walk) * (rounds - 1))]


def _walk(features: Float[Tensor, "f h w"], prominent: Float[Tensor, "h w"], length: float, seed: int) -> list[Stretch]:
    """The stretches of one walk; see ``walk_around``."""
    columns = _reduced(features)
    total = max(SHORTEST, round(length * COLUMNS))
    # Beyond its ends the view is taken for its mirror image.
    beyond = 2 * CONTEXT
    padded = torch.cat([columns[..., :beyond].flip(-1), columns, columns[..., -beyond:].flip(-1)], dim=-1)
    difference = _differences(padded)
    difference = difference / max(float(np.median(difference)), 1e-6)
    apart = np.abs(np.arange(COLUMNS)[:, None] - np.arange(COLUMNS))
    distinct = np.where(apart > SHORTEST, difference[beyond:-beyond, beyond:-beyond], np.inf).min(1)
    share = _reduced(prominent[None])[0].mean(0).numpy()
    share = share - share.min()
    jumps = _jump_costs(difference, apart < SHORTEST, share)
    jumps *= 1 + VARIETY * np.random.default_rng(seed).random(jumps.shape)
    once_more = AGAIN * (1 + 10 * distinct + PROMINENT * share)
    visits, state, path = np.ones(COLUMNS), COLUMNS - 1, np.zeros((0, 2), int)
    while len(path) < total:
        # How often a column comes is known only afterwards: one stretch is taken of the best way, then it is looked for again.
        way = _cheapest(jumps, once_more * visits, state, total - len(path))
        breaks = np.flatnonzero(_breaks(way))
        way = way[: breaks[0] + 1] if len(breaks) else way
        visits += np.bincount(way[:, 0], minlength=COLUMNS)
        state = int(way[-1, 0]) + (COLUMNS if way[-1, 1] < 0 else 0)
        path = np.concatenate([path, way])
    starts = [0, *(np.flatnonzero(_breaks(path)) + 1).tolist(), len(path)]
    return [
        Stretch(float(path[a, 0] + (path[a, 1] < 0)) / COLUMNS, (b - a) * length / total, int(path[a, 1]))
        for a, b in pairwise(starts)
    ]


def _reduced(pictures: Float[Tensor, "f h w"]) -> Float[Tensor, "f r c"]:
    return F.interpolate(pictures[None], size=(ROWS, COLUMNS), mode="area")[0]


def _differences(columns: Float[Tensor, "f r m"]) -> Float[np.ndarray, "m m"]:
    """Mean squared differences of columns."""
    flat = columns.flatten(0, 1).T.double()
    return (torch.cdist(flat, flat, compute_mode="donot_use_mm_for_euclid_dist").square() / columns.shape[1]).numpy()


def _jump_costs(
    difference: Float[np.ndarray, "m m"], near: Bool[np.ndarray, "c c"], share: Float[np.ndarray, " c"]
) -> Float[np.ndarray, "s s"]:
    """Costs of going on from each state in each other; a state is a column, or ``COLUMNS`` more for going backwards."""
    costs = np.zeros((2, COLUMNS, 2, COLUMNS))
    middle = np.arange(COLUMNS) + 2 * CONTEXT
    beside = maximum_filter1d(share, 2 * CONTEXT + 1)
    for a, step in enumerate((1, -1)):
        for b, other in enumerate((1, -1)):
            for offset in range(-CONTEXT, CONTEXT):
                # What would have come next beside what comes instead, and what came beside what would have come before.
                costs[a, :, b, :] += difference[np.ix_(middle + step * (1 + offset), middle + other * offset)] / (2 * CONTEXT)
            costs[a, :, b, :] += JUMP + CUT * (beside[:, None] + beside) + (TURN * near if a != b else 0.0)
    return costs.reshape(2 * COLUMNS, 2 * COLUMNS)


def _breaks(path: Int[np.ndarray, "n 2"]) -> Bool[np.ndarray, " m"]:
    """Whether the walk jumps after each place but the last."""
    return (np.diff(path[:, 0]) != path[:-1, 1]) | (np.diff(path[:, 1]) != 0)


def _cheapest(
    jumps: Float[np.ndarray, "s s"], cost: Float[np.ndarray, " c"], start: int, total: int
) -> Int[np.ndarray, "total 2"]:
    """Column and direction at each of ``total`` places of the cheapest walk from a state to the view's left end."""
    count = len(cost)
    states = 2 * count
    column, step = np.tile(np.arange(count), 2), np.repeat([1, -1], count)
    # What a run of SHORTEST columns from each state costs, and in which state it ends.
    ends = column + step * (SHORTEST - 1)
    fits = (ends >= 0) & (ends < count)
    sums = np.concatenate([[0.0], cost.cumsum()])
    low, high = np.minimum(column, ends).clip(0, count - 1), np.maximum(column, ends).clip(0, count - 1)
    run = np.where(fits, sums[high + 1] - sums[low], np.inf)
    last = ends.clip(0, count - 1) + np.where(step > 0, 0, count)
    runs = np.flatnonzero(fits)  # no two of them end in one state
    before = np.where((column - step >= 0) & (column - step < count), np.arange(states) - step, -1)
    value = np.full((total + 1, states), np.inf)
    came = np.full((total + 1, states), -1, np.int64)  # state before a run and its first one; -1: one column on
    value[0, start] = 0.0
    for place in range(total):
        here = value[place]
        on = np.where(before >= 0, here[before] + cost[column], np.inf)
        better = on < value[place + 1]
        value[place + 1][better], came[place + 1][better] = on[better], -1
        reachable = np.flatnonzero(np.isfinite(here))
        if place + SHORTEST > total or not len(reachable):
            continue
        through = here[reachable, None] + jumps[reachable]
        best = through.argmin(0)
        arrive = through[best, np.arange(states)] + run
        better = runs[arrive[runs] < value[place + SHORTEST, last[runs]]]
        value[place + SHORTEST, last[better]] = arrive[better]
        came[place + SHORTEST, last[better]] = reachable[best[better]] * states + better
    # It ends by a jump into the view's first column, forwards.
    state, place, path = int((value[total] + jumps[:, 0]).argmin()), total, []
    while place > 0:
        how = int(came[place, state])
        if how < 0:
            path.append((column[state], step[state]))
            state, place = int(before[state]), place - 1
        else:
            state, first = divmod(how, states)
            path += [(column[first] + step[first] * i, step[first]) for i in range(SHORTEST - 1, -1, -1)]
            place -= SHORTEST
    return np.array(path[::-1])
