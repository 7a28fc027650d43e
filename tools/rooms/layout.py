"""The floor plan: walls, what already stands where, and where something else still fits."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from numpy import ndarray

TOLERANCE = 0.01
"""Metres by which things may touch."""


@dataclass(frozen=True)
class Rectangle:
    """An axis-aligned rectangle on the floor (or on a wall: along it and upwards), in metres."""

    x0: float
    z0: float
    x1: float
    z1: float

    @staticmethod
    def around(x: float, z: float, width: float, depth: float, angle: float = 0.0) -> Rectangle:
        """What a ``width x depth`` thing covers when it stands at ``(x, z)``, turned by ``angle`` degrees."""
        c, s = abs(np.cos(np.radians(angle))), abs(np.sin(np.radians(angle)))
        half_x, half_z = (c * width + s * depth) / 2, (s * width + c * depth) / 2
        return Rectangle(float(x - half_x), float(z - half_z), float(x + half_x), float(z + half_z))

    def overlaps(self, other: Rectangle) -> bool:
        return (
            self.x0 + TOLERANCE < other.x1
            and other.x0 + TOLERANCE < self.x1
            and self.z0 + TOLERANCE < other.z1
            and other.z0 + TOLERANCE < self.z1
        )

    def inside(self, other: Rectangle) -> bool:
        return (
            self.x0 > other.x0 - TOLERANCE
            and self.z0 > other.z0 - TOLERANCE
            and self.x1 < other.x1 + TOLERANCE
            and self.z1 < other.z1 + TOLERANCE
        )

    def grown(self, margin: float) -> Rectangle:
        return Rectangle(self.x0 - margin, self.z0 - margin, self.x1 + margin, self.z1 + margin)


@dataclass(frozen=True, eq=False)
class Wall:
    """One side of the room.

    Attributes:
        start: where it begins, on the floor.
        along, inward: unit vectors in the floor's plane; ``inward`` points into the room.
        length: in metres.
        angle: the angle of a thing that stands with its back to this wall.
    """

    start: Float[ndarray, "3"]
    along: Float[ndarray, "3"]
    inward: Float[ndarray, "3"]
    length: float
    angle: float

    def point(self, s: float, out: float = 0.0, height: float = 0.0) -> Float[ndarray, "3"]:
        """The point ``s`` along the wall, ``out`` before it and ``height`` above the floor."""
        return self.start + s * self.along + out * self.inward + np.array([0.0, height, 0.0])

    def span(self, rectangle: Rectangle) -> Rectangle:
        """A rectangle of the floor in the wall's own coordinates: (along the wall, away from it)."""
        corners = np.array([[rectangle.x0, 0.0, rectangle.z0], [rectangle.x1, 0.0, rectangle.z1]]) - self.start
        s, out = np.sort(corners @ self.along), np.sort(corners @ self.inward)
        return Rectangle(float(s[0]), float(out[0]), float(s[1]), float(out[1]))


def rectangular_walls(width: float, depth: float) -> tuple[Wall, ...]:
    """The four walls of a room ``width`` (x) by ``depth`` (z), its centre at the origin."""
    x, z = np.array([1.0, 0.0, 0.0]), np.array([0.0, 0.0, 1.0])
    corners = [(-width / 2, -depth / 2), (width / 2, -depth / 2), (width / 2, depth / 2), (-width / 2, depth / 2)]
    frames = [(x, z, width, 0.0), (z, -x, depth, -90.0), (-x, -z, width, 180.0), (-z, x, depth, 90.0)]
    return tuple(
        Wall(np.array([corner[0], 0.0, corner[1]]), along, inward, length, angle)
        for corner, (along, inward, length, angle) in zip(corners, frames, strict=True)
    )


@dataclass(frozen=True)
class Obstacle:
    """A part of the floor that is taken by things that reach above ``from_height``.

    Furniture takes the floor from 0; a window takes the strip before it only from its sill upwards, so that a low dresser may
    stand below it.
    """

    rectangle: Rectangle
    from_height: float = 0.0


@dataclass
class FloorPlan:
    """What stands on the floor and hangs on the walls of a rectangular room."""

    width: float
    depth: float
    height: float
    obstacles: list[Obstacle] = field(default_factory=list)
    walls: tuple[Wall, ...] = ()
    covered: list[list[Rectangle]] = field(default_factory=list)
    """For each wall the rectangles (along it, upwards) that are hidden or in use."""

    def __post_init__(self) -> None:
        self.walls = rectangular_walls(self.width, self.depth)
        self.covered = [[] for _ in self.walls]

    @property
    def floor(self) -> Rectangle:
        return Rectangle.around(0.0, 0.0, self.width, self.depth)

    def claim(self, rectangle: Rectangle, from_height: float = 0.0) -> None:
        self.obstacles.append(Obstacle(rectangle, from_height))

    def is_free(self, rectangle: Rectangle, height: float) -> bool:
        """Whether a thing of that height can stand there."""
        return rectangle.inside(self.floor) and not any(
            obstacle.from_height < height and rectangle.overlaps(obstacle.rectangle) for obstacle in self.obstacles
        )

    def free_stretches(self, wall: Wall, depth: float, height: float) -> list[tuple[float, float]]:
        """The stretches of a wall before which a thing of this depth and height can stand, in order."""
        blocked: list[tuple[float, float]] = []
        for obstacle in self.obstacles:
            span = wall.span(obstacle.rectangle)
            if obstacle.from_height < height and span.z0 < depth - TOLERANCE and span.z1 > TOLERANCE:
                blocked.append((span.x0, span.x1))
        stretches, begin = [], 0.0
        for x0, x1 in [*sorted(blocked), (wall.length, wall.length)]:
            if x0 > begin + TOLERANCE:
                stretches.append((begin, min(x0, wall.length)))
            begin = max(begin, x1)
        return stretches

    def place_along(self, rng: np.random.Generator, wall: Wall, width: float, depth: float, height: float) -> float | None:
        """A random place for the middle of a thing with its back to the wall; None if there is none."""
        fitting = [(a, b) for a, b in self.free_stretches(wall, depth, height) if b - a > width]
        if not fitting:
            return None
        room = np.array([b - a - width for a, b in fitting])
        begin, end = fitting[int(rng.choice(len(fitting), p=room / room.sum()))]
        return float(rng.uniform(begin + width / 2, end - width / 2))

    def place_inside(
        self, rng: np.random.Generator, width: float, depth: float, height: float, angle: float = 0.0, tries: int = 12
    ) -> tuple[float, float] | None:
        """A random free place away from the walls; None if it finds none."""
        whole = Rectangle.around(0.0, 0.0, width, depth, angle)
        free_x, free_z = self.width / 2 - whole.x1, self.depth / 2 - whole.z1
        if free_x < 0 or free_z < 0:
            return None
        for _ in range(tries):
            x, z = rng.uniform(-free_x, free_x), rng.uniform(-free_z, free_z)
            if self.is_free(Rectangle.around(x, z, width, depth, angle), height):
                return float(x), float(z)
        return None

    def hang(self, rng: np.random.Generator, wall: Wall, width: float, low: float, high: float) -> float | None:
        """A random free place for the middle of a thing on a wall between two heights, taken at once; None if there is none."""
        covered = self.covered[self.walls.index(wall)]
        if width + 0.2 > wall.length or high > self.height - 0.05:
            return None
        for _ in range(12):
            s = float(rng.uniform(width / 2 + 0.1, wall.length - width / 2 - 0.1))
            place = Rectangle(s - width / 2, low, s + width / 2, high)
            if not any(place.grown(0.05).overlaps(other) for other in covered):
                covered.append(place)
                return s
        return None

    def cover(self, wall: Wall, s0: float, s1: float, low: float, high: float) -> None:
        """Takes a part of a wall: a window, a door, a tall thing before it."""
        self.covered[self.walls.index(wall)].append(Rectangle(s0, low, s1, high))
