"""Films the memory along a path: every frame is rendered from it, nothing is generated."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from splatmem.gaussians import Gaussians
from splatmem.gaussians.draw import in_batches
from splatmem.geometry.cameras import Cameras
from splatmem.io.video import VideoWriter
from splatmem.memory import SpatialMemory
from splatmem.threads import torch_alone
from splatmem.timing import StageClock


@dataclass(frozen=True)
class FilmFigures:
    """What was measured while filming.

    Attributes:
        file: the film.
        unknown_fraction: mean share of pixels that the memory does not know, 0..1.
        worst_frame: the frame with most of them, and its share.
        unknown_by_frame: share of each frame's pixels that the memory does not know.
        kept: the frames that were asked for.
    """

    file: Path
    unknown_fraction: float
    worst_frame: tuple[int, float]
    unknown_by_frame: tuple[float, ...] = ()
    kept: tuple[UInt8[np.ndarray, "h w 3"], ...] = ()

    def _repr_html_(self) -> str:
        """The film itself, for notebooks."""
        data = base64.b64encode(self.file.read_bytes()).decode()
        return f'<video controls loop src="data:video/mp4;base64,{data}"></video>'


def film_memory(
    memory: SpatialMemory,
    path: Cameras,
    file: str | Path,
    fps: float,
    clock: StageClock,
    announce: Callable[[str, float], None],
    moving: Mapping[int, Gaussians] | None = None,
    keep: Sequence[int] = (),
) -> FilmFigures:
    """Writes ``file`` (H.264) with one frame per camera of ``path``; in some of them ``moving`` things stand in the scene.

    The frames whose numbers are in ``keep`` are returned as well. Frames are encoded while the next ones are rendered: the
    clock's ``encode`` is what rendering had to wait for.
    """
    file, moving = Path(file), moving or {}
    shares: list[float] = []
    kept: list[UInt8[np.ndarray, "h w 3"]] = []
    with VideoWriter(file, path.width, path.height, fps) as video, ThreadPoolExecutor(max_workers=1) as encoder:
        encoding: Future[None] = encoder.submit(_write, video, [])
        for views in in_batches(path):
            with clock.stage("render"), torch_alone(1):  # whatever the size: the encoder works beside it
                frames, known = memory.film_bytes(views)
                for index in range(len(views)):
                    seen = moving.get(len(shares) + index)
                    if seen is not None:
                        here = replace(memory, gaussians=Gaussians.cat([memory.gaussians, seen.to(memory.device)]))
                        frames[index], known[index] = (maps[0] for maps in here.film_bytes(views[index]))
                kept += [frame.copy() for index, frame in enumerate(frames, start=len(shares)) if index in keep]
                shares += (~known).flatten(1).float().mean(1).tolist()
            with clock.stage("encode"):
                encoding.result()
            encoding = encoder.submit(_write, video, frames)
            announce("filming", len(shares) / len(path))
        with clock.stage("encode"):
            encoding.result()
    worst = max(range(len(shares)), key=shares.__getitem__)
    return FilmFigures(file, sum(shares) / len(shares), (worst, shares[worst]), tuple(shares), tuple(kept))


def _write(video: VideoWriter, frames: Iterable[UInt8[np.ndarray, "h w 3"]]) -> None:
    for frame in frames:
        video.write(frame)
