"""Frames with depth for training the depth model: from rendered .npz files, or from one packed file."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8, UInt16
from numpy import ndarray
from PIL import Image

HELD_OUT_SCENES = 6
"""Of each kind of scene the first by name are never trained on."""
NEAREST, FARTHEST = 0.1, 65.0
"""Metres: the range of packed depth, in 254 equal steps of its logarithm (2.6 % each)."""


@dataclass
class Frames:
    """Pictures ``[n, h, w, 3]`` and depth in millimetres ``[n, h, w]`` (0 = sky), by kind of scene."""

    by_kind: dict[str, list[tuple[UInt8[ndarray, "n h w 3"], UInt16[ndarray, "n h w"]]]] = field(default_factory=dict)

    def add(self, kind: str, rgb: UInt8[ndarray, "n h w 3"], depth_mm: UInt16[ndarray, "n h w"]) -> None:
        self.by_kind.setdefault(kind, []).append((rgb, depth_mm))

    def __len__(self) -> int:
        return sum(len(rgb) for parts in self.by_kind.values() for rgb, _ in parts)

    def pick(self, rng: np.random.Generator, kind: str) -> tuple[UInt8[ndarray, "h w 3"], UInt16[ndarray, "h w"]]:
        """A random frame of a kind: any scene, then any of its frames."""
        parts = self.by_kind[kind]
        rgb, depth_mm = parts[int(rng.integers(len(parts)))]
        index = int(rng.integers(len(rgb)))
        return rgb[index], depth_mm[index]


class FrameFolders:
    """Folders of .npz files that may still be growing: ``read`` takes in what is new.

    A file's name begins with the kind of its scene and the scene's number: ``room00012_3.npz``.
    """

    def __init__(self, folders: Sequence[Path], views: int) -> None:
        """``views``: frames taken of each file, evenly spread; all of them if there are fewer."""
        self.folders, self.views = folders, views
        self.training, self.held_out = Frames(), Frames()
        self._seen: set[Path] = set()
        self._held_out_scenes: dict[str, list[str]] = {}

    def read(self) -> None:
        """Reads the files that are new; a damaged one is skipped with a message."""
        for file in sorted(file for folder in self.folders for file in folder.glob("*.npz")):
            if file in self._seen:
                continue
            self._seen.add(file)
            try:
                with np.load(file) as content:
                    rgb, depth_mm = content["rgb"], content["depth_mm"]
            except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
                print(f"skipped {file.name}: {error}")
                continue
            chosen = np.unique(np.linspace(0, len(rgb) - 1, min(self.views, len(rgb))).round().astype(int))
            scene = file.stem.split("_")[0]
            kind = re.split(r"\d", scene)[0]
            held_out = self._held_out_scenes.setdefault(kind, [])
            if scene not in held_out and len(held_out) < HELD_OUT_SCENES:
                held_out.append(scene)
            target = self.held_out if scene in held_out else self.training
            target.add(kind, rgb[chosen], depth_mm[chosen])


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


def unpack(path: Path) -> tuple[Frames, Frames]:
    """Training and held-out frames of a packed file; every 25th is held out."""
    training, held_out = Frames(), Frames()
    with zipfile.ZipFile(path) as archive:
        for index, kind in enumerate(json.loads(archive.read("kinds.json"))):
            rgb = np.array(Image.open(io.BytesIO(archive.read(f"{index:06d}.jpg")), formats=["JPEG"]))
            depth_mm = decode_depth(np.asarray(Image.open(io.BytesIO(archive.read(f"{index:06d}.png")), formats=["PNG"])))
            (held_out if index % 25 == 0 else training).add(kind, rgb[None], depth_mm[None])
    return training, held_out


def encode_depth(depth_mm: UInt16[ndarray, "*any"]) -> UInt8[ndarray, "*any"]:
    """Millimetres to 1..255 over the logarithm; 0 stays 0."""
    metres = np.clip(depth_mm / 1000.0, NEAREST, FARTHEST)
    share = np.log(metres / NEAREST) / np.log(FARTHEST / NEAREST)
    return np.where(depth_mm > 0, 1 + np.round(254 * share), 0).astype(np.uint8)


def decode_depth(code: UInt8[ndarray, "*any"]) -> UInt16[ndarray, "*any"]:
    """The inverse of ``encode_depth``."""
    metres: Float[ndarray, "*any"] = NEAREST * (FARTHEST / NEAREST) ** ((code.astype(np.float64) - 1) / 254)
    return np.where(code > 0, np.round(metres * 1000), 0).astype(np.uint16)
