"""Round and boxy solids as meshes: what hands, figures, toys, cups, railings and trees are made of.

Lengths are metres. Every solid is closed or open only where nothing sees it, and its normals point outwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from rooms.meshes import Material, Mesh, cells_to_triangles, face_normals

CAP_RINGS = 4
"""Rings of vertices from a capsule's equator to its pole."""


def patch(material: Material, points: Float[ndarray, "r c 3"], uv_scale: float = 1.0) -> Mesh:
    """A grid of points as a smooth surface; rows run along v, columns along u, and its normals are ``d_column x d_row``."""
    rows, columns = points.shape[:2]
    v, u = np.meshgrid(np.linspace(0, uv_scale, rows), np.linspace(0, uv_scale, columns), indexing="ij")
    normals = np.cross(np.gradient(points, axis=1), np.gradient(points, axis=0))
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    normals = normals / np.maximum(length, 1e-12)
    positions = cells_to_triangles(points)
    flat = face_normals(positions)
    solid = np.linalg.norm(flat, axis=1) > 0.5
    corner_normals = cells_to_triangles(normals)
    # At a pole the grid has no normal of its own: the face's does.
    weak = np.linalg.norm(corner_normals, axis=-1, keepdims=True) < 0.5
    corner_normals = np.where(weak, -flat[:, None], corner_normals)
    uvs = cells_to_triangles(np.stack([u, v], axis=-1))
    # The cells' corners run the other way round: turned, a triangle's own normal agrees with those of its corners.
    arrays = (array[solid][:, ::-1].astype(np.float32) for array in (positions, uvs, corner_normals))
    return Mesh(material, *arrays)


def revolved(material: Material, profile: Float[ndarray, "n 2"], segments: int = 14, uv_scale: float = 1.0) -> Mesh:
    """A profile of (radius, height), from below upwards, turned about the y axis: bottles, cups, lamps, balls."""
    angles = np.linspace(0.0, 2 * np.pi, segments + 1)
    radius, height = np.asarray(profile, np.float64).T
    ring = np.stack([np.sin(angles), np.zeros_like(angles), np.cos(angles)], axis=-1)
    points = radius[:, None, None] * ring[None] + height[:, None, None] * np.array([0.0, 1.0, 0.0])
    return _seam_closed(patch(material, points, uv_scale))


def _seam_closed(mesh: Mesh) -> Mesh:
    """A revolved surface whose normals, which one-sided differences spoil at the seam, follow the radius."""
    radial = mesh.positions * np.array([1.0, 0.0, 1.0], np.float32)
    length = np.linalg.norm(radial, axis=-1, keepdims=True)
    sideways = np.linalg.norm(mesh.normals[..., [0, 2]], axis=-1, keepdims=True)
    outward = np.sign((mesh.normals * radial).sum(-1, keepdims=True) + 1e-12)
    turned = np.where(length > 1e-6, outward * sideways * radial / np.maximum(length, 1e-9), mesh.normals)
    normals = turned + mesh.normals * np.array([0.0, 1.0, 0.0], np.float32)
    normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-9)
    return replace(mesh, normals=normals.astype(np.float32))


def ball(material: Material, centre: Sequence[float], radii: Sequence[float], segments: int = 14) -> Mesh:
    """An ellipsoid with its axes along x, y and z."""
    angles = np.linspace(-np.pi / 2, np.pi / 2, segments // 2 + 2)
    unit = revolved(material, np.stack([np.cos(angles), np.sin(angles)], axis=1), segments)
    return unit.transformed(np.eye(3), np.asarray(radii, np.float64), np.asarray(centre, np.float64))


def capsule(
    material: Material, start: Sequence[float], end: Sequence[float], radius: float, end_radius: float | None = None,
    segments: int = 10,
) -> Mesh:  # fmt: skip
    """A rod from ``start`` to ``end`` with round ends, tapered where its radii differ."""
    a, b = np.asarray(start, np.float64), np.asarray(end, np.float64)
    other = radius if end_radius is None else end_radius
    length = float(np.linalg.norm(b - a))
    angles = np.linspace(0.0, np.pi / 2, CAP_RINGS)
    low = np.stack([radius * np.sin(angles), -radius * np.cos(angles)], axis=1)
    high = np.stack([other * np.cos(angles), length + other * np.sin(angles)], axis=1)
    mesh = revolved(material, np.concatenate([low, high]), segments)
    return mesh.transformed(_turn_up_to((b - a) / max(length, 1e-9)), np.ones(3), a)


def box(
    material: Material, centre: Sequence[float], size: Sequence[float], rotation: ndarray | None = None, cells: int = 1
) -> Mesh:
    """A box of this size along x, y and z, then turned about its centre; each face has ``cells`` x ``cells`` cells."""
    half = np.asarray(size, np.float64) / 2
    grid = np.linspace(-1.0, 1.0, cells + 1)
    faces = []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            b, a = np.meshgrid(grid, grid * sign, indexing="ij")
            points = np.empty((cells + 1, cells + 1, 3))
            points[..., axis], points[..., (axis + 1) % 3], points[..., (axis + 2) % 3] = sign, a, b
            faces.append(patch(material, points * half))
    turned = np.eye(3) if rotation is None else rotation
    return joined(faces).transformed(turned, np.ones(3), np.asarray(centre, np.float64))


def ring(material: Material, radius: float, thickness: float, segments: int = 24) -> Mesh:
    """A torus about the z axis: wheels, rims, handles of cups."""
    around, across = np.linspace(0, 2 * np.pi, segments + 1), np.linspace(0, 2 * np.pi, 9)
    distance = radius + thickness * np.cos(across)
    points = np.stack(
        [
            distance[:, None] * np.cos(around)[None],
            distance[:, None] * np.sin(around)[None],
            np.broadcast_to(thickness * np.sin(across)[:, None], (len(across), len(around))),
        ],
        axis=-1,
    )
    return patch(material, points)


def joined(meshes: Sequence[Mesh]) -> Mesh:
    """Meshes of one material as one."""
    arrays = (np.concatenate([getattr(mesh, name) for mesh in meshes]) for name in ("positions", "uvs", "normals"))
    return Mesh(meshes[0].material, *arrays, meshes[0].shell, meshes[0].label)


def placed(
    meshes: Sequence[Mesh], rotation: Float[ndarray, "3 3"], translation: Float[ndarray, "3"], scale: float = 1.0
) -> list[Mesh]:
    """All meshes scaled, turned and moved."""
    return [mesh.transformed(rotation, np.full(3, scale), translation) for mesh in meshes]


def rotation_about(axis: int, radians: float) -> Float[ndarray, "3 3"]:
    """A right-handed turn about x (0), y (1) or z (2)."""
    c, s = np.cos(radians), np.sin(radians)
    matrix = np.eye(3)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    matrix[i, i], matrix[i, j], matrix[j, i], matrix[j, j] = c, -s, s, c
    return matrix


def random_rotation(rng: np.random.Generator) -> Float[ndarray, "3 3"]:
    """Uniform over all rotations."""
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q if np.linalg.det(q) > 0 else -q


def _turn_up_to(direction: Float[ndarray, "3"]) -> Float[ndarray, "3 3"]:
    """A rotation that takes +y to a unit direction."""
    helper = np.array([1.0, 0.0, 0.0]) if abs(direction[0]) < 0.9 else np.array([0.0, 0.0, 1.0])
    x = np.cross(direction, helper)
    x /= np.linalg.norm(x)
    return np.stack([x, direction, np.cross(x, direction)], axis=1)
