"""The order in which a path's unseen space is made.

The film's frames are candidates. For an inpainter of pictures a window starts at the frame that brings most new space while
enough of it is already known, nearest to the first camera among equals; frames that overlap with it and bring further new space
follow. So generation runs outward from the photo on both sides, and a full turn closes at the back, where both sides are
already seen. For a video model a window is a run of frames along the path: from known frames, which show how the camera moves,
into the unknown as far as a frame still has enough to hold on to.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.geometry.cameras import Cameras

GRID_WIDTH = 32  # the plan is made on pictures of this width
LEAD_IN = 4  # known frames at either end of a run, or a quarter of a shorter one
OUTWARD_PREFERENCE = 0.25  # how much new space half a turn away from the photo is worth


@dataclass(frozen=True)
class PlanSettings:
    """When a window is worth making, and what it must hold on to."""

    min_unknown: float = 0.006
    """A frame with a smaller share of unknown pixels counts as seen."""
    min_unknown_again: float = 0.06
    """The same for frames at or next to one that was made already."""
    min_known: float = 0.35
    """A frame is started from only if this share of it is known, unless no frame has as much."""
    max_candidates: int = 64
    """Long films are planned on this many frames, evenly spread, until those are seen."""


def plan_window(
    unknown: Bool[Tensor, "f h w"],
    points: Float[Tensor, "f h w 3"],
    cameras: Cameras,
    window_frames: int,
    settings: PlanSettings,
    made: Bool[Tensor, " f"] | None = None,
) -> list[int]:
    """The frames of the next window, in the order in which they should be written; empty when all is seen.

    Args:
        unknown: unknown pixels of the candidate frames, on a coarse grid.
        points: where those pixels' surfaces are likely to be, in the world (from the layout).
        cameras: of the candidates, at any size.
        window_frames: how many frames a window may have.
        made: candidates at or next to a frame that was made already: what is left unknown in them found no place then, and
            is not tried again unless it is much.
    """
    remaining = unknown.clone()
    outward = _angle_from_first(cameras) / torch.pi
    overlap = torch.zeros(len(cameras), dtype=torch.bool)
    chosen: list[int] = []
    while len(chosen) < window_frames:
        fresh = remaining.flatten(1).float().mean(1)
        fresh[chosen] = 0
        worth = torch.full_like(fresh, settings.min_unknown)
        if made is not None:
            worth[made] = settings.min_unknown_again
        eligible = fresh > worth
        if chosen:
            eligible &= overlap
        if not eligible.any():
            break
        anchored = eligible & (1 - fresh >= settings.min_known)
        if anchored.any():
            score = torch.where(anchored, fresh - OUTWARD_PREFERENCE * outward, -torch.inf)
        elif chosen:
            break  # what lies beyond is better made once this window is part of the memory
        else:
            score = torch.where(eligible, -fresh, -torch.inf)
        best = int(score.argmax())
        chosen.append(best)
        covered = cameras[best].sees(points)[0]
        overlap |= (covered & unknown).flatten(1).any(1)
        remaining &= ~covered
    return chosen


def plan_run(
    unknown: Bool[Tensor, "f h w"],
    cameras: Cameras,
    window_frames: int,
    settings: PlanSettings,
    made: Bool[Tensor, " f"] | None = None,
) -> list[int]:
    """The next window for a video model: candidates that follow each other, in their order; empty when all is seen.

    For the arguments see ``plan_window``.
    """
    fresh = unknown.flatten(1).float().mean(1)
    worth = torch.full_like(fresh, settings.min_unknown)
    if made is not None:
        worth[made] = settings.min_unknown_again
    wanted = fresh > worth
    if not wanted.any():
        return []
    anchored = wanted & (1 - fresh >= settings.min_known)
    if not anchored.any():
        return [int(torch.where(wanted, fresh, torch.inf).argmin())]
    outward = _angle_from_first(cameras) / torch.pi
    start = int(torch.where(anchored, fresh - OUTWARD_PREFERENCE * outward, -torch.inf).argmax())
    # What is left unknown in a frame that was made does not count: the next window holds on to it all the same.
    first, last = _grown_run(start, anchored, ~wanted, min(LEAD_IN, (window_frames - 1) // 4))
    while last - first >= window_frames:  # too long: what is farther from the known waits
        first, last = (first + 1, last) if fresh[first] > fresh[last] else (first, last - 1)
    return list(range(first, last + 1))


def _grown_run(start: int, anchored: Bool[Tensor, " f"], seen: Bool[Tensor, " f"], lead: int) -> tuple[int, int]:
    """First and last of the frames around ``start`` that have enough to hold on to, with ``lead`` known ones at either end."""
    ends = []
    for step in (-1, 1):
        end = start
        while 0 <= end + step < len(anchored) and anchored[end + step]:
            end += step
        for _ in range(lead):
            if 0 <= end + step < len(seen) and seen[end + step]:
                end += step
        ends.append(end)
    return ends[0], ends[1]


def _angle_from_first(cameras: Cameras) -> Float[Tensor, " f"]:
    """Angles between the viewing directions and +z, the first photo's, in radians."""
    return torch.acos(cameras.forward[:, 2].clamp(-1, 1))
