"""Camera paths from files: transforms.json, COLMAP, TUM, and keyframes in YAML or JSON.

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
from splatmem.io.colmap import find_colmap, load_colmap
from splatmem.io.lenses import Lens, lens_cameras
from splatmem.io.text import data_lines, is_number, shortened, unit_quat
from splatmem.io.transforms_json import load_transforms_json, parse_json, parse_transforms
from splatmem.io.tum import load_tum

DEFAULT_FRAMES = 96
KINDS = "transforms.json, a COLMAP folder or its images.bin or images.txt, a TUM .txt, or keyframes in .yaml or .json"
KEYFRAME_FIELDS = {"position", "look_at", "quaternion", "fov"}
FOV_RANGE = (1.0, 170.0)


def load_path(file: str | Path, *, width: int, height: int, fov_x_degrees: float, frames: int = DEFAULT_FRAMES) -> Cameras:
    """The cameras of a path file, at one image size, in the memory's world.

    Args:
        file: a transforms.json, a COLMAP folder or its images.bin or images.txt, a TUM trajectory, or keyframes (see the
            module's text).
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
        return parse_keyframes(_parse_yaml(file), str(file), width, height, fov, frames)
    if suffix == ".json":
        content = parse_json(file)
        if isinstance(content, dict) and "keyframes" in content:
            return parse_keyframes(content, str(file), width, height, fov, frames)
        return parse_transforms(content, str(file), width=width, height=height, fov_x_degrees=fov)
    if file.name == "images.bin":
        return load_colmap(file, width=width, height=height, fov_x_degrees=fov)
    if suffix == ".txt":
        lines = data_lines(file)
        if file.name == "images.txt" or (lines and len(lines[0][1].split()) >= 10):
            return load_colmap(file, width=width, height=height, fov_x_degrees=fov)
        return load_tum(file, width=width, height=height, fov_x_degrees=fov)
    raise ValueError(f"{file}: not a kind of path file that is known; expected {KINDS}")


def _load_folder(folder: Path, width: int, height: int, fov: float) -> Cameras:
    model = find_colmap(folder)
    if model is not None:
        return load_colmap(model, width=width, height=height, fov_x_degrees=fov)
    if (folder / "transforms.json").is_file():
        return load_transforms_json(folder / "transforms.json", width=width, height=height, fov_x_degrees=fov)
    raise ValueError(
        f"{folder}: the folder holds no path; expected COLMAP's images.bin or images.txt, or a transforms.json in it"
    )


def _parse_yaml(file: Path) -> Any:
    import yaml

    try:
        return yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{file}: expected YAML, but it cannot be read: {error}") from error


def parse_keyframes(content: Any, source: str, width: int, height: int, fov_x_degrees: float, frames: int) -> Cameras:
    """Cameras on a smooth curve through the keyframes of a parsed file; ``fov_x_degrees`` where a keyframe has none."""
    keyframes = content.get("keyframes") if isinstance(content, dict) else None
    if not isinstance(keyframes, list):
        raise ValueError(
            f"{source}: expected a list 'keyframes', got {shortened(keyframes if isinstance(content, dict) else content)}"
        )
    if len(keyframes) < 2:
        raise ValueError(f"{source}: a path needs at least two keyframes, the file holds {len(keyframes)}")
    closed, frames = content.get("closed", False), content.get("frames", frames)
    if not isinstance(closed, bool):
        raise ValueError(f"{source}: 'closed' must be true or false, got {shortened(closed)}")
    if not isinstance(frames, int) or isinstance(frames, bool) or frames < 2:
        raise ValueError(f"{source}: 'frames' must be a whole number of at least 2, got {shortened(frames)}")
    poses = torch.cat([_pose(k, f"{source}: keyframe {i + 1}") for i, k in enumerate(keyframes)])
    fovs = [_fov(k.get("fov", fov_x_degrees), f"{source}: keyframe {i + 1}") for i, k in enumerate(keyframes)]
    cam_to_world = interpolate_keyframes(poses, frames, closed)
    # The spline may overshoot its knots.
    widths = interpolate_values(torch.tensor(fovs).double()[:, None], frames, closed)[:, 0].clamp(*FOV_RANGE)
    lenses = [Lens.from_fov(fov, width, height) for fov in widths.tolist()]
    return lens_cameras(rigid_inverse(cam_to_world), lenses, width, height, source)


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
