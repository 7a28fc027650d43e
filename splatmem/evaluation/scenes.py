"""Scenes to compare a film with: posed pictures, and depth where it is known.

A scene is a folder in nerfstudio's convention: ``transforms.json`` with a ``file_path`` per frame and, where depth is known, a
``depth_file_path``: 16-bit PNGs in millimetres (``depth_unit_scale_factor`` 0.001) with 0 where there is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.geometry.cameras import Cameras, relative_to
from splatmem.geometry.sampling import evenly_spread
from splatmem.io.photo import photo_of
from splatmem.io.pictures import RefusedPicture, open_picture, picture_size, read_picture
from splatmem.io.posed import read_transforms_index, transforms_cameras, transforms_picture
from splatmem.io.posed_views import require_shape
from splatmem.io.text import is_number

METRES_PER_STEP = 0.001
SMALLEST_SIDE = 32
STILL = 1e-4  # cameras that lie closer together than this share of the median depth turn on the spot


@dataclass(frozen=True)
class Truth:
    """What the scene's cameras really saw.

    Attributes:
        cameras: ``v`` cameras; the first is the identity.
        rgb: sRGB in 0..1, ``[v, h, w, 3]``.
        depth: z-depth in the cameras' unit, ``inf`` where not measured, ``[v, h, w]``.
        measured: pixels whose depth is known, ``[v, h, w]``.
    """

    cameras: Cameras
    rgb: Float[Tensor, "v h w 3"]
    depth: Float[Tensor, "v h w"]
    measured: Bool[Tensor, "v h w"]

    @property
    def turns_on_the_spot(self) -> bool:
        """Whether the cameras only rotate: then what they see of each other does not depend on depth."""
        centres = self.cameras.centers
        depth = self.depth[self.measured & torch.isfinite(self.depth)]
        unit = float(depth.median()) if len(depth) else 1.0
        return bool((centres - centres[0]).norm(dim=-1).max() < STILL * unit)


@dataclass(frozen=True)
class Scene:
    """What a film begins with, and what it is compared with.

    Attributes:
        name: of its folder.
        photo: the first picture at the film's size, ``[H, W, 3]``: all that the film is made from.
        path: the cameras at the film's size; the first is the identity.
        photo_depth: true depth of the photo, ``inf`` where it is not known, ``[H, W]``.
        photo_measured: pixels where it is sure enough to judge other depth by, ``[H, W]``.
        truth: at the film's size, or at the pictures' own where that is smaller: enlarged pictures are soft, and would
            reward soft films.
    """

    name: str
    photo: Float[Tensor, "H W 3"]
    path: Cameras
    photo_depth: Float[Tensor, "H W"]
    photo_measured: Bool[Tensor, "H W"]
    truth: Truth


def load_scene(folder: Path, *, frames: int | None = None, size: tuple[int, int] | None = None) -> Scene:
    """Reads a scene.

    Args:
        folder: of the scene.
        frames: how many of its frames to take, evenly spread from the first to the last; all by default.
        size: (width, height) of the film; that of the first picture by default. Pictures of another shape are cropped to it.

    Raises:
        ValueError: a file is missing, damaged or does not fit the others; the message names it.
    """
    file = folder / "transforms.json"
    content = _read_index(file)
    count = len(content["frames"])
    chosen = evenly_spread(count, count if frames is None else frames)
    content["frames"] = [content["frames"][i] for i in chosen]
    if any(entry.get("mask_path") is not None for entry in content["frames"]):
        raise ValueError(f"{file}: frames have a 'mask_path', but films are compared with whole pictures: take it out")
    named = [(entry, f"{file}: frame {i}") for i, entry in zip(chosen, content["frames"], strict=True)]
    pictures = [transforms_picture(folder, entry, where) for entry, where in named]
    depths = [_depth_file(folder, entry, where) for entry, where in named]
    own = picture_size(pictures[0])
    for picture in pictures:
        require_shape(picture, picture_size(picture), own, pictures[0])
    width, height = size or own
    if min(width, height) < SMALLEST_SIDE:
        raise ValueError(f"{folder.name}: a film's sides have at least {SMALLEST_SIDE} pixels, got {width}x{height}")
    cameras = transforms_cameras(content, pictures, (width, height), file)
    path = relative_to(cameras, cameras[0])
    shown, unit = compared_size(own, (width, height)), _depth_unit(content, file)
    depth = torch.stack([_read_depth(d, p, unit, shown) for d, p in zip(depths, pictures, strict=True)])
    rgb = torch.stack([_picture(picture, *shown) for picture in pictures])
    photo_depth = _read_depth(depths[0], pictures[0], unit, (width, height))
    return Scene(
        name=folder.resolve().name,
        photo=_picture(pictures[0], width, height),
        path=path,
        photo_depth=photo_depth,
        photo_measured=torch.isfinite(photo_depth),
        truth=Truth(path.resized(*shown), rgb, depth, torch.isfinite(depth)),
    )


def _picture(file: Path, width: int, height: int) -> Float[Tensor, "h w 3"]:
    """The picture as it is stored: that is the grid which its camera speaks of."""
    return photo_of(read_picture(file, upright=False).image, width, height)


def _read_index(file: Path) -> dict[str, Any]:
    """The content of transforms.json, with frames."""
    if not file.is_file():
        raise ValueError(
            f"{file.parent} is no scene: expected a folder with transforms.json (nerfstudio's convention) and images"
        )
    return read_transforms_index(file, min_frames=2)


def _depth_file(folder: Path, entry: dict[str, Any], where: str) -> Path | None:
    name = entry.get("depth_file_path")
    if name is None:
        return None
    if not isinstance(name, str) or not (folder / name).is_file():
        raise ValueError(
            f"{where}: there is no depth map {folder / str(name)}; leave 'depth_file_path' out where none is known"
        )
    return folder / name


def compared_size(own: tuple[int, int], film: tuple[int, int]) -> tuple[int, int]:
    """The film's size, or that of the pictures' part which it shows, where that is smaller."""
    share = min(own[0] / film[0], own[1] / film[1])
    return film if share >= 1 else (max(1, round(share * film[0])), max(1, round(share * film[1])))


def _depth_unit(content: dict[str, Any], file: Path) -> float:
    """Units of the cameras for each step of the depth maps."""
    unit = content.get("depth_unit_scale_factor", METRES_PER_STEP)
    if not is_number(unit) or unit <= 0:
        raise ValueError(f"{file}: 'depth_unit_scale_factor' must be a positive number, got {unit!r}")
    return unit


def _read_depth(file: Path | None, picture: Path, unit: float, size: tuple[int, int]) -> Float[Tensor, "h w"]:
    """Depth at another size, cropped like the picture; sampled, since a mean of two surfaces is neither; ``inf`` where
    there is none."""
    if file is None:
        return torch.full((size[1], size[0]), torch.inf)
    with open_picture(file) as image:
        if not image.mode.startswith("I"):
            raise RefusedPicture(f"{file}: a depth map is a greyscale PNG of 16 bits (millimetres), got mode {image.mode}")
        steps = np.asarray(image).astype(np.float32)
    require_shape(file, (steps.shape[1], steps.shape[0]), picture_size(picture), picture)
    return resampled(np.where(steps > 0, steps * np.float32(unit), np.float32(np.inf)), size)


def resampled(values: Float[np.ndarray, "H W"], size: tuple[int, int]) -> Float[Tensor, "h w"]:
    """The middle of a map at another (width, height), cut out as ``load_photo`` does; sampled at the nearest pixel."""
    height, width = values.shape
    scale = min(width / size[0], height / size[1])
    column = (np.arange(size[0]) + 0.5) * scale + (width - scale * size[0]) / 2
    row = (np.arange(size[1]) + 0.5) * scale + (height - scale * size[1]) / 2
    sampled = values[row.astype(int).clip(0, height - 1)][:, column.astype(int).clip(0, width - 1)]
    return torch.from_numpy(sampled.astype(np.float32))
