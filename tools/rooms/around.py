"""Camera paths that leave their place and go round a subject: swings, circles, a way to it and back.

All of a subject's paths begin with the same camera, so that their scenes begin with the same photo.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from rooms.trajectories import look_at

HALF_WAY = 0.45
"""How far a dolly goes, as a share of the way to the subject."""
FREE_SHARE = 0.8
"""Share of a path's cameras that must see the subject."""
REACH = 0.3
"""A ray to the subject may end this much before it, as a share of the distance: it has an extent."""

Poses = Float[ndarray, "v 4 4"]
Clear = Callable[[Float[ndarray, "v 3"]], Bool[ndarray, " v"]]
"""Which places a camera may stand at."""


def around(eye: Float[ndarray, "3"], subject: Float[ndarray, "3"], angles: Float[ndarray, " v"]) -> Poses:
    """Cameras that look at the subject from its upright axis' other sides, ``angles`` (radians) on from ``eye``."""
    offset = np.asarray(eye, np.float64) - subject
    poses = []
    for angle in angles:
        c, s = np.cos(angle), np.sin(angle)
        turned = np.array([c * offset[0] + s * offset[2], offset[1], -s * offset[0] + c * offset[2]])
        poses.append(look_at(subject + turned, subject))
    return np.stack(poses)


def swing(eye: Float[ndarray, "3"], subject: Float[ndarray, "3"], views: int, degrees: float) -> Poses:
    """To one side, back, to the other side and back; the last camera is the first."""
    return around(eye, subject, np.radians(degrees) * np.sin(np.linspace(0, 2 * np.pi, views)))


def circle(eye: Float[ndarray, "3"], subject: Float[ndarray, "3"], views: int, degrees: float) -> Poses:
    """On round the subject by ``degrees``; by 360, the last camera is the first."""
    return around(eye, subject, np.linspace(0, np.radians(degrees), views))


def to_and_fro(eye: Float[ndarray, "3"], subject: Float[ndarray, "3"], views: int) -> Poses:
    """Nearly half of the way to the subject and back; the last camera is the first."""
    share = HALF_WAY * np.sin(np.linspace(0, np.pi, views)) ** 2
    poses = np.repeat(look_at(eye, subject)[None], views, axis=0)
    poses[:, :3, 3] += share[:, None] * (np.asarray(subject, np.float64) - eye)
    return poses


PATHS: dict[str, Callable[[ndarray, ndarray, int], Poses]] = {
    "arc15": lambda eye, subject, views: swing(eye, subject, views, 15.0),
    "arc30": lambda eye, subject, views: swing(eye, subject, views, 30.0),
    "dolly": to_and_fro,
    "half_orbit": lambda eye, subject, views: circle(eye, subject, views, 180.0),
    "orbit": lambda eye, subject, views: circle(eye, subject, views, 360.0),
}
"""By name; the first three are asked of every subject, the others made where there is room."""
ALWAYS = ("arc15", "arc30", "dolly")


def fits(poses: Poses, subject: Float[ndarray, "3"], clear: Clear, distances: Callable[[ndarray, ndarray], ndarray]) -> bool:
    """Whether all cameras stand clear and most of them see the subject.

    Args:
        distances: to the first surface along rays from origins, both ``[r, 3]``.
    """
    eyes = poses[:, :3, 3]
    if not clear(eyes).all():
        return False
    way = subject - eyes
    length = np.linalg.norm(way, axis=1)
    return bool((distances(eyes, way / length[:, None]) > (1 - REACH) * length).mean() >= FREE_SHARE)


def paths_about(
    eye: Float[ndarray, "3"],
    subject: Float[ndarray, "3"],
    views: int,
    clear: Clear,
    distances: Callable[[ndarray, ndarray], ndarray],
) -> dict[str, Poses]:
    """The paths that fit, by name; none at all if one of those that are always asked for does not."""
    made = {name: make(eye, subject, views) for name, make in PATHS.items()}
    free = {name: poses for name, poses in made.items() if fits(poses, subject, clear, distances)}
    return free if all(name in free for name in ALWAYS) else {}
