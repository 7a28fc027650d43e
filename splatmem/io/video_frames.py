"""Single frames of a video: only the chosen ones are decoded to colours and kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.sidedata.sidedata import Type
from jaxtyping import UInt8

LARGEST_PIXELS = 36_000_000  # of a frame: 8K has 33 million
MOST_FRAMES = 1_000_000


@dataclass(frozen=True)
class VideoFrames:
    """What is known of a video before its frames are decoded.

    Attributes:
        path: of the file.
        count: of its frames.
        stored: (width, height) of the frames as they are stored.
        upright: the same as they are to be shown, after the display matrix.
        times: of the frames in order, in the stream's own unit; None where the container does not tell them.
        keys: the times among these at which decoding can begin.
    """

    path: Path
    count: int
    stored: tuple[int, int]
    upright: tuple[int, int]
    times: tuple[int, ...] | None
    keys: tuple[int, ...]

    def read(self, chosen: Sequence[int], *, turned: bool = True) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
        """The frames with these rising numbers, one at a time.

        Args:
            chosen: numbers below ``count``.
            turned: whether the display matrix is honoured.

        Raises:
            ValueError: a frame cannot be decoded.
        """
        with _opened(self.path) as (container, stream):
            decoded = _by_time(container, stream, self.times, self.keys) if self.times else _by_number(container, stream)
            for number in chosen:
                frame = decoded(number)
                if frame is None:
                    raise ValueError(f"{self.path}: frame {number} of {self.count} cannot be decoded: the video is damaged")
                picture = frame.to_ndarray(format="rgb24")
                yield _upright(picture, _matrix(frame)) if turned else picture


def survey_video(path: str | Path) -> VideoFrames:
    """Goes through a video without decoding more than its first frame, where the container tells the frames' times.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not a video, holds no frame, or frames that are too large.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    with _opened(path) as (container, stream):
        packets = []
        for packet in container.demux(stream):
            if packet.size and not packet.is_discard:
                packets.append((packet.pts, packet.is_keyframe))
                if len(packets) > MOST_FRAMES:
                    raise ValueError(f"{path}: expected a video of at most {MOST_FRAMES} frames, it holds more")
    times = [time for time, _ in packets if time is not None]
    told = len(times) == len(packets) == len(set(times)) and len(times) > 0
    keys = tuple(sorted(time for time, key in packets if key and time is not None))
    with _opened(path) as (container, stream):
        frames = container.decode(stream)
        first = next(frames, None)
        if first is None:
            raise ValueError(f"{path}: expected a video, but it holds no frame")
        count = len(times) if told else 1 + sum(1 for _ in frames)
        stored = (first.width, first.height)
        turned = _turned_size(stored, _matrix(first))
    return VideoFrames(path, count, stored, turned, tuple(sorted(times)) if told else None, keys)


def forgiving(version: str) -> dict[str, Any]:
    """What a version of PyAV must be told so that it opens videos whose title or comment is no text: nothing from 19 on, which
    does not know the word."""
    return {"metadata_errors": "replace"} if int(version.partition(".")[0]) < 19 else {}


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, av.VideoStream]]:
    with path.open("rb") as file:  # a file, not its name, in which a colon means a protocol
        try:
            with av.open(file, "r", **forgiving(av.__version__)) as container:
                stream = container.streams.video[0]
                context = stream.codec_context
                if context is None:
                    raise ValueError(f"{path}: expected a video, but there is no decoder for its frames")
                if context.width * context.height > LARGEST_PIXELS:
                    size = f"{context.width}x{context.height}"
                    raise ValueError(f"{path} has frames of {size} pixels: scale them below 8K first")
                stream.thread_count = 1  # each further thread holds frames of its own
                yield container, stream
        except (av.FFmpegError, IndexError, OSError, UnicodeError) as error:  # also of places that are not in the file
            raise ValueError(f"{path}: expected a video, but it cannot be read: {error}") from error


def _by_number(container: InputContainer, stream: av.VideoStream) -> Callable[[int], av.VideoFrame | None]:
    """Finds frames by counting them."""
    numbered = enumerate(container.decode(stream))

    def find(number: int) -> av.VideoFrame | None:
        return next((frame for index, frame in numbered if index == number), None)

    return find


def _by_time(
    container: InputContainer, stream: av.VideoStream, times: Sequence[int], keys: Sequence[int]
) -> Callable[[int], av.VideoFrame | None]:
    """Finds frames by their times; where a key frame lies between, decoding goes on from there."""
    decoded, position = container.decode(stream), times[0] - 1

    def find(number: int) -> av.VideoFrame | None:
        nonlocal decoded, position
        wanted = times[number]
        start = max((key for key in keys if key <= wanted), default=None)
        if start is not None and start > position:
            container.seek(start, stream=stream, backward=True)
            decoded = container.decode(stream)
        for frame in decoded:
            if frame.pts is not None and frame.pts >= wanted:
                position = frame.pts
                return frame
        return None

    return find


def _matrix(frame: av.VideoFrame) -> tuple[int, int, int, int]:
    """The display matrix's upper left part, in rows: columns are turned into ``a x + c y``, rows into ``b x + d y``."""
    data = frame.side_data.get(Type.DISPLAYMATRIX)  # pyright: ignore[reportCallIssue, reportArgumentType]
    if data is None:
        return 1, 0, 0, 1
    values = np.frombuffer(bytes(data), dtype=np.int32)  # pyright: ignore[reportArgumentType]
    return (int(values[0]), int(values[1]), int(values[3]), int(values[4])) if len(values) == 9 else (1, 0, 0, 1)


def _turned_size(size: tuple[int, int], matrix: tuple[int, int, int, int]) -> tuple[int, int]:
    return (size[1], size[0]) if abs(matrix[1]) > abs(matrix[0]) else size


def _upright(picture: UInt8[np.ndarray, "h w 3"], matrix: tuple[int, int, int, int]) -> UInt8[np.ndarray, "H W 3"]:
    """The picture after the quarter turn or mirroring that comes nearest to a display matrix."""
    a, b, c, d = matrix
    if abs(b) > abs(a):
        picture, a, d = picture.transpose(1, 0, 2), c, b
    picture = picture[:, ::-1] if a < 0 else picture
    return np.ascontiguousarray(picture[::-1] if d < 0 else picture)
