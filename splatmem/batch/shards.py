"""WebDataset shards: plain tar files in which all files of a film have its id as their name and a part as their ending.

The format: https://github.com/webdataset/webdataset#the-webdataset-format
"""

from __future__ import annotations

import io
import os
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from splatmem.batch.results import Results
from splatmem.scene import Announce, Scene

FILES = {"mp4": "video.mp4", "cameras.json": "cameras.json", "ply": "scene.ply", "json": "report.json"}
DEPTH = "depth.npz"  # ``depth``: float16 z-depth, [t, h, w], inf is sky; in the unit of the cameras
FRAMES_AT_ONCE = 16


def write_shards(results: Results, names: Sequence[str], films: int, part: tuple[int, int] | None, announce: Announce) -> None:
    """Writes films into ``shards/films-000000.tar``, ...; of a part of an array, ``films-0-of-4-000000.tar``.

    Args:
        results: where the films are.
        names: their ids; equal names give equal shards.
        films: in a shard.
        part: of a job array.
    """
    start = "films-" if part is None else f"films-{part[0]}-of-{part[1]}-"
    for number, first in enumerate(range(0, len(names), films)):
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w") as shard, tempfile.TemporaryDirectory() as copies:
            for name in names[first : first + films]:
                folder = results.bring(name, Path(copies))
                for ending, file in FILES.items():
                    _add(shard, f"{key(name)}.{ending}", (folder / file).read_bytes())
                _add(shard, f"{key(name)}.{DEPTH}", film_depth(folder))
                announce("writing shards", (first + 1) / len(names))
        results.write(f"shards/{start}{number:06d}.tar", content.getvalue())


def key(name: str) -> str:
    """The id as WebDataset has it: what follows the first point counts as the file's kind."""
    return os.fsencode(name).decode(errors="backslashreplace").replace(".", "_")


def film_depth(folder: Path) -> bytes:
    """The depth of a film's frames, as the memory shows it, as an .npz."""
    scene = Scene.open(folder, device="cpu")
    cameras = scene.film_cameras
    assert cameras is not None  # a film's scene has one
    pieces = [
        scene.memory.read(cameras[begin : begin + FRAMES_AT_ONCE]).depth.cpu().numpy().astype(np.float16)
        for begin in range(0, len(cameras), FRAMES_AT_ONCE)
    ]
    content = io.BytesIO()
    np.savez_compressed(content, depth=np.concatenate(pieces))
    return content.getvalue()


def _add(shard: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o644  # no times and no owners: the same films give the same bytes
    shard.addfile(entry, io.BytesIO(content))
