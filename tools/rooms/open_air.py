"""Places under the open sky: uneven ground, trees, water, houses, towers, cars, fences, people, a sky with clouds."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray
from scipy.ndimage import gaussian_filter, map_coordinates

from rooms.figures import Looks, coloured, hand, person
from rooms.glow import Beam
from rooms.labels import BUILDING, GROUND, VEGETATION
from rooms.meshes import DISPLAY_GAMMA, Material, Mesh, labelled, rotation_about_y
from rooms.near_things import railing
from rooms.outdoor_things import columns, litter, natural, scattered, stretched, tower, trunk, water
from rooms.shapes import ball, box, capsule, patch, placed, revolved, rotation_about
from rooms.things import FLOOR_THINGS, Textures, cycle, patterned

RADIUS, HILLS_RADIUS = 260.0, 90.0
"""Metres from the middle to the end of the ground, and to the farthest hills."""
SKY_SHAPE = (256, 512)


@dataclass(frozen=True, eq=False)
class OpenAir:
    """A place, its light and the cameras in it.

    Attributes:
        sky: the picture behind everything, equirectangular display values.
        zenith, ground: linear light from above and from below.
        sun: direction and irradiance.
        poses: OpenGL camera-to-world matrices.
    """

    meshes: tuple[Mesh, ...]
    sky: UInt8[ndarray, "h w 3"]
    zenith: Float[ndarray, "3"]
    ground: Float[ndarray, "3"]
    sun: Beam
    poses: tuple[Float[ndarray, "4 4"], ...]

    def radiance(self, directions: Float[ndarray, "r 3"]) -> Float[ndarray, "r 3"]:
        """Sky from above, what the ground sends back from below."""
        return np.where(directions[:, 1:2] > 0, self.zenith, self.ground)


class Terrain:
    """Height over the plane: a slope, and waves of several lengths; flat where there is a street."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.slope = rng.normal(0.0, 0.04, 2) * (rng.random() < 0.6)
        self.waves = rng.normal(size=(6, 2)) / np.array([60, 40, 25, 14, 8, 5])[:, None]
        self.phases = rng.uniform(0, 2 * np.pi, 6)
        rough = float(rng.choice([0.0, 0.15, 1.0]))
        self.heights = rough * rng.uniform(0.2, 1.0, 6) * np.array([1.6, 0.9, 0.5, 0.25, 0.1, 0.04])

    def __call__(self, x: ndarray, z: ndarray) -> ndarray:
        waves = np.sin(2 * np.pi * (x[..., None] * self.waves[:, 0] + z[..., None] * self.waves[:, 1]) + self.phases)
        return x * self.slope[0] + z * self.slope[1] + waves @ self.heights

    def at(self, x: float, z: float) -> float:
        return float(self(np.array(x), np.array(z)))


def random_open_air(rng: np.random.Generator, textures: Textures, count: int, grown: Textures = ()) -> OpenAir:
    """A place with ``count`` cameras near its middle; ``grown``: pictures of what grows and lies outdoors, as textures."""
    terrain = Terrain(rng)
    meshes = labelled(_ground(rng, terrain, textures, grown), GROUND)
    kind = rng.choice(["town", "wood", "country"], p=[0.4, 0.25, 0.35])
    town = kind == "town"
    for _ in range(int(rng.integers(3, 10) if town else rng.integers(0, 3))):
        x, z = _place(rng, 10, 55)
        house = labelled(_house(rng, textures), BUILDING)
        turn = 90.0 * float(rng.integers(4)) + rng.normal(0, 8) if town else rng.uniform(0, 360)
        meshes += placed(house, rotation_about_y(turn), np.array([x, terrain.at(x, z) - 0.4, z]))
    if kind == "wood":
        trunks = [trunk(rng, grown) for _ in range(4)]
        for _ in range(int(rng.integers(12, 70))):
            x, z = _place(rng, 1.8, 30)
            chosen = trunks[int(rng.integers(len(trunks)))]
            meshes += scattered(rng, chosen, np.array([x, terrain.at(x, z), z]), (0.6, 1.3))
    kinds = [labelled(_tree(rng, grown), VEGETATION) for _ in range(3)]
    for _ in range(int(rng.integers(2, 14) if town else rng.integers(4, 30))):
        x, z = _place(rng, 3.5, 60)
        tree = kinds[int(rng.integers(len(kinds)))]
        meshes += placed(tree, rotation_about_y(rng.uniform(0, 360)), np.array([x, terrain.at(x, z), z]), rng.uniform(0.6, 1.5))
    if rng.random() < 0.5:
        lying = [litter(rng, grown) for _ in range(3)]
        for _ in range(int(rng.integers(20, 160))):
            x, z = _place(rng, 0.8, 12)
            meshes += scattered(rng, lying[int(rng.integers(3))], np.array([x, terrain.at(x, z), z]), (0.4, 1.6))
    if rng.random() < 0.2:
        meshes += water(rng, grown, terrain.at(0.0, 0.0) - rng.uniform(0.1, 1.0), RADIUS)
    for maker, chance, most, near in (
        (tower, 0.25, 2, 9.0), (columns, 0.25, 2, 3.0), (_car, 0.5, 5, 4.0), (_lamp_post, 0.4, 6, 2.5),
        (_bush, 0.6, 12, 2.0), (_bench, 0.4, 3, 2.0), (_statue, 0.2, 1, 4.0), (_rock, 0.4, 8, 1.5),
    ):  # fmt: skip
        if rng.random() < chance:
            for _ in range(int(rng.integers(1, most + 1))):
                x, z = _place(rng, near, 25)
                thing = maker(rng, textures)
                meshes += placed(thing, rotation_about_y(rng.uniform(0, 360)), np.array([x, terrain.at(x, z), z]))
    for _ in range(int(rng.integers(0, 5))):
        x, z = _place(rng, 1.5, 18)
        figure = person(rng, Looks.random(rng, patterned(rng, textures, 0.3)))
        meshes += placed(figure, rotation_about_y(rng.uniform(0, 360)), np.array([x, terrain.at(x, z), z]))
    for _ in range(int(rng.integers(0, 3))):
        x, z = _place(rng, 1.2, 7)
        maker = cycle if rng.random() < 0.4 else FLOOR_THINGS[int(rng.integers(len(FLOOR_THINGS)))]
        meshes += placed(maker(rng, textures), rotation_about_y(rng.uniform(0, 360)), np.array([x, terrain.at(x, z), z]))
    if rng.random() < 0.5:
        meshes += _fence(rng, terrain, textures)
    if rng.random() < 0.5:
        meshes += labelled(_hills(rng), GROUND)
    poses = tuple(_camera(rng, terrain) for _ in range(count))
    if rng.random() < 0.25:
        meshes += _hands_before(rng, poses[0])
    overcast = rng.random() < 0.4
    zenith = np.array(colorsys.hsv_to_rgb(0.58, rng.uniform(0.0, 0.5), 1.0)) * rng.uniform(0.6, 1.2)
    level, around = rng.uniform(0.15, 1.3), rng.uniform(0, 2 * np.pi)
    to_sun = np.array([np.sin(around) * np.cos(level), np.sin(level), np.cos(around) * np.cos(level)])
    warmth = np.array([1.0, 0.93, 0.8]) * (0.0 if overcast else rng.uniform(2.0, 7.0))
    sky = random_sky(rng, overcast, to_sun)
    return OpenAir(tuple(meshes), sky, zenith, 0.18 * zenith + 0.05 * warmth, (to_sun, warmth), poses)


def _place(rng: np.random.Generator, near: float, far: float) -> tuple[float, float]:
    """A point around the middle, more often near than an even spread would have it."""
    distance, angle = near + (far - near) * rng.random() ** 1.5, rng.uniform(0, 2 * np.pi)
    return float(distance * np.sin(angle)), float(distance * np.cos(angle))


def _camera(rng: np.random.Generator, terrain: Terrain) -> Float[ndarray, "4 4"]:
    x, z = rng.uniform(-1.5, 1.5, 2)
    height = rng.uniform(1.2, 1.9) if rng.random() < 0.8 else rng.uniform(0.3, 6.0)
    pose = np.eye(4)
    turn = rotation_about(1, rng.uniform(0, 2 * np.pi)) @ rotation_about(0, rng.normal(-0.03, 0.13))
    pose[:3, :3] = turn @ rotation_about(2, rng.normal(0, 0.05))
    pose[:3, 3] = x, terrain.at(x, z) + height, z
    return pose


def _ground(rng: np.random.Generator, terrain: Terrain, textures: Textures, grown: Textures) -> list[Mesh]:
    """Rings that grow with the distance; a path or a street across."""
    radii = np.concatenate([[0.0], np.geomspace(0.6, RADIUS, 44)])
    angles = np.linspace(0, 2 * np.pi, 73)
    x, z = radii[:, None] * np.sin(angles), radii[:, None] * np.cos(angles)
    points = np.stack([x, terrain(x, z), z], axis=-1)
    green = colorsys.hsv_to_rgb(rng.uniform(0.15, 0.3), rng.uniform(0.2, 0.55), rng.uniform(0.35, 0.65))
    soil = (0.5, 0.43, 0.34)
    paved = rng.random() < 0.5
    grass = natural(rng, grown, green if rng.random() < 0.7 else soil)
    surface = patterned(rng, textures, 1.0) if paved else grass
    ground = patch(surface, points[:, ::-1])
    metres = ground.positions[..., [0, 2]] * rng.uniform(0.3, 0.8)
    meshes = [Mesh(surface, ground.positions, metres.astype(np.float32), ground.normals, shell=True)]
    if rng.random() < 0.6:
        width, along = rng.uniform(1.0, 6.0), np.linspace(-HILLS_RADIUS, HILLS_RADIUS, 121)
        across = (
            np.linspace(-0.5, 0.5, 7)[:, None] * width + rng.uniform(-3, 3) + 2.5 * np.sin(along / rng.uniform(8, 40))[None]
        )
        turn = rotation_about_y(rng.uniform(0, 360))
        flat = np.stack([across, np.zeros_like(across), np.broadcast_to(along, across.shape)], axis=-1) @ turn.T
        flat[..., 1] = terrain(flat[..., 0], flat[..., 2]) + 0.03
        shade = rng.uniform(0.25, 0.7)
        path = patch(Material((shade, shade * 0.97, shade * 0.93)), flat)
        upward = path.normals[..., 1].mean() > 0
        meshes.append(path if upward else Mesh(path.material, path.positions[:, ::-1], path.uvs, -path.normals[:, ::-1]))
    return meshes


def _house(rng: np.random.Generator, textures: Textures) -> list[Mesh]:
    """Walls, a gable or flat roof, rows of windows and a door."""
    width, depth, floors = rng.uniform(6, 16), rng.uniform(6, 12), int(rng.integers(1, 5))
    height = 2.9 * floors + rng.uniform(0, 1)
    wall, roof = patterned(rng, textures, 0.6), Material(colorsys.hsv_to_rgb(rng.uniform(0, 0.08), rng.uniform(0, 0.6), 0.45))
    body = box(wall, (0, height / 2, 0), (width, height, depth), cells=6)
    meshes = [Mesh(wall, body.positions, body.uvs * 4, body.normals)]
    if rng.random() < 0.75:
        peak, eaves = rng.uniform(0.3, 0.7) * depth, 0.4
        for side in (-1, 1):
            low = np.array(
                [
                    [-width / 2 - eaves, height - 0.1, side * (depth / 2 + eaves)],
                    [width / 2 + eaves, height - 0.1, side * (depth / 2 + eaves)],
                ]
            )
            high = np.array([[-width / 2 - eaves, height + peak, 0.0], [width / 2 + eaves, height + peak, 0.0]])
            rows = [low + t * (high - low) for t in np.linspace(0, 1, 5)]
            slope = patch(roof, np.stack(rows if side > 0 else [row[::-1] for row in rows]))
            meshes.append(slope)
        for side in (-1, 1):
            x = side * width / 2
            gable = np.array(
                [[[x, height, -depth / 2], [x, height, depth / 2]], [[x, height + peak, 0.0], [x, height + peak, 1e-3]]]
            )
            meshes.append(patch(wall, gable if side < 0 else gable[:, ::-1]))
    glass, frame = Material((0.12, 0.14, 0.18)), Material((0.85, 0.85, 0.82))
    across = int(width // rng.uniform(2.0, 3.2))
    for floor in range(floors):
        for index in range(across):
            x, y = (index + 0.5) / across * width - width / 2, 2.9 * floor + 1.6
            for side in (-1, 1):
                door = floor == 0 and index == across // 2
                size = (1.0, 2.1) if door else (1.05, 1.35)
                centre = np.array([x, 1.25 if door else y, side * depth / 2])
                meshes.append(box(frame, centre, (size[0] + 0.2, size[1] + 0.2, 0.08)))
                meshes.append(box(coloured(rng) if door else glass, centre, (size[0], size[1], 0.12)))
    if rng.random() < 0.4:
        meshes.append(box(wall, (rng.uniform(-0.3, 0.3) * width, height + 1.2, 0.2 * depth), (0.7, 2.8, 0.7)))
    return meshes


def _tree(rng: np.random.Generator, grown: Textures) -> list[Mesh]:
    """A trunk with branches and clumps of leaves; a fir; or a bare tree."""
    bark = natural(rng, grown, (rng.uniform(0.2, 0.45), rng.uniform(0.16, 0.34), 0.17), 0.6)
    hue = rng.uniform(0.08, 0.16) if rng.random() < 0.2 else rng.uniform(0.2, 0.38)
    height, thick = rng.uniform(4, 10), rng.uniform(0.08, 0.28)
    top = np.array([rng.normal(0, 0.3), 0.7 * height, rng.normal(0, 0.3)])
    meshes = [capsule(bark, (0, -0.3, 0), top, thick, 0.4 * thick, 8)]
    style = rng.random()
    if style < 0.2:
        for level in np.linspace(0.15, 1.0, 6):
            radius = (1.1 - level) * 0.3 * height
            profile = np.array([(radius, 0.0), (radius * 0.45, 0.09 * height), (0.02, 0.22 * height)])
            green = natural(rng, grown, colorsys.hsv_to_rgb(hue, 0.6, rng.uniform(0.2, 0.4)), 0.5)
            skirt = stretched(revolved(green, profile + np.array([0, level * height * 0.85]), 16), 2.0)
            meshes.append(_rough(rng, skirt, 0.12 * radius))
        return meshes
    for _ in range(int(rng.integers(5, 11))):
        start = top * rng.uniform(0.45, 1.0)
        end = start + np.array([rng.normal(0, 0.2), rng.uniform(0.05, 0.25), rng.normal(0, 0.2)]) * height
        meshes.append(capsule(bark, start, end, 0.35 * thick, 0.12 * thick, 6))
        if style < 0.3:
            for _ in range(4):
                twig = end + rng.normal(0, 0.08 * height, 3)
                meshes.append(capsule(bark, 0.4 * start + 0.6 * end, twig, 0.1 * thick, 0.03 * thick, 5))
            continue
        for _ in range(3):
            colour = colorsys.hsv_to_rgb(hue + rng.normal(0, 0.015), rng.uniform(0.25, 0.65), rng.uniform(0.22, 0.55))
            green, size = natural(rng, grown, colour, 0.6), rng.uniform(0.05, 0.14) * height
            clump = ball(green, end + rng.normal(0, 0.06 * height, 3), (size, size * 0.8, size), 12)
            meshes.append(_rough(rng, clump, 0.3 * size))
    return meshes


def _rough(rng: np.random.Generator, mesh: Mesh, amount: float) -> Mesh:
    """Vertices moved by noise that depends on their place alone, so that no gaps open."""
    waves, phases = rng.normal(size=(3, 6)) * 3.0 / max(amount * 3, 0.05), rng.uniform(0, 2 * np.pi, 6)
    swing = np.sin(mesh.positions @ waves + phases).reshape(*mesh.positions.shape[:2], 2, 3).sum(2)
    positions = mesh.positions + (0.5 * amount * swing).astype(np.float32)
    return replace(mesh, positions=positions.astype(np.float32))


def _bush(rng: np.random.Generator, textures: Textures) -> list[Mesh]:
    green = Material(colorsys.hsv_to_rgb(rng.uniform(0.18, 0.36), 0.6, rng.uniform(0.2, 0.55)))
    size = rng.uniform(0.25, 0.9)
    clumps = [
        _rough(
            rng,
            ball(
                green,
                rng.normal(0, 0.5 * size, 3) * np.array([1, 0, 1]) + np.array([0, 0.5 * size, 0]),
                [size, 0.8 * size, size],
                14,
            ),
            0.35 * size,
        )
        for _ in range(int(rng.integers(1, 4)))
    ]
    return labelled(clumps, VEGETATION)


def _rock(rng: np.random.Generator, textures: Textures) -> list[Mesh]:
    shade = rng.uniform(0.3, 0.7)
    size = rng.uniform(0.1, 0.8)
    stone = Material((shade, shade * 0.97, shade * 0.92))
    return [_rough(rng, ball(stone, (0, 0.3 * size, 0), size * rng.uniform(0.5, 1.2, 3), 14), 0.4 * size)]


def _car(rng: np.random.Generator, textures: Textures) -> list[Mesh]:
    """A body with bonnet, cabin, windows and wheels."""
    paint, glass, rubber = coloured(rng), Material((0.1, 0.12, 0.15)), Material((0.07, 0.07, 0.07))
    length, width, height = rng.uniform(3.6, 5.0), rng.uniform(1.65, 1.95), rng.uniform(0.55, 0.75)
    meshes = [
        ball(paint, (0, 0.3 + height / 2, 0), (width / 2 * 1.1, height / 2 * 1.25, length / 2 * 1.05), 20),
        box(paint, (0, 0.3 + height / 2, 0), (width, height * 0.8, length * 0.86), cells=3),
        ball(glass, (0, 0.3 + height, -0.05 * length), (width / 2 * 0.92, 0.6, length * 0.31), 18),
        box(paint, (0, 0.3 + height + 0.53, -0.08 * length), (width * 0.6, 0.05, length * 0.3)),
    ]
    for side in (-1, 1):
        for end in (-0.3, 0.3):
            meshes.append(ball(rubber, (side * width * 0.47, 0.32, end * length), (0.12, 0.32, 0.32), 16))
            meshes.append(ball(Material((0.6, 0.6, 0.6)), (side * width * 0.5, 0.32, end * length), (0.12, 0.18, 0.18), 12))
    return meshes


def _lamp_post(rng: np.random.Generator, textures: Textures) -> list[Mesh]:
    """A lamp post, a traffic sign or a bollard."""
    height, metal = rng.choice([0.9, 2.4, rng.uniform(3.5, 7)]), coloured(rng)
    meshes = [capsule(metal, (0, -0.1, 0), (0, height, 0), rng.uniform(0.03, 0.09), 0.03, 8)]
    if height > 3:
        meshes.append(capsule(metal, (0, height, 0), (rng.uniform(0, 1.2), height + 0.1, 0), 0.03, segments=6))
        meshes.append(ball(Material((0.9, 0.88, 0.8)), (0, height + 0.1, 0), (0.25, 0.2, 0.25)))
    elif height > 2:
        meshes.append(box(patterned(rng, textures, 0.3), (0, height - 0.2, 0.05), (0.6, 0.6, 0.02)))
    return meshes


def _bench(rng: np.random.Generator, textures: Textures) -> list[Mesh]:
    wood, metal = patterned(rng, textures, 0.4), Material((0.15, 0.15, 0.15))
    meshes = [box(wood, (0, 0.45, z), (1.7, 0.035, 0.1)) for z in (-0.15, 0.0, 0.15)]
    meshes += [box(wood, (0, y, -0.24), (1.7, 0.1, 0.035)) for y in (0.62, 0.8)]
    for x in (-0.7, 0.7):
        meshes += [capsule(metal, (x, 0, 0.15), (x, 0.45, 0.15), 0.025), capsule(metal, (x, 0, -0.2), (x, 0.85, -0.26), 0.025)]
    return meshes


def _statue(rng: np.random.Generator, textures: Textures) -> list[Mesh]:
    """A figure of one colour on a plinth."""
    shade = rng.uniform(0.3, 0.8)
    stone = Material((shade, shade, shade * 0.95))
    plinth = rng.uniform(0.5, 2.0)
    figure = placed(person(rng, Looks(stone, stone, stone, stone)), np.eye(3), np.array([0, plinth, 0]), rng.uniform(1.0, 1.6))
    figure = [Mesh(stone, mesh.positions, mesh.uvs, mesh.normals) for mesh in figure]
    return [box(stone, (0, plinth / 2, 0), (1.0, plinth, 1.0), cells=3), box(stone, (0, 0.1, 0), (1.6, 0.2, 1.6)), *figure]


def _fence(rng: np.random.Generator, terrain: Terrain, textures: Textures) -> list[Mesh]:
    """A row of fence panels or a wall past the middle."""
    distance, turn, height = rng.uniform(2.0, 9.0), rng.uniform(0, 2 * np.pi), rng.uniform(0.8, 1.8)
    material, solid = patterned(rng, textures, 0.4), rng.random() < 0.3
    meshes: list[Mesh] = []
    for index in range(-5, 5):
        start = np.array([index * 2.0, 0.0, distance]) @ rotation_about(1, turn).T
        start[1] = terrain.at(start[0], start[2])
        if solid:
            panel = labelled([box(material, (1.0, height / 2, 0), (2.0, height, 0.2), cells=3)], BUILDING)
        else:
            panel = railing(rng, material, 2.0, height)
        meshes += placed(panel, rotation_about(1, turn), start)
    return meshes


def _hills(rng: np.random.Generator) -> list[Mesh]:
    """A ring of hills far away."""
    angles = np.linspace(0, 2 * np.pi, 97)
    profile = gaussian_filter(rng.random(96), 3, mode="wrap")
    heights = np.append(profile, profile[0])
    heights = (heights - heights.min()) / np.ptp(heights) * rng.uniform(4, 22)
    rows = []
    for t in np.linspace(0, 1, 6):
        radius = HILLS_RADIUS * (0.75 + 0.25 * t)
        rows.append(np.stack([radius * np.sin(angles), -2 + heights * t, radius * np.cos(angles)], axis=-1))
    return [
        patch(
            Material(colorsys.hsv_to_rgb(rng.uniform(0.2, 0.6), rng.uniform(0.1, 0.45), rng.uniform(0.3, 0.6))),
            np.stack(rows)[:, ::-1],
        )
    ]


def _hands_before(rng: np.random.Generator, pose: Float[ndarray, "4 4"]) -> list[Mesh]:
    """A hand before the first camera; the others see it as a thing that hangs in the air, or not at all."""
    one = hand(rng, Looks.random(rng), rng.uniform(0, 0.6), 0.1)
    place = np.array([rng.uniform(-0.15, 0.15), -0.12, -rng.uniform(0.3, 0.5)])
    local = placed(one, rotation_about(1, np.pi) @ rotation_about(0, rng.uniform(-0.6, 0.6)), place)
    return placed(local, pose[:3, :3], pose[:3, 3])


def random_sky(rng: np.random.Generator, overcast: bool, to_sun: Float[ndarray, "3"]) -> UInt8[ndarray, "h w 3"]:
    """A gradient from the horizon to the zenith, clouds, and a glow about the sun; the lower half is haze."""
    rows, columns = SKY_SHAPE
    elevation = np.linspace(np.pi / 2, -np.pi / 2, rows)[:, None, None]
    hue = rng.uniform(0.55, 0.62)
    zenith = np.array(colorsys.hsv_to_rgb(hue, 0.05 if overcast else rng.uniform(0.3, 0.75), rng.uniform(0.5, 0.95)))
    horizon = np.array(colorsys.hsv_to_rgb(rng.choice([hue, 0.08]), rng.uniform(0.0, 0.3), rng.uniform(0.75, 1.0)))
    blend = np.clip(np.sin(np.maximum(elevation, 0)), 0, 1) ** rng.uniform(0.4, 0.9)
    sky = np.broadcast_to(horizon + blend * (zenith - horizon), (rows, columns, 3)).copy()
    noise = sum(
        gaussian_filter(rng.normal(size=(rows, columns)), (s * 0.6, s * 1.6), mode=("nearest", "wrap")) * s**1.3
        for s in (2, 5, 12, 30)
    )
    noise = (noise - noise.mean()) / noise.std()
    # Clouds are a layer: they lie closer together towards the horizon.
    v = np.clip(rows / 2 * (1 - np.abs(np.sin(elevation[..., 0])) ** 0.7), 0, rows - 1)
    squeezed = map_coordinates(noise, np.stack(np.broadcast_arrays(v, np.arange(columns)[None])), order=1, mode="nearest")
    cover = np.clip((squeezed - rng.uniform(-0.8, 1.2)) * rng.uniform(0.4, 1.5), 0, 1)[..., None] * (rng.random() < 0.8)
    cloud = np.array([1.0, 0.99, 0.97]) * rng.uniform(0.6, 1.0)
    sky = sky + cover * (cloud - sky) * np.clip(4 * np.sin(np.maximum(elevation, 0)) + 0.2, 0, 1)
    if not overcast:
        azimuth = (np.arange(columns) + 0.5) / columns * 2 * np.pi - np.pi
        direction = np.stack(
            [
                np.sin(azimuth) * np.cos(elevation[..., 0]),
                np.sin(elevation[..., 0]) + 0 * azimuth,
                -np.cos(azimuth) * np.cos(elevation[..., 0]),
            ],
            axis=-1,
        )
        sky = sky + 0.8 * np.clip(direction @ to_sun, 0, 1)[..., None] ** rng.uniform(20, 300)
    return (np.clip(sky, 0, 1) ** (1.0 if overcast else 2.0 / DISPLAY_GAMMA) * 255).astype(np.uint8)
