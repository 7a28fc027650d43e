"""A film as a data set for training: frames, cameras in nerfstudio's and COLMAP's conventions, and points to begin with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from splatmem.gaussians import Gaussians
from splatmem.gaussians.draw import in_batches
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.sampling import evenly_spread
from splatmem.io.atomic import staged_directory
from splatmem.io.colmap import save_colmap, save_colmap_points
from splatmem.io.transforms_json import save_transforms_json
from splatmem.memory import SpatialMemory
from splatmem.pixels import to_uint8
from splatmem.scene import Announce

KIND = "dataset"  # for the mark of its folder
IMAGES, SPARSE, POINTS = "images", "sparse/0", "points.ply"
MOST_POINTS = 200_000


def write_dataset(memory: SpatialMemory, film: Cameras, folder: Path, overwrite: bool, announce: Announce) -> int:
    """Writes the folder, whole or not at all; returns the number of points.

    The layout is the one that both kinds of trainers read: ``images/``, ``transforms.json`` with ``points.ply``, and
    ``sparse/0`` with a COLMAP model in text. All are in the memory's world.

    Raises:
        ValueError: the folder holds something else, or a data set and ``overwrite`` is not set.
        OSError: it cannot be written.
    """
    names = [f"frame_{number + 1:05d}.png" for number in range(len(film))]
    with staged_directory(folder, KIND, overwrite=overwrite) as staged:
        (staged / IMAGES).mkdir()
        (staged / SPARSE).mkdir(parents=True)
        written = 0
        for views in in_batches(film):
            announce("writing frames", written / len(film))
            for frame in memory.film_bytes(views)[0]:
                Image.fromarray(frame).save(staged / IMAGES / names[written])
                written += 1
        places, colours = _points(memory.gaussians)
        files = [f"{IMAGES}/{name}" for name in names]
        save_transforms_json(film, staged / "transforms.json", files, points=POINTS)
        _save_points(places, colours, staged / POINTS)
        save_colmap(film, staged / SPARSE, names)
        save_colmap_points(places, colours, staged / SPARSE)
    return len(places)


def _points(gaussians: Gaussians) -> tuple[np.ndarray, np.ndarray]:
    """Places, float32, and colours, bytes, of Gaussians spread evenly over their number."""
    some = gaussians.select(torch.tensor(evenly_spread(len(gaussians), min(MOST_POINTS, len(gaussians)))).long()).to("cpu")
    return some.means.numpy(), to_uint8(some.rgb.clamp(0, 1))


def _save_points(places: np.ndarray, colours: np.ndarray, file: Path) -> None:
    from plyfile import PlyData, PlyElement

    layout = [*((name, "<f4") for name in "xyz"), *((name, "u1") for name in ("red", "green", "blue"))]
    table = np.empty(len(places), layout)
    for number, name in enumerate("xyz"):
        table[name] = places[:, number]
    for number, name in enumerate(("red", "green", "blue")):
        table[name] = colours[:, number]
    PlyData([PlyElement.describe(table, "vertex")], byte_order="<").write(str(file))
