"""Triangle soups with one material each: what furniture, walls and pictures are made of."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from splatmem.io.pictures import open_picture

from rooms.labels import THING

DISPLAY_GAMMA = 2.2
"""Colours and textures are display values; linear light is their power of this."""


@dataclass(frozen=True)
class Material:
    """A matt surface: display colour 0..1, multiplied by a texture where there is one."""

    diffuse: tuple[float, float, float] = (0.7, 0.7, 0.7)
    opacity: float = 1.0
    texture: Path | None = None

    def albedo(self) -> Float[ndarray, "3"]:
        """Mean reflectance in linear light."""
        mean = mean_colour(self.texture) if self.texture else np.ones(3)
        return np.clip(np.array(self.diffuse) * mean, 0.0, 1.0) ** DISPLAY_GAMMA


@dataclass(frozen=True)
class Mesh:
    """``t`` triangles, each with its own three corners.

    Attributes:
        positions, uvs, normals: per corner; normals are of unit length and may be smooth.
        shell: part of the room itself (floor, wall, ceiling), not a thing in it.
        label: what it is, one of ``rooms.labels``.
    """

    material: Material
    positions: Float[ndarray, "t 3 3"]
    uvs: Float[ndarray, "t 3 2"]
    normals: Float[ndarray, "t 3 3"]
    shell: bool = False
    label: int = THING

    def __len__(self) -> int:
        return len(self.positions)

    def transformed(
        self, rotation: Float[ndarray, "3 3"], scale: Float[ndarray, "3"], translation: Float[ndarray, "3"]
    ) -> Mesh:
        """Scaled along the axes, then rotated, then moved."""
        normals = (self.normals / scale) @ rotation.T
        normals = normals / np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-9)
        positions = (self.positions * scale) @ rotation.T + translation
        return replace(self, positions=positions.astype(np.float32), normals=normals.astype(np.float32))


def labelled(meshes: Iterable[Mesh], label: int) -> list[Mesh]:
    """The same meshes as something else."""
    return [replace(mesh, label=label) for mesh in meshes]


def rotation_about_y(degrees: float) -> Float[ndarray, "3 3"]:
    """Turns +z to ``(sin, 0, cos)`` of the angle."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])


def face_normals(positions: Float[ndarray, "t 3 3"]) -> Float[ndarray, "t 3"]:
    """Geometric unit normals; zero for a triangle without area."""
    normals = np.cross(positions[:, 1] - positions[:, 0], positions[:, 2] - positions[:, 0])
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)


def grid_quad(
    material: Material,
    corner: Float[ndarray, "3"],
    edge_u: Float[ndarray, "3"],
    edge_v: Float[ndarray, "3"],
    *,
    step: float,
    uv_per_metre: float | None = None,
    uv_origin: Float[ndarray, "3"] | None = None,
    shell: bool = False,
    label: int = THING,
) -> Mesh:
    """The parallelogram ``corner + a u + b v`` as a grid of cells no longer than ``step`` metres, so that baked light shows.

    Its normal is ``u x v``. Texture coordinates run 0..1 over the quad, or in metres times ``uv_per_metre``, measured from
    ``uv_origin`` (by default the corner) along the two edges.
    """
    length_u, length_v = np.linalg.norm(edge_u), np.linalg.norm(edge_v)
    cells_u, cells_v = max(1, int(np.ceil(length_u / step))), max(1, int(np.ceil(length_v / step)))
    a, b = np.meshgrid(np.linspace(0, 1, cells_u + 1), np.linspace(0, 1, cells_v + 1), indexing="ij")
    points = corner + a[..., None] * edge_u + b[..., None] * edge_v
    uvs = np.stack([a, b], axis=-1)
    if uv_per_metre is not None:
        offset = points - (corner if uv_origin is None else uv_origin)
        uvs = np.stack([offset @ (edge_u / length_u), offset @ (edge_v / length_v)], axis=-1) * uv_per_metre
    positions = cells_to_triangles(points)
    normal = np.cross(edge_u, edge_v)
    normal = normal / np.linalg.norm(normal)
    return Mesh(
        material,
        positions.astype(np.float32),
        cells_to_triangles(uvs).astype(np.float32),
        np.broadcast_to(normal.astype(np.float32), positions.shape).copy(),
        shell,
        label,
    )


def cells_to_triangles(grid: Float[ndarray, "rows columns d"]) -> Float[ndarray, "t 3 d"]:
    """Two triangles for each cell of a grid of corners."""
    corner, below, diagonal, right = grid[:-1, :-1], grid[1:, :-1], grid[1:, 1:], grid[:-1, 1:]
    pairs = np.stack([np.stack([corner, below, diagonal], 2), np.stack([corner, diagonal, right], 2)], 2)
    return pairs.reshape(-1, 3, grid.shape[-1])


@functools.lru_cache(maxsize=4096)
def mean_colour(texture: Path) -> Float[ndarray, "3"]:
    """Mean display colour of an image file; grey if it cannot be read, as the renderer shows such a texture plain."""
    try:
        with open_picture(texture) as image:
            return np.asarray(image.convert("RGB").resize((8, 8))).reshape(-1, 3).mean(0) / 255.0
    except (OSError, ValueError):
        return np.full(3, 0.6)
