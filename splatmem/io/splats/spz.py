"""Writes .spz, Niantic's packed format (https://github.com/nianticlabs/spz), version 3; axes are x right, y up, z backward.

gaussforge writes the same numbers, but it prints meanwhile, and holds up all other threads of Python: every film ends with two
of these files, which are written while it is drawn.
"""

from __future__ import annotations

import gzip
import math
import struct
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float32, UInt8, UInt32

from splatmem.gaussians import Gaussians
from splatmem.io.ply import require_finite
from splatmem.io.splats.axes import half_turn_about_x

MAGIC, VERSION = 0x5053474E, 3
FRACTION_BITS, PLACE_BYTES = 12, 3  # of each coordinate, a whole number with a sign
SPZ_REACH = 2000.0  # what it holds at most, nearly
COLOUR_STEPS = 0.15 * 255  # per unit of the constant band
SCALE_STEPS, LOWEST_SCALE = 16.0, -10.0  # of log scales
ROTATION_BYTES = 4
ROTATION_STEPS = 511  # of a component between 0 and its largest, 1 over the root of 2
HARMONIC_BITS = 5, 4  # that are kept of the first band and of the others
DEGREES = {1: 0, 4: 1, 9: 2, 16: 3}  # by the number of coefficients
LEVEL = 6  # of gzip's 9


def packed_together(parts: Sequence[bytes]) -> bytes:
    """A whole file."""
    return gzip.compress(b"".join(parts), LEVEL, mtime=0)


def spz_parts(gaussians: Gaussians) -> tuple[list[bytes], list[str]]:
    """What a file holds before it is packed, and what a reader should know: a header, and then, of all Gaussians each, places,
    opacities, colours, scales, rotations and further bands of harmonics.

    Raises:
        ValueError: a parameter is NaN or infinite, or most Gaussians lie beyond the format's reach.
    """
    require_finite(gaussians)
    gaussians, notes = _within_reach(gaussians)
    gaussians = half_turn_about_x(gaussians)
    sh = gaussians.sh.numpy()
    header = struct.pack("<IIIBBBB", MAGIC, VERSION, len(sh), DEGREES[sh.shape[1]], FRACTION_BITS, 0, 0)
    places = _rounded(gaussians.means.numpy() * 2**FRACTION_BITS).astype("<i4").view(np.uint8).reshape(-1, 4)
    numbers = [
        places[:, :PLACE_BYTES],
        _bytes(gaussians.opacities.numpy() * 255),
        _bytes(sh[:, 0] * np.float32(COLOUR_STEPS) + np.float32(0.5 * 255)),
        _bytes((gaussians.log_scales.numpy() - LOWEST_SCALE) * SCALE_STEPS),
        _rotations(gaussians.quats.numpy()),
        _harmonics(sh[:, 1:]),
    ]
    return [header, *(values.tobytes() for values in numbers)], notes


def in_planes(parts: Sequence[bytes]) -> list[bytes]:
    """The parts with places and rotations byte by byte: the first bytes of all, then all second ones, and so on. High bytes of
    neighbours are alike, so that it packs a quarter better."""
    header, places, *others, rotations, harmonics = parts
    planes = [
        np.frombuffer(part, np.uint8).reshape(-1, size).T.tobytes()
        for part, size in ((places, 3 * PLACE_BYTES), (rotations, ROTATION_BYTES))
    ]
    return [header, planes[0], *others, planes[1], harmonics]


def _rounded(values: Float32[np.ndarray, "..."]) -> Float32[np.ndarray, "..."]:
    """To the nearest whole number, halves away from zero, as C rounds."""
    return np.trunc(values + np.copysign(np.float32(0.5), values))


def _bytes(values: Float32[np.ndarray, "..."]) -> UInt8[np.ndarray, "..."]:
    return _rounded(values).clip(0, 255).astype(np.uint8)


def _rotations(wxyz: Float32[np.ndarray, "n 4"]) -> UInt32[np.ndarray, " n"]:
    """The number of the largest component, which follows from the others, and these in ten bits each, sign and size."""
    length = np.linalg.norm(wxyz, axis=1, keepdims=True)
    wxyz = np.where(length > 0, wxyz / np.maximum(length, np.finfo(np.float32).tiny), np.array([1, 0, 0, 0], np.float32))
    xyzw = wxyz[:, [1, 2, 3, 0]]
    largest = np.abs(xyzw).argmax(axis=1)[:, None]
    sign = np.take_along_axis(xyzw, largest, axis=1) < 0
    size = (np.float32(ROTATION_STEPS) * (np.abs(xyzw) / np.float32(math.sqrt(0.5))) + np.float32(0.5)).astype(np.uint32)
    coded = ((xyzw < 0) ^ sign).astype(np.uint32) << 9 | size
    packed = largest[:, 0].astype("<u4")
    for component in range(4):
        packed = np.where(largest[:, 0] == component, packed, packed << 10 | coded[:, component])
    return packed


def _harmonics(sh: Float32[np.ndarray, "n k 3"]) -> UInt8[np.ndarray, "n k 3"]:
    steps = np.array([2 ** (8 - HARMONIC_BITS[0 if index < 3 else 1]) for index in range(sh.shape[1])], np.float32)[:, None]
    values = _rounded(sh * np.float32(128)) + 128
    return (np.floor((values + np.floor(steps / 2)) / steps) * steps).clip(0, 255).astype(np.uint8)


def _within_reach(gaussians: Gaussians) -> tuple[Gaussians, list[str]]:
    """The Gaussians with those beyond the reach of .spz brought nearer along the line from the origin, and made smaller alike:
    they look the same from there.

    Raises:
        ValueError: most of them lie beyond.
    """
    farthest = gaussians.means.abs().amax(dim=1)
    beyond = farthest > SPZ_REACH
    count = int(beyond.sum())
    if not count:
        return gaussians, []
    if 2 * count > len(gaussians):
        raise ValueError(
            f"a .spz holds places up to {SPZ_REACH:.0f} units from the origin, and {count} of {len(gaussians)} Gaussians lie "
            "beyond: choose .sog or .compressed.ply"
        )
    nearer = torch.where(beyond, SPZ_REACH / farthest, 1.0)[:, None]
    moved = gaussians.with_values(means=gaussians.means * nearer, log_scales=gaussians.log_scales + nearer.log())
    return moved, [f"{count} Gaussians lie beyond what .spz can hold: they were brought nearer, along the line from the origin"]
