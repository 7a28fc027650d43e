"""Pictures together with the cameras that took them: a nerfstudio or COLMAP folder, or a video with a trajectory.

A folder holds either ``transforms.json`` (nerfstudio's convention) with a ``file_path`` for each frame, or a COLMAP model
(in the folder, its ``sparse/`` or its ``sparse/0/``), with the pictures in ``images/`` or beside the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from splatmem.geometry.cameras import Cameras
from splatmem.io.colmap import ColmapModel, find_colmap, read_colmap
from splatmem.io.path_files import load_path
from splatmem.io.photo import DEFAULT_FOV_X_DEGREES, load_photo, photo_of
from splatmem.io.text import is_number
from splatmem.io.transforms_json import parse_json, parse_transforms
from splatmem.io.video import read_video

SAME_SHAPE = 0.02  # two pictures whose aspect ratios differ by less than this show the same view
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


@dataclass(frozen=True)
class PosedPictures:
    """Pictures and their cameras.

    Attributes:
        rgb: sRGB in 0..1, ``[n, h, w, 3]``.
        cameras: one for each, of the pictures' size, in their file's world and unit.
        offered: how many pictures there were to choose from.
    """

    rgb: Float[Tensor, "n h w 3"]
    cameras: Cameras
    offered: int


def load_posed_folder(folder: Path, *, width: int, height: int, fov_x_degrees: float | None, most: int) -> PosedPictures:
    """Reads the pictures of a folder, at one size.

    Args:
        folder: see the module's text.
        width, height: wanted; pictures of another shape are cropped to it.
        fov_x_degrees: where the files do not tell it.
        most: pictures to take; of more than that some are taken, evenly spread.

    Raises:
        ValueError: there is no such model in the folder, it is malformed, or a picture is missing; the message names it.
    """
    if (folder / "transforms.json").is_file():
        return _load_transforms_folder(folder, width, height, fov_x_degrees, most)
    place = find_colmap(folder)
    if place is None:
        raise ValueError(
            f"{folder} is a folder without posed pictures: expected a transforms.json (nerfstudio's convention) or a COLMAP "
            "model (cameras and images, .bin or .txt) in it, in its sparse/ or in its sparse/0/"
        )
    return _load_colmap_folder(folder, read_colmap(place), width, height, fov_x_degrees, most)


def load_posed_video(
    video: Path, poses: Path, *, width: int, height: int, fov_x_degrees: float | None, most: int
) -> PosedPictures:
    """Reads the frames of a video, with a file that holds a camera for each; otherwise as ``load_posed_folder``.

    Trajectories without intrinsics count as seen at ``fov_x_degrees``, or at a photo's default.

    Raises:
        ValueError: one of the two cannot be read, or they differ in length.
    """
    frames = read_video(video)
    fov = fov_x_degrees or DEFAULT_FOV_X_DEGREES
    cameras = load_path(poses, width=width, height=height, fov_x_degrees=fov, frames=len(frames))
    if len(cameras) != len(frames):
        raise ValueError(f"{poses} holds {len(cameras)} cameras, but {video} has {len(frames)} frames: one for each is needed")
    chosen = spread(len(frames), most)
    rgb = torch.stack([photo_of(Image.fromarray(frames[index]), width, height) for index in chosen])
    return PosedPictures(rgb, cameras[chosen], len(frames))


def spread(count: int, wanted: int | None) -> list[int]:
    """``wanted`` numbers of 0..count-1, evenly spread, with the first and the last; all where fewer are there."""
    if wanted is None or wanted >= count:
        return list(range(count))
    return [round(i * (count - 1) / (wanted - 1)) for i in range(wanted)]


def read_transforms_index(file: Path, least: int) -> dict[str, Any]:
    """The content of a transforms.json with at least ``least`` frames."""
    content = parse_json(file)
    entries = content.get("frames") if isinstance(content, dict) else None
    if not isinstance(entries, list) or len(entries) < least or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError(f"{file}: expected 'frames', a list of at least {least} objects")
    return content


def transforms_cameras(
    content: dict[str, Any], pictures: Sequence[Path], size: tuple[int, int], file: Path, fov_x_degrees: float | None = None
) -> Cameras:
    """Cameras of a transforms.json at ``size`` (width, height); its frames' pictures may have been scaled since."""
    entries = []
    for entry, picture in zip(content["frames"], pictures, strict=True):
        own = picture_size(picture)
        stated = _stated_size(content, entry, own)
        require_shape(picture, own, stated, file)
        entries.append({**entry, "w": stated[0], "h": stated[1]})
    index = {**content, "frames": entries}
    return parse_transforms(index, str(file), width=size[0], height=size[1], fov_x_degrees=fov_x_degrees)


def transforms_picture(folder: Path, entry: dict[str, Any], where: str) -> Path:
    """The picture of one frame; its suffix may be left out, as in NeRF's synthetic scenes."""
    name = entry.get("file_path")
    if not isinstance(name, str) or not name:
        raise ValueError(f"{where}: expected 'file_path', the name of its picture")
    candidates = [folder / name, *(folder / f"{name}{suffix}" for suffix in PICTURE_SUFFIXES)]
    found = next((file for file in candidates if file.is_file()), None)
    if found is None:
        raise ValueError(f"{where}: there is no picture {folder / name}")
    return found


def picture_size(file: Path) -> tuple[int, int]:
    """(width, height) of the upright picture."""
    try:
        with Image.open(file) as image:
            return ImageOps.exif_transpose(image).size if image.getexif() else image.size
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError(f"{file} cannot be read as a picture: {error}") from error


def require_shape(file: Path, size: Sequence[float], expected: Sequence[float], source: Path) -> None:
    """Raises ``ValueError`` unless ``size`` has the aspect ratio of ``expected``, which ``source`` states."""
    ratio = size[0] / size[1] * expected[1] / expected[0]
    if abs(ratio - 1) > SAME_SHAPE:
        raise ValueError(
            f"{file} has {size[0]}x{size[1]} pixels: expected the shape of {expected[0]:g}x{expected[1]:g}, as {source} has it"
        )


def _load_transforms_folder(folder: Path, width: int, height: int, fov: float | None, most: int) -> PosedPictures:
    file = folder / "transforms.json"
    content = read_transforms_index(file, least=1)
    offered = len(content["frames"])
    chosen = spread(offered, most)
    content["frames"] = [content["frames"][index] for index in chosen]
    pictures = [
        transforms_picture(folder, entry, f"{file}: frame {index}")
        for index, entry in zip(chosen, content["frames"], strict=True)
    ]
    cameras = transforms_cameras(content, pictures, (width, height), file, fov)
    return PosedPictures(_pictures(pictures, width, height), cameras, offered)


def _load_colmap_folder(
    folder: Path, model: ColmapModel, width: int, height: int, fov: float | None, most: int
) -> PosedPictures:
    cameras = model.cameras(width=width, height=height, fov_x_degrees=fov)
    chosen = spread(len(model.names), most)
    files = [_colmap_picture(folder, model.file, model.names[index]) for index in chosen]
    if model.lenses is not None:
        for index, file in zip(chosen, files, strict=True):
            lens = model.lenses[index]
            require_shape(file, picture_size(file), (lens.width, lens.height), model.file)
    return PosedPictures(_pictures(files, width, height), cameras[chosen], len(model.names))


def _colmap_picture(folder: Path, images: Path, name: str) -> Path:
    places = [folder / "images", folder, images.parent]
    found = next((place / name for place in places if (place / name).is_file()), None)
    if found is None:
        lacking = "" if places[0].is_dir() else f" (there is no folder {places[0]})"
        raise ValueError(
            f"{images}: there is no picture {places[0] / name}{lacking}; put the pictures there, or beside the model"
        )
    return found


def _pictures(files: Sequence[Path], width: int, height: int) -> Float[Tensor, "n h w 3"]:
    return torch.stack([load_photo(file, width, height).rgb for file in files])


def _stated_size(content: dict[str, Any], entry: dict[str, Any], own: tuple[int, int]) -> tuple[float, float]:
    """The size that a frame's intrinsics are for: pictures may have been scaled since."""
    stated = {**content, **entry}
    sides = [stated.get(key) for key in ("w", "h")]
    return (sides[0], sides[1]) if all(is_number(side) and side > 0 for side in sides) else own  # type: ignore[return-value]
