"""Stairwells: a flight of steps between walls with a railing, seen from above and from below."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from rooms.figures import coloured
from rooms.labels import CEILING, FLOOR, OPENING, WALL
from rooms.meshes import Material, Mesh, grid_quad, labelled
from rooms.near_things import railing
from rooms.shapes import ball, box, capsule, placed, rotation_about
from rooms.shell import plain_paint
from rooms.things import Textures, patterned


def random_stairwell(
    rng: np.random.Generator, textures: Textures, count: int
) -> tuple[list[Mesh], list[Float[ndarray, "3"]], list[Float[ndarray, "4 4"]]]:
    """Meshes, lamps and ``count`` cameras.

    The flight runs along -z from the upper landing (y = 0, z > 0) down to the lower one.
    """
    width, rise, run = rng.uniform(0.8, 1.6), rng.uniform(0.16, 0.2), rng.uniform(0.22, 0.3)
    steps, landing, tall = int(rng.integers(5, 15)), rng.uniform(1.2, 3.5), rng.uniform(2.3, 2.8)
    tread, wall, other = patterned(rng, textures, 0.7), plain_paint(rng), patterned(rng, textures, 0.4)
    bottom, end = -steps * rise, -steps * run
    hall = rng.uniform(1.5, 4.0)
    meshes: list[Mesh] = []
    for index in range(steps):
        centre = (0.0, -(index + 1) * rise - 0.1, -(index + 0.5) * run)
        meshes.append(box(tread, centre, (width, 0.2, run + 0.02), cells=3))
        if rng.random() < 0.3:
            meshes.append(box(other, (0.0, -(index + 1) * rise + 0.01, -(index + 0.5) * run), (width * 0.6, 0.02, run)))
    meshes = labelled(meshes, FLOOR)
    low, high, near, far = bottom, tall, landing, end - hall

    def quad(material: Material, corner: tuple, u: tuple, v: tuple) -> Mesh:
        upright = np.cross(u, v)[1] / (np.linalg.norm(u) * np.linalg.norm(v))
        label = FLOOR if upright > 0.5 else CEILING if upright < -0.5 else WALL
        edges = np.array(corner), np.array(u), np.array(v)
        return grid_quad(material, *edges, step=0.2, uv_per_metre=0.6, shell=True, label=label)

    x = width / 2
    meshes += [
        quad(tread, (-x, 0, near), (2 * x, 0, 0), (0, 0, -near)),
        quad(tread, (-x, low, end), (2 * x, 0, 0), (0, 0, far - end)),
        # The landing's own edge: nothing may show below it.
        *labelled([quad(tread, (-x, 0, 0), (2 * x, 0, 0), (0, -rise, 0))], FLOOR),
        quad(wall, (x, 0, near), (-2 * x, 0, 0), (0, high, 0)),
        quad(other, (-x, low, far), (2 * x, 0, 0), (0, high - low, 0)),
        quad(wall, (x, low, far), (0, 0, near - far), (0, high - low, 0)),
        quad(Material((0.9, 0.9, 0.88)), (-x, high, far), (2 * x, 0, 0), (0, 0, near - far)),
    ]
    rail = patterned(rng, textures, 0.3)
    slope = np.arctan2(rise, run)
    length = float(np.hypot(steps * rise, steps * run))
    flight = placed(railing(rng, rail, length, rng.uniform(0.8, 1.0)), rotation_about(2, -slope), np.zeros(3))
    flight = placed(flight, rotation_about(1, np.pi / 2), np.array([-x + 0.05, 0.0, 0.0]))
    if rng.random() < 0.6:  # open to one side: the far wall is a room's width away, behind the railing
        aside = rng.uniform(0.8, 2.5)
        meshes += flight
        meshes += placed(railing(rng, rail, landing, 0.95), rotation_about(1, -np.pi / 2), np.array([-x + 0.05, 0.0, 0.0]))
        meshes += [
            quad(other, (-x - aside, low, near), (0, 0, far - near), (0, high - low, 0)),
            quad(tread, (-x - aside, low, near), (aside, 0, 0), (0, 0, far - near)),
            quad(Material((0.9, 0.9, 0.88)), (-x - aside, high, far), (aside, 0, 0), (0, 0, near - far)),
            quad(other, (-x - aside, low, far), (aside, 0, 0), (0, high - low, 0)),
            quad(wall, (-x, low, near), (-aside, 0, 0), (0, high - low, 0)),
        ]
    else:
        meshes.append(quad(wall, (-x, low, near), (0, 0, far - near), (0, high - low, 0)))
        meshes.append(capsule(rail, (x - 0.06, 0.9, 0.2), (x - 0.06, 0.9 + bottom, end), 0.025))
    if rng.random() < 0.6:
        door = box(
            patterned(rng, textures, 0.5), (rng.uniform(-0.2, 0.2) * width, low + 1.0, far + 0.03), (0.8, 2.0, 0.06), cells=4
        )
        meshes += labelled([door], OPENING)
    lamps = [np.array([0.0, high - 0.4, near * 0.5]), np.array([0.0, high - 0.6, 0.6 * far])]
    for lamp in lamps:
        meshes.append(ball(coloured(rng), lamp + np.array([0.0, 0.15, 0.0]), [rng.uniform(0.06, 0.14)] * 3))
        meshes.append(capsule(coloured(rng), lamp + np.array([0.0, 0.15, 0.0]), (lamp[0], high, lamp[2]), 0.006))
    return meshes, lamps, [_camera(rng, x, landing, run, rise, steps, end, hall) for _ in range(count)]


def _camera(
    rng: np.random.Generator, x: float, landing: float, run: float, rise: float, steps: int, end: float, hall: float
) -> Float[ndarray, "4 4"]:
    """On the upper landing looking down, on the lower one looking up, or on the flight."""
    place = rng.random()
    aside = rng.uniform(-0.6, 0.6) * x
    eye_height = rng.uniform(1.1, 1.8)
    azimuth = rng.normal(0.0, 0.35)
    if place < 0.55:
        eye, elevation = np.array([aside, eye_height, rng.uniform(0.1, 0.85) * landing]), rng.uniform(-0.9, -0.15)
    elif place < 0.85:
        eye = np.array([aside, -steps * rise + eye_height, end - rng.uniform(0.3, 0.9) * hall])
        azimuth, elevation = azimuth + np.pi, rng.uniform(-0.15, 0.5)
    else:
        index = rng.uniform(1, steps - 1)
        eye = np.array([aside, -index * rise + eye_height, -index * run])
        azimuth, elevation = azimuth + np.pi * (rng.random() < 0.4), rng.uniform(-0.6, 0.2)
    pose = np.eye(4)
    pose[:3, :3] = rotation_about(1, azimuth) @ rotation_about(0, elevation) @ rotation_about(2, rng.normal(0, 0.06))
    pose[:3, 3] = eye
    return pose
