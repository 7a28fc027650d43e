"""Pictures together with the cameras that took them: a nerfstudio or COLMAP folder, or a video with a trajectory.

A folder holds either ``transforms.json`` (nerfstudio's convention) with a ``file_path`` for each frame, or a COLMAP model
(in the folder, its ``sparse/`` or its ``sparse/0/``), with the pictures in ``images/`` or beside the model. The cameras speak
of the pictures as they are stored: EXIF's orientation is not honoured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from jaxtyping import Bool, Float
from PIL import Image
from torch import Tensor

from splatmem.geometry.cameras import Cameras
from splatmem.geometry.sampling import evenly_spread
from splatmem.io.colmap import ColmapModel, choose_colmap, read_colmap
from splatmem.io.intrinsics import Intrinsics, intrinsics_to_cameras
from splatmem.io.path_files import load_path, stated_size
from splatmem.io.photo import DEFAULT_FOV_X_DEGREES, photo_of
from splatmem.io.picture_files import find_picture
from splatmem.io.pictures import picture_size
from splatmem.io.posed_views import PosedView, read_views, require_shape, same_shape
from splatmem.io.text import is_number
from splatmem.io.transforms_json import INDEX_NAMES, find_index, parse_json, parse_views
from splatmem.io.video_frames import VideoFrames, survey_video

T = TypeVar("T")


@dataclass(frozen=True)
class PosedPictures:
    """Pictures and their cameras.

    Attributes:
        rgb: sRGB in 0..1, ``[n, h, w, 3]``.
        cameras: one for each, of the pictures' size, in their file's world and unit.
        offered: how many pictures there were to choose from.
        usable: pixels that show the scene: not masked out, and within what the lens saw, ``[n, h, w]``; None: all of them.
        notes: sentences for the report.
    """

    rgb: Float[Tensor, "n h w 3"]
    cameras: Cameras
    offered: int
    usable: Bool[Tensor, "n h w"] | None = None
    notes: list[str] = field(default_factory=list)


def load_posed_folder(folder: Path, *, width: int, height: int, fov_x_degrees: float | None, most: int) -> PosedPictures:
    """Reads the pictures of a folder, at one size and without lens distortion.

    Args:
        folder: see the module's text; or the transforms.json itself.
        width, height: wanted; pictures of another shape are cropped to it.
        fov_x_degrees: where the files do not tell it.
        most: pictures to take; of more than that some are taken, evenly spread.

    Raises:
        ValueError: there is no such model in the folder, it is malformed, or all pictures are missing; the message names them.
    """
    file = find_index(folder) if folder.is_dir() else folder
    if file is not None:
        return _load_transforms(file, width, height, fov_x_degrees, most)
    place, notes = choose_colmap(folder)
    if place is None:
        raise ValueError(
            f"{folder} is a folder without posed pictures: expected a transforms.json (nerfstudio's convention) or a COLMAP "
            "model (cameras and images, .bin or .txt) in it, in its sparse/ or in its sparse/0/. For a film of one photo "
            "name that file; for a film of each photo in a folder there is splatmem batch"
        )
    return _load_colmap(folder, read_colmap(place), notes, width, height, fov_x_degrees, most)


def load_posed_video(
    video: Path, poses: Path, *, width: int, height: int, fov_x_degrees: float | None, most: int
) -> PosedPictures:
    """Reads the frames of a video, with a file that holds a camera for each; otherwise as ``load_posed_folder``.

    Trajectories without intrinsics count as seen at ``fov_x_degrees``, or at a photo's default.

    Raises:
        ValueError: one of the two cannot be read, or they differ in length or in shape.
    """
    frames = survey_video(video)
    fov = fov_x_degrees or DEFAULT_FOV_X_DEGREES
    cameras = load_path(poses, width=width, height=height, fov_x_degrees=fov, frames=frames.count)
    if len(cameras) != frames.count:
        raise ValueError(f"{poses} holds {len(cameras)} cameras, but {video} has {frames.count} frames: one for each is needed")
    turned, notes = _grid_of(frames, stated_size(poses), poses)
    chosen = evenly_spread(frames.count, most)
    rgb = torch.stack([photo_of(Image.fromarray(frame), width, height) for frame in frames.read(chosen, turned=turned)])
    return PosedPictures(rgb, cameras[chosen], frames.count, notes=notes)


def _grid_of(frames: VideoFrames, stated: tuple[float, float] | None, poses: Path) -> tuple[bool, list[str]]:
    """Whether frames are to be turned as the video's display matrix says: not where the poses speak of the stored grid."""
    if stated is None or same_shape(frames.upright, stated):
        return True, []
    if same_shape(frames.stored, stated):
        shown, kept = ("x".join(map(str, size)) for size in (frames.upright, frames.stored))
        note = f"{frames.path.name} is to be shown at {shown}, but its poses speak of {kept}: it was read as it is stored"
        return False, [note]
    require_shape(frames.path, frames.upright, stated, poses)
    return True, []


def read_transforms_index(file: Path, min_frames: int) -> dict[str, Any]:
    """The content of a transforms.json with at least ``min_frames`` frames."""
    content = parse_json(file)
    entries = content.get("frames") if isinstance(content, dict) else None
    if not isinstance(entries, list) or len(entries) < min_frames or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError(f"{file}: expected 'frames', a list of at least {min_frames} objects")
    return content


def transforms_cameras(
    content: dict[str, Any], pictures: Sequence[Path], size: tuple[int, int], file: Path, fov_x_degrees: float | None = None
) -> Cameras:
    """Cameras of a transforms.json at ``size`` (width, height); its frames' pictures may have been scaled since.

    Raises:
        ValueError: as ``parse_views``; or the lens has distortion, of which these cameras would know nothing.
    """
    index = _with_sizes(content, pictures)
    for entry, picture in zip(index["frames"], pictures, strict=True):
        require_shape(picture, picture_size(picture), (entry["w"], entry["h"]), file)
    poses, lenses = parse_views(index, str(file), width=size[0], height=size[1], fov_x_degrees=fov_x_degrees)
    if any(lens.distortion is not None for lens in lenses):
        raise ValueError(f"{file}: the lens has distortion, and these pictures count as they are: undistort them first")
    return intrinsics_to_cameras(poses, lenses, *size, str(file))


def transforms_picture(folder: Path, entry: dict[str, Any], where: str) -> Path:
    """The picture of one frame; see ``find_picture``."""
    name = entry.get("file_path")
    if not isinstance(name, str) or not name:
        raise ValueError(f"{where}: expected 'file_path', the name of its picture")
    found = find_picture(folder, name)
    if found is None:
        raise ValueError(f"{where}: there is no picture {folder / name}")
    return found


def _with_sizes(content: dict[str, Any], pictures: Sequence[Path]) -> dict[str, Any]:
    """The content with the size that each frame's intrinsics are for; where it states none, its picture's."""
    frames = []
    for entry, picture in zip(content["frames"], pictures, strict=True):
        stated = {**content, **entry}
        sides = [stated.get(key) for key in ("w", "h")]
        size = sides if all(is_number(side) and side > 0 for side in sides) else picture_size(picture)  # type: ignore[operator]
        frames.append({**entry, "w": size[0], "h": size[1]})
    return {**content, "frames": frames}


def _load_transforms(file: Path, width: int, height: int, fov: float | None, most: int) -> PosedPictures:
    content = read_transforms_index(file, min_frames=1)
    notes = [] if file.name != INDEX_NAMES[1] else [f"the pictures of {file.name} were taken, as there is no {INDEX_NAMES[0]}"]
    found: list[tuple[dict[str, Any], Path, Path | None]] = []
    missing: list[str] = []
    for index, entry in enumerate(content["frames"]):
        try:
            picture = transforms_picture(file.parent, entry, f"{file}: frame {index}")
            found.append((entry, picture, _mask_of(file.parent, entry, picture, f"{file}: frame {index}")))
        except ValueError as error:
            missing.append(str(error))
    chosen = _chosen(found, missing, most, notes)
    views_content = _with_sizes({**content, "frames": [entry for entry, _, _ in chosen]}, [file for _, file, _ in chosen])
    poses, lenses = parse_views(views_content, str(file), width=width, height=height, fov_x_degrees=fov)
    views = [PosedView(picture, lens, mask, file) for (_, picture, mask), lens in zip(chosen, lenses, strict=True)]
    _remark_on_masks([mask for entry, _, mask in chosen if "mask_path" not in entry], notes)
    return _posed(views, poses, len(found), notes, width, height)


def _mask_of(folder: Path, entry: dict[str, Any], picture: Path, where: str) -> Path | None:
    """A frame's mask, named or beside it: black is not to be used (nerfstudio's convention)."""
    name = entry.get("mask_path")
    if name is None:
        return _mask_beside(folder, picture)
    mask = find_picture(folder, name) if isinstance(name, str) else None
    if mask is None:
        raise ValueError(f"{where}: there is no mask {folder / str(name)}; leave 'mask_path' out where there is none")
    return mask


def _mask_beside(folder: Path, picture: Path) -> Path | None:
    """The mask of a picture in the folder ``masks``: of its name, or of that with .png behind it, as COLMAP has it."""
    images = folder / "images"
    name = picture.relative_to(images if images in picture.parents else folder) if folder in picture.parents else picture.name
    return find_picture(folder / "masks", f"{name}.png") or find_picture(folder / "masks", str(name))


def _remark_on_masks(masks: Sequence[Path | None], notes: list[str]) -> None:
    count = sum(mask is not None for mask in masks)
    if count:
        notes.append(f"{count} masks were found in the folder masks: what is black in them is not used")


def _load_colmap(
    folder: Path, model: ColmapModel, notes: list[str], width: int, height: int, fov: float | None, most: int
) -> PosedPictures:
    cameras = model.cameras(width=width, height=height, fov_x_degrees=fov)
    found: list[tuple[int, Path]] = []
    missing: list[str] = []
    for index, name in enumerate(model.names):
        try:
            found.append((index, _colmap_picture(folder, model.file, name)))
        except ValueError as error:
            missing.append(str(error))
    chosen = _chosen(found, missing, most, notes)
    views = []
    for index, file in chosen:
        lens = (
            Intrinsics.from_fov(cameras[index].fov_x_degrees, *picture_size(file))
            if model.lenses is None
            else model.lenses[index]
        )
        views.append(PosedView(file, lens, _mask_beside(folder, file), model.file))
    _remark_on_masks([view.mask for view in views], notes)
    indices = [index for index, _ in chosen]
    if model.lenses is None:  # the field of view is that of the film, not of the pictures
        rgb, usable = read_views(views, width, height)
        return PosedPictures(rgb, cameras[indices], len(found), usable, notes)
    return _posed(views, model.world_to_cam()[indices], len(found), notes, width, height)


def _colmap_picture(folder: Path, images: Path, name: str) -> Path:
    places = [folder / "images", folder, images.parent]
    found = next((file for place in places if (file := find_picture(place, name)) is not None), None)
    if found is None:
        lacking = "" if places[0].is_dir() else f" (there is no folder {places[0]})"
        raise ValueError(
            f"{images}: there is no picture {places[0] / name}{lacking}; put the pictures there, or beside the model"
        )
    return found


def _chosen(found: list[T], missing: list[str], most: int, notes: list[str]) -> list[T]:
    """Some of what was found, evenly spread; what is missing is noted, and refused where it is all."""
    if not found:
        raise ValueError(missing[0])
    if missing:
        notes.append(f"{len(missing)} of {len(found) + len(missing)} pictures were left out: {missing[0]}")
    return [found[index] for index in evenly_spread(len(found), most)]


def _posed(
    views: Sequence[PosedView],
    world_to_cam: Float[Tensor, "n 4 4"],
    offered: int,
    notes: list[str],
    width: int,
    height: int,
) -> PosedPictures:
    cameras = intrinsics_to_cameras(world_to_cam, [view.lens for view in views], width, height, str(views[0].source))
    rgb, usable = read_views(views, width, height)
    if usable is not None:
        notes.append(
            f"{100 * (~usable).float().mean():.0f} % of the pictures' pixels are masked out or beyond the lens: not used"
        )
    return PosedPictures(rgb, cameras, offered, usable, notes)
