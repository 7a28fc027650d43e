"""COLMAP's text model: cameras.txt and images.txt (https://colmap.github.io/format.html)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import torch

from splatmem.cameras import Cameras
from splatmem.conventions import cameras_from_colmap, cameras_to_colmap
from splatmem.io.atomic import atomic_path
from splatmem.io.lenses import Lens, lens_cameras
from splatmem.io.text import data_lines, numbers, unit_quat

PINHOLE_PARAMETERS = {"SIMPLE_PINHOLE": 3, "PINHOLE": 4}
IMAGE_FIELDS = "IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME"


def save_colmap(cameras: Cameras, folder: str | Path, names: Sequence[str] | None = None) -> None:
    """Writes cameras.txt, images.txt and an empty points3D.txt into an existing folder; one PINHOLE camera per image.

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
    camera_lines, image_lines = [], []
    rows = zip(names, quats.tolist(), translations.tolist(), cameras.intrinsics.tolist(), strict=True)
    for number, (name, quat, translation, k) in enumerate(rows, start=1):
        parameters = (k[0][0], k[1][1], k[0][2], k[1][2])
        camera_lines.append(f"{number} PINHOLE {cameras.width} {cameras.height} {_join(parameters)}\n")
        image_lines.append(f"{number} {_join(quat)} {_join(translation)} {number} {name}\n\n")
    files = {
        "cameras.txt": "# CAMERA_ID MODEL WIDTH HEIGHT PARAMS[]\n" + "".join(camera_lines),
        "images.txt": f"# {IMAGE_FIELDS}\n# POINTS2D[] as X Y POINT3D_ID\n" + "".join(image_lines),
        "points3D.txt": "# POINT3D_ID X Y Z R G B ERROR TRACK[]\n",
    }
    for name, text in files.items():
        with atomic_path(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")


def _join(values: Sequence[float]) -> str:
    return " ".join(f"{value:.9g}" for value in values)


def load_colmap(
    path: str | Path, *, width: int | None = None, height: int | None = None, fov_x_degrees: float | None = None
) -> Cameras:
    """Reads the cameras in the order of the images' names (``frame_2`` before ``frame_10``).

    Args:
        path: the folder, or its images.txt.
        width, height: image size wanted (default: the file's). Images of another shape count as scaled to cover it and
            centre-cropped.
        fov_x_degrees: used where there is no cameras.txt beside images.txt; then ``width`` and ``height`` are needed too.

    Raises:
        ValueError: malformed, no pinholes, a binary model; the message names the file and the line.
    """
    path = Path(path)
    folder, images = (path, path / "images.txt") if path.is_dir() else (path.parent, path)
    if not images.is_file():
        raise ValueError(f"{folder}: expected images.txt" + _hint_on_binary(folder))
    poses = sorted(_images(images), key=lambda image: _natural(image[2]))
    file = folder / "cameras.txt"
    if file.is_file():
        known = _cameras(file)
        missing = sorted({camera for _, camera, _ in poses} - set(known))
        if missing:
            raise ValueError(f"{images}: refers to the camera {missing[0]}, which {file} does not hold")
        lenses = [known[camera] for _, camera, _ in poses]
    elif fov_x_degrees is None or width is None or height is None:
        raise ValueError(f"{folder}: expected cameras.txt beside images.txt" + _hint_on_binary(folder))
    else:
        lenses = [Lens.from_fov(fov_x_degrees, width, height)] * len(poses)
    values = torch.tensor([pose for pose, _, _ in poses], dtype=torch.float64)
    unused = torch.eye(3).repeat(len(poses), 1, 1)
    posed = cameras_from_colmap(values[:, :4], values[:, 4:], unused, 1, 1)
    return lens_cameras(posed.world_to_cam, lenses, width, height, str(images))


def colmap_image_names(path: str | Path) -> list[str]:
    """File names of a model's images, in the order of ``load_colmap``'s cameras."""
    path = Path(path)
    return sorted((name for _, _, name in _images(path / "images.txt" if path.is_dir() else path)), key=_natural)


def _hint_on_binary(folder: Path) -> str:
    if (folder / "images.bin").is_file():
        return "; this is a binary model: convert it with `colmap model_converter --output_type TXT`"
    return " of COLMAP's text model there"


def _images(file: Path) -> list[tuple[list[float], str, str]]:
    """Quaternion and translation, camera id, and name of each image.

    Two lines belong to an image; the second, with its points, may be empty.
    """
    found = []
    lines = data_lines(file, keep_empty=True)
    position = 0
    while position < len(lines):
        where, line = lines[position]
        if not line:
            position += 1
            continue
        fields = line.split(maxsplit=9)
        if len(fields) < 10:
            raise ValueError(f"{where}: expected {IMAGE_FIELDS}, got {line[:80]!r} (every image has two lines)")
        pose = numbers(fields[1:8], where)
        found.append(([*unit_quat(pose[:4], where), *pose[4:]], fields[8], fields[9]))
        position += 2
    if not found:
        raise ValueError(f"{file}: expected at least one image, it holds none")
    return found


def _cameras(file: Path) -> dict[str, Lens]:
    lenses = {}
    for where, line in data_lines(file):
        fields = line.split()
        if len(fields) < 4:
            raise ValueError(f"{where}: expected CAMERA_ID MODEL WIDTH HEIGHT PARAMS, got {line[:80]!r}")
        model = fields[1]
        if model not in PINHOLE_PARAMETERS:
            raise ValueError(
                f"{where}: camera model {model}: only SIMPLE_PINHOLE and PINHOLE can be read; "
                "undistort the images first with `colmap image_undistorter`"
            )
        width, height, *parameters = numbers(fields[2:], where)
        if len(parameters) != PINHOLE_PARAMETERS[model]:
            raise ValueError(f"{where}: {model} has {PINHOLE_PARAMETERS[model]} parameters, got {len(parameters)}")
        focal = parameters[:2] if model == "PINHOLE" else [parameters[0]] * 2
        lenses[fields[0]] = Lens(focal[0], focal[1], parameters[-2], parameters[-1], int(width), int(height))
        lenses[fields[0]].check(where)
    return lenses


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts runs of digits as numbers."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]
