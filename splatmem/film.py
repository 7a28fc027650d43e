"""Films the memory along a path: every frame is a reading, nothing is generated."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from splatmem.cameras import Cameras
from splatmem.io.video import VideoWriter
from splatmem.memory import VIEWS_AT_ONCE, SpatialMemory
from splatmem.report.sheet import to_uint8
from splatmem.timing import StageClock

BATCH = VIEWS_AT_ONCE  # of the film are read, then encoded


@dataclass(frozen=True)
class FilmFigures:
    """What was measured while filming.

    Attributes:
        unknown_fraction: mean share of pixels that the memory does not know, 0..1.
        worst_frame: the frame with most of them, and its share.
    """

    unknown_fraction: float
    worst_frame: tuple[int, float]


def check_film(frames: int, width: int, height: int, fps: float) -> None:
    """Raises ``ValueError`` for a film that cannot be made."""
    if not 2 <= frames <= 10_000:
        raise ValueError(f"a film has 2 to 10000 frames, got {frames}")
    if not all(64 <= side <= 4096 and side % 2 == 0 for side in (width, height)) or not 0.2 <= width / height <= 5:
        raise ValueError(f"a film's sides are even, 64 to 4096 pixels long and at most 5:1 to each other, got {width}x{height}")
    if not 1 <= fps <= 240:
        raise ValueError(f"frames per second lie in 1..240, got {fps:g}")


def film_memory(
    memory: SpatialMemory,
    path: Cameras,
    file: Path,
    fps: float,
    clock: StageClock,
    announce: Callable[[str, float], None],
) -> FilmFigures:
    """Writes ``file`` (H.264) with one frame per camera of ``path``.

    Frames are encoded while the next ones are rendered: the clock's ``encode`` is what rendering had to wait for.
    """
    shares: list[float] = []
    with VideoWriter(file, path.width, path.height, fps) as video, ThreadPoolExecutor(max_workers=1) as encoder:
        encoding: Future[None] = encoder.submit(_write, video, [])
        for first in range(0, len(path), BATCH):
            with clock.stage("render"):
                rgb, known = memory.film(path[slice(first, first + BATCH)])
                frames = to_uint8(rgb)
            shares += (~known).flatten(1).float().mean(1).tolist()
            with clock.stage("encode"):
                encoding.result()
            encoding = encoder.submit(_write, video, frames)
            announce("filming", min(1.0, (first + BATCH) / len(path)))
        with clock.stage("encode"):
            encoding.result()
    worst = max(range(len(shares)), key=shares.__getitem__)
    return FilmFigures(sum(shares) / len(shares), (worst, shares[worst]))


def _write(video: VideoWriter, frames: Iterable[UInt8[np.ndarray, "h w 3"]]) -> None:
    for frame in frames:
        video.write(frame)
