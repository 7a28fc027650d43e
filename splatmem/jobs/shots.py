"""A film of several shots: what a file says of them, and their cameras."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from splatmem.geometry.cameras import Cameras
from splatmem.geometry.interpolation import interpolate_keyframes, interpolate_values
from splatmem.geometry.poses import rigid_inverse
from splatmem.io.path_files import FOV_RANGE, MOST_FRAMES
from splatmem.io.yaml_text import parse_yaml
from splatmem.scene import Scene
from splatmem.trajectory.names import PRESET_NAMES
from splatmem.trajectory.trajectory import Trajectory

FIELDS = ("path", "frames", "seconds", "fov", "prompt")


@dataclass(frozen=True)
class Shot:
    """One shot.

    Attributes:
        path: a preset's name or a path file.
        frames: its length; None: that of the file, or 96.
        fov: horizontal field of view in degrees; None: the path's own.
        prompt: what is to be seen, for models that read words.
    """

    path: str
    frames: int | None = None
    fov: float | None = None
    prompt: str | None = None


def read_shots(file: Path, fps: float) -> list[Shot]:
    """The shots of a file. Path files are looked for beside it, too.

    Raises:
        ValueError: it is none, or a shot has what no shot has; the message names file and shot.
    """
    content = parse_yaml(file)
    shots = content.get("shots") if isinstance(content, dict) else content
    if not isinstance(shots, list) or not shots:
        raise ValueError(f"{file}: expected a list of shots, such as 'shots: [{{path: arc, frames: 48}}]'")
    return [_shot(values, f"{file}: shot {number}", file.parent, fps) for number, values in enumerate(shots, start=1)]


def _shot(values: Any, where: str, folder: Path, fps: float) -> Shot:
    if not isinstance(values, dict) or "path" not in values:
        raise ValueError(f"{where}: expected a path, such as {{path: arc, frames: 48}}")
    unknown = [str(name) for name in values if name not in FIELDS]
    if unknown:
        raise ValueError(f"{where}: expected {', '.join(FIELDS)}, got {', '.join(unknown)}")
    path = str(values["path"])
    if path not in PRESET_NAMES and not Path(path).expanduser().exists() and (folder / path).exists():
        path = str(folder / path)
    if "frames" in values and "seconds" in values:
        raise ValueError(f"{where}: give frames or seconds, not both")
    frames = values.get("frames")
    if "seconds" in values:
        frames = round(_number(values["seconds"], 0.01, 10_000, f"{where}: seconds") * fps)
    if frames is not None and not (type(frames) is int and 1 <= frames <= MOST_FRAMES):
        raise ValueError(f"{where}: a shot has 1 to {MOST_FRAMES} frames, got {frames}")
    fov = None if values.get("fov") is None else _number(values["fov"], *FOV_RANGE, f"{where}: fov in degrees")
    prompt = values.get("prompt")
    return Shot(path, frames, fov, None if prompt is None else str(prompt))


def _number(value: Any, low: float, high: float, what: str) -> float:
    if type(value) not in (int, float) or not low <= value <= high:
        raise ValueError(f"{what} is a number from {low:g} to {high:g}, got {value!r}")
    return float(value)


def shot_trajectory(shot: Shot, scene: Scene, size: tuple[int, int] | None) -> Trajectory:
    """The cameras of a shot; a path file of another length is run through faster or slower.

    Raises:
        ValueError: there is no such path, or its file is malformed.
    """
    made = scene.trajectory(shot.path, max(2, shot.frames or 96), size)
    cameras = made.cameras
    if shot.frames is not None and shot.frames != len(cameras):
        cameras = cameras[:1] if shot.frames == 1 else _resampled(cameras, shot.frames)
    if shot.fov is not None:
        cameras = with_fov(cameras, shot.fov)
    return replace(made, cameras=cameras, moments=list(range(len(cameras))))


def with_fov(cameras: Cameras, fov_x_degrees: float) -> Cameras:
    """The same poses with another horizontal field of view and square pixels."""
    focal = 0.5 * cameras.width / torch.tan(torch.deg2rad(torch.tensor(0.5 * fov_x_degrees)))
    intrinsics = cameras.intrinsics.clone()
    intrinsics[:, 0, 0] = intrinsics[:, 1, 1] = focal
    return replace(cameras, intrinsics=intrinsics)


def _resampled(cameras: Cameras, frames: int) -> Cameras:
    poses = interpolate_keyframes(cameras.cam_to_world.double(), frames)
    intrinsics = interpolate_values(cameras.intrinsics.flatten(1).double(), frames).unflatten(1, (3, 3))
    return Cameras(rigid_inverse(poses).float(), intrinsics.float(), cameras.width, cameras.height)
