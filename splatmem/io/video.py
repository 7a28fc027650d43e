"""H.264 video through PyAV."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import numpy as np
from jaxtyping import UInt8


class VideoWriter:
    """Writes frames one by one; the file appears whole when the writer is left without an error.

    Yuv420p with the index in front plays everywhere. Odd sizes get one more row or column, a copy of the last.
    """

    def __init__(self, path: Path, width: int, height: int, fps: float, crf: int = 18) -> None:
        import av

        self.path = path
        self.temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        self.size = (width, height)
        self.container = av.open(str(self.temporary), "w", format="mp4", options={"movflags": "faststart"})
        self.stream = self.container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        self.stream.width, self.stream.height = width + width % 2, height + height % 2
        self.stream.pix_fmt = "yuv420p"
        # One thread: the same frames give the same bytes on any machine.
        self.stream.options = {"crf": str(crf), "preset": "medium", "threads": "1"}

    def write(self, frame: UInt8[np.ndarray, "h w 3"]) -> None:
        import av

        width, height = self.size
        if frame.shape != (height, width, 3) or frame.dtype != np.uint8:
            raise ValueError(f"a frame must be uint8 {(height, width, 3)}, got {frame.dtype} {frame.shape}")
        padded = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(padded), format="rgb24")
        self.container.mux(self.stream.encode(picture))

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if error is None:
                self.container.mux(self.stream.encode(None))
            self.container.close()
            if error is None:
                os.replace(self.temporary, self.path)
        finally:
            self.temporary.unlink(missing_ok=True)


def read_video(path: Path) -> UInt8[np.ndarray, "t h w 3"]:
    """All frames of a video."""
    import av

    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
