"""Places in the open for the validation scenes: ground, trees, houses, fences, a subject that stands alone, and a sky.

The subject stands at the origin, y up. Nothing of it is shown in training.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray
from scipy.ndimage import gaussian_filter

from rooms.figures import Looks, person
from rooms.labels import BUILDING, GROUND, VEGETATION
from rooms.meshes import Material, Mesh, face_normals, labelled, rotation_about_y
from rooms.shapes import ball, box, capsule, patch, placed, revolved, rotation_about
from rooms.tracing import Tracer

REACH = 60.0
"""Metres from the origin to the ground's rim."""
FREE = 11.0
"""Metres around the origin that stay free but for the subject, low things and thin ones."""
GROUND_TEXTURES = ("grass", "grass_1", "grass_2", "pebbles", "pavingStone", "asphalt_1")
WALL_TEXTURES = ("roughcast", "smallBricks", "stone3Wall", "stucco_1", "smallRedBricks")
LEAVES = "boxTree"
SKY_SHAPE = (512, 1024)


@dataclass(frozen=True, eq=False)
class Place:
    """A place in the open.

    Attributes:
        subject: what the camera looks at, a point of it.
        backdrop: the sky as a panorama, display values.
        sun: unit vector to it; ``glare`` its irradiance on what faces it.
    """

    name: str
    meshes: tuple[Mesh, ...]
    subject: Float[ndarray, "3"]
    backdrop: UInt8[ndarray, "h w 3"]
    sun: Float[ndarray, "3"]
    glare: Float[ndarray, "3"]
    zenith: Float[ndarray, "3"]
    horizon: Float[ndarray, "3"]

    def radiance(self, directions: Float[ndarray, "r 3"]) -> Float[ndarray, "r 3"]:
        """Of the sky, and of the ground below, in linear light."""
        up = directions[:, 1:2].clip(0.0, 1.0) ** 0.5
        return np.where(directions[:, 1:2] >= 0, self.horizon + up * (self.zenith - self.horizon), 0.25 * self.horizon)


def compose_place(rng: np.random.Generator, textures: dict[str, Path]) -> Place:
    """A random place; the same generator state gives the same one.

    Args:
        textures: image files by name.
    """
    name, make = list(SUBJECTS.items())[int(rng.integers(len(SUBJECTS)))]
    meshes, height = make(rng, textures)
    meshes = [ground(rng, textures), *meshes]
    for _ in range(int(rng.integers(2, 5))):
        meshes += placed(labelled(house(rng, textures), BUILDING), rotation_about_y(rng.uniform(0, 360)), spot(rng, 19.0, 34.0))
    for _ in range(int(rng.integers(14, 28))):
        meshes += placed(
            labelled(tree(rng, textures), VEGETATION), rotation_about_y(rng.uniform(0, 360)), spot(rng, FREE + 2.0, 30.0)
        )
    for _ in range(int(rng.integers(2, 5))):
        meshes += placed(fence(rng), rotation_about_y(rng.uniform(0, 360)), spot(rng, FREE, 20.0))
    for _ in range(int(rng.integers(4, 12))):
        meshes += placed(stones(rng, textures), np.eye(3), spot(rng, 2.0, FREE))
    height_of_sun, azimuth = rng.uniform(0.45, 1.1), rng.uniform(0, 2 * np.pi)
    level = np.cos(height_of_sun)
    sun = np.array([level * np.sin(azimuth), np.sin(height_of_sun), level * np.cos(azimuth)])
    clear = rng.uniform(0.2, 1.0)
    zenith, horizon = np.array([0.35, 0.55, 1.0]) * rng.uniform(0.6, 1.1), np.array([0.8, 0.88, 1.0]) * rng.uniform(0.8, 1.1)
    return Place(
        name=name,
        meshes=tuple(meshes),
        subject=np.array([0.0, height, 0.0]),
        backdrop=sky(rng, zenith, horizon),
        sun=sun,
        glare=clear * np.array([4.5, 4.2, 3.6]),
        zenith=zenith,
        horizon=horizon,
    )


def spot(rng: np.random.Generator, nearest: float, farthest: float) -> Float[ndarray, "3"]:
    """A random place on the ground between two distances."""
    azimuth, distance = rng.uniform(0, 2 * np.pi), rng.uniform(nearest, farthest)
    x, z = distance * np.sin(azimuth), distance * np.cos(azimuth)
    return np.array([x, rise(x, z), z])


def rise(x: Float[ndarray, "*n"] | float, z: Float[ndarray, "*n"] | float) -> Float[ndarray, "*n"]:
    """Height of the ground: level in the middle, rolling farther out."""
    away = np.clip((np.hypot(x, z) - FREE) / 20.0, 0.0, 1.5)
    return away * (0.8 * np.sin(0.13 * np.asarray(x) + 1.0) + 0.6 * np.cos(0.17 * np.asarray(z)) + 0.4)


def surface(textures: dict[str, Path], rng: np.random.Generator, names: Sequence[str], shade: float = 1.0) -> Material:
    """One of the textures that are there, else a plain colour."""
    found = [textures[name] for name in names if name in textures]
    texture = found[int(rng.integers(len(found)))] if found else None
    return Material((shade, shade, shade), texture=texture)


def ground(rng: np.random.Generator, textures: dict[str, Path]) -> Mesh:
    steps = np.sign(np.linspace(-1, 1, 121)) * np.abs(np.linspace(-1, 1, 121)) ** 1.5 * REACH
    z, x = np.meshgrid(steps[::-1], steps, indexing="ij")
    mesh = patch(surface(textures, rng, GROUND_TEXTURES), np.stack([x, rise(x, z), z], axis=-1))
    uvs = mesh.positions[..., [0, 2]] * rng.uniform(0.25, 0.6)
    return Mesh(mesh.material, mesh.positions, uvs.astype(np.float32), mesh.normals, shell=True, label=GROUND)


def tree(rng: np.random.Generator, textures: dict[str, Path]) -> list[Mesh]:
    """A trunk that forks, and a crown of clumps of leaves; or a fir."""
    height, bark = rng.uniform(3.5, 8.0), Material(tuple(rng.uniform(0.18, 0.32) * np.array([1.0, 0.85, 0.7])))
    green = Material(tuple(rng.uniform(0.6, 1.0, 3) * [0.8, 1.0, 0.6]), texture=textures.get(LEAVES))
    if rng.random() < 0.3:
        rings = [
            revolved(green, np.array([(0.22 * height * (1 - t) + 0.1, height * t), (0.02, height * (t + 0.3))]), 14, 4.0)
            for t in np.linspace(0.15, 0.75, 5)
        ]
        return [capsule(bark, (0, 0, 0), (0, 0.5 * height, 0), 0.03 * height), *rings]
    fork = np.array([rng.normal(0, 0.15), rng.uniform(0.3, 0.45) * height, rng.normal(0, 0.15)])
    meshes = [capsule(bark, (0, -0.1, 0), fork, 0.035 * height, 0.025 * height)]
    for azimuth in np.arange(5) * 2 * np.pi / 5 + rng.uniform(0, 6):
        out = rng.uniform(0.12, 0.28) * height
        tip = fork + np.array([out * np.sin(azimuth), rng.uniform(0.15, 0.4) * height, out * np.cos(azimuth)])
        meshes.append(capsule(bark, fork, tip, 0.016 * height, 0.006 * height, 7))
        for _ in range(9):
            size = rng.uniform(0.04, 0.1) * height * rng.uniform(0.7, 1.3, 3)
            meshes.append(ball(green, tip + rng.normal(0, 0.09 * height, 3), size, 8))
    return meshes


def house(rng: np.random.Generator, textures: dict[str, Path]) -> list[Mesh]:
    """Walls with windows and a door, a gabled roof, a chimney."""
    width, deep, eaves, ridge = rng.uniform(6, 11), rng.uniform(5, 8), rng.uniform(2.6, 5.5), rng.uniform(1.5, 2.8)
    wall, tiles = surface(textures, rng, WALL_TEXTURES), Material((rng.uniform(0.35, 0.6), 0.22, 0.16))
    glass, frame = Material((0.12, 0.14, 0.18)), Material((0.9, 0.9, 0.88))
    meshes = [box(wall, (0, eaves / 2 - 0.5, 0), (width, eaves + 1, deep), cells=6)]
    slope, length = np.arctan2(ridge, deep / 2), np.hypot(ridge, deep / 2) + 0.4
    for side in (-1, 1):
        place = (0, eaves + ridge / 2 + 0.05, side * deep / 4)
        meshes.append(box(tiles, place, (width + 0.6, 0.12, length), rotation_about(0, side * slope), cells=6))
    for end in (-1, 1):
        corner = np.array([[end * width / 2, eaves, -deep / 2], [end * width / 2, eaves, deep / 2]])
        top = np.array([end * width / 2, eaves + ridge, 0.0])
        order = (0, 1) if end > 0 else (1, 0)
        triangle = np.stack([corner[order[1]], corner[order[0]], top])[None].astype(np.float32)
        normal = np.broadcast_to(face_normals(triangle)[:, None], (1, 3, 3)).astype(np.float32)
        meshes.append(Mesh(wall, triangle, np.array([[[0, 0], [1, 0], [0.5, 0.5]]], np.float32), normal.copy()))
    for side in (-1, 1):
        for x in np.arange(-width / 2 + 1.3, width / 2 - 0.9, 2.1):
            meshes.append(box(frame, (x, 1.6, side * deep / 2), (1.2, 1.4, 0.08)))
            meshes.append(box(glass, (x, 1.6, side * (deep / 2 + 0.02)), (1.0, 1.2, 0.08)))
    meshes.append(box(Material((0.3, 0.18, 0.1)), (0.15, 1.0, deep / 2 + 0.03), (1.0, 2.1, 0.1)))
    meshes.append(box(wall, (0.25 * width, eaves + ridge, 0.2 * deep), (0.6, 1.6, 0.6)))
    return meshes


def fence(rng: np.random.Generator) -> list[Mesh]:
    """Thin posts, two rails, pales."""
    wood, length = Material(tuple(rng.uniform(0.4, 0.9) * np.array([1.0, 0.85, 0.65]))), rng.uniform(3.0, 8.0)
    meshes = [box(wood, (length / 2, level, 0), (length, 0.07, 0.03)) for level in (0.35, 0.85)]
    meshes += [box(wood, (x, 0.5, 0), (0.09, 1.1, 0.09)) for x in np.arange(0, length + 0.1, 2.0)]
    if rng.random() < 0.6:
        meshes += [box(wood, (x, 0.55, 0.03), (0.07, 1.0, 0.02)) for x in np.arange(0.15, length, 0.16)]
    return meshes


def stones(rng: np.random.Generator, textures: dict[str, Path]) -> list[Mesh]:
    """A stone, a bush or a tuft of grass, low enough not to be in the way."""
    if rng.random() < 0.4:
        radii = rng.uniform(0.08, 0.3) * rng.uniform(0.7, 1.3, 3)
        return [ball(surface(textures, rng, ("rock_1", "concrete_2"), 0.8), (0, 0.4 * radii[1], 0), radii, 10)]
    green = Material((rng.uniform(0.15, 0.35), rng.uniform(0.35, 0.6), 0.15))
    blades = rng.normal(0, 0.12, (24, 2))
    return [capsule(green, (0.5 * x, 0, 0.5 * z), (x, rng.uniform(0.15, 0.45), z), 0.008, 0.003, 5) for x, z in blades]


Subject = tuple[list[Mesh], float]


def statue(rng: np.random.Generator, textures: dict[str, Path]) -> Subject:
    """A figure of stone on a plinth."""
    stone = surface(textures, rng, ("marble_2", "concrete_2", "roughcast"), 0.9)
    plinth = rng.uniform(0.8, 1.3)
    figure = [Mesh(stone, m.positions, m.uvs, m.normals) for m in person(rng, Looks.random(rng, stone))]
    base = [box(stone, (0, 0.1, 0), (1.3, 0.2, 1.3)), box(stone, (0, plinth / 2, 0), (0.9, plinth, 0.9), cells=4)]
    return [*base, *placed(figure, np.eye(3), np.array([0.0, plinth, 0.0]), 1.1)], plinth + 0.5


def pavilion(rng: np.random.Generator, textures: dict[str, Path]) -> Subject:
    """Steps, six columns, and a roof in two tiers."""
    stone, red = surface(textures, rng, ("stoneTiles", "concrete_3"), 0.9), Material((0.55, 0.16, 0.12))
    meshes = [revolved(stone, np.array([(0, 0.3), (2.0, 0.3), (2.0, 0.15), (2.3, 0.15), (2.3, 0.0)])[::-1], 6)]
    for angle in np.arange(6) * np.pi / 3:
        x, z = 1.7 * np.sin(angle), 1.7 * np.cos(angle)
        meshes.append(capsule(red, (x, 0.3, z), (x, 2.6, z), 0.08))
    roof = Material((0.2, 0.3, 0.25))
    for low, wide in ((2.5, 2.5), (3.4, 1.5)):
        curve = [(wide, low), (0.72 * wide, low + 0.28), (0.5 * wide, low + 0.6), (0.35 * wide, low + 0.95)]
        meshes.append(revolved(roof, np.array([(0.3, low - 0.05), *curve]), 6, 3.0))
    return [*meshes, capsule(red, (0, 4.3, 0), (0, 5.0, 0), 0.06, 0.02)], 1.8


def well(rng: np.random.Generator, textures: dict[str, Path]) -> Subject:
    """A round wall, two posts, a little roof and a bucket on a rope."""
    stone, wood = surface(textures, rng, ("stone3Wall", "stoneWall"), 0.9), Material((0.4, 0.27, 0.16))
    meshes = [revolved(stone, np.array([(0.8, 0), (0.8, 0.75), (0.62, 0.75), (0.62, 0.1), (0, 0.1)]), 20, 3.0)]
    meshes += [box(wood, (side * 0.72, 1.1, 0), (0.1, 2.2, 0.1)) for side in (-1, 1)]
    meshes += [capsule(wood, (-0.75, 1.6, 0), (0.75, 1.6, 0), 0.06), capsule(wood, (0, 1.6, 0), (0, 1.05, 0), 0.012)]
    meshes.append(revolved(wood, np.array([(0, 0.8), (0.11, 0.8), (0.14, 1.05), (0.12, 1.05), (0, 0.9)]), 14))
    for side in (-1, 1):
        tilt = rotation_about(0, side * 0.75)
        meshes.append(box(Material((0.5, 0.2, 0.14)), (0, 2.35, side * 0.33), (1.9, 0.06, 1.0), tilt, cells=3))
    return meshes, 1.1


def bench_and_lamp(rng: np.random.Generator, textures: dict[str, Path]) -> Subject:
    """A bench of slats, a lamp post beside it, a bin."""
    wood, iron = Material((0.5, 0.33, 0.2)), Material((0.12, 0.13, 0.14))
    meshes = [box(wood, (0, 0.45, z), (1.8, 0.035, 0.09)) for z in (-0.18, -0.06, 0.06, 0.18)]
    meshes += [box(wood, (0, y, -0.26 - 0.12 * (y - 0.5)), (1.8, 0.1, 0.03)) for y in (0.62, 0.76, 0.9)]
    for x in (-0.75, 0.75):
        meshes += [box(iron, (x, 0.22, z), (0.05, 0.45, 0.05)) for z in (-0.2, 0.2)]
        meshes.append(box(iron, (x, 0.7, -0.28), (0.05, 0.55, 0.04)))
    meshes += [
        capsule(iron, (1.4, 0, 0), (1.4, 3.2, 0), 0.05, 0.035),
        ball(Material((0.95, 0.93, 0.85)), (1.4, 3.4, 0), (0.2,) * 3),
    ]
    meshes.append(revolved(iron, np.array([(0, 0), (0.18, 0), (0.22, 0.7), (0.2, 0.7), (0, 0.5)]), 16))
    return [*meshes[:-1], *placed([meshes[-1]], np.eye(3), np.array([-1.4, 0.0, 0.1]))], 0.9


SUBJECTS: dict[str, Callable[[np.random.Generator, dict[str, Path]], Subject]] = {
    "statue": statue,
    "pavilion": pavilion,
    "well": well,
    "bench": bench_and_lamp,
}


def sky(rng: np.random.Generator, zenith: Float[ndarray, "3"], horizon: Float[ndarray, "3"]) -> UInt8[ndarray, "h w 3"]:
    """A panorama of the sky: paler towards the horizon, with clouds; haze below it."""
    rows, columns = SKY_SHAPE
    up = np.cos(np.pi * (np.arange(rows) + 0.5) / rows)[:, None, None]
    colour = np.clip((horizon + np.clip(up, 0, 1) ** 0.5 * (zenith - horizon)) * 0.62, 0, 1)
    clouds = sum(gaussian_filter(rng.normal(size=SKY_SHAPE), (s, 2.5 * s), mode=("nearest", "wrap")) * s for s in (4, 9, 20))
    cover = np.clip((clouds / clouds.std() - rng.uniform(0.0, 1.2)) * 0.8, 0, 1)[..., None] * np.clip(6 * up, 0, 1)
    mixed = colour + cover * (np.array([0.92, 0.93, 0.95]) - colour)
    shown = np.broadcast_to(np.where(up < 0, 0.8 * horizon * 0.62, mixed), (rows, columns, 3))
    return (np.clip(shown, 0, 1) ** (1 / 2.2) * 255).astype(np.uint8)


def clear_of(tracer: Tracer, margin: float) -> Callable[[Float[ndarray, "v 3"]], ndarray]:
    """Which places lie above the ground and at least ``margin`` metres from everything."""
    from rooms.tracing import sphere_directions

    directions = sphere_directions(32)

    def clear(eyes: Float[ndarray, "v 3"]) -> ndarray:
        above = eyes[:, 1] > rise(eyes[:, 0], eyes[:, 2]) + 0.3
        return above & np.array([not tracer.occluded(eye, directions, margin).any() for eye in eyes])

    return clear
