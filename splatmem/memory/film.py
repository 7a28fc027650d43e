"""Films the memory along a path: every frame is a reading, nothing is generated."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from splatmem.geometry.cameras import Cameras
from splatmem.geometry.push_pull import fill_gaps
from splatmem.io.video import VideoWriter
from splatmem.memory import SpatialMemory
from splatmem.memory.spatial_memory import VIEWS_AT_ONCE
from splatmem.pixels import to_uint8
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
                frames = to_uint8(shown(rgb, known))
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


def shown(rgb: Float[Tensor, "v h w 3"], known: Bool[Tensor, "v h w"]) -> Float[Tensor, "v h w 3"]:
    """Frames as they are shown: where nothing is known, the surroundings are smeared in."""
    return rgb if known.all() else fill_gaps(rgb.permute(0, 3, 1, 2), known).permute(0, 2, 3, 1)
