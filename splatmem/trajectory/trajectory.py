"""A camera trajectory: the cameras of a film, or some of them, with the moments at which they stand in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from splatmem.geometry.cameras import Cameras

if TYPE_CHECKING:
    from splatmem.memory import SpatialMemory
    from splatmem.trajectory.from_user import HasMemory


@dataclass(frozen=True)
class Trajectory:
    """Cameras along a path through a scene, in the world of its memory.

    Attributes:
        cameras: one for each moment.
        moments: film frame numbers, with fractions between the film's own frames; 0, 1, 2, ... by default.
        name: of the preset or file that it comes from, for reports.
        notes: sentences for the report, such as that the path was drawn in.
    """

    cameras: Cameras
    moments: Sequence[float] = ()
    name: str = ""
    notes: tuple[str, ...] = field(default=(), compare=False)

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
        """Its first ``count`` cameras, or all if it has fewer."""
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
        from splatmem.trajectory.from_user import preset_trajectory

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
        from splatmem.trajectory.from_user import file_trajectory

        return file_trajectory(file, scene, frames, size)
