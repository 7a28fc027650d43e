"""Reading the photo that a scene begins with."""

from __future__ import annotations

import io
import math
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import ExifTags, Image, ImageCms, ImageOps
from torch import Tensor

DEFAULT_FOV_X_DEGREES = 60.0  # a phone's main camera has some 65 degrees across, a common lens for interiors 55
FULL_FRAME_DIAGONAL = math.hypot(36.0, 24.0)  # millimetres; focal lengths "in 35 mm" compare diagonals (CIPA DCG-001)
MILLIMETRES = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}  # EXIF's FocalPlaneResolutionUnit
PLAUSIBLE_FOV = (5.0, 150.0)
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
        original_size: (width, height) before cropping, upright.
    """

    name: str
    rgb: Float[Tensor, "h w 3"]
    fov_x_degrees: float | None
    original_size: tuple[int, int]


def load_photo(path: str | Path, width: int, height: int) -> Photo:
    """Reads any picture that Pillow can: turned upright, 8-bit sRGB, transparency over white, the middle cut out.

    The middle is the largest centred part of the target's aspect ratio; it is resampled with Lanczos' filter.

    Raises:
        ValueError: it is not a picture, is damaged, smaller than 16 pixels on a side or too large: Pillow reads up to 179
            megapixels, beyond which a small file can fill the memory.
        FileNotFoundError: there is no such file.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no photo {path}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        picture, exif = _read(path)
    upright_size = picture.size
    focal = _focal_in_diagonals(exif, picture.size)
    rgb = photo_of(picture, width, height)
    return Photo(path.name, rgb, None if focal is None else _field_of_view(focal, upright_size, width / height), upright_size)


def photo_of(picture: Image.Image, width: int, height: int) -> Float[Tensor, "h w 3"]:
    """The middle of an RGB picture at a size, as ``load_photo`` cuts it out."""
    cropped = ImageOps.fit(picture, (width, height), Image.Resampling.LANCZOS)
    return torch.from_numpy(np.array(cropped)).float() / 255


def _read(path: Path) -> tuple[Image.Image, Image.Exif]:
    """The upright picture in 8-bit sRGB, and its EXIF data."""
    try:
        with Image.open(path) as image:
            _check_size(path, *image.size)
            image.load()
            exif = image.getexif()
            return ImageOps.exif_transpose(_eight_bit_rgb(image)), exif
    except _SizeError as error:
        raise ValueError(str(error)) from None
    except Image.DecompressionBombError as error:
        raise ValueError(f"{path} is too large ({error}): scale it below 179 megapixels") from error
    except Exception as error:  # Pillow's many decoders raise errors of many kinds
        message = f"{path} cannot be read as a picture ({error}): expected a whole JPEG, PNG, WebP or TIFF"
        raise ValueError(message) from error


class _SizeError(Exception):
    """The picture has too many or too few pixels."""


def _check_size(path: Path, width: int, height: int) -> None:
    if width * height > LARGEST_PIXELS:
        raise _SizeError(f"{path} has {width}x{height} pixels: scale it below {LARGEST_PIXELS // 1_000_000} megapixels")
    if min(width, height) < SMALLEST_SIDE:
        raise _SizeError(f"{path} has {width}x{height} pixels: at least {SMALLEST_SIDE} on each side are needed")


def _eight_bit_rgb(image: Image.Image) -> Image.Image:
    """Any mode as RGB with 8 bits; the EXIF orientation is kept for ``exif_transpose``."""
    if image.mode.startswith(("I", "F")):
        values = np.asarray(image).astype(np.float32)
        converted = Image.fromarray((values * (255 / _top(image.mode, values))).clip(0, 255).round().astype(np.uint8)).convert(
            "RGB"
        )
    elif image.has_transparency_data:
        over = image.convert("RGBA")
        converted = Image.new("RGB", image.size, WHITE)
        converted.paste(over, mask=over.getchannel("A"))
    else:
        converted = _to_srgb(image)
    orientation = image.getexif().get(ExifTags.Base.Orientation)
    if orientation:
        converted.getexif()[ExifTags.Base.Orientation] = orientation
    return converted


def _top(mode: str, values: np.ndarray) -> float:
    """The value of white in greyscale of more than 8 bits: 65535, or for float 1 or 255."""
    if mode.startswith("F"):
        return 1.0 if values.max() <= 1.0 else 255.0
    return 65535.0


def _to_srgb(image: Image.Image) -> Image.Image:
    """RGB through the embedded colour profile (Display P3, a printer's CMYK), where there is a usable one."""
    profile = image.info.get("icc_profile")
    if profile and image.mode in ("RGB", "CMYK"):
        try:
            source, target = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
            converted = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
        except (ImageCms.PyCMSError, OSError):
            converted = None  # a damaged profile, or one for another mode: the plain conversion does
        if converted is not None:
            return converted
    return image.convert("RGB")


def _focal_in_diagonals(exif: Image.Exif, size: tuple[int, int]) -> float | None:
    """Focal length as a multiple of the picture's diagonal, from its 35 mm equivalent or from the sensor's resolution."""
    tags = exif.get_ifd(ExifTags.IFD.Exif)

    def positive(tag: ExifTags.Base) -> float | None:
        try:
            value = float(tags[tag])
        except (KeyError, TypeError, ValueError, ZeroDivisionError):
            return None
        return value if math.isfinite(value) and value > 0 else None

    equivalent = positive(ExifTags.Base.FocalLengthIn35mmFilm)
    if equivalent is not None:
        return equivalent / FULL_FRAME_DIAGONAL
    focal, per_unit = positive(ExifTags.Base.FocalLength), positive(ExifTags.Base.FocalPlaneXResolution)
    unit = MILLIMETRES.get(int(positive(ExifTags.Base.FocalPlaneResolutionUnit) or 2))
    columns = positive(ExifTags.Base.ExifImageWidth)
    if focal is None or per_unit is None or unit is None or columns is None:
        return None
    # The resolution counts the pixels of the shot; the file may have been scaled since, so the sensor's width is what counts.
    long, short = max(size), min(size)
    rows = positive(ExifTags.Base.ExifImageHeight) or columns * short / long
    return focal / (math.hypot(columns, rows) / per_unit * unit)


def _field_of_view(focal_in_diagonals: float, size: tuple[int, int], aspect: float) -> float | None:
    """Horizontal field of view in degrees of the centre crop of ``aspect``; None where the EXIF data are implausible."""
    width, height = size
    half_width = 0.5 * min(width, height * aspect)
    degrees = 2 * math.degrees(math.atan(half_width / (focal_in_diagonals * math.hypot(width, height))))
    return degrees if PLAUSIBLE_FOV[0] <= degrees <= PLAUSIBLE_FOV[1] else None
