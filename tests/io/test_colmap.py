"""COLMAP's binary models, against files that COLMAP 4.2 wrote, and against its text models."""

from __future__ import annotations

import base64
import struct
import zlib
from pathlib import Path

import pytest
import torch
from splatmem.io.colmap import load_colmap, read_colmap, save_colmap
from splatmem.io.path_files import load_path

from scene_folders import there_and_back, write_colmap_binary

# A SIMPLE_PINHOLE and an OPENCV camera without distortion; three images with two features, none and one.
CAMERAS = b"c-muPfB<$V-2kOM7?44L11jz0zzHN-Kuku6$OL5N4hax-2~he#JcM=#a$q0;0Pg$;BL"
IMAGES = (
    b"c-muTfB;4Y82Dh%Kq6oV;+)j968*HI#N5<)Lj%2nymSU86g5Afrm{HvhXNQMT^ywEtaW|byamtTE<xv`xfE&!hXW_7ODw?-fdN)H>w!HQy&skT0m{Ds<ts"
    b"RVyjYZ(o>8KZTA2#-C)jjG0^S4w@2W!b"
)
AS_TEXT = (
    """7 SIMPLE_PINHOLE 128 72 64 64 36
9 OPENCV 256 144 130 131 127 73 0 0 0 0
""",
    """1 1 0 0 0 0 0 0 7 left/frame_10.png
1.5 2.5 -1 2.5 2.5 -1
2 0.70710678118654757 0 0.70710678118654757 0 1 2 3 9 left/frame_9.png

5 0.5 0.5 -0.5 0.5 -1 0.25 8 7 right eye/frame_1.png
1.5 2.5 -1
""",
)


@pytest.fixture
def binary(tmp_path: Path) -> Path:
    folder = tmp_path / "binary"
    folder.mkdir()
    for name, content in (("cameras.bin", CAMERAS), ("images.bin", IMAGES)):
        (folder / name).write_bytes(zlib.decompress(base64.b85decode(content)))
    return folder


def test_what_colmap_wrote(binary: Path, tmp_path: Path) -> None:
    (tmp_path / "cameras.txt").write_text(AS_TEXT[0])
    (tmp_path / "images.txt").write_text(AS_TEXT[1])
    ours, text = read_colmap(binary), read_colmap(tmp_path)
    assert ours.names == text.names == ["left/frame_9.png", "left/frame_10.png", "right eye/frame_1.png"]
    assert ours.images == text.images
    assert ours.lenses == text.lenses
    target = {"width": 128, "height": 72}
    cameras = load_colmap(binary, **target)
    torch.testing.assert_close(
        cameras.world_to_cam[0], torch.tensor([[0, 0, 1, 1], [0, 1, 0, 2], [-1, 0, 0, 3], [0, 0, 0, 1.0]])
    )
    torch.testing.assert_close(cameras.intrinsics[0], torch.tensor([[65, 0, 63.5], [0, 65.5, 36.5], [0, 0, 1]]))
    for file in (binary, binary / "images.bin"):
        assert torch.equal(load_path(file, **target, fov_x_degrees=60.0).world_to_cam, cameras.world_to_cam)


def test_of_both_kinds_the_binary_files_count_as_for_colmap(binary: Path) -> None:
    save_colmap(there_and_back(8, 64, 36), binary)
    assert len(read_colmap(binary).images) == 3
    assert len(read_colmap(binary / "images.txt").images) == 7


def test_the_writer_of_these_tests_writes_what_is_read(tmp_path: Path) -> None:
    cameras = there_and_back(8, 64, 36, sway=0.4)
    write_colmap_binary(cameras, tmp_path, [f"{i}.png" for i in range(7)])
    loaded = load_colmap(tmp_path)
    torch.testing.assert_close(loaded.world_to_cam, cameras.world_to_cam)
    torch.testing.assert_close(loaded.intrinsics, cameras.intrinsics)


@pytest.mark.parametrize("name", ["cameras.bin", "images.bin"])
def test_files_that_are_cut_off_anywhere_are_refused(binary: Path, name: str) -> None:
    whole = (binary / name).read_bytes()
    for length in range(len(whole)):
        (binary / name).write_bytes(whole[:length])
        with pytest.raises(ValueError, match=rf"{name}: expected COLMAP's binary format.*has {length} bytes"):
            read_colmap(binary)
    (binary / name).write_bytes(whole + b"\0")
    with pytest.raises(ValueError, match="its end cannot be read"):
        read_colmap(binary)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (
            12,
            struct.pack("<i", 12),
            "camera 1 of 2: SIMPLE_DIVISION has 4 parameters|camera model SIMPLE_DIVISION cannot be undistorted|camera 2 of 2",
        ),
        (12, struct.pack("<i", 99), "camera 1 of 2: camera model number 99 is not known"),
        (32, struct.pack("<d", -64), "camera 1 of 2: expected positive focal lengths"),
        (136, struct.pack("<d", 1e9), "camera 2 of 2: camera model OPENCV: expected coefficients of distortion"),
        (8, struct.pack("<I", 8), r"refers to the camera 7, which .*cameras\.bin does not hold"),
    ],
)
def test_cameras_that_cannot_be_used(binary: Path, place: int, value: bytes, message: str) -> None:
    content = bytearray((binary / "cameras.bin").read_bytes())
    content[place : place + len(value)] = value
    (binary / "cameras.bin").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_colmap(binary)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (
            12,
            struct.pack("<d", 7),
            r"image 1 of 3 \(left/frame_10.png\): expected a quaternion of length 1, got one of length 7",
        ),
        (44, struct.pack("<d", float("nan")), r"image 1 of 3 \(left/frame_10.png\): a value of its pose is NaN"),
        (72, b"\xff", "image 1 of 3 cannot be read"),
    ],
)
def test_images_that_cannot_be_used(binary: Path, place: int, value: bytes, message: str) -> None:
    content = bytearray((binary / "images.bin").read_bytes())
    content[place : place + len(value)] = value
    (binary / "images.bin").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_colmap(binary)


def test_nothing_there(tmp_path: Path, binary: Path) -> None:
    for path in (tmp_path, tmp_path / "images.bin"):
        with pytest.raises(ValueError, match=r"expected COLMAP's images\.bin or images\.txt there"):
            read_colmap(path)
    (binary / "cameras.bin").unlink()
    with pytest.raises(ValueError, match=r"expected cameras\.bin beside images\.bin"):
        load_colmap(binary)
    assert load_colmap(binary, width=64, height=36, fov_x_degrees=90.0).focal[0, 0].item() == pytest.approx(32)
