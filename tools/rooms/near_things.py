"""What stands or is held right before a camera in a room: hands, people, set tables, toys on the floor, railings.

Each set-up has a camera of its own kind (how high, how far it looks down) and makes meshes in the room's world.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from rooms.figures import Looks, coloured, hand, head, limb, mirrored, person
from rooms.furniture import Catalogue, load_item
from rooms.meshes import Material, Mesh, rotation_about_y
from rooms.shapes import ball, box, capsule, placed, random_rotation, rotation_about
from rooms.things import FLOOR_THINGS, HELD_THINGS, TABLE_THINGS, Textures, footprint, patterned

FOV_RANGE = (42.0, 100.0)
PORTRAIT_CHANCE = 0.12


@dataclass(frozen=True, eq=False)
class View:
    """One camera in a room.

    Attributes:
        cam_to_world: OpenGL camera-to-world matrix.
        fov_x_degrees: horizontal field of view.
        free: distance to the room's first surface along unit directions of the world.
    """

    cam_to_world: Float[ndarray, "4 4"]
    fov_x_degrees: float
    free: Callable[[Float[ndarray, "r 3"]], Float[ndarray, "r"]]

    @property
    def eye(self) -> Float[ndarray, "3"]:
        return self.cam_to_world[:3, 3]

    @property
    def heading(self) -> float:
        """Degrees about +y that turn +z into the level direction of view."""
        forward = -self.cam_to_world[:3, 2]
        return float(np.degrees(np.arctan2(forward[0], forward[2])))

    def ahead(self, degrees: float, distance: float) -> Float[ndarray, "3"]:
        """A point at eye level, ``degrees`` to the left of the middle."""
        return self.eye + distance * rotation_about_y(self.heading + degrees) @ np.array([0.0, 0.0, 1.0])

    def to_world(self, meshes: list[Mesh]) -> list[Mesh]:
        """Meshes in the camera's frame (x right, y up, looking down -z), in the world."""
        return placed(meshes, self.cam_to_world[:3, :3], self.eye)

    def reach(self, degrees: float, farthest: float) -> float:
        """How far a thing may stand in this direction."""
        direction = rotation_about_y(self.heading + degrees) @ np.array([[0.0], [0.0], [1.0]])
        return float(min(self.free(direction.T)[0] - 0.25, farthest))


@dataclass(frozen=True)
class Setup:
    """A kind of picture: where its camera is, and what is before it."""

    name: str
    share: float
    heights: tuple[float, float]
    elevations: tuple[float, float]
    """Radians; below 0 looks down."""
    make: Callable[[np.random.Generator, View, Textures, Catalogue], list[Mesh]]


def nothing(rng: np.random.Generator, view: View, textures: Textures, catalogue: Catalogue) -> list[Mesh]:
    return []


def hands(rng: np.random.Generator, view: View, textures: Textures, catalogue: Catalogue) -> list[Mesh]:
    """The photographer's own hands: shown, reaching, or holding something."""
    looks = Looks.random(rng, patterned(rng, textures, 0.4))
    meshes: list[Mesh] = []
    mode = str(rng.choice(["shown", "reaching", "holding", "holding"]))
    sides = (-1, 1) if rng.random() < 0.65 else (int(rng.choice([-1, 1])),)
    level, distance = rng.uniform(-0.22, 0.02), rng.uniform(0.2, 0.6)
    for side in sides:
        wrist = np.array([side * rng.uniform(0.04, 0.26), level + rng.normal(0, 0.04), -distance + rng.normal(0, 0.04)])
        forward = rng.uniform(0.0, 0.6) if mode == "shown" else rng.uniform(0.4, 1.5)
        fingers = np.array([-side * rng.uniform(-0.1, 0.5), np.cos(forward), -np.sin(forward)])
        palm = np.array([rng.normal(0, 0.4), 0.0, -1.0]) if mode == "shown" else np.array([-side, rng.normal(0, 0.8), -0.3])
        if rng.random() < 0.25:
            palm = rng.normal(size=3)
        rotation = _frame(fingers, palm)
        curl = rng.uniform(0.0, 0.2) if mode == "shown" else rng.uniform(0.1, 0.5)
        curl = rng.uniform(0.45, 0.85) if mode == "holding" else curl
        one = hand(rng, looks, curl, rng.uniform(0.02, 0.2), arm=rng.uniform(0.24, 0.34))
        one = one if side < 0 else mirrored(one)
        if mode == "holding":
            thing = HELD_THINGS[int(rng.integers(len(HELD_THINGS)))](rng, textures)
            low, high = footprint(thing)
            scale = min(1.0, rng.uniform(0.1, 0.28) / float((high - low).max()))
            thing = placed(thing, np.eye(3), -scale * (low + high) / 2, scale)
            one += placed(thing, random_rotation(rng), np.array([0.0, 0.085, 0.035]))
        meshes += placed(one, rotation, wrist)
    return view.to_world(meshes)


def face(rng: np.random.Generator, view: View, textures: Textures, catalogue: Catalogue) -> list[Mesh]:
    """Someone at arm's length or across a table, now and then with the arm that holds the camera."""
    meshes: list[Mesh] = []
    for index in range(int(rng.choice([1, 1, 1, 2]))):
        looks = Looks.random(rng, patterned(rng, textures, 0.5))
        distance = rng.uniform(0.35, 1.4)
        aside = rng.uniform(-0.3, 0.3) * view.fov_x_degrees * (1 + 0.5 * index)
        figure = person(rng, looks)
        top = footprint(figure)[1][1]
        foot = view.ahead(aside, distance) + np.array([0.0, 0.12 + rng.normal(0.0, 0.12) * distance - top, 0.0])
        meshes += placed(figure, rotation_about_y(view.heading + aside + 180 + rng.normal(0, 25)), foot)
        if rng.random() < 0.4 and distance < 0.8:
            shoulder = foot + np.array([0, top - 0.33, 0]) + 0.19 * rotation_about_y(view.heading) @ [rng.choice([-1, 1]), 0, 0]
            near = view.eye + 0.12 * view.cam_to_world[:3, 0] * rng.choice([-1, 1]) - 0.12 * view.cam_to_world[:3, 1]
            elbow = 0.5 * (shoulder + near) - np.array([0, 0.1, 0])
            meshes += limb(looks.skin, shoulder, elbow, near, radii=(0.055, 0.042, 0.03))
    if rng.random() < 0.15:  # a head alone, quite close
        closeup = placed(head(rng, Looks.random(rng)), rotation_about(1, rng.normal(0, 0.5)), np.array([0.0, -0.12, 0.0]))
        meshes += view.to_world(placed(closeup, np.eye(3), np.array([rng.normal(0, 0.1), 0, -rng.uniform(0.22, 0.5)])))
    return meshes


def people(rng: np.random.Generator, view: View, textures: Textures, catalogue: Catalogue) -> list[Mesh]:
    """Up to four people who stand or sit at any distance."""
    meshes: list[Mesh] = []
    for _ in range(int(rng.integers(1, 5))):
        aside = rng.uniform(-0.45, 0.45) * view.fov_x_degrees
        reach = view.reach(aside, 6.0)
        if reach < 0.9:
            continue
        foot = view.ahead(aside, rng.uniform(0.8, reach)) * np.array([1.0, 0.0, 1.0])
        figure = person(rng, Looks.random(rng, patterned(rng, textures, 0.4)), sitting=rng.random() < 0.3)
        meshes += placed(figure, rotation_about_y(rng.uniform(0, 360)), foot)
    return meshes


def set_table(rng: np.random.Generator, view: View, textures: Textures, catalogue: Catalogue) -> list[Mesh]:
    """The camera sits at a table with things on it."""
    top = view.eye[1] - rng.uniform(0.12, 0.6)
    near, depth, width = rng.uniform(0.0, 0.35), rng.uniform(0.5, 1.2), rng.uniform(0.7, 2.2)
    turn = rotation_about_y(view.heading + rng.normal(0, 15))
    centre = view.ahead(0.0, near + depth / 2) * np.array([1, 0, 1]) + np.array([0, top, 0])
    board = box(patterned(rng, textures, 0.75), (0, -0.015, 0), (width, 0.03, depth), cells=10)
    meshes = [board]
    if rng.random() < 0.2:  # a round one
        disc = ball(board.material, (0, -0.015, 0), (width / 2, 0.02, width / 2), 28)
        meshes = [disc]
    taken: list[tuple[ndarray, float]] = []
    for _ in range(int(rng.integers(3, 14))):
        thing = placed(_table_thing(rng, textures, catalogue), rotation_about_y(rng.uniform(0, 360)), np.zeros(3))
        low, high = footprint(thing)
        radius = float(np.hypot(*(high - low)[[0, 2]]) / 2)
        spot = np.array([rng.uniform(-0.48, 0.48) * width, 0.0, rng.uniform(-0.48, 0.48) * depth])
        if radius > 0.45 or any(np.linalg.norm(spot - other) < 0.8 * (radius + size) for other, size in taken):
            continue
        taken.append((spot, radius))
        meshes += placed(thing, np.eye(3), spot)
    return placed(meshes, turn, centre)


def _table_thing(rng: np.random.Generator, textures: Textures, catalogue: Catalogue) -> list[Mesh]:
    if rng.random() < 0.4:
        item = catalogue.pick(rng, str(rng.choice(["small thing", "small thing", "table lamp"])))
        if item is not None:
            return list(load_item(item))
    return TABLE_THINGS[int(rng.integers(len(TABLE_THINGS)))](rng, textures)


def floor_things(rng: np.random.Generator, view: View, textures: Textures, catalogue: Catalogue) -> list[Mesh]:
    """Toys, cycles, boxes and other things on the floor, from near to far."""
    meshes: list[Mesh] = []
    for _ in range(int(rng.integers(2, 7))):
        aside = rng.uniform(-0.45, 0.45) * view.fov_x_degrees
        reach = view.reach(aside, 3.5)
        if reach < 0.4:
            continue
        foot = view.ahead(aside, rng.uniform(0.3, reach)) * np.array([1.0, 0.0, 1.0])
        thing = FLOOR_THINGS[int(rng.integers(len(FLOOR_THINGS)))](rng, textures)
        meshes += placed(thing, rotation_about_y(rng.uniform(0, 360)), foot, rng.uniform(0.8, 1.6))
    return meshes


def held_close(rng: np.random.Generator, view: View, textures: Textures, catalogue: Catalogue) -> list[Mesh]:
    """One or a few things that float or stand close to the lens, without anybody who holds them."""
    meshes: list[Mesh] = []
    for _ in range(int(rng.integers(1, 4))):
        makers = (*HELD_THINGS, *TABLE_THINGS, *FLOOR_THINGS)
        thing = makers[int(rng.integers(len(makers)))](rng, textures)
        low, high = footprint(thing)
        distance = rng.uniform(0.22, 1.1)
        half = distance * np.tan(np.radians(view.fov_x_degrees) / 2)
        scale = min(2.0, rng.uniform(0.25, 1.0) * half / float((high - low).max()))
        upright = rotation_about(1, rng.uniform(0, 6.3)) if rng.random() < 0.6 else random_rotation(rng)
        place = np.array([rng.uniform(-0.8, 0.8) * half, rng.uniform(-0.6, 0.3) * half, -distance])
        meshes += placed(placed(thing, np.eye(3), -scale * (low + high) / 2, scale), upright, place)
    return view.to_world(meshes)


def railing(rng: np.random.Generator, material: Material, length: float, height: float) -> list[Mesh]:
    """A balustrade along +x: handrail, posts, and upright balusters or level bars."""
    rail = rng.uniform(0.015, 0.035)
    meshes = [box(material, (length / 2, height, 0), (length, 2 * rail, 2.4 * rail), cells=4)]
    thin = rng.uniform(0.006, 0.02)
    if rng.random() < 0.8:
        gap = rng.uniform(0.07, 0.16)
        square = rng.random() < 0.5
        for x in np.arange(gap, length, gap):
            if square:
                meshes.append(box(material, (x, height / 2, 0), (2 * thin, height, 2 * thin)))
            else:
                meshes.append(capsule(material, (x, 0.0, 0), (x, height, 0), thin, segments=6))
        meshes.append(box(material, (length / 2, 0.08, 0), (length, 0.03, 0.03)))
    else:
        for y in np.linspace(0.1, height, int(rng.integers(3, 8)))[:-1]:
            meshes.append(capsule(material, (0, y, 0), (length, y, 0), thin, segments=6))
    for x in (0.0, length):
        meshes.append(box(material, (x, height / 2 + 0.03, 0), (3 * rail, height + 0.06, 3 * rail)))
    return meshes


def balustrade(rng: np.random.Generator, view: View, textures: Textures, catalogue: Catalogue) -> list[Mesh]:
    """A railing, a cot or a fence across the view, or a row of rods and hanging lamps."""
    material = patterned(rng, textures, 0.3)
    height, length = rng.uniform(0.6, 1.1), rng.uniform(0.8, 3.0)
    start = view.ahead(rng.uniform(-0.5, 0.5) * view.fov_x_degrees, rng.uniform(0.4, 2.2)) * np.array([1, 0, 1])
    turn = rotation_about_y(rng.uniform(0, 360))
    meshes = placed(railing(rng, material, length, height), turn, start)
    if rng.random() < 0.5:
        depth = rng.uniform(0.5, 0.8)
        side = railing(rng, material, depth, height)
        meshes += placed(railing(rng, material, length, height), turn, start + turn @ [0, 0, depth])
        meshes += placed(placed(side, rotation_about(1, -np.pi / 2), np.zeros(3)), turn, start)
        meshes += placed(placed(side, rotation_about(1, -np.pi / 2), np.array([length, 0, 0])), turn, start)
    for _ in range(int(rng.integers(0, 3))):
        top = view.ahead(rng.uniform(-0.45, 0.45) * view.fov_x_degrees, rng.uniform(0.6, 3.0)) * np.array([1, 0, 1]) + np.array(
            [0, 2.6, 0]
        )
        low = top - np.array([0, rng.uniform(0.4, 1.0), 0])
        meshes += [capsule(coloured(rng), top, low, 0.005), ball(coloured(rng), low, [rng.uniform(0.05, 0.2)] * 3)]
    return meshes


SETUPS = (
    Setup("nothing", 0.14, (0.9, 1.75), (-0.5, 0.05), nothing),
    Setup("hands", 0.24, (1.1, 1.75), (-0.6, 0.0), hands),
    Setup("face", 0.13, (1.2, 1.75), (-0.3, 0.1), face),
    Setup("people", 0.1, (1.0, 1.8), (-0.35, 0.05), people),
    Setup("table", 0.14, (0.95, 1.4), (-0.75, -0.1), set_table),
    Setup("floor", 0.1, (0.5, 1.6), (-0.75, -0.1), floor_things),
    Setup("close", 0.08, (0.8, 1.7), (-0.6, 0.1), held_close),
    Setup("railing", 0.07, (0.9, 1.8), (-0.6, 0.0), balustrade),
)
"""The kinds of pictures and their shares."""


def random_setup(rng: np.random.Generator) -> Setup:
    shares = np.array([setup.share for setup in SETUPS])
    return SETUPS[int(rng.choice(len(SETUPS), p=shares / shares.sum()))]


def random_pose(
    rng: np.random.Generator, width: float, depth: float, heights: tuple[float, float], elevations: tuple[float, float]
) -> Float[ndarray, "4 4"]:
    """A camera in a room of this size that looks towards its middle, more or less, and is held a little askew."""
    x, z = rng.uniform(-0.46, 0.46) * width, rng.uniform(-0.46, 0.46) * depth
    azimuth = np.arctan2(-x, -z) + rng.normal(0.0, 0.7)
    elevation, roll = rng.uniform(*elevations), rng.normal(0.0, 0.06)
    pose = np.eye(4)
    # +y about first, then up and down, then askew; a camera looks down its -z.
    pose[:3, :3] = rotation_about(1, azimuth + np.pi) @ rotation_about(0, elevation) @ rotation_about(2, roll)
    pose[:3, 3] = x, rng.uniform(*heights), z
    return pose


def _frame(up: Float[ndarray, "3"], forward: Float[ndarray, "3"]) -> Float[ndarray, "3 3"]:
    """A rotation that takes +y to ``up`` and +z near to ``forward``."""
    y = up / np.linalg.norm(up)
    z = forward - (forward @ y) * y
    z /= max(float(np.linalg.norm(z)), 1e-9)
    return np.stack([np.cross(y, z), y, z], axis=1)
