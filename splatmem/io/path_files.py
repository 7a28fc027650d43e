"""Camera paths from files: transforms.json, camera_path.json, COLMAP, TUM, KITTI, .npz, and keyframes in YAML or JSON.

Poses are taken as given, in the memory's world: there the photo was taken from the identity, looking along +z with y down. A
path whose world is another one is brought there with ``splatmem.geometry.cameras.relative_to``.

A keyframe file::

    closed: false          # true: after the last keyframe the path returns smoothly to the first
    frames: 96             # optional; else as many as the caller wants
    keyframes:             # at least two; they follow each other in equal times
      - position: [0, 0, 0]
        look_at: [0, 0, 2]           # a point in the middle of the picture; the camera stays upright
        fov: 60                      # optional, horizontal, in degrees
      - position: [0.5, 0, 0.2]
        quaternion: [1, 0, 0, 0]     # instead of look_at: wxyz, cam-to-world, OpenCV axes
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from splatmem.geometry.cameras import Cameras
from splatmem.geometry.interpolation import interpolate_keyframes, interpolate_values
from splatmem.geometry.poses import look_at, rigid_from, rigid_inverse
from splatmem.geometry.rotations import quats_to_rotations
from splatmem.io.cameras.supersplat import is_supersplat_settings, parse_supersplat_settings
from splatmem.io.colmap import find_colmap, load_colmap, read_colmap
from splatmem.io.intrinsics import Intrinsics, intrinsics_to_cameras
from splatmem.io.kitti import is_kitti, load_kitti
from splatmem.io.npz_cameras import load_npz
from splatmem.io.text import data_lines, is_number, shortened, unit_quat
from splatmem.io.transforms_json import find_index, load_transforms_json, parse_json, parse_transforms
from splatmem.io.tum import load_tum
from splatmem.io.viewer_paths import is_inria_cameras, is_viewer_path, parse_inria_cameras, parse_viewer_path
from splatmem.io.yaml_text import parse_yaml

DEFAULT_FRAMES = 96
MOST_FRAMES = 10_000  # of a film
KINDS = (
    "transforms.json, nerfstudio's camera_path.json, 3DGS's cameras.json, the SuperSplat viewer's settings, a COLMAP folder or "
    "its images.bin or images.txt, a TUM or KITTI .txt, an .npz with w2c and K, or keyframes in .yaml or .json"
)
KEYFRAME_FIELDS = {"position", "look_at", "quaternion", "fov"}
FOV_RANGE = (1.0, 170.0)


def load_path(file: str | Path, *, width: int, height: int, fov_x_degrees: float, frames: int = DEFAULT_FRAMES) -> Cameras:
    """The cameras of a path file, at one image size, in the memory's world.

    Args:
        file: one of ``KINDS``; of keyframes see the module's text.
        width, height: image size. Intrinsics in the file of another shape count as scaled to cover it and centre-cropped.
        fov_x_degrees: where the file has no intrinsics.
        frames: cameras to make from keyframes, where the file does not say. Other files hold one camera per frame.

    Raises:
        ValueError: no such file, malformed, empty, NaN, a pose that is not rigid, fewer than two cameras.
    """
    file = Path(file)
    if not file.exists():
        raise ValueError(f"there is no path file {file}; expected {KINDS}")
    cameras = _load(file, width, height, fov_x_degrees, frames)
    if len(cameras) < 2:
        raise ValueError(f"{file}: a path needs at least two cameras, the file holds {len(cameras)}")
    return cameras


def _load(file: Path, width: int, height: int, fov: float, frames: int) -> Cameras:
    if file.is_dir():
        return _load_folder(file, width, height, fov)
    if file.stat().st_size == 0:
        raise ValueError(f"{file}: the path file is empty; expected {KINDS}")
    suffix = file.suffix.lower()
    if suffix in (".yaml", ".yml"):
        return parse_keyframes(parse_yaml(file), str(file), width, height, fov, frames)
    if suffix == ".json":
        content = parse_json(file)
        if is_viewer_path(content):
            return parse_viewer_path(content, str(file), width, height, fov)
        if is_supersplat_settings(content):
            return parse_supersplat_settings(content, str(file), width, height)
        if is_inria_cameras(content):
            return parse_inria_cameras(content, str(file), width, height)
        if isinstance(content, dict) and "keyframes" in content:
            return parse_keyframes(content, str(file), width, height, fov, frames)
        return parse_transforms(content, str(file), width=width, height=height, fov_x_degrees=fov)
    if file.name == "images.bin":
        return load_colmap(file, width=width, height=height, fov_x_degrees=fov)
    if suffix == ".npz":
        return load_npz(file, width=width, height=height, fov_x_degrees=fov)
    if suffix == ".txt":
        lines = data_lines(file)
        if file.name != "images.txt" and lines and is_kitti(lines[0][1]):
            return load_kitti(file, width=width, height=height, fov_x_degrees=fov)
        if file.name == "images.txt" or (lines and len(lines[0][1].split()) >= 10):
            return load_colmap(file, width=width, height=height, fov_x_degrees=fov)
        return load_tum(file, width=width, height=height, fov_x_degrees=fov)
    raise ValueError(f"{file}: not a kind of path file that is known; expected {KINDS}")


def _load_folder(folder: Path, width: int, height: int, fov: float) -> Cameras:
    model = find_colmap(folder)
    if model is not None:
        return load_colmap(model, width=width, height=height, fov_x_degrees=fov)
    index = find_index(folder)
    if index is not None:
        return load_transforms_json(index, width=width, height=height, fov_x_degrees=fov)
    raise ValueError(
        f"{folder}: the folder holds no path; expected COLMAP's images.bin or images.txt, or a transforms.json in it"
    )


def stated_size(file: Path) -> tuple[float, float] | None:
    """(width, height) of the pictures that a path file's intrinsics are for, by its first camera; None where it has none."""
    place = (find_colmap(file) or find_index(file)) if file.is_dir() else file
    if place is None:
        return None
    if place.suffix.lower() == ".json":
        content = parse_json(place)
        first = content["frames"][0] if isinstance(content, dict) and content.get("frames") else content
        stated = {**content, **first} if isinstance(content, dict) and isinstance(first, dict) else {}
        sides = [stated.get(key) for key in ("w", "h")]
        return (sides[0], sides[1]) if all(is_number(side) and side > 0 for side in sides) else None  # type: ignore[return-value]
    if place.is_dir() or place.name in ("images.bin", "images.txt"):
        lenses = read_colmap(place).lenses
        return None if lenses is None else (lenses[0].width, lenses[0].height)
    return None


def parse_keyframes(content: Any, source: str, width: int, height: int, fov_x_degrees: float, frames: int) -> Cameras:
    """Cameras on a smooth curve through the keyframes of a parsed file; ``fov_x_degrees`` where a keyframe has none."""
    keyframes = content.get("keyframes") if isinstance(content, dict) else None
    if not isinstance(keyframes, list):
        raise ValueError(
            f"{source}: expected a list 'keyframes', got {shortened(keyframes if isinstance(content, dict) else content)}"
        )
    if len(keyframes) < 2:
        raise ValueError(f"{source}: a path needs at least two keyframes, the file holds {len(keyframes)}")
    if len(keyframes) > MOST_FRAMES:
        raise ValueError(f"{source}: a path has at most {MOST_FRAMES} keyframes, the file holds {len(keyframes)}")
    closed, frames = content.get("closed", False), content.get("frames", frames)
    if not isinstance(closed, bool):
        raise ValueError(f"{source}: 'closed' must be true or false, got {shortened(closed)}")
    if not isinstance(frames, int) or isinstance(frames, bool) or not 2 <= frames <= MOST_FRAMES:
        raise ValueError(f"{source}: 'frames' must be a whole number of 2 to {MOST_FRAMES}, got {shortened(frames)}")
    poses = torch.cat([_pose(k, f"{source}: keyframe {i + 1}") for i, k in enumerate(keyframes)])
    fovs = [_fov(k.get("fov", fov_x_degrees), f"{source}: keyframe {i + 1}") for i, k in enumerate(keyframes)]
    cam_to_world = interpolate_keyframes(poses, frames, closed)
    # The spline may overshoot its knots.
    widths = interpolate_values(torch.tensor(fovs).double()[:, None], frames, closed)[:, 0].clamp(*FOV_RANGE)
    lenses = [Intrinsics.from_fov(fov, width, height) for fov in widths.tolist()]
    return intrinsics_to_cameras(rigid_inverse(cam_to_world), lenses, width, height, source)


def _pose(keyframe: Any, where: str) -> Float[Tensor, "1 4 4"]:
    if not isinstance(keyframe, dict):
        raise ValueError(f"{where}: expected 'position' with 'look_at' or 'quaternion', got {shortened(keyframe)}")
    unknown = sorted(map(str, set(keyframe) - KEYFRAME_FIELDS))
    if unknown:
        raise ValueError(f"{where}: unknown field {unknown[0]!r}; expected {', '.join(sorted(KEYFRAME_FIELDS))}")
    if ("look_at" in keyframe) == ("quaternion" in keyframe):
        raise ValueError(f"{where}: expected either 'look_at' or 'quaternion'")
    position = _vector(keyframe, "position", 3, where)
    if "quaternion" in keyframe:
        quat = unit_quat(_vector(keyframe, "quaternion", 4, where)[0].tolist(), where)
        return rigid_from(quats_to_rotations(torch.tensor([quat]).double()), position)
    try:
        return look_at(position, _vector(keyframe, "look_at", 3, where))
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _vector(keyframe: dict[str, Any], key: str, length: int, where: str) -> Float[Tensor, "1 d"]:
    values = keyframe.get(key)
    if not isinstance(values, list) or len(values) != length or not all(is_number(v) for v in values):
        raise ValueError(f"{where}: {key!r} must be a list of {length} finite numbers, got {shortened(values)}")
    return torch.tensor([values], dtype=torch.float64)


def _fov(value: Any, where: str) -> float:
    if not is_number(value) or not FOV_RANGE[0] <= value <= FOV_RANGE[1]:
        raise ValueError(f"{where}: 'fov' must be a number of degrees in 1..170, got {shortened(value)}")
    return float(value)
