"""The one place where pictures are opened: a fixed list of formats, and what cameras and programs write into them.

Pillow chooses a decoder by a file's content, and some of its decoders start other programs (PostScript), so the list is given.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from splatmem.io.colours import eight_bit_rgb, float_rgb
from splatmem.io.exif import exif_numbers, orientation_of
from splatmem.io.png_chunks import SIGNATURE, only_pixels, require_room

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "JPEG2000", "BMP", "GIF", "PPM")
EXPECTED = "expected a whole JPEG, PNG, WebP, AVIF, TIFF, JPEG 2000, BMP, GIF or PPM"
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
RAW_SUFFIXES = (".dng", ".cr2", ".cr3", ".nef", ".nrw", ".arw", ".raf", ".orf", ".rw2", ".pef", ".srw", ".3fr", ".iiq")
TIFF_HEADS = (b"II*\0", b"MM\0*")
DNG_VERSION, SUBFILE_TYPE, PHOTOMETRIC = 50706, 254, 262
IMAGE_WIDTH, IMAGE_LENGTH = 256, 257
SENSOR_MOSAIC, LINEAR_RAW = 32803, 34892
SMALLEST_SIDE = 16
LARGEST_PIXELS = 200_000_000
LONGEST_PROFILE = 64 * 2**20  # bytes of a colour profile; Pillow's own limit is one megabyte
# Clockwise turns by EXIF's orientation (CIPA DC-008): what is to be done to the stored picture so that it stands upright.
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class Picture:
    """A picture that was read whole.

    Attributes:
        image: 8-bit sRGB.
        exif: numbers of its EXIF data by tag, see ``splatmem.io.exif``.
        xmp: its XMP data, or nothing.
        notes: sentences for the report.
    """

    image: Image.Image
    exif: dict[int, float]
    xmp: bytes
    notes: tuple[str, ...] = ()


@contextmanager
def open_picture(path: Path) -> Iterator[Image.Image]:
    """A picture in its own mode and as it is stored, not decoded yet.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is none of the formats, damaged, too large, or a camera's raw file; also of what the block raises while
            it decodes. The message names the file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no picture {path}")
    try:
        with warnings.catch_warnings(), _room_for_profiles():
            warnings.simplefilter("ignore")
            with _opened(path) as image:
                width, height = image.size
                if width * height > LARGEST_PIXELS:
                    megapixels = LARGEST_PIXELS // 1_000_000
                    raise RefusedPicture(f"{path} has {width}x{height} pixels: scale it below {megapixels} megapixels")
                _refuse_raw(path, image)
                yield image
    except RefusedPicture:
        raise
    except Image.DecompressionBombError as error:
        pixels = re.search(r"(\d+) pixels", str(error))
        size = f"has {int(pixels[1]) // 1_000_000} megapixels" if pixels else "is too large"
        raise RefusedPicture(f"{path} {size}: scale it below 179 megapixels") from error
    except MemoryError:
        raise
    except UnidentifiedImageError as error:
        raise RefusedPicture(f"{path} cannot be read as a picture: it is none, or of another kind; {EXPECTED}") from error
    except Exception as error:  # Pillow's decoders raise errors of many kinds
        raise RefusedPicture(f"{path} cannot be read as a picture ({error}): {EXPECTED}") from error


def read_picture(path: Path, *, upright: bool = True) -> Picture:
    """Reads a picture of any mode as 8-bit sRGB, transparency over white.

    Args:
        path: the file.
        upright: whether EXIF's orientation is honoured. Pictures whose cameras are given count as they are stored.

    Raises:
        FileNotFoundError, ValueError: as ``open_picture``; or it is smaller than 16 pixels on a side.
    """
    with open_picture(path) as image:
        width, height = image.size
        if min(width, height) < SMALLEST_SIDE:
            raise RefusedPicture(f"{path} has {width}x{height} pixels: at least {SMALLEST_SIDE} on each side are needed")
        image.load()
        converted, notes = eight_bit_rgb(image, path)
        exif, xmp = exif_numbers(_exif_bytes(path, image)), _xmp_bytes(image)
    turn = UPRIGHT.get(orientation_of(exif)) if upright else None
    return Picture(converted if turn is None else converted.transpose(turn), exif, xmp, notes)


def picture_size(path: Path) -> tuple[int, int]:
    """(width, height) as the picture is stored, whatever its EXIF data say of turning it."""
    with open_picture(path) as image:
        return image.size


def read_mask(path: Path, width: int, height: int) -> np.ndarray:
    """Where a mask's picture is not black, ``bool [height, width]``; scaled by the nearest pixel to a size."""
    with open_picture(path) as image:
        image.load()
        if image.mode in ("RGBA", "LA"):
            image = image.convert("RGBA").getchannel("A") if image.convert("L").getextrema() == (0, 0) else image
        grey = image if image.mode.startswith(("I", "F", "1", "L")) and image.mode != "LA" else image.convert("L")
        values = np.asarray(grey.resize((width, height), Image.Resampling.NEAREST)).astype(np.float32)
    return values > 0.5 * (values.max() if values.max() > 0 else 1)


class RefusedPicture(ValueError):
    """A picture that is not read; the message is a whole sentence."""


@contextmanager
def _room_for_profiles() -> Iterator[None]:
    """Pillow refuses PNG files whose colour profile is longer than a megabyte."""
    before = PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY
    PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = LONGEST_PROFILE
    try:
        yield
    finally:
        PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY = before


def _opened(path: Path) -> Image.Image:
    with path.open("rb") as file:
        head = file.read(64)
    if path.suffix.lower() in RAW_SUFFIXES:
        _refuse_as_raw(path)
    if _is_heif(head):
        return _opened_heif(path)
    if head.startswith(SIGNATURE):
        content = path.read_bytes()
        image = Image.open(io.BytesIO(only_pixels(content)), formats=("PNG",))
        require_room(content)
        return image
    try:
        return Image.open(path, formats=FORMATS)
    except UnidentifiedImageError:
        image = _opened_float(path) if head[:4] in TIFF_HEADS else None
        if image is None:
            raise
        return image


def _opened_float(path: Path) -> Image.Image | None:
    tags = exif_numbers(path.read_bytes())
    if tags.get(IMAGE_WIDTH, 0) * tags.get(IMAGE_LENGTH, 0) > LARGEST_PIXELS or DNG_VERSION in tags:
        return None
    return float_rgb(path)


def _is_heif(head: bytes) -> bool:
    """Whether a file's first bytes say HEIC: the brand, or those that it is compatible with, without AVIF's."""
    if head[4:8] != b"ftyp":
        return False
    length = min(int.from_bytes(head[:4], "big"), len(head))
    brands = [head[8:12], *(head[place : place + 4] for place in range(16, length - 3, 4))]
    return not {b"avif", b"avis"} & set(brands) and any(brand in HEIF_BRANDS for brand in brands)


def _opened_heif(path: Path) -> Image.Image:
    try:
        import pillow_heif  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise RefusedPicture(
            f"{path} is a HEIC picture, which needs the package pillow-heif: pip install 'splatmem[heif]', or save it as JPEG"
        ) from None
    pillow_heif.register_heif_opener()
    return Image.open(path, formats=("HEIF",))


def _refuse_raw(path: Path, image: Image.Image) -> None:
    """Raw files are TIFF files whose first picture is a thumbnail."""
    if not isinstance(image, TiffImageFile):
        return
    tags = image.tag_v2
    reduced = tags.get(SUBFILE_TYPE, 0)
    if DNG_VERSION in tags or tags.get(PHOTOMETRIC) in (SENSOR_MOSAIC, LINEAR_RAW):
        _refuse_as_raw(path)
    if isinstance(reduced, int) and reduced & 1:
        raise RefusedPicture(
            f"{path} begins with a thumbnail of another picture, as a camera's raw files do: save the picture itself as JPEG, "
            "PNG or TIFF"
        )


def _refuse_as_raw(path: Path) -> None:
    raise RefusedPicture(
        f"{path} is a camera's raw file, of which only a thumbnail could be shown here: develop it to JPEG, PNG or TIFF first"
    )


def _exif_bytes(path: Path, image: Image.Image) -> bytes:
    if isinstance(image, TiffImageFile):
        return path.read_bytes()
    content = image.info.get("exif")
    return content if isinstance(content, bytes) else b""


def _xmp_bytes(image: Image.Image) -> bytes:
    content = image.info.get("xmp", image.info.get("XML:com.adobe.xmp"))
    if content is None and isinstance(image, TiffImageFile):
        content = image.tag_v2.get(700)
    if isinstance(content, str):
        return content.encode("utf-8", "replace")
    return content if isinstance(content, bytes) else b""
