"""H.264 video through PyAV."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from jaxtyping import Float, UInt8
from torch import Tensor

from splatmem.io.atomic import atomic_path
from splatmem.io.video_frames import survey_video
from splatmem.pixels import to_uint8

MACROBLOCK = 16  # pixels along a side
TREE_STEP = 8  # x264 goes through the rows of its macroblock tree in such steps; a last one that is cut short looks beyond the
# row, at whatever lies in memory there: other bytes in every run


class VideoWriter:
    """Writes frames one by one, as a context manager; the file appears whole when the block ends without an error.

    Yuv420p, tagged as BT.709, with the index in front and a keyframe a second, plays everywhere and can be wound. Odd sizes get
    one more row or column, a copy of the last.
    """

    def __init__(self, path: str | Path, width: int, height: int, fps: float, crf: int = 17) -> None:
        """Args:
        path: of an .mp4 in an existing folder.
        width, height: of the frames.
        fps: frames per second.
        crf: x264's quality, 0 (best) to 51.
        """
        if width < 1 or height < 1 or not 0 < fps <= 1000 or not 0 <= crf <= 51:
            raise ValueError(f"no video of {width}x{height} pixels at {fps} frames per second with crf {crf} can be written")
        self.path = Path(path)
        self.size = (width, height)
        self.rate = Fraction(fps).limit_denominator(1001)
        self.crf = crf
        self._exits = ExitStack()

    def __enter__(self) -> VideoWriter:
        with ExitStack() as exits:
            temporary = exits.enter_context(atomic_path(self.path))
            options = {"movflags": "faststart"}
            name = f"file:{temporary}"  # without the protocol FFmpeg would take what stands before a colon for one
            self._container = exits.enter_context(av.open(name, "w", format="mp4", options=options))
            self._stream = self._add_stream()
            self._exits = exits.pop_all()
        return self

    def _add_stream(self) -> av.VideoStream:
        width, height = self.size
        # One thread: the same frames give the same bytes on any machine.
        keyframes = str(max(1, round(self.rate)))  # one a second: a film is wound back and forth there
        options = {"crf": str(self.crf), "preset": "veryfast", "threads": "1", "g": keyframes}
        if -(-width // MACROBLOCK) % TREE_STEP:
            options["x264-params"] = "mbtree=0"
        stream = self._container.add_stream("libx264", rate=self.rate, options=options)
        stream.width, stream.height = width + width % 2, height + height % 2
        stream.pix_fmt = "yuv420p"
        # Untagged, players guess from the size which matrix turns YUV into RGB.
        context = stream.codec_context
        context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG
        context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
        return stream

    def write(self, frame: UInt8[np.ndarray, "h w 3"]) -> None:
        """Appends a frame."""
        width, height = self.size
        if frame.shape != (height, width, 3) or frame.dtype != np.uint8:
            raise ValueError(f"a frame must be uint8 {(height, width, 3)}, got {frame.dtype} {frame.shape}")
        odd = height % 2 or width % 2
        padded = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge") if odd else frame
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(padded), format="rgb24").reformat(
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
            dst_color_trc=ColorTrc.BT709,
            dst_color_primaries=ColorPrimaries.BT709,
        )
        self._container.mux(self._stream.encode(picture))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is not None:
            self._exits.__exit__(kind, error, trace)  # closes and removes the file; the error goes on
            return
        with self._exits:
            self._container.mux(self._stream.encode(None))


def write_video(
    path: str | Path,
    frames: Iterable[UInt8[np.ndarray, "h w 3"]] | Float[Tensor, "t h w 3"],
    fps: float,
    crf: int = 17,
) -> None:
    """Writes a video from an iterable of uint8 frames, taken one at a time, or a tensor with values 0..1.

    Raises:
        ValueError: no frames, or frames of different sizes.
        OSError: the file cannot be written.
    """
    with ExitStack() as exits:
        writer: VideoWriter | None = None
        for frame in frames:
            picture = to_uint8(frame) if isinstance(frame, Tensor) else frame
            if writer is None:
                height, width = picture.shape[:2]
                writer = exits.enter_context(VideoWriter(path, width, height, fps, crf))
            writer.write(picture)
        if writer is None:
            raise ValueError(f"cannot write {path}: a video needs at least one frame, got none")


def read_video(path: str | Path) -> UInt8[np.ndarray, "t h w 3"]:
    """All frames of a short video, upright; of a long one take some with ``splatmem.io.video_frames``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not a video or holds no frame.
    """
    survey = survey_video(path)
    return np.stack(list(survey.read(range(survey.count))))
