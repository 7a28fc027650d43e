"""Arrangements of furniture as people make them: seats before a television, chairs around a table, a kitchen in a row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from rooms.furniture import Catalogue, Item, load_item
from rooms.labels import FLOOR
from rooms.layout import FloorPlan, Rectangle, Wall
from rooms.meshes import Material, Mesh, grid_quad, rotation_about_y
from rooms.shell import plain_paint

WALL_GAP = 0.02
TINT_CHANCE = 0.15
"""Share of items whose colours are changed a little."""
SURFACE_HEIGHTS = (0.3, 1.35)
"""Things are put on surfaces between these heights, in metres."""
SURFACE_ROLES = ("coffee table", "dining table", "desk", "bedside table", "dresser", "television unit", "base cabinet")
UPPER_CABINET_HEIGHT = 1.45


@dataclass(frozen=True, eq=False)
class Surface:
    """A horizontal rectangle on which things can stand; ``taken`` is in its own coordinates."""

    centre: Float[ndarray, "3"]
    width: float
    depth: float
    angle: float
    taken: list[Rectangle] = field(default_factory=list)


class Furnisher:
    """Puts furniture into one room and keeps account of the floor plan."""

    def __init__(self, rng: np.random.Generator, plan: FloorPlan, catalogue: Catalogue) -> None:
        self.rng = rng
        self.plan = plan
        self.catalogue = catalogue
        self.meshes: list[Mesh] = []
        self.surfaces: list[Surface] = []
        self.item_names: list[str] = []
        self.item_spans: list[tuple[int, int]] = []  # first and one past the last mesh of each item

    # Single things

    def pick(self, role: str, fits: Callable[[Item], bool] = lambda item: True) -> Item | None:
        return self.catalogue.pick(self.rng, role, lambda item: item.height < self.plan.height - 0.05 and fits(item))

    def put(self, item: Item, x: float, z: float, angle: float, elevation: float = 0.0) -> None:
        """Adds an item's meshes; whoever calls has checked that there is room for it."""
        rotation, place = rotation_about_y(angle), np.array([x, elevation, z])
        meshes = [mesh.transformed(rotation, np.ones(3), place) for mesh in load_item(item)]
        if self.rng.random() < TINT_CHANCE:
            tint = self.rng.uniform(0.75, 1.1, 3)
            meshes = [replace(mesh, material=_tinted(mesh.material, tint)) for mesh in meshes]
        self.meshes += meshes
        self.item_names.append(item.name)
        self.item_spans.append((len(self.meshes) - len(meshes), len(self.meshes)))

    def put_on_floor(self, item: Item, role: str, x: float, z: float, angle: float) -> None:
        """``put``, and takes the floor below it, the wall behind it and notes its top."""
        self.put(item, x, z, angle)
        rectangle = Rectangle.around(x, z, item.width, item.depth, angle)
        self.plan.claim(rectangle)
        for wall in self.plan.walls:
            span = wall.span(rectangle)
            if span.z0 < 0.3:
                self.plan.cover(wall, span.x0, span.x1, 0.0, item.height)
        top = item.height if role in SURFACE_ROLES and not item.top else (item.top or 0.0)
        if role in SURFACE_ROLES and SURFACE_HEIGHTS[0] < top < SURFACE_HEIGHTS[1]:
            self.surfaces.append(Surface(np.array([x, top, z]), item.width, item.depth, angle))

    def try_on_floor(self, item: Item, role: str, x: float, z: float, angle: float) -> bool:
        """``put_on_floor`` if the place is free."""
        if not self.plan.is_free(Rectangle.around(x, z, item.width, item.depth, angle), item.height):
            return False
        self.put_on_floor(item, role, x, z, angle)
        return True

    def against_wall(self, role: str, wall: Wall | None = None) -> tuple[Item, Wall, float] | None:
        """An item with its back to a wall (a random one if none is named): the item, the wall, the place along it."""
        item = self.pick(role)
        if item is None:
            return None
        walls = [wall] if wall is not None else [self.plan.walls[i] for i in self.rng.permutation(len(self.plan.walls))]
        for candidate in walls:
            s = self.plan.place_along(self.rng, candidate, item.width + 0.04, item.depth + WALL_GAP, item.height)
            if s is not None:
                self._at_wall(item, role, candidate, s)
                return item, candidate, s
        return None

    def _at_wall(self, item: Item, role: str, wall: Wall, s: float) -> None:
        place = wall.point(s, out=item.depth / 2 + WALL_GAP)
        self.put_on_floor(item, role, place[0], place[2], wall.angle)

    def in_the_open(self, role: str, angle: float | None = None) -> bool:
        """An item anywhere on the free floor."""
        item = self.pick(role)
        if item is None:
            return False
        angle = float(self.rng.uniform(0, 360)) if angle is None else angle
        place = self.plan.place_inside(self.rng, item.width, item.depth, item.height, angle)
        if place is None:
            return False
        self.put_on_floor(item, role, *place, angle)
        return True

    def on_surface(self, role: str, surface: Surface, turn: float | None = None) -> bool:
        """An item on a surface, facing as the surface does give or take ``turn`` degrees (None: any way)."""
        item = self.pick(role, lambda item: item.width < 0.9 * surface.width and item.depth < 0.9 * surface.depth)
        if item is None or surface.centre[1] + item.height > self.plan.height - 0.1:
            return False
        for _ in range(6):
            x = self.rng.uniform(-0.5, 0.5) * (surface.width - item.width)
            z = self.rng.uniform(-0.5, 0.5) * (surface.depth - item.depth)
            place = Rectangle.around(x, z, item.width, item.depth)
            if not any(place.overlaps(other) for other in surface.taken):
                surface.taken.append(place)
                spot = surface.centre + rotation_about_y(surface.angle) @ np.array([x, 0.0, z])
                wobble = self.rng.uniform(-180, 180) if turn is None else self.rng.uniform(-turn, turn)
                self.put(item, spot[0], spot[2], surface.angle + wobble, elevation=surface.centre[1])
                return True
        return False

    def hang(self, role: str) -> bool:
        """An item on a free part of a random wall."""
        wall = self.plan.walls[int(self.rng.integers(len(self.plan.walls)))]
        item = self.pick(role)
        if item is None:
            return False
        low = item.elevation or 1.35
        s = self.plan.hang(self.rng, wall, item.width, low, low + item.height)
        if s is None:
            return False
        place = wall.point(s, out=item.depth / 2 + 0.01)
        self.put(item, place[0], place[2], wall.angle, elevation=low)
        return True

    def rug(self, x: float, z: float, width: float, depth: float, angle: float) -> None:
        """A flat rug with a border, as far as the floor reaches; it takes no room."""
        floor = self.plan.floor
        rotation = rotation_about_y(angle)
        colours = [plain_paint(self.rng), plain_paint(self.rng)]
        for level, (material, share) in enumerate(zip(colours, (1.0, 0.85), strict=True)):
            edge_u, edge_v = rotation @ [width * share, 0, 0], rotation @ [0, 0, -depth * share]
            corner = np.array([x, 0.006 + 0.003 * level, z]) - (edge_u + edge_v) / 2
            mesh = grid_quad(material, corner, edge_u, edge_v, step=0.12, label=FLOOR)
            mesh.positions[..., 0] = np.clip(mesh.positions[..., 0], floor.x0, floor.x1)
            mesh.positions[..., 2] = np.clip(mesh.positions[..., 2], floor.z0, floor.z1)
            self.meshes.append(mesh)

    # Groups

    def seating(self) -> None:
        """A television against a wall, a sofa that faces it, a low table between, armchairs beside it."""
        unit = self.against_wall("television unit", self._longest_free_wall())
        if unit is None:
            return
        item, wall, s = unit
        if self.surfaces:
            surface = self.surfaces.pop()
            self.on_surface("television", replace(surface, width=surface.width * 1.3, depth=surface.depth * 1.3), turn=0.0)
        sofa = self.pick("sofa")
        if sofa is None:
            return
        across = self.plan.depth if wall.angle % 180 == 0 else self.plan.width
        distance = min(self.rng.uniform(2.0, 3.2) + item.depth, across - sofa.depth / 2 - WALL_GAP)
        s = float(np.clip(s, sofa.width / 2 + 0.05, wall.length - sofa.width / 2 - 0.05))
        place = wall.point(s, out=distance)
        if not self.try_on_floor(sofa, "sofa", place[0], place[2], wall.angle + 180):
            return
        front = distance - sofa.depth / 2
        if self.rng.random() < 0.7:
            middle = wall.point(s, out=front - 0.5)
            self.rug(middle[0], middle[2], sofa.width * self.rng.uniform(0.9, 1.3), self.rng.uniform(1.2, 1.8), wall.angle)
        table = self.pick("coffee table")
        if table is not None:
            place = wall.point(s, out=front - self.rng.uniform(0.3, 0.45) - table.depth / 2)
            self.try_on_floor(table, "coffee table", place[0], place[2], wall.angle)
        chair = self.pick("armchair")
        if chair is not None:
            for side in self.rng.permutation([-1, 1])[: int(self.rng.integers(0, 3))]:
                place = wall.point(s + side * (sofa.width / 2 + 0.45 + chair.depth / 2), out=front - 0.6)
                # The wall's own angle looks away from it; turned by a quarter it looks along it, towards the table.
                angle = wall.angle - side * self._quarter_towards(wall) + self.rng.uniform(-20, 20)
                self.try_on_floor(chair, "armchair", place[0], place[2], angle)

    def _quarter_towards(self, wall: Wall) -> float:
        """The turn that points a thing's front along ``wall.along``, from the wall's own angle."""
        front = rotation_about_y(wall.angle + 90) @ [0.0, 0.0, 1.0]
        return 90.0 if front @ wall.along > 0 else -90.0

    def dining(self) -> None:
        """A table in the open with its chairs around it."""
        table, chair = self.pick("dining table"), self.pick("chair")
        if table is None or chair is None:
            return
        angle, reach = 90.0 * float(self.rng.integers(4)), 0.45 * chair.depth
        place = self.plan.place_inside(self.rng, table.width + 2 * reach, table.depth + 2 * reach, 1.0, angle, tries=30)
        if place is None:
            return
        x, z = place
        self.put_on_floor(table, "dining table", x, z, angle)
        for side in range(4):
            length, half = (table.width, table.depth / 2) if side % 2 == 0 else (table.depth, table.width / 2)
            count = int(length // (chair.width + 0.15))
            if side % 2 == 1:
                count = min(count, 1)
            direction = angle + 90.0 * side
            for index in range(count):
                if self.rng.random() < 0.12:
                    continue
                offset = (index + 0.5) / count - 0.5
                local = np.array([offset * length, 0.0, half + self.rng.uniform(0.0, 0.3) * chair.depth])
                spot = np.array([x, 0.0, z]) + rotation_about_y(direction) @ local
                self.put(chair, spot[0], spot[2], direction + 180 + self.rng.uniform(-8, 8))
        self.plan.claim(Rectangle.around(x, z, table.width + 2 * reach, table.depth + 2 * reach, angle))

    def sleeping(self) -> None:
        """A bed with its head to a wall, tables and lamps beside it, a wardrobe."""
        bed = self.against_wall("bed")
        if bed is None:
            return
        item, wall, s = bed
        table = self.pick("bedside table")
        if table is not None:
            for side in (-1, 1):
                place = wall.point(s + side * (item.width / 2 + table.width / 2 + 0.06), out=table.depth / 2 + WALL_GAP)
                if self.try_on_floor(table, "bedside table", place[0], place[2], wall.angle):
                    self.on_surface("table lamp", self.surfaces[-1])
        if self.rng.random() < 0.5:
            middle = wall.point(s, out=item.depth)
            self.rug(middle[0], middle[2], item.width + 0.8, 1.2, wall.angle)
        self.against_wall("wardrobe")
        self.against_wall("dresser")

    def working(self) -> None:
        """A desk against a wall with a chair at it, and shelves."""
        desk, chair = self.against_wall("desk"), self.pick("office chair") or self.pick("chair")
        if desk is not None and chair is not None:
            item, wall, s = desk
            place = wall.point(s + self.rng.uniform(-0.15, 0.15), out=item.depth + 0.3 * chair.depth)
            self.put(chair, place[0], place[2], wall.angle + 180 + self.rng.uniform(-35, 35))
            self.plan.claim(Rectangle.around(place[0], place[2], chair.width, chair.depth, wall.angle))
            if self.surfaces:
                self.on_surface("table lamp", self.surfaces[-1])
        for _ in range(int(self.rng.integers(1, 4))):
            self.against_wall("bookcase")

    def kitchen(self) -> None:
        """Fridge, cabinets, sink and cooker flush in a row; cabinets and a hood on the wall above."""
        wall = self._longest_free_wall()
        stretches = self.plan.free_stretches(wall, depth=0.7, height=0.9)
        if not stretches:
            return
        begin, end = max(stretches, key=lambda stretch: stretch[1] - stretch[0])
        row: list[tuple[str, Item]] = []
        length = 0.0
        order = ["fridge", "base cabinet", "sink", "base cabinet", "cooker", "base cabinet", "base cabinet", "base cabinet"]
        for role in order:
            item = self.pick(role)
            if item is not None and length + item.width < end - begin:
                row.append((role, item))
                length += item.width
        if self.rng.random() < 0.5:
            row.reverse()
        s = begin + self.rng.uniform(0.0, end - begin - length)
        hood, upper = self.pick("hood"), self.pick("upper cabinet")
        for role, item in row:
            s += item.width / 2
            place = wall.point(s, out=item.depth / 2 + WALL_GAP)
            if self.try_on_floor(item, role, place[0], place[2], wall.angle):
                above = hood if role == "cooker" else upper
                if above is not None and role != "fridge" and role != "sink":
                    self._hang_above(above, wall, s, width=item.width)
            s += item.width / 2

    def _hang_above(self, item: Item, wall: Wall, s: float, width: float) -> None:
        """A wall cabinet or a hood above a kitchen unit, where no window is in the way."""
        place = Rectangle(s - item.width / 2, UPPER_CABINET_HEIGHT, s + item.width / 2, UPPER_CABINET_HEIGHT + item.height)
        covered = self.plan.covered[self.plan.walls.index(wall)]
        blocked = place.z1 > self.plan.height or place.x0 < 0 or place.x1 > wall.length or item.width > width + 0.05
        if blocked or any(place.overlaps(other) for other in covered):
            return
        covered.append(place)
        point = wall.point(s, out=item.depth / 2 + 0.01)
        self.put(item, point[0], point[2], wall.angle, elevation=UPPER_CABINET_HEIGHT)

    def bath(self) -> None:
        """Bath or shower, basin and toilet along the walls."""
        for role in ("bath", "basin", "toilet", "basin" if self.rng.random() < 0.3 else "bath"):
            self.against_wall(role)

    def extras(self) -> None:
        """Plants, lamps, single seats and other things where there is room, and small things on the surfaces."""
        area = self.plan.width * self.plan.depth
        for _ in range(int(area * self.rng.uniform(0.1, 0.35))):
            role = str(self.rng.choice(["plant", "bookcase", "dresser", "large thing", "floor lamp", "armchair"]))
            self.against_wall(role)
        for _ in range(int(self.rng.integers(0, 3))):
            self.in_the_open(str(self.rng.choice(["chair", "armchair", "plant", "large thing"])))
        for surface in self.surfaces:
            for _ in range(int(self.rng.integers(0, 5))):
                role = "table lamp" if self.rng.random() < 0.15 else "small thing"
                self.on_surface(role, surface, turn=40.0)
        for _ in range(int(self.rng.integers(0, 3))):
            self.hang("wall decoration")

    def ceiling_lamp(self) -> Float[ndarray, "3"] | None:
        """A lamp near the middle of the ceiling: where its light comes from."""
        item = self.pick("ceiling lamp")
        if item is None:
            return None
        x, z = self.rng.uniform(-0.15, 0.15, 2) * [self.plan.width, self.plan.depth]
        low = self.plan.height - item.height
        self.put(item, x, z, 0.0, elevation=low)
        return np.array([x, low - 0.12, z])

    def _longest_free_wall(self) -> Wall:
        """The wall with the longest stretch for low furniture; now and then any wall."""
        if self.rng.random() < 0.2:
            return self.plan.walls[int(self.rng.integers(len(self.plan.walls)))]

        def longest(wall: Wall) -> float:
            return max((b - a for a, b in self.plan.free_stretches(wall, depth=0.7, height=0.8)), default=0.0)

        return max(self.plan.walls, key=longest)


def _tinted(material: Material, tint: Float[ndarray, "3"]) -> Material:
    red, green, blue = np.clip(np.array(material.diffuse) * tint, 0.0, 1.0)
    return replace(material, diffuse=(float(red), float(green), float(blue)))
