"""Films the memory along a path: every frame is a reading, nothing is generated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from splatmem.cameras import Cameras
from splatmem.inpaint.pyramid import push_pull
from splatmem.io.video import VideoWriter
from splatmem.memory import MemoryReading, SpatialMemory
from splatmem.report.sheet import to_uint8
from splatmem.timing import StageClock

BATCH = 8  # views read at once


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
    """Writes ``file`` (H.264) with one frame per camera of ``path``."""
    shares: list[float] = []
    with VideoWriter(file, path.width, path.height, fps) as video:
        for first in range(0, len(path), BATCH):
            with clock.stage("render"):
                reading = memory.read(path[slice(first, first + BATCH)])
                frames = to_uint8(shown(reading))
            shares += (~reading.known).flatten(1).float().mean(1).tolist()
            with clock.stage("encode"):
                for frame in frames:
                    video.write(frame)
            announce("filming", min(1.0, (first + BATCH) / len(path)))
    worst = max(range(len(shares)), key=shares.__getitem__)
    return FilmFigures(sum(shares) / len(shares), (worst, shares[worst]))


def shown(reading: MemoryReading) -> torch.Tensor:
    """Frames as they are shown, ``[v, h, w, 3]``: where nothing is known, the surroundings are smeared in."""
    rgb, known = reading.rgb.permute(0, 3, 1, 2), reading.known[:, None].float()
    return push_pull(rgb, known).permute(0, 2, 3, 1)
