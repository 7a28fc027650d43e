"""Large upright things under the open sky that meet the ground: trunks of a wood, towers, rows of columns; and water."""

from __future__ import annotations

import colorsys

import numpy as np
from numpy import ndarray

from rooms.labels import BUILDING, GROUND, THING, VEGETATION
from rooms.meshes import Material, Mesh, labelled, rotation_about_y
from rooms.shapes import box, capsule, patch, placed, revolved
from rooms.things import Textures, patterned


def natural(rng: np.random.Generator, textures: Textures, colour: tuple[float, float, float], share: float = 0.7) -> Material:
    """A picture as pattern, tinted towards ``colour``, with probability ``share``; else the plain colour."""
    if not textures or rng.random() > share:
        return Material(colour)
    # A texture is darker than white: the tint makes up for about half of that.
    tint = np.clip(np.asarray(colour) * rng.uniform(1.2, 2.2), 0.0, 1.0)
    return Material((float(tint[0]), float(tint[1]), float(tint[2])), texture=textures[int(rng.integers(len(textures)))])


def stretched(mesh: Mesh, repeats: float) -> Mesh:
    """The same mesh with its texture repeated so many times."""
    return Mesh(mesh.material, mesh.positions, (mesh.uvs * repeats).astype(np.float32), mesh.normals, mesh.shell, mesh.label)


def trunk(rng: np.random.Generator, textures: Textures) -> list[Mesh]:
    """A tall trunk that widens where it enters the ground; some have low branches."""
    shade = rng.uniform(0.18, 0.6)
    bark = natural(rng, textures, (shade, shade * rng.uniform(0.75, 0.97), shade * rng.uniform(0.55, 0.92)), 0.8)
    radius, height = rng.uniform(0.06, 0.45), rng.uniform(7.0, 18.0)
    flare = radius * rng.uniform(1.05, 1.7)
    heights = np.array([-0.5, 0.0, 0.12, 0.35, 1.0, height])
    radii = np.array([flare, flare, 0.6 * flare + 0.4 * radius, 0.2 * flare + 0.8 * radius, radius, 0.5 * radius])
    stem = stretched(revolved(bark, np.stack([radii, heights], axis=1), 12), rng.uniform(1.0, 4.0))
    lean = rng.normal(0, 0.03, 2)
    # Leaning moves each height sideways by as much as it is high.
    offset = stem.positions[..., 1:2] * np.array([lean[0], 0.0, lean[1]], np.float32)
    meshes = [Mesh(bark, (stem.positions + offset).astype(np.float32), stem.uvs, stem.normals)]
    for _ in range(int(rng.integers(0, 5))):
        low = rng.uniform(1.5, 0.6 * height)
        turn, length = rng.uniform(0, 2 * np.pi), rng.uniform(0.6, 3.0)
        start = np.array([low * lean[0], low, low * lean[1]])
        end = start + length * np.array([np.sin(turn), rng.uniform(0.0, 0.7), np.cos(turn)])
        meshes.append(capsule(bark, start, end, 0.25 * radius, 0.08 * radius, 6))
    return labelled(meshes, VEGETATION)


def tower(rng: np.random.Generator, textures: Textures) -> list[Mesh]:
    """Storeys that grow narrower, with eaves or cornices between them: a pagoda, a church tower, a keep."""
    wall, roof = patterned(rng, textures, 0.7), Material(colorsys.hsv_to_rgb(rng.uniform(0, 0.1), rng.uniform(0, 0.7), 0.4))
    width, height, meshes = rng.uniform(2.5, 8.0), 0.0, []
    eaves, narrower, side = rng.uniform(0.1, 1.4), rng.uniform(0.8, 1.0), int(rng.choice([4, 6, 8, 20]))
    opening = Material((0.12, 0.11, 0.1))
    for _ in range(int(rng.integers(2, 7))):
        storey = rng.uniform(1.8, 4.5)
        around = np.array([(width / 2, height - 0.4), (width / 2, height + storey)])
        meshes.append(stretched(revolved(wall, around, side), 4.0))
        if rng.random() < 0.7:
            for turn in np.arange(4) * 90.0:
                # At the middle of a side of a polygon the wall is nearer than its corners.
                reach = 0.5 * width * np.cos(np.pi / side) + 0.01
                hole = [box(opening, (0, height + 0.55 * storey, reach), (0.25 * width, 0.5 * storey, 0.1))]
                meshes += placed(hole, rotation_about_y(float(turn) + 180.0 / side), np.zeros(3))
        height += storey
        rim = 0.5 * width + eaves
        drop = min(0.5, 0.4 * eaves)
        ring = np.array([(rim, height - drop), (rim, height - drop + 0.12), (0.4 * width * narrower, height + 0.5 * eaves)])
        meshes.append(revolved(roof, ring, side))
        width *= narrower
    peak = np.array([(0.5 * width + eaves, height - 0.1), (0.02, height + rng.uniform(0.4, 2.0) * width)])
    meshes.append(revolved(roof, peak, side))
    return labelled(meshes, BUILDING)


def columns(rng: np.random.Generator, textures: Textures) -> list[Mesh]:
    """A row of columns on a step, mostly with a beam above; or of posts alone."""
    shade = rng.uniform(0.4, 0.9)
    stone = natural(rng, textures, (shade, shade * 0.97, shade * rng.uniform(0.8, 0.95)), 0.6)
    count, gap = int(rng.integers(2, 8)), rng.uniform(1.2, 3.0)
    radius, height = gap * rng.uniform(0.06, 0.16), rng.uniform(1.2, 4.5)
    foot, length = 1.35 * radius, count * gap
    profile = [(foot, 0), (foot, 0.15), (radius, 0.22), (0.88 * radius, height - 0.2), (foot, height - 0.12), (foot, height)]
    meshes = [box(stone, (0, -0.1, 0), (length + 0.6, 0.4, 6 * foot), cells=4)]
    for index in range(count):
        place = np.array([(index - (count - 1) / 2) * gap, 0.1, 0.0])
        meshes += placed([revolved(stone, np.array(profile), 18)], np.eye(3), place)
    if rng.random() < 0.6:
        meshes.append(box(stone, (0, height + 0.3, 0), (length + 0.3, 0.4, 3 * foot), cells=4))
    return labelled(meshes, BUILDING)


def water(rng: np.random.Generator, textures: Textures, level: float, radius: float) -> list[Mesh]:
    """A level surface out to the horizon on one side, in half of the cases with a landing stage of planks."""
    colour = colorsys.hsv_to_rgb(rng.uniform(0.45, 0.62), rng.uniform(0.05, 0.5), rng.uniform(0.35, 0.8))
    turn, shore = rotation_about_y(rng.uniform(0, 360)), rng.uniform(1.5, 12.0)
    across, away = np.linspace(-radius, radius, 41), shore + np.geomspace(0.5, radius, 30) - 0.5
    grid = np.stack(np.broadcast_arrays(across[None, :], np.float64(level), away[:, None]), axis=-1)
    surface = natural(rng, textures, colour, 0.5)
    sheet = patch(surface, grid[::-1])
    ripples = sheet.positions[..., [0, 2]] * np.array([0.05, rng.uniform(0.2, 0.6)], np.float32)
    meshes = labelled([Mesh(surface, sheet.positions, ripples.astype(np.float32), sheet.normals, shell=True)], GROUND)
    if rng.random() < 0.5:
        wood = natural(rng, textures, (0.5, 0.42, 0.33), 0.8)
        width, plank, end = rng.uniform(1.2, 3.0), rng.uniform(0.1, 0.3), shore + rng.uniform(3, 12)
        middle, height = rng.uniform(-2, 2), level + rng.uniform(0.25, 0.8)
        places = np.arange(shore - 3.0, end, plank * 1.08)
        meshes += labelled([box(wood, (middle, height, z), (width, 0.05, plank)) for z in places[:80]], GROUND)
        for z in np.arange(shore, end, 2.0):
            for x in (middle - width / 2, middle + width / 2):
                post = capsule(wood, (x, level - 1.0, z), (x, height + rng.uniform(0, 0.9), z), 0.07)
                meshes += labelled([post], THING)
    return placed(meshes, turn, np.zeros(3))


def litter(rng: np.random.Generator, textures: Textures) -> list[Mesh]:
    """Tufts, stones and leaves a hand high: what lies on real ground."""
    hue, spread = rng.uniform(0.08, 0.35), rng.uniform(0.03, 0.2)
    colour = colorsys.hsv_to_rgb(hue, rng.uniform(0.1, 0.7), rng.uniform(0.2, 0.6))
    if rng.random() < 0.5:
        profile = np.array([(spread, -0.02), (0.8 * spread, 0.4 * spread), (0.02, 0.6 * spread)])
        return labelled([revolved(natural(rng, textures, colour), profile, 7)], GROUND)
    blades = []
    for _ in range(int(rng.integers(4, 10))):
        tip = np.array([rng.normal(0, spread), rng.uniform(0.5, 2.5) * spread, rng.normal(0, spread)])
        blades.append(capsule(Material(colour), (0.3 * tip[0], -0.02, 0.3 * tip[2]), tip, 0.008, 0.002, 4))
    return labelled(blades, VEGETATION)


def scattered(
    rng: np.random.Generator, meshes: list[Mesh], place: ndarray, scale: tuple[float, float] = (1.0, 1.0)
) -> list[Mesh]:
    """Turned at random about the vertical and put at ``place``."""
    return placed(meshes, rotation_about_y(rng.uniform(0, 360)), place, rng.uniform(*scale))
