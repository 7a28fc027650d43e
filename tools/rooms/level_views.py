"""Cameras at eye height where a player can walk in a level."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from rooms.labels import SKY
from rooms.shapes import rotation_about
from rooms.tracing import Tracer, sphere_directions
from rooms.trajectories import direction, probe_rays

FOV_RANGE = (40.0, 100.0)
EYE_HEIGHTS = (1.1, 1.75)
CLEARANCE = 0.3
HOPS = 3
FARTHEST_HOP = 12.0
FARTHEST_FALL = 6.0
LEAST_SPREAD = 0.4
"""Standard deviation of log distance over the probe rays."""
DOWN = np.array([[0.0, -1.0, 0.0]])


@dataclass(frozen=True, eq=False)
class LevelView:
    """An OpenGL camera-to-world matrix and the horizontal field of view."""

    cam_to_world: Float[ndarray, "4 4"]
    fov_x_degrees: float


def random_view(rng: np.random.Generator, tracer: Tracer, starts: Float[ndarray, "n 3"], aspect: float) -> LevelView | None:
    """A camera a few steps from one of the starts; None where it would stand in the air, in a wall or before a blank one."""
    eye = walk(rng, tracer, starts[int(rng.integers(len(starts)))])
    if eye is None or tracer.occluded(eye, sphere_directions(32), CLEARANCE).any():
        return None
    fov = float(rng.uniform(*FOV_RANGE))
    turn = rotation_about(1, rng.uniform(0, 2 * np.pi)) @ rotation_about(0, rng.normal(-0.08, 0.18))
    pose = np.eye(4)
    pose[:3, :3] = turn @ rotation_about(2, rng.normal(0.0, 0.05))
    pose[:3, 3] = eye
    distances = np.clip(tracer.distances(eye, probe_rays(pose, fov, aspect)), 1e-3, 100.0)
    if distances.min() < 0.35 or np.median(distances) < 1.5 or np.log(distances).std() < LEAST_SPREAD:
        return None
    return LevelView(pose, fov)


def walk(rng: np.random.Generator, tracer: Tracer, start: Float[ndarray, "3"]) -> Float[ndarray, "3"] | None:
    """A place at eye height that is reached from ``start`` in a few straight hops over floor; None if there is no floor."""
    eye = _above_floor(rng, tracer, start + np.array([0.0, 0.1, 0.0]))
    for _ in range(int(rng.integers(HOPS + 1))):
        if eye is None:
            return None
        heading = direction(rng.uniform(0, 2 * np.pi), 0.0)
        free = min(float(tracer.distances(eye, heading[None])[0]), FARTHEST_HOP)
        landed = _above_floor(rng, tracer, eye + heading * free * rng.uniform(0.2, 0.8))
        eye = landed if landed is not None else eye
    return eye


def _above_floor(rng: np.random.Generator, tracer: Tracer, place: Float[ndarray, "3"]) -> Float[ndarray, "3"] | None:
    """Straight above or below ``place``, at a random eye height over the floor below it."""
    face = int(tracer.faces(place, DOWN)[0])
    fall = float(tracer.distances(place, DOWN)[0])
    if face < 0 or fall > FARTHEST_FALL or abs(tracer.normals[face, 1]) < 0.6 or tracer.label_of_face[face] == SKY:
        return None
    eye = place + np.array([0.0, rng.uniform(*EYE_HEIGHTS) - fall, 0.0])
    rise = float(eye[1] - place[1])
    way = np.array([[0.0, np.sign(rise), 0.0]])
    return None if tracer.occluded(place, way, abs(rise) + CLEARANCE).any() else eye
