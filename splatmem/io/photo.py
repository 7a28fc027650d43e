"""Reading the photo that a scene begins with."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from torch import Tensor

DEFAULT_FOV_X_DEGREES = 60.0  # a phone's main camera has some 65 degrees across, a common lens for interiors 55
FULL_FRAME_WIDTH = 36.0  # millimetres, to which EXIF's 35 mm equivalent refers
SMALLEST_SIDE = 16
LARGEST_PIXELS = 200_000_000
WHITE = (255, 255, 255)


@dataclass(frozen=True)
class Photo:
    """A photo cropped to the film's aspect ratio and scaled to its size.

    Attributes:
        name: of the file.
        rgb: sRGB, 0..1, ``[h, w, 3]``.
        fov_x_degrees: horizontal field of view of the crop from the EXIF data, or None.
        original_size: (width, height) before cropping.
    """

    name: str
    rgb: Float[Tensor, "h w 3"]
    fov_x_degrees: float | None
    original_size: tuple[int, int]


def load_photo(path: Path, width: int, height: int) -> Photo:
    """Reads any picture that Pillow can: turned upright, 8-bit sRGB, transparency over white, the middle cut out.

    Raises:
        ValueError: it is not a picture, is damaged, smaller than 16 pixels on a side or larger than 200 megapixels.
        FileNotFoundError: there is no such file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no photo {path}")
    try:
        with Image.open(path) as image:
            if image.width * image.height > LARGEST_PIXELS:
                raise ValueError(f"{path} has {image.width}x{image.height} pixels: scale it below 200 megapixels")
            exif = image.getexif()
            picture = ImageOps.exif_transpose(_eight_bit_rgb(image))
    except (UnidentifiedImageError, Image.DecompressionBombError, SyntaxError, OSError) as error:
        raise ValueError(f"{path} cannot be read as a picture ({error}): expected a whole JPEG, PNG, WebP or TIFF") from error
    if min(picture.size) < SMALLEST_SIDE:
        raise ValueError(f"{path} has {picture.width}x{picture.height} pixels: at least 16 on each side are needed")
    cropped = ImageOps.fit(picture, (width, height), Image.Resampling.LANCZOS)
    fov = _field_of_view(exif, picture.size, width / height)
    rgb = torch.from_numpy(np.array(cropped)).float() / 255
    return Photo(path.name, rgb, fov, picture.size)


def _eight_bit_rgb(image: Image.Image) -> Image.Image:
    """Any mode as RGB with 8 bits; the EXIF orientation is kept."""
    if image.mode.startswith(("I", "F")):
        values = np.asarray(image).astype(np.float64)
        top = 65535.0 if values.max() > 255 else 255.0
        converted = Image.fromarray((values / top * 255).clip(0, 255).round().astype(np.uint8)).convert("RGB")
    elif "A" in image.getbands() or "transparency" in image.info:
        over = image.convert("RGBA")
        converted = Image.new("RGB", image.size, WHITE)
        converted.paste(over, mask=over.getchannel("A"))
    else:
        converted = image.convert("RGB")
    orientation = image.getexif().get(ExifTags.Base.Orientation)
    if orientation:
        converted.getexif()[ExifTags.Base.Orientation] = orientation
    return converted


def _field_of_view(exif: Image.Exif, size: tuple[int, int], aspect: float) -> float | None:
    """Horizontal field of view of the centre crop, from the focal length in 35 mm terms (of the long side)."""
    equivalent = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.FocalLengthIn35mmFilm)
    if not equivalent or not 5 <= float(equivalent) <= 1000:
        return None
    width, height = size
    cropped_width = min(width, height * aspect)
    half_width = 0.5 * FULL_FRAME_WIDTH * cropped_width / max(width, height)
    return math.degrees(2 * math.atan(half_width / float(equivalent)))
