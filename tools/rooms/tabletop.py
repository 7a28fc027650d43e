"""Things on tables for the validation scenes: thin, upright and round ones of shapes that training never shows.

Where they may stand is found by rays from above: level places on furniture that are free.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from rooms.meshes import Material, Mesh, rotation_about_y
from rooms.room import Room
from rooms.shapes import ball, box, capsule, placed, revolved, ring, rotation_about
from rooms.tracing import Tracer

HEIGHTS = (0.66, 1.15)
"""Metres above the floor at which a surface is that of a table, a desk or a cabinet; beds are lower."""
EYE_LEVEL = 1.35
PLACES = 6000
"""Random places that are looked at from above."""
LEVEL = 0.008
"""Metres by which a place may not be level."""
GROUP = 0.42
"""Metres around the middle of the group."""
UP = np.array([0.0, 1.0, 0.0])

Textures = Sequence[Path]
Maker = Callable[[np.random.Generator, Textures], list[Mesh]]


def paint(rng: np.random.Generator) -> Material:
    red, green, blue = rng.uniform(0.08, 0.9, 3)
    return Material((red, green, blue))


def wine_bottle(rng: np.random.Generator, textures: Textures) -> list[Mesh]:
    """Straight body, long neck with a lip, a paper label."""
    height, radius = rng.uniform(0.28, 0.34), rng.uniform(0.034, 0.042)
    neck = 0.38 * radius
    curve = [(neck + (radius - neck) * (1 + np.cos(np.pi * t)) / 2, height * (0.56 + 0.16 * t)) for t in np.linspace(0, 1, 9)]
    lip = [(neck, 0.95 * height), (1.25 * neck, 0.955 * height), (1.25 * neck, 0.98 * height), (neck, height), (0, height)]
    glass = Material(tuple(rng.uniform(0.03, 0.3, 3)))
    body = revolved(glass, np.array([(0, 0), (radius, 0.002), *curve, *lip]), 24)
    label = Material((0.95, 0.93, 0.86), texture=textures[int(rng.integers(len(textures)))] if len(textures) else None)
    paper = np.array([(1.01 * radius, 0.16 * height), (1.01 * radius, 0.44 * height)])
    return [body, revolved(label, paper, 24, uv_scale=2.0)]


def wine_glass(rng: np.random.Generator, textures: Textures) -> list[Mesh]:
    """A foot, a thin stem and a bowl, of frosted glass."""
    height, radius = rng.uniform(0.16, 0.24), rng.uniform(0.03, 0.045)
    frosted = Material(tuple(rng.uniform(0.7, 0.9, 3)))
    bowl = [(radius * np.sin(t) ** 0.7, height * (0.48 + 0.26 * (1 - np.cos(t)))) for t in np.linspace(0.15, np.pi / 2, 7)]
    profile = [(0, 0), (0.85 * radius, 0.003), (0.004, 0.012), (0.004, 0.48 * height), *bowl, (0.85 * radius, height)]
    inside = [(0.83 * radius, height), (0.93 * radius, 0.75 * height), (0, 0.6 * height)]
    return [revolved(frosted, np.array([*profile, *inside]), 22)]


def row_of_books(rng: np.random.Generator, textures: Textures) -> list[Mesh]:
    """Standing side by side, the last one leaning."""
    meshes, x = [], 0.0
    for index in range(int(rng.integers(3, 7))):
        thick, height, deep = rng.uniform(0.012, 0.04), rng.uniform(0.17, 0.27), rng.uniform(0.12, 0.18)
        lean = rotation_about(2, 0.28) if index == 0 else np.eye(3)
        low = 0.5 * (height * np.cos(0.28) + thick * np.sin(0.28)) if index == 0 else height / 2
        place = np.array([-0.5 * height * np.sin(0.28) - 0.02 if index == 0 else x + thick / 2, low, 0.0])
        meshes.append(box(paint(rng), place, (thick, height, deep), lean))
        x += 0.0 if index == 0 else thick + 0.001
    middle = np.array([x / 2, 0.0, 0.0])
    return placed(meshes, np.eye(3), -middle)


def spiky_plant(rng: np.random.Generator, textures: Textures) -> list[Mesh]:
    """Long thin leaves that bend out of a square pot."""
    side, deep = rng.uniform(0.08, 0.12), rng.uniform(0.08, 0.13)
    meshes = [box(paint(rng), (0, deep / 2, 0), (side, deep, side))]
    for azimuth in np.arange(14) * 2.4:
        green = Material((rng.uniform(0.08, 0.3), rng.uniform(0.3, 0.6), rng.uniform(0.08, 0.25)))
        length, fall = rng.uniform(0.15, 0.32), rng.uniform(0.2, 0.9)
        points = [np.array([0.0, deep, 0.0])]
        for step in range(1, 4):
            t = step / 3
            points.append(np.array([length * fall * t, deep + length * (t - 0.5 * fall * t * t), 0.0]))
        turn = rotation_about(1, azimuth)
        meshes += [capsule(green, turn @ a, turn @ b, 0.004, 0.003, 6) for a, b in pairwise(points)]
    return meshes


def jointed_lamp(rng: np.random.Generator, textures: Textures) -> list[Mesh]:
    """A heavy foot, two thin arms with a joint, a bell that looks down."""
    colour, metal = paint(rng), Material((0.55, 0.55, 0.58))
    elbow, head = np.array([-rng.uniform(0.05, 0.12), 0.26, 0.0]), np.array([0.14, rng.uniform(0.36, 0.44), 0.0])
    bell = revolved(colour, np.array([(0.062, -0.05), (0.05, -0.01), (0.02, 0.03), (0, 0.035)]), 20)
    inside = revolved(Material((0.95, 0.93, 0.85)), np.array([(0, 0.02), (0.045, -0.012), (0.06, -0.05)]), 20)
    return [
        revolved(colour, np.array([(0, 0), (0.075, 0), (0.075, 0.015), (0.03, 0.028), (0, 0.028)]), 22),
        capsule(metal, (0, 0.02, 0), elbow, 0.005),
        capsule(metal, elbow, head, 0.005),
        ball(colour, elbow, (0.012, 0.012, 0.012), 10),
        *placed([bell, inside], rotation_about(2, -0.5), head),
    ]


def candlestick(rng: np.random.Generator, textures: Textures) -> list[Mesh]:
    """A turned stand with a candle."""
    height = rng.uniform(0.1, 0.2)
    knots = [
        (0, 0),
        (0.045, 0),
        (0.04, 0.012),
        (0.01, 0.03),
        (0.018, 0.4 * height),
        (0.008, 0.5 * height),
        (0.014, 0.8 * height),
    ]
    stand = revolved(paint(rng), np.array([*knots, (0.026, 0.95 * height), (0.026, height), (0, height)]), 18)
    return [stand, capsule(Material((0.93, 0.9, 0.8)), (0, height, 0), (0, height + rng.uniform(0.08, 0.2), 0), 0.011)]


def jug(rng: np.random.Generator, textures: Textures) -> list[Mesh]:
    """A belly, a neck, a handle."""
    height, belly = rng.uniform(0.16, 0.24), rng.uniform(0.055, 0.08)
    side = [(0.7, 0.0), (0.95, 0.18), (1.0, 0.35), (0.85, 0.6), (0.55, 0.8), (0.6, 1.0), (0.53, 1.0), (0.45, 0.8), (0.0, 0.7)]
    clay = paint(rng)
    body = revolved(clay, np.array([(0, 0), *((r * belly, h * height) for r, h in side)]), 24)
    handle = placed([ring(clay, 0.24 * height, 0.007)], np.eye(3), np.array([0.88 * belly, 0.62 * height, 0.0]))
    return [body, *handle]


MAKERS: tuple[Maker, ...] = (wine_bottle, wine_glass, row_of_books, spiky_plant, jointed_lamp, candlestick, jug)


def with_things(
    rng: np.random.Generator, room: Room, textures: Textures, count: int
) -> tuple[Room, Float[ndarray, "3"]] | None:
    """The room with up to ``count`` things in a group on one of its tables, and the middle of the group; None where no table
    has a place for three."""
    tracer = Tracer(room.meshes)
    places = level_places(rng, room, tracer, 0.06)
    if not len(places):
        return None
    between = np.abs(places[:, None, 1] - places[None, :, 1]) < LEVEL
    near = between & (np.linalg.norm(places[:, None] - places[None], axis=-1) < GROUP)
    candidates = places[near[int(near.sum(1).argmax())]]
    meshes: list[Mesh] = []
    names, spans = list(room.item_names), list(room.item_spans)
    taken: list[tuple[ndarray, float]] = []
    for index in rng.permutation(len(MAKERS))[:count]:
        thing = MAKERS[int(index)](rng, textures)
        points = np.concatenate([mesh.positions.reshape(-1, 3) for mesh in thing])
        radius = float(np.hypot(points[:, 0], points[:, 2]).max())
        foot = float(np.hypot(*points[points[:, 1] < 0.05][:, [0, 2]].T).max())
        for spot in rng.permutation(candidates):
            apart = all(np.linalg.norm(spot - other) > radius + size for other, size in taken)
            if apart and is_level(tracer, spot, foot):
                taken.append((spot, radius))
                first = len(room.meshes) + len(meshes)
                meshes += placed(thing, rotation_about_y(rng.uniform(0, 360)), spot)
                names.append(MAKERS[int(index)].__name__)
                spans.append((first, len(room.meshes) + len(meshes)))
                break
    if len(taken) < 3:
        return None
    centre = np.mean([spot for spot, _ in taken], axis=0)
    set_out = replace(room, meshes=(*room.meshes, *meshes), item_names=tuple(names), item_spans=tuple(spans))
    return set_out, centre + 0.1 * UP


def level_places(rng: np.random.Generator, room: Room, tracer: Tracer, radius: float) -> Float[ndarray, "p 3"]:
    """Random places on furniture at a table's height, level and free within ``radius``."""
    spread = rng.uniform(-0.5, 0.5, (PLACES, 2)) * [room.width, room.depth]
    eyes = np.stack([spread[:, 0], np.full(PLACES, EYE_LEVEL), spread[:, 1]], axis=1)
    down = np.broadcast_to(-UP, eyes.shape)
    height = EYE_LEVEL - tracer.distances(eyes, down)
    found = np.flatnonzero((height > HEIGHTS[0]) & (height < HEIGHTS[1]))
    faces = tracer.faces(eyes[found], down[found])
    found = found[~tracer.is_shell[faces] & (np.abs(tracer.normals[faces][:, 1]) > 0.95)]
    places = np.stack([eyes[found, 0], height[found], eyes[found, 2]], axis=1)
    level = [place for place in places if is_level(tracer, place, radius)]
    return np.stack(level) if level else np.zeros((0, 3))


def is_level(tracer: Tracer, place: Float[ndarray, "3"], radius: float) -> bool:
    """Whether rays from above end at the place's height all around it."""
    angles = np.arange(8) * np.pi / 4
    ring_of_eyes = place + radius * np.stack([np.sin(angles), np.zeros(8), np.cos(angles)], axis=1)
    ring_of_eyes[:, 1] = EYE_LEVEL
    heights = EYE_LEVEL - tracer.distances(ring_of_eyes, np.broadcast_to(-UP, ring_of_eyes.shape))
    return bool((np.abs(heights - place[1]) < LEVEL).all())
