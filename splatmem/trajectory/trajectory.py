"""A camera trajectory: the cameras of a film, or some of them, with the moments at which they stand in it; and from what a user
calls a path to it."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from splatmem.geometry.cameras import Cameras
from splatmem.io.home import expanded
from splatmem.io.path_files import load_path
from splatmem.memory import SpatialMemory
from splatmem.memory.free_space import FreeSpace
from splatmem.trajectory.names import PRESET_NAMES
from splatmem.trajectory.presets import SWINGS, make_path
from splatmem.trajectory.round_subject import Extent
from splatmem.trajectory.uncovered import swings_borne


class HasMemory(Protocol):
    """Anything with a spatial memory and a history, such as a ``Scene``."""

    @property
    def memory(self) -> SpatialMemory: ...

    def views_before(self, path: str) -> int:
        """How many views the memory had when a path of this name was first made; all of them if that was not done."""
        ...


@dataclass(frozen=True)
class Trajectory:
    """Cameras along a path through a scene, in the world of its memory.

    Attributes:
        cameras: one for each moment.
        moments: film frame numbers, with fractions between the film's own frames; 0, 1, 2, ... by default.
        name: of the preset or file that it comes from, for reports.
        notes: sentences for the report, such as that the path was drawn in.
        extent: how far a preset round a subject goes round it; None for other paths.
    """

    cameras: Cameras
    moments: Sequence[float] = ()
    name: str = ""
    notes: tuple[str, ...] = field(default=(), compare=False)
    extent: Extent | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if not self.moments:
            object.__setattr__(self, "moments", list(range(len(self.cameras))))
        if len(self.moments) != len(self.cameras):
            raise ValueError(f"a trajectory needs one moment for each camera, got {len(self.moments)} and {len(self.cameras)}")

    def __len__(self) -> int:
        return len(self.cameras)

    @property
    def spacing(self) -> float:
        """Film frames from one camera to the next."""
        return self.moments[1] - self.moments[0] if len(self.moments) > 1 else 1.0

    def at(self, indices: Sequence[int]) -> Trajectory:
        """Some of its cameras, in the order given."""
        return Trajectory(self.cameras[list(indices)], [self.moments[index] for index in indices], self.name)

    def first(self, count: int) -> Trajectory:
        """The trajectory's first ``count`` cameras, or all if it has fewer."""
        return self.at(range(min(count, len(self))))

    @staticmethod
    def preset(
        name: str, scene: HasMemory | SpatialMemory, frames: int = 96, size: tuple[int, int] | None = None
    ) -> Trajectory:
        """A preset laid through a scene: turn, orbit, arc, spiral or dolly.

        Args:
            name: of the preset.
            scene: a scene, or its memory.
            frames: number of cameras, at least 2.
            size: width and height of the pictures; the photo's by default.

        Raises:
            ValueError: there is no such preset, or a number is out of range.
        """
        return preset_trajectory(name, scene, frames, size)

    @staticmethod
    def from_file(
        file: str | Path, scene: HasMemory | SpatialMemory, frames: int = 96, size: tuple[int, int] | None = None
    ) -> Trajectory:
        """A path file, taken as given, in the world of what the scene was made from.

        Args:
            file: transforms.json, COLMAP, TUM, or keyframes in YAML or JSON.
            scene: a scene, or its memory.
            frames: number of cameras where the file holds keyframes and does not say.
            size: width and height of the pictures; the photo's by default.

        Raises:
            ValueError: there is no such file, or it is malformed; the message names it.
        """
        return file_trajectory(file, scene, frames, size)


def trajectory_from(
    path: str | Path | Cameras | Trajectory,
    scene: HasMemory | SpatialMemory,
    frames: int = 96,
    size: tuple[int, int] | None = None,
    fov: float | None = None,
    known_views: int | None = None,
) -> Trajectory:
    """The trajectory that a user means by a preset's name, a path file, cameras, or a trajectory.

    Args:
        path: a name of ``PRESET_NAMES``; a file; or cameras in the world of the scene's memory.
        scene: a scene, or its memory.
        frames: number of cameras of a preset, and of a file of keyframes that does not say.
        size: width and height of the pictures; the photo's by default. Those of another shape show its middle.
        fov: horizontal field of view in degrees, where a file does not tell it; by default what the photo shows at this shape.
        known_views: a preset keeps out of what so many of the memory's views show, and out of what was given in any case. By
            default as many as there were when the scene first made this preset; of a memory alone, those that were given.

    Raises:
        ValueError: no such preset or file, or the file is malformed.
    """
    if isinstance(path, Trajectory):
        return path
    if isinstance(path, Cameras):
        return Trajectory(path)
    if str(path) in PRESET_NAMES:
        return preset_trajectory(str(path), scene, frames, size, fov, known_views)
    return file_trajectory(path, scene, frames, size, fov)


def preset_trajectory(
    name: str,
    scene: HasMemory | SpatialMemory,
    frames: int,
    size: tuple[int, int] | None = None,
    fov: float | None = None,
    known_views: int | None = None,
) -> Trajectory:
    """The cameras of a preset, drawn in until they fit into free space.

    Its shape and size follow from what was given alone. It keeps out of what the given views show, and the first
    ``known_views`` of the memory's views: with the same number it is the same trajectory, however much was made since. At
    another size or field of view the cameras stand at the same places.

    Raises:
        ValueError: there is no such preset, or a number is out of range.
    """
    memory = memory_of(scene)
    camera = first_camera(memory, size, fov)
    if known_views is None:
        known_views = 0 if isinstance(scene, SpatialMemory) else scene.views_before(name)
    begun, since = memory.as_given(), memory.views[memory.num_given_views : known_views]
    is_barely_free = borne = None
    whole = True
    if name in SWINGS:
        from splatmem.trajectory.clear_space import TIGHT, ClearSpace  # with scipy, which other paths do without

        clear = ClearSpace(begun, since)
        distance, is_free = clear.subject, partial(clear.is_clear)
        is_barely_free = partial(clear.is_clear, nearest=TIGHT)
        if SWINGS[name] is None:
            from splatmem.trajectory.from_behind import bears_circle

            whole = bears_circle(begun, clear)
        else:
            borne = swings_borne(begun, distance)
    else:
        given = begun.free_space()
        space = FreeSpace.of([(view.camera, view.depth) for view in (*begun.views, *since)]) if since else given
        distance = subject_distance(begun, begun.views[0].camera)

        def is_free(points: Tensor) -> Tensor:
            return space.contains(points, begun.scale) & given.keeps_distance(points)

    made = make_path(
        name,
        frames,
        scale=begun.scale,
        subject_distance=distance,
        fov_x_degrees=camera.fov_x_degrees,
        width=camera.width,
        height=camera.height,
        is_free=is_free,
        is_barely_free=is_barely_free,
        borne=borne,
        down=begun.down,
        whole=whole,
    )
    return Trajectory(made.cameras, name=name, notes=(made.note,) if made.note else (), extent=made.extent)


def file_trajectory(
    file: str | Path,
    scene: HasMemory | SpatialMemory,
    frames: int,
    size: tuple[int, int] | None = None,
    fov: float | None = None,
) -> Trajectory:
    """The cameras of a path file, taken as given, in the world of what the scene was made from.

    Raises:
        ValueError: there is no such file, or it is malformed; the message names it.
    """
    require_path(str(file))
    memory = memory_of(scene)
    camera = first_camera(memory, size, fov)
    cameras = load_path(
        expanded(file), width=camera.width, height=camera.height, fov_x_degrees=camera.fov_x_degrees, frames=frames
    )
    cameras = memory.world.to_memory(cameras)
    blocked = int((~memory.is_free(cameras.centers)).sum())
    notes = [f"the path file was taken as given; it makes {len(cameras)} frames"]
    if blocked:
        notes.append(f"{blocked} of the {len(cameras)} cameras lie inside or behind what is seen to be solid")
    return Trajectory(cameras, name=Path(file).name, notes=tuple(notes))


def require_path(path: str) -> None:
    """Raises ``ValueError`` for what is neither a preset's name nor a file that is there."""
    if path in PRESET_NAMES or expanded(path).exists():
        return
    near = difflib.get_close_matches(path, PRESET_NAMES, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise ValueError(f"unknown path {path!r}{hint}: neither one of {', '.join(PRESET_NAMES)} nor a file that is there")


def memory_of(scene: HasMemory | SpatialMemory) -> SpatialMemory:
    """The memory of a scene, or the memory itself.

    Raises:
        ValueError: it is empty, so that no camera can be placed in it.
    """
    memory = scene if isinstance(scene, SpatialMemory) else scene.memory
    if not memory.views:
        raise ValueError("the memory is empty: write a photo first, so that a trajectory has a place to begin")
    return memory


def first_camera(memory: SpatialMemory, size: tuple[int, int] | None, fov: float | None = None) -> Cameras:
    """The camera of the photo, for pictures of another size or horizontal field of view where one is given.

    Pictures of another shape show the middle of what the photo shows: nothing that lies beyond its edges.
    """
    camera = memory.views[0].camera
    camera = camera if size is None else camera.cropped(*size)
    return camera if fov is None else Cameras.from_fov(camera.cam_to_world, fov, camera.width, camera.height)


def subject_distance(memory: SpatialMemory, camera: Cameras) -> float:
    """Median depth of the middle of the first view."""
    depth = memory.read(camera).depth[0]
    height, width = depth.shape
    middle = depth[height // 3 : 2 * height // 3 + 1, width // 3 : 2 * width // 3 + 1]
    middle = middle[torch.isfinite(middle)]
    return float(middle.median()) if len(middle) else memory.scale
