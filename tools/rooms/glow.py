"""Light for things that are set before the camera of a room that is lit already, and for scenes under the open sky.

A thing is small against its room: what reaches it from each direction is asked once, at its centre; how much of that each of
its vertices gets depends on its normal and on what the things themselves are in the way of.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from rooms.lighting import BakedLight
from rooms.meshes import Mesh
from rooms.tracing import Tracer, sphere_directions

DIRECTIONS = 40
OFFSET = 0.002
MOTTLING = 0.12
"""Strength of the blotches and grain that things of one colour have."""

Radiance = Callable[[Float[ndarray, "r 3"]], Float[ndarray, "r 3"]]
"""Light that arrives from unit directions, in the same unit as ``BakedLight``."""
Beam = tuple[Float[ndarray, "3"], Float[ndarray, "3"]]
"""A direction to a lamp or the sun, and the irradiance that it gives a surface that faces it."""


def light_things(
    rng: np.random.Generator, meshes: Sequence[Mesh], radiance: Radiance, beams: Sequence[Beam], blocking: Tracer | None = None
) -> BakedLight:
    """Irradiance / pi at the corners of ``meshes``.

    Args:
        radiance: what comes from each direction.
        beams: lamps and sun.
        blocking: what is in the way; the meshes themselves by default.
    """
    positions = np.concatenate([mesh.positions for mesh in meshes]).reshape(-1, 3)
    normals = np.concatenate([mesh.normals for mesh in meshes]).reshape(-1, 3)
    keys = np.concatenate([np.round(positions * 500), np.round(normals * 4)], axis=1).astype(np.int64)
    _, first, corner = np.unique(keys @ _MULTIPLIERS, return_index=True, return_inverse=True)
    points, facing = positions[first].astype(np.float64), normals[first].astype(np.float64)
    blocking = blocking or Tracer(meshes)
    origins = points + OFFSET * facing
    directions = sphere_directions(DIRECTIONS)
    arriving = radiance(directions) * (4 * np.pi / DIRECTIONS)
    light = np.zeros_like(points)
    for direction, value in (*zip(directions, arriving, strict=True), *beams):
        cosine = facing @ direction
        lit = np.flatnonzero(cosine > 0.02)
        rays = np.broadcast_to(direction, (len(lit), 3))
        free = ~blocking.occluded(origins[lit], rays, 60.0)
        light[lit[free]] += cosine[lit[free], None] * value
    light += 0.06 * light.mean(0)
    light *= mottled(rng, points)[:, None]
    corners = (light[corner.ravel()] / np.pi).reshape(-1, 3, 3).astype(np.float32)
    ends = np.cumsum([len(mesh) for mesh in meshes])[:-1]
    albedo = np.concatenate([np.broadcast_to(mesh.material.albedo(), (len(mesh), 3)) for mesh in meshes])
    return BakedLight(np.split(corners, ends), corners.mean(1) * albedo)


_MULTIPLIERS = np.array([73856093, 19349663, 83492791, 2654435761, 1402024253, 40503])


def mottled(rng: np.random.Generator, points: Float[ndarray, "n 3"]) -> Float[ndarray, " n"]:
    """A smooth random factor around 1 over space: cloth, skin and plaster are not of one shade."""
    value = np.zeros(len(points))
    for frequency in (15.0, 60.0, 250.0):
        waves = rng.normal(size=(3, 3)) * frequency
        value += np.sin(points @ waves + rng.uniform(0, 2 * np.pi, 3)).mean(1)
    return np.clip(1.0 + rng.uniform(0.0, 2.0) * MOTTLING * value, 0.4, 1.6)


def of_room(tracer: Tracer, light: BakedLight, centre: Float[ndarray, "3"], outside: Radiance) -> Radiance:
    """What a lit room sends to a point; ``outside`` is what comes through its windows."""

    def radiance(directions: Float[ndarray, "r 3"]) -> Float[ndarray, "r 3"]:
        faces = tracer.faces(centre, directions)
        return np.where(faces[:, None] >= 0, light.face_radiance[faces], outside(directions))

    return radiance
