"""What COLMAP's text and binary files both say of cameras and images (https://colmap.github.io/format.html)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from splatmem.io.distortion import Distortion, finite
from splatmem.io.intrinsics import Intrinsics
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
# Of the models that can be read: how many focal lengths they have, and whether they are fisheyes. After focal lengths and
# principal point comes the distortion, in OpenCV's order.
READABLE = {
    "SIMPLE_PINHOLE": (1, False),
    "PINHOLE": (2, False),
    "SIMPLE_RADIAL": (1, False),
    "RADIAL": (1, False),
    "OPENCV": (2, False),
    "FULL_OPENCV": (2, False),
    "SIMPLE_FISHEYE": (1, True),
    "FISHEYE": (2, True),
    "SIMPLE_RADIAL_FISHEYE": (1, True),
    "RADIAL_FISHEYE": (1, True),
    "OPENCV_FISHEYE": (2, True),
}


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


def intrinsics_of(model: str, width: int, height: int, parameters: Sequence[float], where: str) -> Intrinsics:
    """The intrinsics of a camera, with its distortion.

    Raises:
        ValueError: its distortion cannot be undone, or its numbers are no lens; the message names ``where``.
    """
    count = dict(CAMERA_MODELS).get(model)
    if count is not None and len(parameters) != count:
        raise ValueError(f"{where}: {model} has {count} parameters, got {len(parameters)}")
    if model not in READABLE:
        raise ValueError(
            f"{where}: camera model {model} cannot be undistorted here, only {', '.join(READABLE)}; undistort the images first "
            "with `colmap image_undistorter`"
        )
    focals, fisheye = READABLE[model]
    coefficients = tuple(parameters[focals + 2 :])
    if not finite(coefficients):
        raise ValueError(f"{where}: camera model {model}: expected coefficients of distortion below 1e6, got {coefficients}")
    distortion = Distortion.of(fisheye, coefficients)
    lens = Intrinsics(
        parameters[0], parameters[focals - 1], parameters[focals], parameters[focals + 1], width, height, distortion
    )
    lens.check(where)
    return lens
