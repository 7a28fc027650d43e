"""One room: its shell, its furniture, its pictures and where its light comes from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from rooms.furnish import Furnisher
from rooms.furniture import Catalogue
from rooms.layout import FloorPlan
from rooms.meshes import Mesh
from rooms.shell import WindowPane, build_shell, framed_picture
from rooms.sources import Sources

KINDS: dict[str, tuple[tuple[str, ...], float]] = {
    "living room": (("seating", "dining"), 0.32),
    "bedroom": (("sleeping", "working"), 0.2),
    "office": (("working", "working", "seating"), 0.14),
    "kitchen": (("kitchen", "dining"), 0.16),
    "bathroom": (("bath",), 0.06),
    "studio": (("kitchen", "sleeping", "seating"), 0.12),
}
"""For each kind of room its arrangements, in order, and its share of all rooms."""


@dataclass(frozen=True, eq=False)
class Room:
    """A furnished room, ready to be lit and shown.

    Attributes:
        width, depth, height: inner size in metres along x, z, y; the origin is the floor's centre.
        lamps: points from which electric light comes.
        item_spans: first and one past the last mesh of each item.
    """

    kind: str
    width: float
    depth: float
    height: float
    meshes: tuple[Mesh, ...]
    panes: tuple[WindowPane, ...]
    lamps: tuple[Float[ndarray, "3"], ...]
    item_names: tuple[str, ...]
    item_spans: tuple[tuple[int, int], ...] = ()


def compose_room(rng: np.random.Generator, catalogue: Catalogue, sources: Sources) -> Room:
    """A random room; the same generator state gives the same room."""
    kind = str(rng.choice(list(KINDS), p=[share for _, share in KINDS.values()]))
    largest = (3.6, 3.4) if kind == "bathroom" else (7.0, 6.0)
    plan = FloorPlan(
        width=float(rng.uniform(min(3.2, largest[0] - 1.0), largest[0])),
        depth=float(rng.uniform(min(3.0, largest[1] - 1.0), largest[1])),
        height=float(rng.uniform(2.45, 3.1)),
    )
    shell, panes = build_shell(rng, plan, catalogue, sources)
    furnisher = Furnisher(rng, plan, catalogue)
    for arrangement in KINDS[kind][0]:
        getattr(furnisher, arrangement)()
    furnisher.extras()
    pictures: list[Mesh] = []
    for _ in range(int(rng.integers(2, 7))):
        pictures += framed_picture(rng, plan, sources.photos[int(rng.integers(len(sources.photos)))])
    lamp = furnisher.ceiling_lamp()
    fill_light = np.array([rng.uniform(-0.2, 0.2) * plan.width, plan.height - 0.25, rng.uniform(-0.2, 0.2) * plan.depth])
    return Room(
        kind=kind,
        width=plan.width,
        depth=plan.depth,
        height=plan.height,
        meshes=(*shell, *furnisher.meshes, *pictures),
        panes=tuple(panes),
        lamps=(fill_light,) if lamp is None else (lamp, fill_light),
        item_names=tuple(furnisher.item_names),
        item_spans=tuple((first + len(shell), last + len(shell)) for first, last in furnisher.item_spans),
    )
