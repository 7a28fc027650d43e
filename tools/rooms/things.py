"""Things that stand on tables and floors or are held: made of simple solids, at true size, with their foot at the origin."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy import ndarray

from rooms.figures import animal, coloured, limb
from rooms.meshes import Material, Mesh
from rooms.shapes import ball, box, capsule, placed, revolved, ring, rotation_about

Textures = Sequence[Path]


def patterned(rng: np.random.Generator, textures: Textures, share: float = 0.6) -> Material:
    """A random picture or texture as pattern with probability ``share``, else a plain colour."""
    if rng.random() > share or not textures:
        return coloured(rng)
    shade = rng.uniform(0.5, 1.0)
    return Material((shade, shade, shade), texture=textures[int(rng.integers(len(textures)))])


def bottle(rng: np.random.Generator, textures: Textures) -> list[Mesh]:
    """Body, shoulder, neck and cap, mostly with a label."""
    radius, height = rng.uniform(0.025, 0.05), rng.uniform(0.16, 0.34)
    neck, shoulder = radius * rng.uniform(0.25, 0.5), height * rng.uniform(0.5, 0.7)
    angles = np.linspace(0, 1, 6)
    curve = [(neck + (radius - neck) * np.cos(a * np.pi / 2) ** 0.8, shoulder + a * 0.15 * height) for a in angles]
    profile = [(0, 0), (radius * 0.95, 0.002), (radius, 0.01), (radius, shoulder), *curve, (neck, height), (0, height)]
    meshes = [revolved(coloured(rng), np.array(profile), 20)]
    if rng.random() < 0.7:
        low, high = 0.15 * height, rng.uniform(0.35, 0.48) * height
        label = patterned(rng, textures, 0.8)
        meshes.append(
            revolved(label, np.array([(radius * 1.012, low), (radius * 1.012, high)]), 20, uv_scale=rng.uniform(1, 3))
        )
    top = height - 0.004
    meshes.append(revolved(coloured(rng), np.array([(neck * 1.15, top), (neck * 1.15, top + 0.02), (0, top + 0.02)])))
    return meshes


def cup(rng: np.random.Generator, textures: Textures) -> list[Mesh]:
    """A mug, a glass or a bowl: open above, with the drink's surface inside; mugs have a handle."""
    radius, height = rng.uniform(0.033, 0.048), rng.uniform(0.07, 0.13)
    foot = radius * rng.uniform(0.6, 1.0)
    if rng.random() < 0.2:
        radius, height, foot = rng.uniform(0.06, 0.14), rng.uniform(0.04, 0.08), 0.04
    profile = [(0, 0), (foot, 0), (radius, height), (radius - 0.004, height), (foot - 0.004, 0.35 * height), (0, 0.35 * height)]
    profile[4] = (foot + (radius - foot) * 0.6 - 0.004, 0.6 * height)
    profile[5] = (0, 0.6 * height)
    meshes = [revolved(patterned(rng, textures), np.array(profile), 22)]
    if radius < 0.05 and rng.random() < 0.7:
        handle = ring(meshes[0].material, height * 0.28, 0.006)
        meshes += placed([handle], rotation_about(1, 0.0), np.array([radius + 0.006, 0.5 * height, 0.0]))
    return meshes


def books(rng: np.random.Generator, textures: Textures) -> list[Mesh]:
    """A pile of one to five books, or some that stand."""
    meshes, level = [], 0.0
    standing = rng.random() < 0.3
    for _ in range(int(rng.integers(1, 6))):
        width, depth, thick = rng.uniform(0.11, 0.24), rng.uniform(0.16, 0.32), rng.uniform(0.008, 0.05)
        turn = rotation_about(1, rng.normal(0.0, 0.15))
        if standing:
            centre, size = (level + thick / 2, depth / 2, 0.0), (thick, depth, width)
        else:
            centre, size = (0.0, level + thick / 2, 0.0), (width, thick, depth)
        meshes.append(box(patterned(rng, textures), centre, size, None if standing else turn))
        level += thick + (0.002 if standing else 0.0)
    return meshes


def carton(rng: np.random.Generator, textures: Textures) -> list[Mesh]:
    """A box of any proportions: parcels, cereal, loudspeakers, tablets, telephones."""
    size = np.exp(rng.uniform(np.log(0.012), np.log(0.3), 3))
    size[1] = max(size[1], 0.008)
    return [box(patterned(rng, textures), (0, size[1] / 2, 0), size, rotation_about(1, rng.uniform(0, np.pi)))]


def vase_with_plant(rng: np.random.Generator, textures: Textures) -> list[Mesh]:
    """A pot with stems and leaves."""
    height, radius = rng.uniform(0.06, 0.25), rng.uniform(0.035, 0.1)
    sides = radius * rng.uniform(0.5, 1.1, 4)
    profile = [
        (0, 0),
        *zip(sides, np.linspace(0.0, height, 4), strict=True),
        (sides[-1] * 0.8, 0.97 * height),
        (0, 0.9 * height),
    ]
    meshes = [revolved(patterned(rng, textures, 0.4), np.array(profile), 18)]
    green = Material((rng.uniform(0.1, 0.4), rng.uniform(0.3, 0.65), rng.uniform(0.08, 0.3)))
    reach, count = rng.uniform(0.1, 0.5), int(rng.integers(4, 16))
    for _ in range(count):
        out, around = rng.uniform(0.05, 1.0), rng.uniform(0, 2 * np.pi)
        middle = np.array([0.3 * np.sin(around) * out, 0.75, 0.3 * np.cos(around) * out]) * reach + np.array([0, height, 0])
        tip = np.array([np.sin(around) * out, rng.uniform(0.4, 1.2), np.cos(around) * out]) * reach + np.array([0, height, 0])
        meshes += limb(green, np.array([0.0, 0.9 * height, 0.0]), middle, tip, radii=(0.004, 0.003, 0.002))
        leaf = rng.uniform(0.15, 0.4) * reach
        blade = ball(green, (0, 0, 0), (leaf * rng.uniform(0.15, 0.45), leaf * 0.5, 0.003), 8)
        tilt = rotation_about(1, around) @ rotation_about(0, rng.uniform(0.2, 1.6))
        meshes += placed([blade], tilt, tip)
    return meshes


def lamp(rng: np.random.Generator, textures: Textures) -> list[Mesh]:
    """A foot, a thin stem, a shade."""
    height, shade = rng.uniform(0.2, 0.5), rng.uniform(0.05, 0.14)
    colour, light = coloured(rng), Material((0.95, 0.92, 0.85))
    lower, upper = shade, shade * rng.uniform(0.3, 1.0)
    profile = [
        (lower, height),
        (upper, height + rng.uniform(0.08, 0.2)),
        (upper - 0.003, height + 0.08),
        (lower - 0.003, height),
    ]
    return [
        revolved(colour, np.array([(0, 0), (shade * 0.7, 0), (shade * 0.7, 0.012), (0.01, 0.02)]), 18),
        capsule(colour, (0, 0.01, 0), (0, height + 0.06, 0), rng.uniform(0.003, 0.012)),
        revolved(light, np.array(profile), 20),
    ]


def round_thing(rng: np.random.Generator, textures: Textures) -> list[Mesh]:
    """Balls, apples, eggs, stones."""
    radii = rng.uniform(0.02, 0.14) * rng.uniform(0.75, 1.15, 3)
    return [ball(patterned(rng, textures, 0.4), (0, radii[1], 0), radii, 18)]


def rods(rng: np.random.Generator, textures: Textures) -> list[Mesh]:
    """Thin rods: pens in a pot, sticks, cables, stands."""
    meshes, reach = [], rng.uniform(0.1, 0.6)
    for _ in range(int(rng.integers(2, 8))):
        foot = np.array([rng.normal(0, 0.03), 0.005, rng.normal(0, 0.03)])
        tip = foot + reach * np.array([rng.normal(0, 0.4), rng.uniform(0.3, 1.0), rng.normal(0, 0.4)])
        bend = 0.5 * (foot + tip) + rng.normal(0, 0.1 * reach, 3)
        thick = rng.uniform(0.002, 0.01)
        meshes += limb(coloured(rng), foot, np.maximum(bend, 0.005), tip, radii=(thick,) * 3)
    return meshes


def controller(rng: np.random.Generator, textures: Textures) -> list[Mesh]:
    """A handle with a ring or with two grips and buttons: game controllers, handlebars, remotes."""
    colour, other = coloured(rng), coloured(rng)
    if rng.random() < 0.5:
        meshes = [
            capsule(colour, (0, 0.02, 0), (0, 0.12, 0.02), 0.018, 0.022),
            ball(other, (0, 0.13, 0.03), (0.028, 0.02, 0.028)),
        ]
        hoop = ring(colour, rng.uniform(0.04, 0.06), 0.007)
        return meshes + placed([hoop], rotation_about(0, rng.uniform(0, 1.5)), np.array([0, 0.15, 0.03]))
    meshes = [box(colour, (0, 0.045, 0), (0.1, 0.05, 0.035))]
    for side in (-1, 1):
        meshes.append(capsule(colour, (side * 0.055, 0.05, 0), (side * 0.075, 0.01, 0.02), 0.024, 0.017))
        meshes.append(capsule(other, (side * 0.03, 0.06, 0.02), (side * 0.03, 0.06, 0.032), 0.008))
    return meshes


def blocks(rng: np.random.Generator, textures: Textures) -> list[Mesh]:
    """A toy of some parts: car, train, tower."""
    meshes, colour = [], coloured(rng)
    length, width, height = rng.uniform(0.08, 0.5), rng.uniform(0.06, 0.25), rng.uniform(0.04, 0.2)
    wheel = rng.uniform(0.2, 0.45) * height
    meshes.append(box(colour, (0, wheel + height / 2, 0), (width, height, length)))
    top = (width * rng.uniform(0.5, 1), height * rng.uniform(0.5, 1.5), length * rng.uniform(0.3, 0.7))
    meshes.append(box(patterned(rng, textures), (0, wheel + height + top[1] / 2, rng.normal(0, 0.1) * length), top))
    for side in (-1, 1):
        for end in (-0.33, 0.33):
            tyre = ball(Material((0.1, 0.1, 0.1)), (0, 0, 0), (0.2 * wheel + 0.01, wheel, wheel), 14)
            meshes += placed([tyre], np.eye(3), np.array([side * width / 2, wheel, end * length]))
    for _ in range(int(rng.integers(0, 4))):
        place = (rng.uniform(-0.4, 0.4) * width, wheel + height + top[1], rng.uniform(-0.4, 0.4) * length)
        meshes.append(ball(coloured(rng), place, rng.uniform(0.15, 0.4, 3) * height))
    return meshes


def cycle(rng: np.random.Generator, textures: Textures) -> list[Mesh]:
    """A bicycle or a scooter: wheels, thin tubes, handlebar."""
    wheel, base, colour = rng.uniform(0.1, 0.33), rng.uniform(0.5, 1.05), coloured(rng)
    tube, dark = rng.uniform(0.01, 0.02), Material((0.1, 0.1, 0.1))
    rear, front = np.array([0, wheel, -base / 2]), np.array([0, wheel, base / 2])
    meshes: list[Mesh] = []
    for axle in (rear, front):
        meshes += placed([ring(dark, wheel - 0.015, rng.uniform(0.012, 0.025))], rotation_about(1, np.pi / 2), axle)
        for angle in np.arange(4) * np.pi / 4:
            spoke = (wheel - 0.02) * np.array([0, np.sin(angle), np.cos(angle)])
            meshes.append(capsule(coloured(rng), axle - spoke, axle + spoke, 0.003, segments=6))
    bar = front + np.array([0, wheel + rng.uniform(0.2, 0.45), -0.12])
    seat = rear + np.array([0, wheel + rng.uniform(0.1, 0.4), 0.12])
    crank = 0.5 * (rear + front) + np.array([0, -0.2 * wheel, 0])
    for a, b in (
        (front, bar),
        (bar * 0.8 + front * 0.2, crank),
        (rear, crank),
        (crank, seat),
        (seat, bar * 0.8 + front * 0.2),
        (rear, seat),
    ):
        meshes.append(capsule(colour, a, b, tube, segments=8))
    half = rng.uniform(0.17, 0.32)
    meshes.append(capsule(dark, bar - np.array([half, 0, 0]), bar + np.array([half, 0, 0]), 0.013))
    meshes.append(ball(dark, seat + np.array([0, 0.03, 0]), (0.07, 0.03, 0.12)))
    return meshes


def soft_animal(rng: np.random.Generator, textures: Textures) -> list[Mesh]:
    return animal(rng, patterned(rng, textures, 0.3), coloured(rng))


Maker = Callable[[np.random.Generator, Textures], list[Mesh]]
TABLE_THINGS: tuple[Maker, ...] = (
    bottle,
    bottle,
    cup,
    cup,
    books,
    carton,
    vase_with_plant,
    lamp,
    round_thing,
    rods,
    controller,
)
FLOOR_THINGS: tuple[Maker, ...] = (soft_animal, soft_animal, blocks, blocks, cycle, carton, round_thing, vase_with_plant)
HELD_THINGS: tuple[Maker, ...] = (controller, controller, cup, bottle, books, carton, round_thing, rods, blocks, soft_animal)


def footprint(meshes: list[Mesh]) -> tuple[ndarray, ndarray]:
    """The lowest and highest corner of the box around some meshes."""
    points = np.concatenate([mesh.positions.reshape(-1, 3) for mesh in meshes])
    return points.min(0), points.max(0)
