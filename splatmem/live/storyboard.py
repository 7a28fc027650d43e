"""Shots of a film as they are edited: keyframes with a place, a direction, a field of view and a time."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from splatmem.geometry.cameras import Cameras
from splatmem.geometry.interpolation import poses_at, values_at
from splatmem.geometry.poses import require_rigid, rigid_inverse
from splatmem.io.atomic import atomic_path
from splatmem.io.path_files import MOST_FRAMES
from splatmem.live.framing import FOV_RANGE

FILE = "storyboard.json"
SECONDS_BETWEEN = 2.0  # from one keyframe to the next, if nothing else is said
SECONDS_RANGE = (1 / 240, 600.0)


@dataclass(frozen=True)
class Key:
    """A keyframe.

    Attributes:
        pose: cam-to-world, row by row, in the memory's world.
        fov: horizontal field of view in degrees.
        seconds: since the keyframe before; of the first one, on a closed path, since the last.
    """

    pose: tuple[tuple[float, ...], ...]
    fov: float
    seconds: float = SECONDS_BETWEEN

    @staticmethod
    def of(cam_to_world: Float[Tensor, "4 4"], fov: float, seconds: float = SECONDS_BETWEEN) -> Key:
        return Key(tuple(tuple(row) for row in cam_to_world.double().tolist()), fov, seconds)

    @property
    def cam_to_world(self) -> Float[Tensor, "4 4"]:
        return torch.tensor(self.pose, dtype=torch.float64)


@dataclass(frozen=True)
class Shot:
    """One shot: the camera moves smoothly through its keyframes.

    Attributes:
        name: for the users.
        keys: its keyframes, in order.
        closed: whether it goes on from the last to the first.
        prompt: what is to be seen, for models that read words.
    """

    name: str
    keys: tuple[Key, ...] = ()
    closed: bool = False
    prompt: str = ""

    @property
    def seconds(self) -> float:
        """Length of the shot in seconds."""
        return sum(key.seconds for key in (self.keys if self.closed else self.keys[1:]))

    def cameras(self, fps: float, width: int, height: int) -> Cameras:
        """A camera for each frame; on an open path the last one is the last keyframe's.

        Raises:
            ValueError: it has too few keyframes, or too many frames.
        """
        self.require_path()
        count = round(self.seconds * fps) + (0 if self.closed else 1)
        if not 2 <= count <= MOST_FRAMES:
            raise ValueError(f"{self.name}: a shot has 2 to {MOST_FRAMES} frames, {self.seconds:.3g} s are {count}")
        last = self.seconds * (1 - 1 / count) if self.closed else self.seconds
        return self._at(torch.linspace(0.0, last, count, dtype=torch.float64).tolist(), width, height)

    def at(self, seconds: float, width: int, height: int) -> Cameras:
        """The camera at a moment.

        Raises:
            ValueError: it has too few keyframes.
        """
        self.require_path()
        return self._at([min(max(seconds, 0.0), self.seconds)], width, height)

    def positions(self, moments: Sequence[float]) -> Float[Tensor, "t 3"]:
        """Where the camera is at moments.

        Raises:
            ValueError: it has too few keyframes.
        """
        self.require_path()
        return rigid_inverse(self._at(moments, 64, 36).world_to_cam.double())[:, :3, 3].float()

    def require_path(self) -> None:
        """Raises ``ValueError`` if there is nothing to move along."""
        if len(self.keys) < 2:
            have = "none" if not self.keys else "one"
            raise ValueError(f"{self.name}: a path needs two keyframes, it has {have}: move on, and set another one")

    def _at(self, times: Sequence[float], width: int, height: int) -> Cameras:
        knots, at = [], 0.0
        for number, key in enumerate(self.keys):
            at += key.seconds if number else 0.0
            knots.append(at)
        period = self.seconds if self.closed else None
        poses = poses_at(torch.stack([key.cam_to_world for key in self.keys]), knots, times, period)
        fovs = values_at(torch.tensor([[key.fov] for key in self.keys], dtype=torch.float64), knots, times, period)
        # The spline may overshoot its knots.
        focal = 0.5 * width / torch.tan(torch.deg2rad(0.5 * fovs[:, 0].clamp(*FOV_RANGE)))
        intrinsics = torch.eye(3).repeat(len(poses), 1, 1)
        intrinsics[:, 0, 0] = intrinsics[:, 1, 1] = focal.float()
        intrinsics[:, 0, 2], intrinsics[:, 1, 2] = width / 2, height / 2
        return Cameras(rigid_inverse(poses).float(), intrinsics, width, height)

    def with_key(self, key: Key, place: int | None = None) -> Shot:
        """The shot with another keyframe: at the end, or in the place of one."""
        keys = list(self.keys)
        if place is None:
            keys.append(key)
        else:
            keys[place] = key
        return replace(self, keys=tuple(keys))

    def without_key(self, place: int) -> Shot:
        return replace(self, keys=self.keys[:place] + self.keys[place + 1 :])

    def moved_key(self, place: int, by: int) -> Shot:
        """The shot with a keyframe that comes earlier (-1) or later (1)."""
        other = place + by
        if not 0 <= other < len(self.keys):
            return self
        keys = list(self.keys)
        keys[place], keys[other] = keys[other], keys[place]
        return replace(self, keys=tuple(keys))

    def lasting(self, seconds: float) -> Shot:
        """The shot along the same path in another time.

        Raises:
            ValueError: it has too few keyframes.
        """
        self.require_path()
        factor = seconds / self.seconds
        return replace(self, keys=tuple(replace(key, seconds=key.seconds * factor) for key in self.keys))

    @staticmethod
    def of_cameras(name: str, cameras: Cameras, seconds: float, closed: bool = False) -> Shot:
        """A shot with a keyframe for each camera, ``seconds`` apart."""
        fovs = torch.rad2deg(2 * torch.atan(0.5 * cameras.width / cameras.intrinsics[:, 0, 0])).clamp(*FOV_RANGE).tolist()
        poses = rigid_inverse(cameras.world_to_cam.double())
        return Shot(name, tuple(Key.of(pose, fov, seconds) for pose, fov in zip(poses, fovs, strict=True)), closed)


@dataclass(frozen=True)
class Storyboard:
    """The shots of a film, with cuts between them.

    Attributes:
        shots: in the order of the film; at least one.
        fps: frames per second.
    """

    shots: tuple[Shot, ...] = field(default_factory=lambda: (Shot("shot 1"),))
    fps: float = 24.0

    def with_shot(self, place: int, shot: Shot) -> Storyboard:
        """The storyboard with another shot in the place of one."""
        return replace(self, shots=(*self.shots[:place], shot, *self.shots[place + 1 :]))

    def cameras(self, width: int, height: int) -> Cameras:
        """The cameras of the whole film.

        Raises:
            ValueError: a shot is no path.
        """
        return Cameras.cat([shot.cameras(self.fps, width, height) for shot in self.shots])

    def check(self) -> None:
        """Raises ``ValueError`` for what a file would not be read with again."""
        if not 1 <= self.fps <= 240:
            raise ValueError(f"a film has 1 to 240 frames a second, got {self.fps:g}")
        for shot in self.shots:
            for number, key in enumerate(shot.keys, start=1):
                if not SECONDS_RANGE[0] / 2 <= key.seconds <= SECONDS_RANGE[1]:
                    raise ValueError(
                        f"{shot.name}: from one keyframe to the next it is {SECONDS_RANGE[0]:.4f} to {SECONDS_RANGE[1]:.0f} s, "
                        f"to keyframe {number} it would be {key.seconds:.3g} s"
                    )

    def save(self, folder: Path) -> None:
        """Raises ``ValueError`` if a number is out of range, and ``OSError`` if it cannot be written."""
        self.check()
        with atomic_path(folder / FILE) as temporary:
            temporary.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @staticmethod
    def load(folder: Path) -> Storyboard:
        """That of a folder; a new one if there is none.

        Raises:
            ValueError: the file is damaged; the message names it.
        """
        file = folder / FILE
        if not file.is_file():
            return Storyboard()
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            shots = tuple(_shot(values) for values in content["shots"])
            fps = float(content["fps"])
            if not shots or not 1 <= fps <= 240:
                raise ValueError("no shots, or no frame rate")
            return Storyboard(shots, fps)
        except (KeyError, TypeError, ValueError, UnicodeError) as error:
            raise ValueError(f"{file} is damaged: {error}; move it away to begin with new shots") from error


def _shot(values: dict[str, Any]) -> Shot:
    keys = []
    for key in values["keys"]:
        pose = torch.tensor(key["pose"], dtype=torch.float64)[None]
        fov, seconds = float(key["fov"]), float(key["seconds"])
        if not (math.isfinite(fov) and SECONDS_RANGE[0] / 2 <= seconds <= SECONDS_RANGE[1]):
            raise ValueError(f"a keyframe with {fov} degrees and {seconds} seconds")
        keys.append(Key.of(require_rigid(pose, "storyboard")[0], fov, seconds))
    return Shot(str(values["name"]), tuple(keys), bool(values["closed"]), str(values["prompt"]))
