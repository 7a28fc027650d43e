"""Frames with depth for training the depth model: from rendered .npz files, or from one packed file."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8, UInt16
from numpy import ndarray
from PIL import Image

HELD_OUT_EVERY = 16
"""Scenes whose number is a multiple of this are never trained on."""
NEAREST, FARTHEST = 0.1, 65.0
"""Metres: the range of packed depth, in 254 equal steps of its logarithm (2.6 % each)."""


@dataclass(frozen=True)
class Frames:
    """Frames of one scene.

    Attributes:
        kind: of the scene.
        rgb: pictures.
        depth_mm: millimetres, 0 = sky.
        labels: what each pixel shows, by tools/rooms/labels.py; 0 where that is not known.
        held_out: whether the scene is kept for validation.
    """

    kind: str
    rgb: UInt8[ndarray, "n h w 3"]
    depth_mm: UInt16[ndarray, "n h w"]
    labels: UInt8[ndarray, "n h w"]
    held_out: bool


class FrameFolders:
    """Folders of .npz files that may still be growing.

    A file's name begins with the kind of its scene and the scene's number: ``room00012_3.npz``.
    """

    def __init__(self, folders: Sequence[Path], views: int) -> None:
        """``views``: frames taken of each file, evenly spread; all of them if there are fewer."""
        self.folders, self.views = folders, views
        self._seen: set[Path] = set()

    def new(self) -> Iterator[Frames]:
        """What came since the last time; a damaged file is skipped with a message."""
        for file in sorted(file for folder in self.folders for file in folder.glob("*.npz")):
            if file in self._seen:
                continue
            self._seen.add(file)
            try:
                with np.load(file) as content:
                    rgb, depth_mm = content["rgb"], content["depth_mm"]
                    labels = content["labels"] if "labels" in content else np.zeros(depth_mm.shape, np.uint8)
            except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
                print(f"skipped {file.name}: {error}")
                continue
            chosen = np.unique(np.linspace(0, len(rgb) - 1, min(self.views, len(rgb))).round().astype(int))
            kind, number = scene_of(file)
            yield Frames(kind, rgb[chosen], depth_mm[chosen], labels[chosen], number % HELD_OUT_EVERY == 0)


def scene_of(file: Path) -> tuple[str, int]:
    """``room00012_3.npz`` to ("room", 12).

    Raises:
        ValueError: the name is not of this kind.
    """
    match = re.match(r"([a-z]+)(\d+)", file.stem)
    if match is None:
        raise ValueError(f"{file.name}: expected a name that begins with a kind and a number, such as room00012_3.npz")
    return match[1], int(match[2])


def pack(frames: Sequence[tuple[str, UInt8[ndarray, "h w 3"], UInt16[ndarray, "h w"]]], path: Path, quality: int) -> int:
    """Writes frames as JPEG pictures and PNGs of 8-bit log depth into one uncompressed zip; returns its bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        kinds = []
        for index, (kind, rgb, depth_mm) in enumerate(frames):
            kinds.append(kind)
            picture, depth = io.BytesIO(), io.BytesIO()
            Image.fromarray(rgb).save(picture, "JPEG", quality=quality)
            Image.fromarray(encode_depth(depth_mm)).save(depth, "PNG", optimize=True)
            archive.writestr(f"{index:06d}.jpg", picture.getvalue())
            archive.writestr(f"{index:06d}.png", depth.getvalue())
        archive.writestr("kinds.json", json.dumps(kinds))
    return path.stat().st_size


def unpack(path: Path) -> Iterator[Frames]:
    """The frames of a packed file, one by one."""
    with zipfile.ZipFile(path) as archive:
        for index, kind in enumerate(json.loads(archive.read("kinds.json"))):
            rgb = np.array(Image.open(io.BytesIO(archive.read(f"{index:06d}.jpg")), formats=["JPEG"]))
            depth_mm = decode_depth(np.asarray(Image.open(io.BytesIO(archive.read(f"{index:06d}.png")), formats=["PNG"])))
            labels = np.zeros((1, *depth_mm.shape), np.uint8)
            yield Frames(kind, rgb[None], depth_mm[None], labels, index % HELD_OUT_EVERY == 0)


def encode_depth(depth_mm: UInt16[ndarray, "*any"]) -> UInt8[ndarray, "*any"]:
    """Millimetres to 1..255 over the logarithm; 0 stays 0."""
    metres = np.clip(depth_mm / 1000.0, NEAREST, FARTHEST)
    share = np.log(metres / NEAREST) / np.log(FARTHEST / NEAREST)
    return np.where(depth_mm > 0, 1 + np.round(254 * share), 0).astype(np.uint8)


def decode_depth(code: UInt8[ndarray, "*any"]) -> UInt16[ndarray, "*any"]:
    """The inverse of ``encode_depth``."""
    metres: Float[ndarray, "*any"] = NEAREST * (FARTHEST / NEAREST) ** ((code.astype(np.float64) - 1) / 254)
    return np.where(code > 0, np.round(metres * 1000), 0).astype(np.uint16)
