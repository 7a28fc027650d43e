"""Reading the photo that a scene begins with."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image, ImageOps
from torch import Tensor

from splatmem.io import exif
from splatmem.io.pictures import Picture, read_picture

DEFAULT_FOV_X_DEGREES = 60.0  # a phone's main camera has some 65 degrees across, a common lens for interiors 55
FULL_FRAME_DIAGONAL = math.hypot(36.0, 24.0)  # millimetres; focal lengths "in 35 mm" compare diagonals (CIPA DCG-001)
MILLIMETRES = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}  # EXIF's FocalPlaneResolutionUnit
PLAUSIBLE_FOV = (5.0, 150.0)


@dataclass(frozen=True)
class Photo:
    """A photo cropped to the film's aspect ratio and scaled to its size.

    Attributes:
        name: of the file.
        rgb: sRGB, 0..1, ``[h, w, 3]``.
        fov_x_degrees: horizontal field of view of the crop from the EXIF data, or None.
        original_size: (width, height) before cropping, upright.
        notes: sentences for the report.
    """

    name: str
    rgb: Float[Tensor, "h w 3"]
    fov_x_degrees: float | None
    original_size: tuple[int, int]
    notes: tuple[str, ...] = ()


def load_photo(path: str | Path, width: int, height: int) -> Photo:
    """Reads a picture of the formats in ``splatmem.io.pictures``: turned upright, 8-bit sRGB, over white, the middle cut out.

    The middle is the largest centred part of the target's aspect ratio; it is resampled with Lanczos' filter.

    Raises:
        ValueError: it is not a picture, is damaged, smaller than 16 pixels on a side or too large: Pillow reads up to 179
            megapixels, beyond which a small file can fill the memory.
        FileNotFoundError: there is no such file.
    """
    return photo_from(read_photo(path), Path(path).name, width, height)


def read_photo(path: str | Path) -> Picture:
    """A photo as it is, upright; errors as of ``load_photo``."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no photo {path}")
    return read_picture(path)


def photo_from(picture: Picture, name: str, width: int, height: int) -> Photo:
    """A picture that was read, as ``load_photo`` gives it."""
    size = picture.image.size
    focal = _focal_in_diagonals(picture.exif, size)
    fov = None if focal is None else _field_of_view(focal, size, width / height)
    return Photo(name, photo_of(picture.image, width, height), fov, size, picture.notes)


def photo_of(picture: Image.Image, width: int, height: int) -> Float[Tensor, "h w 3"]:
    """The middle of an RGB picture at a size, as ``load_photo`` cuts it out."""
    cropped = ImageOps.fit(picture, (width, height), Image.Resampling.LANCZOS)
    return torch.from_numpy(np.array(cropped)).float() / 255


def _focal_in_diagonals(tags: dict[int, float], size: tuple[int, int]) -> float | None:
    """Focal length as a multiple of the picture's diagonal, from its 35 mm equivalent or from the sensor's resolution."""

    def positive(tag: int) -> float | None:
        value = tags.get(tag, 0.0)
        return value if value > 0 else None

    equivalent = positive(exif.FOCAL_LENGTH_35MM)
    if equivalent is not None:
        return equivalent / FULL_FRAME_DIAGONAL
    focal, per_unit = positive(exif.FOCAL_LENGTH), positive(exif.FOCAL_PLANE_X_RESOLUTION)
    unit = MILLIMETRES.get(int(positive(exif.FOCAL_PLANE_UNIT) or 2))
    columns = positive(exif.IMAGE_WIDTH)
    if focal is None or per_unit is None or unit is None or columns is None:
        return None
    # The resolution counts the pixels of the shot; the file may have been scaled since, so the sensor's width is what counts.
    long, short = max(size), min(size)
    rows = positive(exif.IMAGE_HEIGHT) or columns * short / long
    return focal / (math.hypot(columns, rows) / per_unit * unit)


def _field_of_view(focal_in_diagonals: float, size: tuple[int, int], aspect: float) -> float | None:
    """Horizontal field of view in degrees of the centre crop of ``aspect``; None where the EXIF data are implausible."""
    width, height = size
    half_width = 0.5 * min(width, height * aspect)
    degrees = 2 * math.degrees(math.atan2(half_width, focal_in_diagonals * math.hypot(width, height)))
    return degrees if PLAUSIBLE_FOV[0] <= degrees <= PLAUSIBLE_FOV[1] else None
