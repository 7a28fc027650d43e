"""The room itself: floor, ceiling, walls with windows and doors, skirting boards, framed pictures."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from splatmem.io.pictures import picture_size

from rooms.furniture import Catalogue, Item, load_item
from rooms.labels import CEILING, FLOOR, OPENING, WALL
from rooms.layout import FloorPlan, Rectangle, Wall
from rooms.meshes import Material, Mesh, grid_quad, labelled, rotation_about_y
from rooms.sources import Sources

UP = np.array([0.0, 1.0, 0.0])
WALL_THICKNESS = 0.22
WALL_GRID, FLOOR_GRID, CEILING_GRID = 0.14, 0.09, 0.2
"""Metres between vertices; shadows on the floor are the sharpest."""
SKIRTING_HEIGHT, SKIRTING_DEPTH = 0.07, 0.012
DEFAULT_SILL = 0.9


@dataclass(frozen=True)
class Opening:
    """A hole in a wall, in the wall's coordinates, and the door or window in it."""

    item: Item
    rectangle: Rectangle
    is_window: bool


@dataclass(frozen=True, eq=False)
class WindowPane:
    """A rectangle through which daylight enters: ``corner + a u + b v``; ``inward`` points into the room."""

    corner: Float[ndarray, "3"]
    edge_u: Float[ndarray, "3"]
    edge_v: Float[ndarray, "3"]
    inward: Float[ndarray, "3"]


def build_shell(
    rng: np.random.Generator, plan: FloorPlan, catalogue: Catalogue, sources: Sources
) -> tuple[list[Mesh], list[WindowPane]]:
    """Everything that bounds the room. Doors and windows claim their share of ``plan``."""
    main_paint = plain_paint(rng) if rng.random() < 0.62 else textured(rng, sources.walls)
    feature_paint = textured(rng, sources.walls) if rng.random() < 0.5 else plain_paint(rng)
    feature_wall = int(rng.integers(4))
    skirting = Material((0.9, 0.9, 0.88)) if rng.random() < 0.6 else Material((0.35, 0.22, 0.13))
    texture_scale = rng.uniform(0.4, 0.9)
    meshes = [_floor(rng, plan, sources), _ceiling(plan)]
    panes: list[WindowPane] = []
    for index, wall in enumerate(plan.walls):
        must_have_window = index == 3 and not panes
        openings = choose_openings(rng, wall, plan.height, catalogue, must_have_window)
        paint = feature_paint if index == feature_wall else main_paint
        meshes += wall_meshes(wall, plan.height, openings, paint, texture_scale)
        meshes += _skirting_boards(wall, openings, skirting)
        for opening in openings:
            meshes += _opening_meshes(wall, opening)
            _claim_opening(plan, wall, opening)
            if opening.is_window:
                hole = opening.rectangle
                edge_u, edge_v = wall.along * (hole.x1 - hole.x0), UP * (hole.z1 - hole.z0)
                panes.append(WindowPane(wall.point(hole.x0, height=hole.z0), edge_u, edge_v, wall.inward))
    return meshes, panes


def plain_paint(rng: np.random.Generator) -> Material:
    """Mostly pale, now and then a strong colour."""
    saturation = float(rng.choice([0.04, 0.1, 0.25, 0.5], p=[0.45, 0.3, 0.18, 0.07]))
    return Material(colorsys.hsv_to_rgb(rng.uniform(0, 1), saturation, rng.uniform(0.6, 0.95)))


def textured(rng: np.random.Generator, textures: tuple[Path, ...]) -> Material:
    """A random texture with a slight tint."""
    tint = rng.uniform(0.92, 1.0, 3)
    return Material((float(tint[0]), float(tint[1]), float(tint[2])), texture=textures[int(rng.integers(len(textures)))])


def _floor(rng: np.random.Generator, plan: FloorPlan, sources: Sources) -> Mesh:
    corner = np.array([-plan.width / 2, 0.0, plan.depth / 2])
    edges = np.array([plan.width, 0.0, 0.0]), np.array([0.0, 0.0, -plan.depth])
    material = textured(rng, sources.floors)
    scale = rng.uniform(0.5, 0.9)
    return grid_quad(material, corner, *edges, step=FLOOR_GRID, uv_per_metre=scale, shell=True, label=FLOOR)


def _ceiling(plan: FloorPlan) -> Mesh:
    corner = np.array([-plan.width / 2, plan.height, -plan.depth / 2])
    edges = np.array([plan.width, 0.0, 0.0]), np.array([0.0, 0.0, plan.depth])
    return grid_quad(Material((0.9, 0.9, 0.88)), corner, *edges, step=CEILING_GRID, shell=True, label=CEILING)


def choose_openings(
    rng: np.random.Generator, wall: Wall, height: float, catalogue: Catalogue, must_have_window: bool
) -> list[Opening]:
    """One or two windows, a door, or nothing."""
    chance = rng.random()
    if must_have_window or (chance < 0.5 and wall.length > 2.2):
        window = catalogue.pick(rng, "window", lambda item: item.width < wall.length - 0.6 and item.height < height - 0.2)
        count = 1 if wall.length < 3.5 else int(rng.integers(1, 3))
        return [] if window is None else _windows(rng, wall, height, window, count)
    if chance < 0.85:
        door = catalogue.pick(rng, "door", lambda item: item.width < wall.length - 0.6 and item.height < height - 0.05)
        if door is not None:
            s = rng.uniform(door.width / 2 + 0.2, wall.length - door.width / 2 - 0.2)
            hole = Rectangle(s - door.width / 2, 0.0, s + door.width / 2, door.height)
            return [Opening(door, hole, is_window=False)]
    return []


def _windows(rng: np.random.Generator, wall: Wall, height: float, window: Item, count: int) -> list[Opening]:
    """``count`` equal windows, evenly spaced but for a little chance; those that do not fit are left out."""
    sill = min(window.elevation or DEFAULT_SILL, height - window.height - 0.1)
    openings: list[Opening] = []
    for index in range(count):
        s = wall.length * (index + 0.5) / count + rng.uniform(-0.2, 0.2)
        hole = Rectangle(s - window.width / 2, max(sill, 0.02), s + window.width / 2, max(sill, 0.02) + window.height)
        clear = not any(hole.grown(0.1).overlaps(other.rectangle) for other in openings)
        if clear and hole.x0 > 0.1 and hole.x1 < wall.length - 0.1:
            openings.append(Opening(window, hole, is_window=True))
    return openings


def wall_meshes(wall: Wall, height: float, openings: list[Opening], material: Material, texture_scale: float) -> list[Mesh]:
    """The wall cut into rectangles that leave its openings free."""
    holes = [opening.rectangle for opening in openings]
    columns = sorted({0.0, wall.length, *(x for hole in holes for x in (hole.x0, hole.x1))})
    rows = sorted({0.0, height, *(z for hole in holes for z in (hole.z0, hole.z1))})
    meshes = []
    for s0, s1 in pairwise(columns):
        for low, high in pairwise(rows):
            if any(Rectangle(s0, low, s1, high).inside(hole) for hole in holes):
                continue
            # along x up points into the room.
            corner, edge_u, edge_v = wall.point(s0, height=low), wall.along * (s1 - s0), UP * (high - low)
            uvs = {"uv_per_metre": texture_scale, "uv_origin": wall.start}
            meshes.append(grid_quad(material, corner, edge_u, edge_v, step=WALL_GRID, shell=True, label=WALL, **uvs))
    return meshes


def _opening_meshes(wall: Wall, opening: Opening) -> list[Mesh]:
    """The door or window, and the four faces of the hole: walls are thick, and no sky may show beside a frame."""
    item, hole = opening.item, opening.rectangle
    rotation = rotation_about_y(wall.angle)
    place = wall.point((hole.x0 + hole.x1) / 2, out=-0.25 * item.depth, height=hole.z0)
    meshes = [mesh.transformed(rotation, np.ones(3), place) for mesh in load_item(item)]
    white, outward = Material((0.85, 0.85, 0.83)), -WALL_THICKNESS * wall.inward
    across, upwards = wall.along * (hole.x1 - hole.x0), UP * (hole.z1 - hole.z0)
    low, high = wall.point(hole.x0, height=hole.z0), wall.point(hole.x1, height=hole.z1)
    faces = [(low, across, outward), (low, outward, upwards), (high, -across, outward), (high, outward, -upwards)]
    return labelled([*meshes, *(grid_quad(white, *face, step=WALL_GRID, shell=True) for face in faces)], OPENING)


def _claim_opening(plan: FloorPlan, wall: Wall, opening: Opening) -> None:
    """Nothing stands in a door's way; nothing tall stands before a window; nothing hangs on either."""
    hole = opening.rectangle
    plan.cover(wall, hole.x0, hole.x1, hole.z0, hole.z1)
    reach = 0.35 if opening.is_window else 0.85
    near, far = wall.point(hole.x0), wall.point(hole.x1, out=reach)
    rectangle = Rectangle(
        float(min(near[0], far[0])), float(min(near[2], far[2])), float(max(near[0], far[0])), float(max(near[2], far[2]))
    )
    plan.claim(rectangle, from_height=hole.z0 if opening.is_window else 0.0)


def _skirting_boards(wall: Wall, openings: list[Opening], material: Material) -> list[Mesh]:
    """A thin board along the foot of the wall, interrupted at doors."""
    doors = sorted((o.rectangle.x0, o.rectangle.x1) for o in openings if o.rectangle.z0 < SKIRTING_HEIGHT)
    meshes: list[Mesh] = []
    begin = 0.0
    for s0, s1 in [*doors, (wall.length, wall.length)]:
        if s0 - begin > 0.05:
            corner = wall.point(begin, out=SKIRTING_DEPTH)
            along = wall.along * (s0 - begin)
            meshes.append(grid_quad(material, corner, along, UP * SKIRTING_HEIGHT, step=WALL_GRID, shell=True))
            top = corner + UP * SKIRTING_HEIGHT
            meshes.append(grid_quad(material, top, along, -SKIRTING_DEPTH * wall.inward, step=WALL_GRID, shell=True))
        begin = s1
    return labelled(meshes, WALL)


def framed_picture(rng: np.random.Generator, plan: FloorPlan, photo: Path) -> list[Mesh]:
    """A photograph in a frame on a free part of a random wall; nothing if there is none."""
    wall = plan.walls[int(rng.integers(len(plan.walls)))]
    width, height = picture_size(photo)
    aspect = height / width
    width = rng.uniform(0.35, 1.3) / max(1.0, aspect)
    height, middle, frame = width * aspect, rng.uniform(1.35, 1.7), rng.uniform(0.015, 0.05)
    s = plan.hang(rng, wall, width + 2 * frame, middle - height / 2 - frame, middle + height / 2 + frame)
    if s is None:
        return []
    shade = float(rng.choice([0.05, 0.3, 0.9]))

    def rectangle(material: Material, half_width: float, half_height: float, out: float) -> Mesh:
        corner = wall.point(s - half_width, out=out, height=middle - half_height)
        return grid_quad(material, corner, wall.along * 2 * half_width, UP * 2 * half_height, step=0.2, label=WALL)

    return [
        rectangle(Material((1.0, 1.0, 1.0), texture=photo), width / 2, height / 2, out=0.024),
        rectangle(Material((shade, shade, shade)), width / 2 + frame, height / 2 + frame, out=0.018),
    ]
