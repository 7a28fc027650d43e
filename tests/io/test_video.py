from pathlib import Path

import av
import numpy as np
import pytest
import torch
from splatmem.io.video import VideoWriter, read_video, write_video
from splatmem.io.video_frames import forgiving, survey_video


def smooth_frames(count: int, height: int, width: int) -> np.ndarray:
    v, u = np.mgrid[:height, :width]
    frames = [np.stack([u * 200 / width + t, v * 200 / height, 0 * u + 90 + t], axis=-1) for t in range(count)]
    return np.stack(frames).astype(np.uint8)


def test_round_trip(tmp_path: Path) -> None:
    frames = smooth_frames(5, 48, 64)
    write_video(tmp_path / "a.mp4", iter(frames), fps=24, crf=10)
    back = read_video(tmp_path / "a.mp4")
    assert back.dtype == np.uint8
    assert back.shape == frames.shape
    assert np.abs(back.astype(int) - frames).mean() < 2.5


def test_colours_are_tagged_and_kept(tmp_path: Path) -> None:
    frames = np.full((2, 32, 32, 3), (200, 30, 60), np.uint8)
    write_video(tmp_path / "a.mp4", frames, fps=24)
    assert np.abs(read_video(tmp_path / "a.mp4").astype(int) - frames).max() <= 3
    with av.open(str(tmp_path / "a.mp4")) as container:
        frame = next(container.decode(video=0))
    assert (frame.format.name, int(frame.colorspace), int(frame.color_range)) == ("yuv420p", 1, 1)


def test_a_float_tensor(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", torch.full((3, 16, 16, 3), 2.0), fps=10)
    assert read_video(tmp_path / "a.mp4").min() > 250


def test_odd_sizes_are_padded(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", smooth_frames(2, 31, 45), fps=24)
    assert read_video(tmp_path / "a.mp4").shape == (2, 32, 46, 3)


@pytest.mark.parametrize("fps", [24, 29.97, 12.5])
def test_plays_everywhere(tmp_path: Path, fps: float) -> None:
    """H.264, with the index before the data so that a browser can start at once."""
    write_video(tmp_path / "a.mp4", smooth_frames(4, 32, 32), fps=fps)
    content = (tmp_path / "a.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert float(stream.average_rate or 0) == pytest.approx(fps, rel=1e-3)
        assert stream.frames == 4


def test_same_frames_same_bytes(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        write_video(tmp_path / name, smooth_frames(6, 64, 64), fps=24)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_frames_are_taken_one_at_a_time(tmp_path: Path) -> None:
    written = []

    def frames():
        for frame in smooth_frames(4, 32, 32):
            written.append((tmp_path / "a.mp4").exists())
            yield frame

    write_video(tmp_path / "a.mp4", frames(), fps=24)
    assert written == [False] * 4


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    frame = smooth_frames(1, 32, 32)[0]
    with pytest.raises(KeyboardInterrupt), VideoWriter(tmp_path / "a.mp4", 32, 32, 24) as video:
        video.write(frame)
        raise KeyboardInterrupt
    with pytest.raises(ValueError, match=r"must be uint8 \(32, 32, 3\), got uint8 \(16, 32, 3\)"):
        write_video(tmp_path / "a.mp4", [frame, frame[:16]], fps=24)
    assert list(tmp_path.iterdir()) == []


def test_bad_arguments(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one frame"):
        write_video(tmp_path / "a.mp4", [], fps=24)
    with pytest.raises(ValueError, match="0 frames per second"):
        write_video(tmp_path / "a.mp4", smooth_frames(1, 16, 16), fps=0)
    with pytest.raises(OSError, match=r"cannot write into the folder .*nowhere"):
        write_video(tmp_path / "nowhere" / "a.mp4", smooth_frames(1, 16, 16), fps=24)


def test_not_a_video(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("hello")
    with pytest.raises(ValueError, match=r"a\.mp4: expected a video"):
        read_video(tmp_path / "a.mp4")
    with pytest.raises(FileNotFoundError, match=r"b\.mp4"):
        read_video(tmp_path / "b.mp4")


@pytest.mark.parametrize(("width", "height"), [(96, 64), (104, 72), (200, 120), (256, 144)])
def test_the_same_frames_give_the_same_bytes_every_time(tmp_path: Path, width: int, height: int) -> None:
    """Whatever lies in memory beside them."""
    ramp = np.linspace(0, 1, width * height * 3, dtype=np.float32).reshape(1, height, width, 3)
    waves = np.sin(40 * ramp + np.arange(12, dtype=np.float32)[:, None, None, None])
    frames = [(127 + 120 * wave).astype(np.uint8) for wave in waves]
    contents = set()
    for attempt in range(8):
        junk = [np.full(size, 37 * attempt % 251, dtype=np.uint8) for size in range(1_000, 400_000, 20_000)]
        del junk
        write_video(tmp_path / "film.mp4", frames, 24)
        contents.add((tmp_path / "film.mp4").read_bytes())
    assert len(contents) == 1


def test_a_title_that_is_no_text_is_no_reason_to_refuse_a_video(tmp_path: Path) -> None:
    file = tmp_path / "a.mp4"
    with av.open(str(file), "w", format="mp4") as container:
        container.metadata["title"] = "abcdefgh"
        stream = container.add_stream("libx264", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 80, np.uint8), format="rgb24")
        container.mux([*stream.encode(frame), *stream.encode()])
    written = file.read_bytes()
    assert b"abcdefgh" in written
    file.write_bytes(written.replace(b"abcdefgh", b"ab\xff\xfe\xc3cgh"))
    assert survey_video(file).count == 1


@pytest.mark.parametrize(("version", "told"), [("15.1.0", True), ("18.1.0", True), ("19.0.2", False), ("20.0.0rc1", False)])
def test_pyav_is_told_what_its_version_knows(version: str, told: bool) -> None:
    assert bool(forgiving(version)) == told
