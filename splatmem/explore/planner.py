"""The order in which a path's unseen space is made.

The film's frames are candidates. For an inpainter of pictures a window starts at the frame that brings most new space while
enough of it is already known, nearest to the first camera among equals; frames that overlap with it and bring further new space
follow. So generation runs outward from the photo on both sides, and a full turn closes at the back, where both sides are
already seen. For a video model a window is a run of frames along the path: from known frames, which show how the camera moves,
into the unknown as far as a frame still has enough to hold on to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.explore.unknown_cells import UnknownCells
from splatmem.extrapolate.room_layout import RoomLayout
from splatmem.extrapolate.scene import fit_scene_layout
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.sampling import evenly_spread
from splatmem.inpaint.protocol import Traits
from splatmem.memory import SpatialMemory
from splatmem.trajectory.resampling import resampled_smoothly
from splatmem.trajectory.trajectory import Trajectory

GRID_WIDTH = 32  # pixels; plans are made on pictures of this width
LEAD_IN = 4  # known frames at either end of a run, or a quarter of a shorter one
OUTWARD_PREFERENCE = 0.25  # how much new space half a turn away from the photo is worth
MOST_LOOKED_AT = 128  # frames among which a window is chosen, so that a plan for a long film takes no longer
MOST_TIMES = 3  # windows that a frame is part of, at most: what they leave unknown has no place in the scene


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


@dataclass(frozen=True)
class Plan:
    """What is to be made next.

    Attributes:
        window: the cameras to fill together, in the order in which they are written; empty when all is seen.
        unknown_share: mean share of the film that is unknown still, 0..1.
    """

    window: Trajectory
    unknown_share: float


class Planner(Protocol):
    """Decides which cameras are filled next. It is asked again after every window, until its window is empty."""

    def __call__(self, memory: SpatialMemory, film: Trajectory, made: Sequence[float]) -> Plan:
        """The next window.

        Args:
            memory: what is known by now; ``splatmem.unknown_cells`` tells what it does not show.
            film: all cameras of the film.
            made: moments of the cameras that were filled before, in the film's frame numbers.
        """
        ...


class PicturePlanner:
    """For inpainters of pictures: outward from what is known, each window as easy as can be."""

    def __init__(self, layout: RoomLayout, window_frames: int, settings: PlanSettings) -> None:
        """Args:
        layout: where surfaces are likely to be, from which follows which cameras see the same.
        window_frames: most cameras of a window.
        settings: when a window is worth making.
        """
        self.layout, self.window_frames, self.settings = layout, window_frames, settings
        self._film: Trajectory | None = None
        self._candidates: dict[int, _Candidates] = {}  # by their number

    def __call__(self, memory: SpatialMemory, film: Trajectory, made: Sequence[float]) -> Plan:
        if film is not self._film:
            self._film, self._candidates = film, {}
        near = max(1, len(film) // 48)
        unknown_share = 0.0
        fewer: _Candidates | None = None
        for limit in sorted({min(self.settings.max_candidates, len(film)), len(film)}):
            if limit not in self._candidates:
                self._candidates[limit] = _Candidates.of(film, limit, self.layout)
                if fewer is not None and limit == len(film):
                    self._candidates[limit].unknown.take_over(fewer.unknown, fewer.frames)
            candidates = fewer = self._candidates[limit]
            cells = candidates.unknown
            unknown, unknown_share = cells.of(memory)
            recent, spent = _near(candidates.moments, made, near), _spent(candidates.moments, made)
            chosen = plan_window(
                unknown, candidates.points, cells.coarse, self.window_frames, self.settings, recent, spent, cells.fresh
            )
            if chosen:
                return Plan(film.at([candidates.frames[i] for i in chosen]), unknown_share)
        return Plan(film.first(0), unknown_share)


@dataclass(frozen=True)
class _Candidates:
    """Frames of a film that may be made next, ``f`` of them.

    Attributes:
        frames: their numbers in the film.
        moments: the same as numbers of a tensor.
        unknown: what of them is unknown, on a coarse grid.
        points: where that grid's surfaces are likely to be, in the world.
    """

    frames: list[int]
    moments: Float[Tensor, " f"]
    unknown: UnknownCells
    points: Float[Tensor, "f h w 3"]

    @staticmethod
    def of(film: Trajectory, count: int, layout: RoomLayout) -> _Candidates:
        frames = evenly_spread(len(film), count)
        coarse = film.cameras[frames].coarse(GRID_WIDTH)
        points = coarse.unproject(layout.render(coarse).depth)
        return _Candidates(frames, _numbers(frames), UnknownCells(coarse), points)


class VideoPlanner:
    """For video models: runs of cameras that follow each other along the trajectory; at last, for what a wide stride has
    missed, along the film."""

    def __init__(self, smooth: Trajectory, window_frames: int, settings: PlanSettings) -> None:
        """Args:
        smooth: the film's trajectory with steps over which the picture moves smoothly.
        window_frames: most cameras of a window.
        settings: when a window is worth making.
        """
        self.smooth, self.window_frames, self.settings = smooth, window_frames, settings
        self._unknown = UnknownCells(smooth.cameras.coarse(GRID_WIDTH))
        self._film: Trajectory | None = None
        self._unknown_of_film = self._unknown

    def __call__(self, memory: SpatialMemory, film: Trajectory, made: Sequence[float]) -> Plan:
        unknown_share = 0.0
        if self.smooth.spacing > 1 and film is not self._film:
            self._film, self._unknown_of_film = film, UnknownCells(film.cameras.coarse(GRID_WIDTH))
        for along in (self.smooth, film) if self.smooth.spacing > 1 else (self.smooth,):
            cells = self._unknown if along is self.smooth else self._unknown_of_film
            unknown, unknown_share = cells.of(memory)
            moments = _numbers(along.moments)
            near, spent = _near(moments, made, along.spacing), _spent(moments, made)
            chosen = plan_run(unknown, cells.coarse, self.window_frames, self.settings, near, spent)
            if chosen:
                return Plan(along.at(chosen), unknown_share)
        return Plan(film.first(0), unknown_share)


def default_planner(traits: Traits, memory: SpatialMemory, film: Trajectory, settings: PlanSettings) -> Planner:
    """The planner that fits an inpainter: along the trajectory for video models, outward from the known for all others.

    Args:
        traits: of the inpainter.
        memory: with what was given and nothing that was made.
        film: all cameras of the film.
        settings: when a window is worth making.
    """
    if traits.continuous:
        return VideoPlanner(resampled_smoothly(film, memory.scale), traits.window_frames, settings)
    return PicturePlanner(fit_scene_layout(memory, film.cameras), traits.window_frames, settings)


def _numbers(moments: Sequence[float]) -> Float[Tensor, " f"]:
    return torch.tensor(list(moments), dtype=torch.float64)


def _near(moments: Float[Tensor, " f"], made: Sequence[float], reach: float) -> Bool[Tensor, " f"]:
    """Moments at or next to one that was made."""
    end = torch.tensor([torch.inf], dtype=torch.float64)
    others = torch.cat([-end, _numbers(made).sort().values, end])
    after = torch.searchsorted(others, moments)
    return torch.minimum(others[after] - moments, moments - others[after - 1]) <= 1.001 * reach


def _spent(moments: Float[Tensor, " f"], made: Sequence[float]) -> Bool[Tensor, " f"]:
    """Moments that were made so often that they are not made again."""
    others, times = _numbers(made).unique(return_counts=True)
    return torch.isin(moments, others[times >= MOST_TIMES])


def plan_window(
    unknown: Bool[Tensor, "f h w"],
    points: Float[Tensor, "f h w 3"],
    cameras: Cameras,
    window_frames: int,
    settings: PlanSettings,
    made: Bool[Tensor, " f"] | None = None,
    spent: Bool[Tensor, " f"] | None = None,
    fresh: Float[Tensor, " f"] | None = None,
) -> list[int]:
    """The frames of the next window, in the order in which they should be written; empty when all is seen.

    Args:
        unknown: unknown pixels of the candidate frames, on a coarse grid.
        points: where those pixels' surfaces are likely to be, in the world (from the layout).
        cameras: of the candidates, at any size.
        window_frames: how many frames a window may have.
        made: candidates at or next to a frame that was made already: what is left unknown in them found no place then, and
            is not tried again unless it is much.
        spent: candidates that are not made again, however much of them is unknown.
        fresh: share of each candidate's pixels that are unknown, if that is at hand.
    """
    worth = _worth(len(cameras), settings, made, spent)
    fresh = unknown.flatten(1).float().mean(1) if fresh is None else fresh
    outward = _angle_from_first(cameras) / torch.pi
    open_frames = torch.nonzero(fresh > worth)[:, 0]
    if not len(open_frames):
        return []
    if len(open_frames) > MOST_LOOKED_AT:
        score = _score(fresh, outward, settings)[open_frames]
        open_frames = open_frames[score.argsort(descending=True, stable=True)[:MOST_LOOKED_AT].sort().values]
    unknown, points, cameras = unknown[open_frames], points[open_frames], cameras[open_frames]
    worth, outward = worth[open_frames], outward[open_frames]
    remaining = unknown.clone()
    overlap = torch.zeros(len(cameras), dtype=torch.bool)
    chosen: list[int] = []
    while True:
        fresh = remaining.flatten(1).float().mean(1)
        fresh[chosen] = 0
        eligible = fresh > worth
        if chosen:
            eligible &= overlap
        if not eligible.any():
            break
        if chosen and not (eligible & _anchored(fresh, settings)).any():
            break  # what lies beyond is better made once this window is part of the memory
        best = int(torch.where(eligible, _score(fresh, outward, settings), -torch.inf).argmax())
        chosen.append(best)
        if len(chosen) == window_frames:
            break
        covered = cameras[best].sees(points)[0]
        overlap |= (covered & unknown).flatten(1).any(1)
        remaining &= ~covered
    return open_frames[chosen].tolist()


def _anchored(fresh: Float[Tensor, " f"], settings: PlanSettings) -> Bool[Tensor, " f"]:
    """Frames of which enough is known to start from them."""
    return 1 - fresh >= settings.min_known


def _score(fresh: Float[Tensor, " f"], outward: Float[Tensor, " f"], settings: PlanSettings) -> Float[Tensor, " f"]:
    """How good frames are to be made next: those of which enough is known, the more new space they bring and the nearer to
    the photo; then the others, the more of them is known."""
    return torch.where(_anchored(fresh, settings), fresh - OUTWARD_PREFERENCE * outward, -1 - fresh)


def _worth(
    count: int, settings: PlanSettings, made: Bool[Tensor, " f"] | None, spent: Bool[Tensor, " f"] | None
) -> Float[Tensor, " f"]:
    """The share of each of ``count`` candidates beyond which it is worth making."""
    worth = torch.full((count,), settings.min_unknown)
    if made is not None:
        worth[made] = settings.min_unknown_again
    if spent is not None:
        worth[spent] = torch.inf
    return worth


def plan_run(
    unknown: Bool[Tensor, "f h w"],
    cameras: Cameras,
    window_frames: int,
    settings: PlanSettings,
    made: Bool[Tensor, " f"] | None = None,
    spent: Bool[Tensor, " f"] | None = None,
) -> list[int]:
    """The next window for a video model: candidates that follow each other, in their order; empty when all is seen.

    For the arguments see ``plan_window``.
    """
    fresh = unknown.flatten(1).float().mean(1)
    wanted = fresh > _worth(len(cameras), settings, made, spent)
    if not wanted.any():
        return []
    outward = _angle_from_first(cameras) / torch.pi
    start = int(torch.where(wanted, _score(fresh, outward, settings), -torch.inf).argmax())
    anchored = wanted & _anchored(fresh, settings)
    if not anchored[start]:
        return [start]
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
