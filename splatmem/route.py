"""From what a user calls a path to the cameras of a film."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch

from splatmem.cameras import Cameras
from splatmem.conventions import relative_to
from splatmem.io.path_files import load_path
from splatmem.memory import SpatialMemory
from splatmem.paths import PRESET_NAMES, make_path


@dataclass(frozen=True)
class Route:
    """Cameras, and what a reader of the report should know about them."""

    cameras: Cameras
    notes: list[str] = field(default_factory=list)


def route(path: str, frames: int, camera: Cameras, memory: SpatialMemory, *, world_of: Cameras | None = None) -> Route:
    """The cameras of a preset, drawn in until it fits into free space, or of a path file, taken as given.

    A preset is laid by what was given, not by what was made since: asked for again, it is the same path.

    Args:
        camera: the photo's; it gives the image size and the field of view.
        world_of: the first picture's camera in the world that path files are in; None if that is the memory's.
    """
    width, height = camera.width, camera.height
    fov = camera.fov_x_degrees
    if path in PRESET_NAMES:
        begun = memory.as_given()
        space = begun.free_space()
        made = make_path(
            path,
            frames,
            scale=begun.scale,
            subject_distance=subject_distance(begun, camera),
            fov_x_degrees=fov,
            width=width,
            height=height,
            is_free=lambda positions: space.contains(positions, begun.scale) & space.keeps_distance(positions),
            down=begun.down(),
        )
        return Route(made.cameras, [made.note] if made.note else [])
    cameras = load_path(Path(path), width=width, height=height, fov_x_degrees=fov, frames=frames)
    if world_of is not None:
        cameras = relative_to(cameras, world_of)
    blocked = int((~memory.is_free(cameras.centers)).sum())
    notes = [f"the path file was taken as given; it makes {len(cameras)} frames"]
    if blocked:
        notes.append(f"{blocked} of the {len(cameras)} cameras lie inside or behind what is seen to be solid")
    return Route(cameras, notes)


def subject_distance(memory: SpatialMemory, camera: Cameras) -> float:
    """Median depth of the middle of the first view."""
    depth = memory.read(camera).depth[0]
    height, width = depth.shape
    middle = depth[height // 3 : 2 * height // 3 + 1, width // 3 : 2 * width // 3 + 1]
    middle = middle[torch.isfinite(middle)]
    return float(middle.median()) if len(middle) else memory.scale
