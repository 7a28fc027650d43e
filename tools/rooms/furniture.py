"""Sweet Home 3D furniture: catalogues, the role that each item can play in a room, and its meshes at true size."""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy import ndarray

from rooms.meshes import Mesh
from rooms.sources import HELD_OUT_LIBRARY, Sources
from rooms.wavefront import load_obj

MAX_TRIANGLES = 15_000
MAX_TRIANGLES_SEATS_AND_BEDS = 40_000
"""Models are heavier in these categories, and they carry a room."""
MIN_OPACITY = 0.35
MIN_OPACITY_OF_OPENINGS = 0.85
"""Window panes are left out: the light baker and the renderer know no glass."""


@dataclass(frozen=True)
class Item:
    """One catalogue entry; lengths in metres."""

    library: str
    name: str
    category: str
    model: Path
    width: float
    height: float
    depth: float
    elevation: float
    top: float | None
    """Height at which things can stand on it, where the catalogue says so."""
    model_rotation: tuple[float, ...] | None
    """Row-major 3x3 matrix to apply to the model first."""
    is_opening: bool
    """A door or a window."""

    @property
    def size(self) -> ndarray:
        return np.array([self.width, self.height, self.depth])


@dataclass(frozen=True)
class Rule:
    """An item plays ``role`` if its category and name match and its size is sensible for it."""

    role: str
    categories: str
    names: str
    fits: Callable[[Item], bool] = lambda item: True

    def matches(self, item: Item) -> bool:
        return (
            re.fullmatch(self.categories, item.category) is not None
            and re.search(self.names, item.name, re.IGNORECASE) is not None
            and self.fits(item)
        )


HOME = "Living room|Bedroom|Office|Kitchen|Bathroom|Miscellaneous"
RULES = (
    # Shapes that leave holes in a rectangular opening, or stand open, are not used.
    Rule("window", "Doors and windows", "window", lambda i: i.is_opening and 0.5 < i.width < 2.6 and i.height < 2.2
         and not re.search("round|triangle|blind|shutter|outward|store|garage", i.name, re.IGNORECASE)),
    Rule("door", "Doors and windows", "door", lambda i: i.is_opening and 1.8 < i.height < 2.4 and i.width < 1.9
         and not re.search("garage|open|frame|round", i.name, re.IGNORECASE)),
    Rule("none", "Doors and windows|Exterior|Vehicles|Characters|Staircases", ""),
    Rule("none", "Lights", "source|street|park|lamppost|outdoor|porch|track|spotlight"),
    Rule("none", HOME, "bathmat|tape|cooktop|hanging clothes|ottoman"),
    Rule("none", HOME, r"switch|plug|socket|railing|container|mower|triangle|pallet|antenna|tatami|workbench|curtain|"
         r"sliding doors|shower door|urinal|smoke|detector|wheelchair|hospital|corner|intercom|mannequin"),
    Rule("ceiling lamp", "Lights", "", lambda i: (i.elevation > 1.5 or "chandelier" in i.name.lower()) and i.height < 0.9
         and not re.search("wall|strip", i.name, re.IGNORECASE)),
    Rule("wall decoration", "Lights", "wall", lambda i: i.elevation > 0.5),
    Rule("floor lamp", "Lights", "", lambda i: i.height > 1.1),
    Rule("table lamp", "Lights", "", lambda i: i.height < 0.9 and i.elevation == 0),
    Rule("rug", HOME, "rug|carpet"),
    Rule("sofa", HOME, "sofa|couch", lambda i: i.width < 3.0 and i.depth < 1.2),
    Rule("armchair", "Living room|Office", "armchair|puff", lambda i: i.depth < 1.2),
    Rule("television unit", "Living room", "tv unit|tv stand|dresser|television cabinet", lambda i: i.height < 1.0),
    Rule("television", "Living room", "tv", lambda i: 0.4 < i.width < 1.4 and i.elevation == 0 and i.height < 0.9
         and i.depth < 0.4),
    Rule("coffee table", "Living room", "table", lambda i: 0.3 < i.height < 0.6),
    Rule("desk", "Office|Living room", "desk|table on trestles|technical table", lambda i: i.depth < 1.3),
    Rule("bedside table", "Bedroom", "bedside"),
    Rule("dining table", "Living room|Office|Kitchen", "table", lambda i: 0.68 < i.height < 1.0 and i.width > 0.6),
    Rule("office chair", "Office", "chair|seat"),
    Rule("chair", "Living room|Kitchen", "chair|stool", lambda i: i.height < 1.3 and not re.search(
        "child|baby|ryokan", i.name, re.IGNORECASE)),
    Rule("bed", "Bedroom", "bed", lambda i: i.width > 0.85 and i.depth > 1.85 and i.height < 1.3),
    Rule("wardrobe", "Bedroom", "wardrobe|cupboard|shelves", lambda i: i.height < 2.4),
    Rule("dresser", "Bedroom|Living room", "chest|changing|dressing|dresser|shelves$|box", lambda i: i.height < 1.4),
    Rule("bookcase", "Living room|Office", "bookcase|shelves|cabinet|fireplace|contemporary|box$|piano$",
         lambda i: i.height < 2.4),
    Rule("plant", "Living room", "plant|ficus|yucca|bamboo|lily|christmas", lambda i: i.height > 0.6),
    Rule("hood", "Kitchen", "hood", lambda i: i.width < 0.7),
    Rule("upper cabinet", "Kitchen", "upper|glass door cabinet", lambda i: i.elevation > 1.0),
    Rule("cooker", "Kitchen", "cooker|stove", lambda i: i.width > 0.5 and 0.5 < i.height < 1.0),
    Rule("sink", "Kitchen", "sink", lambda i: i.height > 0.8),
    Rule("fridge", "Kitchen", "fridge|refrigerator|high cabinet|double oven", lambda i: i.height > 1.0),
    Rule("base cabinet", "Kitchen", "cabinet|washer|washing|dryer|dishwasher", lambda i: 0.7 < i.height < 1.0),
    Rule("bath", "Bathroom", "bath$|shower stall|^shower$", lambda i: i.width > 0.7),
    Rule("toilet", "Bathroom", "toilets? unit|bidet"),
    Rule("basin", "Bathroom", "washbasin|vanity", lambda i: i.height > 0.7),
    Rule("wall decoration", HOME, "", lambda i: i.elevation > 0.45 and i.depth < 0.6 and 0.15 < i.width < 2.2
         and i.height > 0.1),
    Rule("wall decoration", HOME, "painting|picture|frame|mirror|clock|wall", lambda i: i.depth < 0.2 and i.width > 0.2),
    Rule("small thing", HOME, "", lambda i: i.elevation == 0 and max(i.width, i.depth) < 0.5 and 0.04 < i.height < 0.6),
    Rule("large thing", HOME, "", lambda i: i.elevation < 0.45 and 0.35 < i.height < 2.3 and max(i.width, i.depth) < 2.2),
)  # fmt: skip
"""The first rule that matches decides; an item that plays the role ``none`` is not used."""


def role_of(item: Item) -> str | None:
    """The part that an item can play in a room, or None."""
    if min(item.size) <= 0 or item.width > 3.6 or item.depth > 3.6:
        return None
    role = next((rule.role for rule in RULES if rule.matches(item)), None)
    return None if role == "none" else role


def read_catalogue(path: Path, library: str, root: Path) -> list[Item]:
    """The entries of a ``FurnitureCatalog.properties`` file (``key#number=value``; lengths in centimetres).

    Model paths in it are relative to ``root``.
    """
    entries: dict[int, dict[str, str]] = {}
    for line in path.read_text(encoding="latin1").splitlines():
        match = re.match(r"([A-Za-z]+)#(\d+)\s*=\s*(.*)", line)
        if match:
            entries.setdefault(int(match[2]), {})[match[1]] = match[3].strip()
    return [_item(entry, library, root) for entry in entries.values() if "model" in entry]


def _item(entry: dict[str, str], library: str, root: Path) -> Item:
    def metres(key: str) -> float:
        try:
            return float(entry.get(key, "0")) / 100.0
        except ValueError:
            return 0.0

    rotation = tuple(float(word) for word in entry.get("modelRotation", "").split())
    return Item(
        library=library,
        name=entry.get("name", ""),
        category=entry.get("category", ""),
        model=root / entry["model"].lstrip("/"),
        width=metres("width"),
        height=metres("height"),
        depth=metres("depth"),
        elevation=metres("elevation"),
        top=metres("dropOnTopElevation") if "dropOnTopElevation" in entry else None,
        model_rotation=rotation if len(rotation) == 9 else None,
        is_opening=entry.get("doorOrWindow") == "true",
    )


@functools.lru_cache(maxsize=400)
def load_item(item: Item) -> tuple[Mesh, ...]:
    """An item's meshes in metres: origin at the centre of its foot, front towards +z, at the catalogue's size.

    Raises:
        ValueError: the model has no visible face or too many of them.
        OSError: the model cannot be read.
    """
    rotation = np.eye(3) if item.model_rotation is None else np.array(item.model_rotation).reshape(3, 3)
    meshes = load_obj(item.model)
    points = np.concatenate([mesh.positions.reshape(-1, 3) for mesh in meshes]) @ rotation.T
    low, high = points.min(0), points.max(0)
    scale = item.size / np.maximum(high - low, 1e-6)
    foot = np.array([(low[0] + high[0]) / 2, low[1], (low[2] + high[2]) / 2])
    turned = [mesh.transformed(rotation, np.ones(3), -foot) for mesh in meshes]
    min_opacity = MIN_OPACITY_OF_OPENINGS if item.is_opening else MIN_OPACITY
    visible = tuple(mesh.transformed(np.eye(3), scale, np.zeros(3)) for mesh in turned if mesh.material.opacity >= min_opacity)
    heavy = item.category in ("Bedroom", "Living room")
    limit = MAX_TRIANGLES_SEATS_AND_BEDS if heavy else MAX_TRIANGLES
    triangles = sum(len(mesh) for mesh in visible)
    if not 0 < triangles <= limit:
        raise ValueError(f"{item.model}: expected 1..{limit} visible triangles, found {triangles}")
    return visible


class Catalogue:
    """Items by role, for one split.

    In training the held-out library is absent. In validation a role that the held-out library can fill is filled from it alone;
    the others (beds, kitchen cabinets, windows and doors, for instance) come from all libraries.
    """

    def __init__(self, items: Sequence[Item]) -> None:
        self._by_role: dict[str, list[Item]] = {}
        self._unusable: set[Item] = set()
        for item in items:
            role = role_of(item)
            if role is not None:
                self._by_role.setdefault(role, []).append(item)
        for role, candidates in self._by_role.items():
            held_out = [item for item in candidates if item.library == HELD_OUT_LIBRARY]
            self._by_role[role] = held_out or candidates

    @staticmethod
    def of(sources: Sources) -> Catalogue:
        items: list[Item] = []
        for library, path in sources.catalogues.items():
            root = path.parents[4] if library == "eTeks" else path.parent
            items += read_catalogue(path, library, root)
        return Catalogue(items)

    def items(self, role: str) -> tuple[Item, ...]:
        return tuple(self._by_role.get(role, ()))

    def pick(self, rng: np.random.Generator, role: str, fits: Callable[[Item], bool] = lambda item: True) -> Item | None:
        """A random item for a role, whose model can be loaded; None if none fits."""
        candidates = [item for item in self._by_role.get(role, ()) if fits(item)]
        while candidates:
            item = candidates.pop(int(rng.integers(len(candidates))))
            if item in self._unusable:
                continue
            try:
                load_item(item)
            except (OSError, ValueError) as error:
                logging.getLogger(__name__).info("left out: %s", error)
                # It stays a candidate: what is drawn for a room must not depend on the rooms before it.
                self._unusable.add(item)
            else:
                return item
        return None
