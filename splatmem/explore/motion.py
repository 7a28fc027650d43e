"""What moves within a window that a video model filled.

The memory stands still, so what moves must not become part of it: of each frame only what stands still is written. For a film
that is to keep the motion, what moves is lifted by itself, for the moment of its frame alone, and drawn over the memory then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.depth import DepthEstimator, completed_depth
from splatmem.depth.alignment import align
from splatmem.depth.motion import moved
from splatmem.gaussians import Gaussians
from splatmem.gaussians.lift import lift
from splatmem.geometry.cameras import Cameras
from splatmem.inpaint import FilledFrames
from splatmem.memory import MemoryReading

MIN_FRAMES = 3  # of a window: with fewer, a wrong depth and a thing that moves look the same
CONTRADICTION = 0.5  # share of what was made that seems to move from which the depths are wrong, and not the things
CONTRADICT = "frames of a window contradict each other in most of what was made: nothing in them was taken for moving"


@dataclass(frozen=True)
class MovingPart:
    """What moved in a frame that was filled.

    Attributes:
        moment: of the frame, in the film's frame numbers.
        gaussians: what moved, as it stood then.
    """

    moment: float
    gaussians: Gaussians


@dataclass(frozen=True)
class WindowMotion:
    """What moves in the frames of a window.

    Attributes:
        where: its pixels, ``[t, h, w]``.
        depth: z-depth of the frames, aligned with the memory, ``[t, h, w]``.
        notes: sentences for the report.
    """

    where: Bool[Tensor, "t h w"]
    depth: Float[Tensor, "t h w"]
    notes: tuple[str, ...] = ()

    def parts(self, filled: FilledFrames, cameras: Cameras, moments: Sequence[float]) -> list[MovingPart]:
        """What moves as Gaussians, frame by frame; frames in which nothing does are left out.

        Args:
            filled: the frames.
            cameras: of the frames.
            moments: of the frames.
        """
        return [
            MovingPart(moment, lift(filled.rgb[index], self.depth[index], cameras[index], self.where[index]))
            for index, moment in enumerate(moments)
            if self.where[index].any()
        ]


def motion_of(
    filled: FilledFrames, reading: MemoryReading, cameras: Cameras, estimate_depth: DepthEstimator
) -> WindowMotion | None:
    """Finds what moves in what was made of a window; None for a window that is too short to tell.

    Args:
        filled: the frames, with the known pixels as they were.
        reading: what the memory shows of them.
        cameras: of the frames.
        estimate_depth: tells the depth of frames that came without.
    """
    if len(cameras) < MIN_FRAMES:
        return None
    made = ~reading.known
    depth = reading.depth.clone()
    for index in made.flatten(1).any(1).nonzero()[:, 0].tolist():
        known, there = reading.known[index], reading.depth[index]
        if filled.depth is not None:
            told = filled.depth[index]
        else:
            told = completed_depth(estimate_depth, filled.rgb[index], there, known, cameras[index].fov_x_degrees)
        depth[index] = align(told, there, known).depth
    where = moved(filled.rgb, depth, cameras) & made
    if where.sum() > CONTRADICTION * made.sum():
        return WindowMotion(torch.zeros_like(where), depth, (CONTRADICT,))
    return WindowMotion(where, depth)


def shown_moving(frames: int, windows: Sequence[Sequence[float]], parts: Sequence[MovingPart]) -> dict[int, Gaussians]:
    """What moves in each frame of a film: what did at the nearest moment that was filled, if that is no farther away than the
    next moment of its window.

    Args:
        frames: of the film.
        windows: moments that were filled, window by window.
        parts: what moved.
    """
    reach = {m: min((abs(m - n) for n in window if n != m), default=0.5) for window in windows for m in window}
    at: dict[float, list[Gaussians]] = {}
    for part in parts:
        at.setdefault(part.moment, []).append(part.gaussians)
    found = {}
    for frame in range(frames) if at else ():
        nearest = min(reach, key=lambda moment: abs(moment - frame))
        if nearest in at and abs(nearest - frame) <= max(0.5, reach[nearest]):
            found[frame] = Gaussians.cat(at[nearest])
    return found
