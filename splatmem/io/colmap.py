"""COLMAP's models (https://colmap.github.io/format.html): cameras.bin and images.bin, or cameras.txt and images.txt."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from splatmem.geometry.cameras import Cameras
from splatmem.geometry.conventions import cameras_to_colmap
from splatmem.geometry.poses import rigid_from
from splatmem.geometry.rotations import quats_to_rotations
from splatmem.io.atomic import atomic_path
from splatmem.io.colmap_binary import read_binary_cameras, read_binary_images
from splatmem.io.colmap_records import ImageRecord, intrinsics_of
from splatmem.io.intrinsics import Intrinsics, intrinsics_to_cameras
from splatmem.io.text import data_lines, numbers, whole_number

IMAGE_FIELDS = "IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME"
POINTS_FILE, POINTS_HEAD = "points3D.txt", "# POINT3D_ID X Y Z R G B ERROR TRACK[]\n"


def save_colmap(cameras: Cameras, folder: str | Path, names: Sequence[str] | None = None) -> None:
    """Writes cameras.txt, images.txt and an empty points3D.txt into an existing folder; images of one lens share a camera.

    Args:
        cameras: the cameras.
        folder: where the three files go.
        names: the images' file names, by default ``frame_00001.png`` and on.
    """
    folder = Path(folder)
    names = [f"frame_{i + 1:05d}.png" for i in range(len(cameras))] if names is None else names
    if len(names) != len(cameras):
        raise ValueError(f"expected one name per camera ({len(cameras)}), got {len(names)}")
    quats, translations = cameras_to_colmap(cameras)
    lenses: dict[tuple[float, ...], int] = {}
    image_lines = []
    rows = zip(names, quats.tolist(), translations.tolist(), cameras.intrinsics.tolist(), strict=True)
    for number, (name, quat, translation, k) in enumerate(rows, start=1):
        lens = lenses.setdefault((k[0][0], k[1][1], k[0][2], k[1][2]), len(lenses) + 1)
        image_lines.append(f"{number} {_join(quat)} {_join(translation)} {lens} {name}\n\n")
    camera_lines = [f"{lens} PINHOLE {cameras.width} {cameras.height} {_join(k)}\n" for k, lens in lenses.items()]
    files = {
        "cameras.txt": "# CAMERA_ID MODEL WIDTH HEIGHT PARAMS[]\n" + "".join(camera_lines),
        "images.txt": f"# {IMAGE_FIELDS}\n# POINTS2D[] as X Y POINT3D_ID\n" + "".join(image_lines),
        POINTS_FILE: POINTS_HEAD,
    }
    for name, text in files.items():
        with atomic_path(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")


def save_colmap_points(places: Float[np.ndarray, "n 3"], colours: UInt8[np.ndarray, "n 3"], folder: str | Path) -> None:
    """Writes points3D.txt into the folder of a model: points that no image observes, which trainers begin with."""
    rows = zip(places.tolist(), colours.tolist(), strict=True)
    lines = [
        f"{number} {_join(place)} {' '.join(map(str, colour))} 0\n" for number, (place, colour) in enumerate(rows, start=1)
    ]
    with atomic_path(Path(folder) / POINTS_FILE) as temporary:
        temporary.write_text(POINTS_HEAD + "".join(lines), encoding="utf-8")


def _join(values: Sequence[float]) -> str:
    return " ".join(f"{value:.9g}" for value in values)


@dataclass(frozen=True)
class ColmapModel:
    """The images of a model, ordered by their names (``frame_2`` before ``frame_10``).

    Attributes:
        file: that lists them, for messages.
        images: poses and names.
        lenses: for each image the intrinsics of its camera; None where the model has no file of cameras.
    """

    file: Path
    images: list[ImageRecord]
    lenses: list[Intrinsics] | None

    @property
    def names(self) -> list[str]:
        return [image.name for image in self.images]

    def cameras(self, *, width: int | None = None, height: int | None = None, fov_x_degrees: float | None = None) -> Cameras:
        """One for each image; see ``load_colmap``."""
        lenses = self.lenses
        if lenses is None:
            if fov_x_degrees is None or width is None or height is None:
                _refuse_cameras_missing(self.file)
            lenses = [Intrinsics.from_fov(fov_x_degrees, width, height)] * len(self.images)
        return intrinsics_to_cameras(self.world_to_cam(), lenses, width, height, str(self.file))

    def world_to_cam(self) -> Float[Tensor, "n 4 4"]:
        """The pose, world to camera, in float64 ``[4, 4]``."""
        poses = torch.tensor([image.pose for image in self.images], dtype=torch.float64)
        return rigid_from(quats_to_rotations(poses[:, :4]), poses[:, 4:])


def find_colmap(folder: Path) -> Path | None:
    """Where in a project's folder its model lies; see ``choose_colmap``."""
    return choose_colmap(folder)[0]


def choose_colmap(folder: Path) -> tuple[Path | None, list[str]]:
    """The folder of a project's model, None if it holds none; and a note where it was chosen among several.

    A model lies in the folder, in its ``sparse/`` (``colmap/sparse/`` in nerfstudio's layout) or in numbered folders of that;
    COLMAP makes several where pictures do not hang together. Of these the one with the most images is taken.
    """
    for place in (folder, folder / "sparse", folder / "colmap" / "sparse"):
        if _images_file(place) is not None:
            return place, []
        children = sorted(place.iterdir()) if place.is_dir() else []
        models = [child for child in children if child.is_dir() and _images_file(child) is not None]
        if models:
            counts = {model: len(read_colmap(model).images) if len(models) > 1 else 1 for model in models}
            largest = max(models, key=lambda model: counts[model])
            if len(models) == 1:
                return largest, []
            said = ", ".join(f"{model.name} with {counts[model]}" for model in models)
            return largest, [f"COLMAP made {len(models)} models of these pictures ({said} images): {largest.name} was taken"]
    return None, []


def read_colmap(path: str | Path) -> ColmapModel:
    """Reads a model.

    Args:
        path: its folder, where COLMAP itself takes the binary files if both kinds are there; or images.bin or images.txt.

    Raises:
        ValueError: there is none, it is malformed, or has cameras that are no pinholes; the message names file and place.
    """
    path = Path(path)
    file = _images_file(path) if path.is_dir() else path
    if file is None or not file.is_file():
        raise ValueError(f"{path if path.is_dir() else path.parent}: expected COLMAP's images.bin or images.txt there")
    images = read_binary_images(file) if file.suffix == ".bin" else _text_images(file)
    if not images:
        raise ValueError(f"{file}: expected at least one image, it holds none")
    images.sort(key=lambda image: _natural(image.name))
    source = file.with_name(f"cameras{file.suffix}")
    if not source.is_file():
        return ColmapModel(file, images, None)
    known = read_binary_cameras(source) if source.suffix == ".bin" else _text_cameras(source)
    missing = sorted({image.camera for image in images} - set(known))
    if missing:
        raise ValueError(f"{file}: refers to the camera {missing[0]}, which {source} does not hold")
    return ColmapModel(file, images, [known[image.camera] for image in images])


def load_colmap(
    path: str | Path, *, width: int | None = None, height: int | None = None, fov_x_degrees: float | None = None
) -> Cameras:
    """The cameras of a model, in the order of the images' names.

    Args:
        path: as of ``read_colmap``.
        width, height: image size wanted (default: the file's). Images of another shape count as scaled to cover it and
            centre-cropped.
        fov_x_degrees: used where there is no file of cameras beside that of images; then ``width`` and ``height`` are needed
            too.

    Raises:
        ValueError: as ``read_colmap``.
    """
    return read_colmap(path).cameras(width=width, height=height, fov_x_degrees=fov_x_degrees)


def _images_file(folder: Path) -> Path | None:
    return next((file for name in ("images.bin", "images.txt") if (file := folder / name).is_file()), None)


def _refuse_cameras_missing(images: Path) -> NoReturn:
    raise ValueError(f"{images.parent}: expected cameras{images.suffix} beside {images.name}, or a field of view (--fov)")


def _text_images(file: Path) -> list[ImageRecord]:
    """Two lines belong to an image; the second, with its features, may be empty, or missing as other programs leave it out."""
    found = []
    lines = data_lines(file, keep_empty=True)
    position = 0
    while position < len(lines):
        where, line = lines[position]
        position += 1
        if not line:
            continue
        fields = line.split(maxsplit=9)
        if len(fields) < 10:
            raise ValueError(f"{where}: expected {IMAGE_FIELDS}, got {line[:80]!r} (every image has two lines)")
        pose = numbers(fields[1:8], where)
        found.append(ImageRecord.checked(pose, _id(fields[8], where), fields[9], where))
        if position < len(lines) and _are_features(lines[position][1]):
            position += 1
    return found


def _are_features(line: str) -> bool:
    """Whether a line holds nothing but triples of numbers, or nothing; an image's ends with a name."""
    fields = line.split()
    try:
        return len(fields) % 3 == 0 and all(float(field) < 1e300 for field in fields)
    except ValueError:
        return False


def _text_cameras(file: Path) -> dict[int, Intrinsics]:
    lenses = {}
    for where, line in data_lines(file):
        fields = line.split()
        if len(fields) < 4:
            raise ValueError(f"{where}: expected CAMERA_ID MODEL WIDTH HEIGHT PARAMS, got {line[:80]!r}")
        width, height, *parameters = numbers(fields[2:], where)
        lenses[_id(fields[0], where)] = intrinsics_of(fields[1], int(width), int(height), parameters, where)
    return lenses


def _id(field: str, where: str) -> int:
    number = whole_number(field)
    if number is None:
        raise ValueError(f"{where}: expected the id of a camera, a whole number, got {field[:80]!r}")
    return number


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts runs of digits as numbers."""
    parts = re.split(r"([0-9]+)", name)
    return [(len(digits := part.lstrip("0")), digits) if index % 2 else (-1, part) for index, part in enumerate(parts)]
