"""What ``tools/fetch_scenes.py`` has fetched, and which part of it is held out for validation.

Folders below the data folder: ``furniture/<library>/`` (catalogue and models), ``textures/``, ``photos/`` (pictures on
walls) and ``panoramas/*.npy`` (float16 ``[h, w, 3]``, linear light, equirectangular).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Split = Literal["train", "validation"]

HELD_OUT_LIBRARY = "KatorLegaz"
"""The furniture library that training never shows (90 models: seats, tables, shelves, lamps, kitchen and office things)."""

INDOOR_PANORAMAS = ("apartment", "hall", "lab", "lobby", "night", "studio", "warehouse", "workshop")
"""Panoramas that training never shows. All but ``night`` show the inside of a building."""

PHOTO_HOLD_OUT_STRIDE = 5
"""Every fifth photograph is for validation only."""

CATALOGUE_FILES = {
    "Scopia": "PluginFurnitureCatalog.properties",
    "BlendSwap-CC-0": "PluginFurnitureCatalog.properties",
    "BlendSwap-CC-BY": "PluginFurnitureCatalog.properties",
    "KatorLegaz": "PluginFurnitureCatalog.properties",
    "Reallusion": "PluginFurnitureCatalog.properties",
    "eTeks": "com/eteks/sweethome3d/io/DefaultFurnitureCatalog.properties",
}
"""The catalogue of each library, relative to ``furniture/<library>``."""

FLOOR_TEXTURES = (
    "oldWoodenFloor", "woodenFloor", "beigeTile", "greyTile", "blackAndWhiteTiles", "marbleWall", "stoneTiles",
    "wood_planks_1", "wood_1", "floor_tiles_white", "floor_tiles_bw_1", "marble_1", "marble_2", "concrete_tiles_1",
)  # fmt: skip
WALL_TEXTURES = (
    "roughcast", "smallWhiteBricks", "wallBeigeTile", "smallBricks", "stoneWall", "stucco_1", "drywall_1", "brick_wall_1",
    "concrete_1",
)  # fmt: skip
GROWN_TEXTURES = ("grass", "grass_1", "grass_2", "rock_1", "pebbles", "boxTree", "asphalt_1", "pavingStone", "stoneWall")
"""What grows and lies outdoors; beside them, photographs serve as patterns of nature."""

HELD_OUT_FLOOR_TEXTURES = ("wood_2", "redTiles", "blueTiles", "lightBlueTile", "concrete_3")
HELD_OUT_WALL_TEXTURES = ("cinder_blocks_1", "smallRedBricks", "stone2Wall", "stone3Wall", "concrete_4", "cardboard_4")
"""For validation only, where they take the place of the others."""


@dataclass(frozen=True)
class Sources:
    """The files of one split."""

    split: Split
    catalogues: dict[str, Path]
    """Library name to catalogue file."""
    floors: tuple[Path, ...]
    walls: tuple[Path, ...]
    grown: tuple[Path, ...]
    photos: tuple[Path, ...]
    panoramas: tuple[Path, ...]

    @staticmethod
    def open(folder: Path, split: Split) -> Sources:
        """The sources below ``folder``.

        Raises:
            ValueError: something that every room needs is missing.
        """
        catalogues = {library: folder / "furniture" / library / file for library, file in CATALOGUE_FILES.items()}
        textures = sorted((folder / "textures").glob("*.*"))
        panoramas = sorted((folder / "panoramas").glob("*.npy"))
        photos = sorted((folder / "photos").glob("*.jpg"))
        missing = [str(path) for path in catalogues.values() if not path.is_file()]
        for kind, files in (("textures/*", textures), ("panoramas/*.npy", panoramas), ("photos/*.jpg", photos)):
            if not files:
                missing.append(str(folder / kind))
        if missing:
            raise ValueError(
                f"the scenes' sources are incomplete, missing {', '.join(missing)}; run tools/fetch_scenes.py --data {folder}"
            )
        validation = split == "validation"
        return Sources(
            split=split,
            catalogues={name: path for name, path in catalogues.items() if validation or name != HELD_OUT_LIBRARY},
            floors=tuple(p for p in textures if p.stem in (HELD_OUT_FLOOR_TEXTURES if validation else FLOOR_TEXTURES)),
            walls=tuple(p for p in textures if p.stem in (HELD_OUT_WALL_TEXTURES if validation else WALL_TEXTURES)),
            grown=tuple(p for p in textures if p.stem in GROWN_TEXTURES and not validation),
            photos=tuple(p for i, p in enumerate(photos) if (i % PHOTO_HOLD_OUT_STRIDE == 0) == validation),
            panoramas=tuple(p for p in panoramas if (p.stem in INDOOR_PANORAMAS) == validation),
        )
