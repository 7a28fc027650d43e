"""Levels of games made with the Quake 3 engine (.bsp, version 46), with the light that their makers have baked.

Folder: ``materials.json`` (surface name to role and picture), the pictures, and ``maps/*.bsp.xz`` without the parts that
are not needed to draw them. World as for rooms: metres, y up.
"""

from __future__ import annotations

import json
import lzma
import re
import struct
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray

from rooms.labels import CEILING, FLOOR, GROUND, SKY, UNKNOWN, WALL
from rooms.meshes import Material, Mesh, cells_to_triangles

METRES = 1 / 36
"""Of one unit: a player is 56 units tall."""
HEADER = struct.Struct("<4si")
ENTITIES, TEXTURES, MODELS, VERTICES, CORNERS, FACES, LIGHT_MAPS, LUMPS = 0, 1, 7, 10, 11, 13, 14, 17
NEEDED = (ENTITIES, TEXTURES, MODELS, VERTICES, CORNERS, FACES, LIGHT_MAPS)
LIGHT_MAP_SIZE = 128
TEXTURE = np.dtype([("name", "S64"), ("flags", "<i4", 2)])
MODEL = np.dtype([("bounds", "<f4", 6), ("first_face", "<i4"), ("faces", "<i4"), ("brushes", "<i4", 2)])
VERTEX = np.dtype([("position", "<f4", 3), ("uv", "<f4", 2), ("light_uv", "<f4", 2), ("normal", "<f4", 3), ("colour", "u1", 4)])
FACE = np.dtype(
    [
        ("texture", "<i4"), ("effect", "<i4"), ("type", "<i4"), ("vertex", "<i4"), ("vertices", "<i4"), ("corner", "<i4"),
        ("corners", "<i4"), ("light_map", "<i4"), ("corner_of_map", "<i4", 4), ("map_vectors", "<f4", 9), ("normal", "<f4", 3),
        ("patch", "<i4", 2),
    ]
)  # fmt: skip
POLYGON, PATCH, TRIANGLES = 1, 2, 3
PATCH_CELLS = 5
OVERBRIGHT = 2.0
"""Light of 255 means twice what a surface of full colour can show."""
DARKEST = 0.02
SOIL = re.compile("grass|dirt|sand(?!stone)|mud|terrain|ground|snow|desert")
START_CLASSES = ("info_player", "team_", "item_", "weapon_", "ammo_", "holdable_")
HELD_OUT = (
    "aggressor", "am_spacecont", "am_thornish", "blitzkrieg3", "ce1m7", "ctf_inyard", "czest1tourney", "dm6ish", "hydronex2",
    "islanddm", "oa_dm4", "oa_pvomit", "oa_thor", "oacmpctf2", "oacmpdm3", "oacmpdm9", "pul1duel-oa", "suspended",
)  # fmt: skip
"""Levels that training never shows."""


@dataclass(frozen=True, eq=False)
class Surface:
    """Triangles of one material, label and light map; those of SKY hide what is behind them and show the backdrop.

    Attributes:
        light: linear light at the corners; a light map multiplies it.
        light_map: index into the level's, or None.
    """

    mesh: Mesh
    light: Float[ndarray, "t 3 3"]
    light_uvs: Float[ndarray, "t 3 2"]
    light_map: int | None


@dataclass(frozen=True, eq=False)
class Level:
    """What a level looks like, and points (metres) just above its floor where players start or find things."""

    name: str
    surfaces: tuple[Surface, ...]
    light_maps: tuple[UInt8[ndarray, "128 128 3"], ...]
    starts: Float[ndarray, "n 3"]


def level_files(folder: Path, held_out: bool) -> list[Path]:
    """The levels of one split, by name.

    Raises:
        ValueError: there are none.
    """
    files = [file for file in sorted((folder / "maps").glob("*.bsp.xz")) if (level_name(file) in HELD_OUT) == held_out]
    if not files or not (folder / "materials.json").is_file():
        raise ValueError(f"{folder}: expected materials.json and maps/*.bsp.xz; run tools/fetch_scenes.py --levels")
    return files


def level_name(file: Path) -> str:
    return file.name.split(".")[0]


def read_lumps(data: bytes, source: str) -> list[bytes]:
    """The parts of a .bsp file.

    Raises:
        ValueError: it is not one of version 46, or it is cut off.
    """
    size = HEADER.size + 8 * LUMPS
    magic, version = HEADER.unpack_from(data) if len(data) >= size else (b"", 0)
    if magic != b"IBSP" or version != 46:
        raise ValueError(f"{source}: expected a Quake 3 level (IBSP 46), got {magic!r} {version}")
    directory = np.frombuffer(data, "<i4", 2 * LUMPS, HEADER.size).reshape(LUMPS, 2)
    if (directory < 0).any() or (directory.sum(1) > len(data)).any():
        raise ValueError(f"{source}: the file is cut off")
    return [data[offset : offset + length] for offset, length in directory.tolist()]


def without_unneeded(data: bytes, source: str) -> bytes:
    """The same level without visibility, collision and light volumes: a third to a half of the bytes."""
    lumps = [lump if index in NEEDED else b"" for index, lump in enumerate(read_lumps(data, source))]
    ends = HEADER.size + 8 * LUMPS + np.cumsum([0, *(len(lump) for lump in lumps)])
    directory = np.array([(start, len(lump)) for start, lump in zip(ends, lumps, strict=False)], "<i4")
    return HEADER.pack(b"IBSP", 46) + directory.tobytes() + b"".join(lumps)


def texture_names(data: bytes, source: str) -> list[str]:
    """The names of all surfaces, in lower case."""
    return [_text(name) for name in np.frombuffer(read_lumps(data, source)[TEXTURES], TEXTURE)["name"]]


def _text(name: bytes) -> str:
    return name.split(b"\0")[0].decode("latin1").lower()


def load_level(file: Path) -> Level:
    """A level below the folder that ``level_files`` was given.

    Raises:
        ValueError: the file is damaged.
    """
    try:
        data = lzma.decompress(file.read_bytes())
    except lzma.LZMAError as error:
        raise ValueError(f"{file}: {error}") from error
    lumps = read_lumps(data, str(file))
    folder = file.parents[1]
    materials: dict[str, tuple[str, str | None]] = json.loads((folder / "materials.json").read_text())
    names = [_text(name) for name in np.frombuffer(lumps[TEXTURES], TEXTURE)["name"]]
    vertices, faces = _vertices(lumps[VERTICES]), np.frombuffer(lumps[FACES], FACE)
    corners = np.frombuffer(lumps[CORNERS], "<i4")
    pixels = np.frombuffer(lumps[LIGHT_MAPS], np.uint8).reshape(-1, LIGHT_MAP_SIZE, LIGHT_MAP_SIZE, 3)
    entities = read_entities(lumps[ENTITIES].decode("latin1"))
    shifts = _shifts(entities, np.frombuffer(lumps[MODELS], MODEL), len(faces))
    # What has no light of its own in the file would be black.
    ambient = float(pixels.mean()) / 255 if len(pixels) else 0.3
    vertices[(vertices[:, 10:13] < DARKEST).all(1), 10:13] = ambient
    groups: defaultdict[tuple[str, int, bool], list[ndarray]] = defaultdict(list)
    for face, shift in zip(faces, shifts, strict=True):
        own = vertices[face["vertex"] : face["vertex"] + face["vertices"]]
        if face["type"] == PATCH:
            triangles = bend_patch(own, *face["patch"].tolist())
        elif face["type"] in (POLYGON, TRIANGLES):
            triangles = own[corners[face["corner"] : face["corner"] + face["corners"]]].reshape(-1, 3, own.shape[1])
        else:
            continue
        triangles = triangles.copy()
        triangles[..., :3] += shift
        has_map = 0 <= face["light_map"] < len(pixels) and np.ptp(own[:, 5:7], axis=0).max() > 0
        light_map = int(face["light_map"]) if has_map else -1
        groups[names[face["texture"]], light_map, bool(face["type"] == POLYGON)].append(triangles)
    surfaces: list[Surface] = []
    for (name, light_map, flat), parts in groups.items():
        role, picture = materials.get(name, ("solid", None))
        if role != "hidden":
            surfaces += _surfaces(np.concatenate(parts), name, role, folder / picture if picture else None, light_map, flat)
    return Level(level_name(file), tuple(surfaces), tuple(pixels), _starts(entities))


def _vertices(lump: bytes) -> Float[ndarray, "n 13"]:
    """Position, texture coordinates, light map coordinates, normal, colour 0..1."""
    raw = np.frombuffer(lump, VERTEX)
    # Pictures are loaded bottom row first, the engine loads them top row first.
    uv = raw["uv"] * np.array([1, -1], np.float32) + np.array([0, 1], np.float32)
    columns = [_turned(raw["position"]) * METRES, uv, raw["light_uv"], _turned(raw["normal"]), raw["colour"][:, :3] / 255]
    return np.concatenate(columns, axis=1, dtype=np.float32)


def _turned(points: Float[ndarray, "n 3"]) -> Float[ndarray, "n 3"]:
    """From z up to y up."""
    return np.stack([points[..., 0], points[..., 2], -points[..., 1]], axis=-1)


def bend_patch(points: Float[ndarray, "n d"], columns: int, rows: int) -> Float[ndarray, "t 3 d"]:
    """Quadratic Bezier patches of 3 x 3 control points, which share their edges, as triangles; all columns are interpolated."""
    grid = points.reshape(rows, columns, -1)
    t = np.linspace(0, 1, PATCH_CELLS + 1, dtype=np.float32)
    basis = np.stack([(1 - t) ** 2, 2 * t * (1 - t), t**2], axis=1)
    patches = [
        cells_to_triangles(np.einsum("ua,abk,vb->uvk", basis, grid[row : row + 3, column : column + 3], basis))
        for row in range(0, rows - 2, 2)
        for column in range(0, columns - 2, 2)
    ]
    return np.concatenate(patches) if patches else np.zeros((0, 3, points.shape[1]), np.float32)


def _surfaces(
    triangles: Float[ndarray, "t 3 13"], name: str, role: str, picture: Path | None, light_map: int, flat: bool
) -> list[Surface]:
    """One surface for each label that occurs."""
    labels = face_labels(triangles[..., 7:10].mean(1)[:, 1], name, role, flat)
    material = Material((1.0, 1.0, 1.0) if picture else (0.5, 0.5, 0.5), texture=picture)
    surfaces = []
    for label in np.unique(labels):
        part = triangles[labels == label]
        mesh = Mesh(material, part[..., :3], part[..., 3:5], part[..., 7:10], shell=True, label=int(label))
        light = OVERBRIGHT * (part[..., 10:13] if light_map < 0 else np.ones_like(part[..., :3]))
        surfaces.append(Surface(mesh, light, part[..., 5:7], None if light_map < 0 else light_map))
    return surfaces


def face_labels(up: Float[ndarray, "t"], name: str, role: str, flat: bool) -> UInt8[ndarray, "t"]:
    """Labels from the normals' vertical part: clear for flat solid faces, unknown for slopes, curves, models and liquids."""
    if role == "sky":
        return np.full(len(up), SKY, np.uint8)
    if role != "solid" or not flat:
        return np.full(len(up), UNKNOWN, np.uint8)
    floor = GROUND if SOIL.search(name) else FLOOR
    return np.select([up > 0.8, up < -0.8, np.abs(up) < 0.25], [floor, CEILING, WALL], UNKNOWN).astype(np.uint8)


def read_entities(text: str) -> list[dict[str, str]]:
    return [dict(re.findall(r'"([^"]*)"\s+"([^"]*)"', block)) for block in re.findall(r"\{([^}]*)\}", text)]


def _origin(entity: dict[str, str]) -> Float[ndarray, "3"] | None:
    """An entity's place in metres; None if it has none."""
    try:
        numbers = [float(word) for word in entity.get("origin", "").split()]
    except ValueError:
        return None
    return _turned(np.array(numbers)) * METRES if len(numbers) == 3 else None


def _shifts(entities: list[dict[str, str]], models: ndarray, count: int) -> Float[ndarray, "n 3"]:
    """For each face how far its model (a door, a lift) stands from where its vertices are given."""
    shifts = np.zeros((count, 3), np.float32)
    for entity in entities:
        match, origin = re.fullmatch(r"\*(\d+)", entity.get("model", "")), _origin(entity)
        if match and origin is not None and int(match[1]) < len(models):
            model = models[int(match[1])]
            shifts[model["first_face"] : model["first_face"] + model["faces"]] = origin
    return shifts


def _starts(entities: list[dict[str, str]]) -> Float[ndarray, "n 3"]:
    places = [_origin(entity) for entity in entities if entity.get("classname", "").startswith(START_CLASSES)]
    return np.array([place for place in places if place is not None]).reshape(-1, 3)
