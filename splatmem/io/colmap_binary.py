"""COLMAP's binary model, as it writes it by default: cameras.bin and images.bin, little-endian and without padding."""

from __future__ import annotations

import math
import mmap
import struct
from pathlib import Path

from splatmem.io.colmap_records import CAMERA_MODELS, ImageRecord, intrinsics_of
from splatmem.io.intrinsics import Intrinsics

POINT_BYTES = 24  # of a feature in an image: x and y, and the id of its 3D point
LONGEST_NAME = 4096


def read_binary_images(file: Path) -> list[ImageRecord]:
    """The registered images; their features are skipped.

    Raises:
        ValueError: cut off, or no such file; the message names it and the image.
    """
    reader = _Reader(file)
    (count,) = reader.numbers("<Q", "the number of images")
    images = []
    for index in range(count):
        where = f"image {index + 1} of {count}"
        _, *pose, camera = reader.numbers("<I7dI", where)
        name = reader.name(where)
        (points,) = reader.numbers("<Q", where)
        reader.skip(points * POINT_BYTES, where)
        if not all(map(math.isfinite, pose)):
            raise ValueError(f"{file}: {where} ({name}): a value of its pose is NaN or infinite")
        images.append(ImageRecord.checked(pose, camera, name, f"{file}: {where} ({name})"))
    reader.end()
    return images


def read_binary_cameras(file: Path) -> dict[int, Intrinsics]:
    """The intrinsics by the cameras' ids.

    Raises:
        ValueError: cut off, no such file, or a camera's distortion cannot be undone; the message names it and the camera.
    """
    reader = _Reader(file)
    (count,) = reader.numbers("<Q", "the number of cameras")
    lenses = {}
    for index in range(count):
        where = f"camera {index + 1} of {count}"
        camera, number, width, height = reader.numbers("<Ii2Q", where)
        if not 0 <= number < len(CAMERA_MODELS):
            raise ValueError(f"{file}: {where}: camera model number {number} is not known")
        model, parameters = CAMERA_MODELS[number]
        lenses[camera] = intrinsics_of(model, width, height, reader.numbers(f"<{parameters}d", where), f"{file}: {where}")
    reader.end()
    return lenses


class _Reader:
    """Takes one thing after the other from a file's bytes."""

    def __init__(self, file: Path) -> None:
        self.file, self.position = file, 0
        with file.open("rb") as stream:  # mapped, not read: most of it are features, which are skipped
            self.content = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) if file.stat().st_size else b""

    def numbers(self, layout: str, where: str) -> tuple:
        start = self.position
        self.skip(struct.calcsize(layout), where)
        return struct.unpack_from(layout, self.content, start)

    def name(self, where: str) -> str:
        """Text up to a zero byte."""
        end = self.content.find(b"\0", self.position, self.position + LONGEST_NAME)
        if end < 0:
            self._refuse(where)
        text = self.content[self.position : end]
        self.position = end + 1
        try:
            return text.decode("utf-8")
        except UnicodeDecodeError:
            self._refuse(where)
            raise

    def skip(self, count: int, where: str) -> None:
        if self.position + count > len(self.content):
            self._refuse(where)
        self.position += count

    def end(self) -> None:
        """Raises ``ValueError`` if anything follows: the file should have ended."""
        if self.position != len(self.content):
            self._refuse("its end")

    def _refuse(self, where: str) -> None:
        raise ValueError(
            f"{self.file}: expected COLMAP's binary format, but {where} cannot be read: the file has {len(self.content)} bytes "
            "and is cut off, or is of another kind"
        )
