"""What COLMAP's text and binary files both say of cameras and images (https://colmap.github.io/format.html)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from splatmem.io.lenses import Lens
from splatmem.io.text import unit_quat

# Name and number of parameters of each camera model, at the place of its number in binary files.
CAMERA_MODELS = (
    ("SIMPLE_PINHOLE", 3),
    ("PINHOLE", 4),
    ("SIMPLE_RADIAL", 4),
    ("RADIAL", 5),
    ("OPENCV", 8),
    ("OPENCV_FISHEYE", 8),
    ("FULL_OPENCV", 12),
    ("FOV", 5),
    ("SIMPLE_RADIAL_FISHEYE", 4),
    ("RADIAL_FISHEYE", 5),
    ("THIN_PRISM_FISHEYE", 12),
    ("RAD_TAN_THIN_PRISM_FISHEYE", 16),
    ("SIMPLE_DIVISION", 4),
    ("DIVISION", 5),
    ("SIMPLE_FISHEYE", 3),
    ("FISHEYE", 4),
    ("EUCM", 6),
    ("EQUIRECTANGULAR", 2),
)
# Models that are pinholes where their distortion, which comes after focal lengths and principal point, is zero; and how many
# focal lengths they have.
FOCAL_LENGTHS = {"SIMPLE_PINHOLE": 1, "PINHOLE": 2, "SIMPLE_RADIAL": 1, "RADIAL": 1, "OPENCV": 2, "FULL_OPENCV": 2}


@dataclass(frozen=True)
class ImageRecord:
    """One registered image.

    Attributes:
        pose: world-to-cam, a unit quaternion ``wxyz`` and a translation, seven numbers.
        camera: id of the camera that took it.
        name: of its file, relative to the folder of the images.
    """

    pose: tuple[float, ...]
    camera: int
    name: str

    @staticmethod
    def checked(pose: Sequence[float], camera: int, name: str, where: str) -> ImageRecord:
        """Raises ``ValueError``, naming ``where``, if the pose's rotation is none."""
        return ImageRecord((*unit_quat(pose[:4], where), *pose[4:]), camera, name)


def pinhole(model: str, width: int, height: int, parameters: Sequence[float], where: str) -> Lens:
    """The intrinsics of a camera without distortion.

    Raises:
        ValueError: it has some, or its numbers are no pinhole; the message names ``where``.
    """
    count = dict(CAMERA_MODELS).get(model)
    if count is not None and len(parameters) != count:
        raise ValueError(f"{where}: {model} has {count} parameters, got {len(parameters)}")
    focals = FOCAL_LENGTHS.get(model, 0)
    if not focals or any(parameters[focals + 2 :]):
        raise ValueError(
            f"{where}: camera model {model}: only cameras without distortion can be read (SIMPLE_PINHOLE, PINHOLE); "
            "undistort the images first with `colmap image_undistorter`"
        )
    lens = Lens(parameters[0], parameters[focals - 1], parameters[focals], parameters[focals + 1], width, height)
    lens.check(where)
    return lens
