"""Wavefront OBJ and MTL files: the subset that furniture models use (polygons, texture coordinates, normals, materials)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from rooms.meshes import Material, Mesh, face_normals


def load_obj(path: Path) -> list[Mesh]:
    """One mesh for each material in use, in the file's own units and axes; polygons are split into fans.

    Raises:
        ValueError: the file has no face, or a face names a vertex that does not exist.
    """
    values: dict[str, list[str]] = {"v": [], "vt": [], "vn": []}
    faces: dict[str, list[str]] = {}
    materials: dict[str, Material] = {}
    current = ""
    with path.open(encoding="latin1") as lines:
        for line in lines:
            keyword, _, rest = line.strip().partition(" ")
            if keyword in values:
                values[keyword].append(rest)
            elif keyword == "f":
                corners = rest.split()
                if "-" in rest:
                    counts = (len(values["v"]), len(values["vt"]), len(values["vn"]))
                    corners = [_absolute(corner, counts) for corner in corners]
                triangles = faces.setdefault(current, [])
                for i in range(1, len(corners) - 1):
                    triangles += (corners[0], corners[i], corners[i + 1])
            elif keyword == "usemtl":
                current = rest.strip()
            elif keyword == "mtllib":
                materials.update(load_mtl(path.parent / rest.strip()))
    tables = {keyword: _table(rows, columns=2 if keyword == "vt" else 3) for keyword, rows in values.items()}
    try:
        meshes = [
            _mesh(materials.get(name, Material()), _parse_corners(triangles), tables)
            for name, triangles in faces.items()
            if triangles
        ]
    except IndexError as error:
        raise ValueError(f"{path}: a face names a vertex that does not exist ({error})") from error
    meshes = [mesh for mesh in meshes if len(mesh)]
    if not meshes:
        raise ValueError(f"{path}: expected at least one face, found none")
    return meshes


def load_mtl(path: Path) -> dict[str, Material]:
    """Materials by name; a file that is missing, as in some models, gives none."""
    materials: dict[str, Material] = {}
    if not path.is_file():
        return materials
    name = ""
    for line in path.read_text(encoding="latin1").splitlines():
        keyword, _, rest = line.strip().partition(" ")
        rest = rest.strip()
        if keyword == "newmtl":
            name = rest
            materials[name] = Material()
        elif name and keyword in ("Kd", "d", "map_Kd"):
            materials[name] = _with_property(materials[name], keyword, rest, path.parent)
    return materials


def _with_property(material: Material, keyword: str, value: str, folder: Path) -> Material:
    """The material with one line of an MTL file applied; a line that makes no sense leaves it as it was."""
    if keyword == "map_Kd":
        return replace(material, texture=_find_file(folder, value.replace("\\", "/")))
    try:
        numbers = [float(word) for word in value.split() if word != "-halo"]
    except ValueError:
        return material
    if keyword == "Kd" and len(numbers) >= 3:
        return replace(material, diffuse=(numbers[0], numbers[1], numbers[2]))
    if keyword == "d" and numbers:
        return replace(material, opacity=numbers[-1])
    return material


def _find_file(folder: Path, name: str) -> Path | None:
    """The named file, whatever the case of its letters: many models come from case-insensitive systems."""
    wanted = folder / name
    if wanted.is_file():
        return wanted
    if not wanted.parent.is_dir():
        return None
    return next((path for path in wanted.parent.iterdir() if path.name.lower() == wanted.name.lower()), None)


def _absolute(corner: str, counts: tuple[int, int, int]) -> str:
    """A corner whose negative indices count from the last value so far, with positive ones."""
    indices = [int(part) if part else 0 for part in corner.split("/")]
    return "/".join(str(index if index >= 0 else count + index + 1) for index, count in zip(indices, counts, strict=False))


def _parse_corners(corners: list[str]) -> Int[ndarray, "t 3 3"]:
    """Zero-based position, texture and normal of each corner (-1: none) from ``p``, ``p/t``, ``p//n`` or ``p/t/n``."""
    text = " ".join(corners)
    # Models have 100 000 corners: parse them at once where, as usual, all of them are spelt alike.
    if text.count("/") == 2 * len(corners):
        indices = np.array(text.replace("//", "/0/").replace("/", " ").split(), np.int64)
    else:
        parts = [[part or "0" for part in corner.split("/")] + ["0", "0"] for corner in corners]
        indices = np.array([part[:3] for part in parts], np.int64)
    return indices.reshape(-1, 3, 3) - 1


def _table(rows: list[str], columns: int) -> Float[ndarray, "n columns"]:
    if not rows:
        return np.zeros((1, columns), np.float32)
    numbers = np.array(" ".join(rows).split(), np.float32)
    if len(numbers) % len(rows) == 0:
        return numbers.reshape(len(rows), -1)[:, :columns]
    return np.array([row.split()[:columns] for row in rows], np.float32)


def _mesh(material: Material, faces: Int[ndarray, "t 3 3"], tables: dict[str, ndarray]) -> Mesh:
    """Corners gathered; triangles without area dropped; missing normals taken from the face."""
    positions = tables["v"][faces[..., 0]]
    flat = face_normals(positions)
    uvs = np.where(faces[..., 1:2] >= 0, tables["vt"][np.maximum(faces[..., 1], 0)], 0.0)
    normals = np.where(faces[..., 2:3] >= 0, tables["vn"][np.maximum(faces[..., 2], 0)], flat[:, None])
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    normals = np.where(length > 1e-6, normals / np.maximum(length, 1e-6), flat[:, None])
    solid = np.linalg.norm(flat, axis=1) > 0.5
    return Mesh(material, positions[solid], uvs[solid].astype(np.float32), normals[solid].astype(np.float32))
