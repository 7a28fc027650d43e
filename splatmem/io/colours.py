"""Pictures of any mode, depth and colour profile as 8-bit sRGB."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms
from PIL.TiffImagePlugin import TiffImageFile

WHITE = (255, 255, 255)
BITS_PER_SAMPLE, MAX_SAMPLE = 258, 281
# Cameras and microscopes write 10, 12 or 14 bits into 16: white is the largest of these that the picture comes up to.
SMALLER_TOPS = (1023.0, 4095.0, 16383.0)
REACHED = {1023.0: 0.5, 4095.0: 0.5, 16383.0: 0.9}  # share of such a white that the brightest pixel has at least
OVERSHOOT = 4.0  # floating-point pictures with white at 1 shoot over it by less than this, but for a hundredth of the pixels
FLOAT_TOPS = (255.0, 65535.0)
BRIGHTEST = 3e38  # what infinite brightness counts as


def eight_bit_rgb(image: Image.Image, path: Path) -> tuple[Image.Image, tuple[str, ...]]:
    """The loaded picture in 8-bit sRGB, transparency over white, and what a report should say of it.

    Args:
        image: of any mode.
        path: of its file.
    """
    deep = _deep_rgb(image, path)
    if deep is not None:
        top = _top_of_16_bits(image, deep)
        pixels = Image.fromarray((deep.astype(np.float32) * (255 / top)).clip(0, 255).round().astype(np.uint8))
        return _to_srgb(pixels, image.info.get("icc_profile")), _said(top)
    if image.mode.startswith(("I", "F")):
        return _from_deep_grey(image)
    profile = image.info.get("icc_profile")
    if image.has_transparency_data:
        over = image.convert("RGBA")
        converted = Image.new("RGB", image.size, WHITE)
        converted.paste(_to_srgb(over.convert("RGB"), profile, grey=image.mode in ("L", "LA")), mask=over.getchannel("A"))
        return converted, ()
    if image.mode in ("P", "PA", "RGBa", "RGBX", "1", "YCbCr", "HSV"):
        image = image.convert("RGB")
    return _to_srgb(image, profile), ()


def _from_deep_grey(image: Image.Image) -> tuple[Image.Image, tuple[str, ...]]:
    """Greyscale of more than 8 bits; its profile is applied before bits are lost."""
    values = np.nan_to_num(np.asarray(image).astype(np.float32), nan=0.0, posinf=BRIGHTEST, neginf=0.0)
    top = _top_of_float(values) if image.mode.startswith("F") else _top_of_16_bits(image, values)
    grey = (values * (255 / top)).clip(0, 255)
    ramp = _to_srgb(Image.fromarray(np.arange(256, dtype=np.uint8)[None]), image.info.get("icc_profile"))
    grey = np.interp(grey, np.arange(256), np.asarray(ramp)[0, :, 1])
    return Image.fromarray(grey.round().astype(np.uint8)).convert("RGB"), () if image.mode.startswith("F") else _said(top)


def _said(top: float) -> tuple[str, ...]:
    if top == 65535.0:
        return ()
    return (f"the picture holds {round(top).bit_length()} bits in 16: its white was taken to be {top:g}",)


def _top_of_float(values: np.ndarray) -> float:
    """The value of white: 1, or 255, or 65535, by what all but the brightest pixels come up to."""
    common = float(np.quantile(values, 0.99))
    return 1.0 if common <= OVERSHOOT else next((top for top in FLOAT_TOPS if common <= 1.5 * top), common)


def _top_of_16_bits(image: Image.Image, values: np.ndarray) -> float:
    """The value of white: what a TIFF says, else that of 10, 12 or 14 bits where the brightest pixel speaks for it."""
    if isinstance(image, TiffImageFile):
        bits, most = (_first(image.tag_v2.get(tag)) for tag in (BITS_PER_SAMPLE, MAX_SAMPLE))
        if most is not None and 255 < most < 65535 and float(values.max()) <= most:
            return float(most)
        if bits is not None and 8 < bits < 16:
            return float(2**bits - 1)
    brightest = float(values.max())
    return next((top for top in SMALLER_TOPS if REACHED[top] * top <= brightest <= top), 65535.0)


def _first(value: object) -> float | None:
    if isinstance(value, tuple | list):
        value = value[0] if value else None
    return float(value) if isinstance(value, int | float) else None


def _deep_rgb(image: Image.Image, path: Path) -> np.ndarray | None:
    """Colours of 16 bits of a TIFF, of which Pillow keeps the upper 8: too few where only 12 are used."""
    if not isinstance(image, TiffImageFile) or image.mode not in ("RGB", "RGBA") or _first(image.tag_v2.get(258)) != 16:
        return None
    import cv2

    flags = cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
    pixels = cv2.imdecode(np.fromfile(path, np.uint8), flags)
    if pixels is None or pixels.dtype != np.uint16 or pixels.ndim != 3 or pixels.shape[:2] != image.size[::-1]:
        return None
    return pixels[..., 2::-1] if pixels.shape[2] == 3 else None


def float_rgb(path: Path) -> Image.Image | None:
    """A TIFF with floating-point colours, which Pillow has no mode for, in 8 bits; None if it is none."""
    import cv2

    pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None or pixels.dtype not in (np.float32, np.float64) or pixels.ndim != 3 or pixels.shape[2] != 3:
        return None
    values = np.nan_to_num(pixels[..., ::-1].astype(np.float32), nan=0.0, posinf=BRIGHTEST, neginf=0.0)
    return Image.fromarray((values * (255 / _top_of_float(values))).clip(0, 255).round().astype(np.uint8))


def _to_srgb(image: Image.Image, profile: bytes | None, grey: bool = False) -> Image.Image:
    """RGB through the embedded colour profile (Display P3, a printer's CMYK, linear grey), where there is a usable one.

    Args:
        grey: the picture was grey before it was made RGB, and its profile is one for grey.
    """
    if profile:
        image = image.convert("L") if grey and image.mode == "RGB" else image
        try:
            source, target = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
            converted = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            converted = None  # a damaged profile, or one for another mode: the plain conversion does
        if converted is not None:
            return converted
    if image.mode == "LAB":
        made = ImageCms.profileToProfile(image, ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), outputMode="RGB")
        if made is not None:
            return made
    return image.convert("RGB")
