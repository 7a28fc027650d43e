"""Ray queries against the triangles of a room (Embree)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from rooms.meshes import Mesh, face_normals


def sphere_directions(count: int) -> Float[ndarray, "count 3"]:
    """Unit vectors spread evenly over the sphere (Fibonacci lattice)."""
    index = np.arange(count) + 0.5
    polar, azimuth = np.arccos(1 - 2 * index / count), np.pi * (1 + np.sqrt(5)) * index
    return np.stack([np.cos(azimuth) * np.sin(polar), np.cos(polar), np.sin(azimuth) * np.sin(polar)], axis=1)


class Tracer:
    """The triangles of all meshes, in their order, behind an acceleration structure.

    Origins may be ``[r, 3]`` or one ``[3]`` for all rays; directions are of unit length.
    """

    def __init__(self, meshes: Sequence[Mesh]) -> None:
        from embreex.mesh_construction import TriangleMesh
        from embreex.rtcore_scene import EmbreeScene

        positions = np.ascontiguousarray(np.concatenate([mesh.positions for mesh in meshes]), np.float32)
        self.normals = face_normals(positions)
        self.label_of_face = np.repeat([mesh.label for mesh in meshes], [len(mesh) for mesh in meshes])
        self.is_shell = np.concatenate([np.full(len(mesh), mesh.shell) for mesh in meshes])
        self.mesh_of_face = np.repeat(np.arange(len(meshes)), [len(mesh) for mesh in meshes])
        self._scene = EmbreeScene()
        self._mesh = TriangleMesh(self._scene, positions)

    def faces(self, origins: Float[ndarray, "..."], directions: Float[ndarray, "r 3"]) -> Int[ndarray, "r"]:
        """Index of the first face that each ray meets; -1 for none."""
        return self._scene.run(*_rays(origins, directions), query="INTERSECT")

    def distances(self, origins: Float[ndarray, "..."], directions: Float[ndarray, "r 3"]) -> Float[ndarray, "r"]:
        """Distance to the first face; huge for none."""
        return self._scene.run(*_rays(origins, directions), query="DISTANCE")

    def occluded(
        self, origins: Float[ndarray, "..."], directions: Float[ndarray, "r 3"], reach: Float[ndarray, "..."] | float
    ) -> Bool[ndarray, "r"]:
        """Whether a ray meets anything within its reach."""
        reach = np.ascontiguousarray(np.broadcast_to(reach, len(directions)), np.float32)
        return self._scene.run(*_rays(origins, directions), dists=reach, query="OCCLUDED") >= 0


def _rays(origins: ndarray, directions: ndarray) -> tuple[ndarray, ndarray]:
    directions = np.ascontiguousarray(directions, np.float32)
    return np.ascontiguousarray(np.broadcast_to(origins, directions.shape), np.float32), directions
