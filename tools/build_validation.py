"""Builds the scenes on which films are measured: rooms, real panoramas and places in the open that training never shows.

Fetch the sources first with tools/fetch_scenes.py. Needs the extra `train` and EGL (Debian: libegl1, libgl1-mesa-dri).

    python tools/build_validation.py --data out/rooms-data --out out/validation
    splatmem evaluate out/validation/rooms/* out/validation/panoramas/* --out out/evaluation
    splatmem evaluate out/validation/room_arc30/* out/validation/open_arc30/* --out out/aside

rooms/ROOM have pictures and depth; the camera turns once around with a little parallax and comes back to where it began.
panoramas/NAME have pictures only; the camera turns on the spot, and the pictures have about the panorama's own sharpness.
room_PATH/ROOM have pictures and depth of rooms with things on a table (bottles, glasses, books, plants, lamps), open_PATH/PLACE
of places in the open (ground, trees, houses, sky). The camera leaves its place: PATH is arc15 or arc30 (a swing to either side
about the things by so many degrees), dolly (to them and back), half_orbit or orbit (where there is room). All of a place's
paths begin with the same picture; on half_orbit and orbit the truth is seen from behind.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image

from render_rooms import describe, parse_size, render_room
from rooms.around import PATHS
from rooms.aside import Shot, open_shot, render_shot, room_shot
from rooms.clips import export_scene, write_scene
from rooms.furniture import Catalogue
from rooms.panoramas import load_panorama, photograph
from rooms.renderer import Renderer
from rooms.room import compose_room
from rooms.sources import INDOOR_PANORAMAS, Sources
from rooms.trajectories import closed_turn, random_closed_turn

OUTDOORS = ("night",)
EYE_LEVEL = np.array([0.0, 1.5, 0.0])
STRIP_FRAMES, STRIP_TILE = 8, (128, 72)


@dataclass
class Options:
    """What to build."""

    data: Path = Path("out/rooms-data")
    """Folder that tools/fetch_scenes.py has filled."""
    out: Path = Path("out/validation")
    """Folder for the scenes."""
    rooms: int = 6
    """Number of rooms; one that offers no good path is replaced by the next."""
    tables: int = 6
    """Number of rooms with things on a table; one that has no table, or no way round it, is replaced by the next."""
    places: int = 4
    """Number of places in the open."""
    paths: tuple[str, ...] = tuple(PATHS)
    """Which of the paths that leave their place to render."""
    panoramas: int = len(INDOOR_PANORAMAS) - len(OUTDOORS)
    """Number of panoramas."""
    views: int = 49
    """Frames of each turn; the last is the first again."""
    aside_views: int = 25
    """Frames of each path that leaves its place."""
    room_size: str = "512x288"
    """Width x height of the rooms' pictures."""
    panorama_size: str = "128x72"
    """Width x height of the panoramas' pictures; they have 512 pixels all around, so more pixels are soft."""
    panorama_fov: float = 70.0
    """Horizontal field of view in degrees inside the panoramas."""
    seed: int = 90000
    """Room i is made from seed + i alone, the tables from 1000 and the places from 2000 beyond; the turns inside panoramas
    begin at random angles."""


def main(options: Options) -> None:
    for name in ("views", "aside_views"):
        if getattr(options, name) < 4:
            raise ValueError(f"--{name.replace('_', '-')} expects 4 or more, got {getattr(options, name)}")
    unknown = [name for name in options.paths if name not in PATHS]
    if unknown:
        raise ValueError(f"--paths expects some of {' '.join(PATHS)}, got {' '.join(unknown)}")
    sources = Sources.open(options.data, "validation")
    rows = [*build_rooms(options, sources), *build_aside(options, sources), *build_panoramas(options)]
    Image.fromarray(np.concatenate(rows)).save(options.out / "sheet.png")


def build_rooms(options: Options, sources: Sources) -> Iterator[UInt8[ndarray, "h w 3"]]:
    """Renders the rooms; gives a strip of pictures of each."""
    if options.rooms < 1:
        return
    catalogue, renderer = Catalogue.of(sources), Renderer(*parse_size(options.room_size, "--room-size"))
    built = 0
    for seed in range(options.seed, options.seed + 4 * options.rooms):
        rng = np.random.default_rng(seed)
        room = compose_room(rng, catalogue, sources)
        for clip in render_room(rng, room, sources, renderer, 1, options.views, random_closed_turn):
            export_scene(clip, options.out / "rooms" / f"room{seed:05d}")
            print(f"room {seed}: {describe(room)}", flush=True)
            built += 1
            yield strip(clip.rgb)
        if built == options.rooms:
            return
    raise ValueError(f"only {built} of {options.rooms} rooms offered a good turn; try another --seed")


def build_aside(options: Options, sources: Sources) -> Iterator[UInt8[ndarray, "h w 3"]]:
    """Renders the scenes whose cameras leave their place; gives a strip of pictures of each path."""
    width, height = parse_size(options.room_size, "--room-size")
    renderer, catalogue = Renderer(width, height), Catalogue.of(sources)
    textures = {path.stem: path for path in (options.data / "textures").glob("*.*")}

    def room(seed: int) -> Shot | None:
        return room_shot(seed, catalogue, sources, options.aside_views, width / height)

    def place(seed: int) -> Shot | None:
        return open_shot(seed, textures, options.aside_views)

    for kind, make, count, seed in (
        ("room", room, options.tables, options.seed + 1000),
        ("open", place, options.places, options.seed + 2000),
    ):
        made = 0
        for number in range(seed, seed + 8 * count):
            if made == count:
                break
            shot = make(number)
            if shot is None:
                continue
            made += 1
            print(f"{kind} {number}: {shot.name}, {', '.join(shot.paths)}", flush=True)
            for path, clip in render_shot(shot, renderer, options.paths):
                export_scene(clip, options.out / f"{kind}_{path}" / f"{kind}{number:05d}")
                yield strip(clip.rgb)
        if made < count:
            raise ValueError(f"only {made} of {count} scenes of the kind {kind} offered a way round; try another --seed")


def build_panoramas(options: Options) -> Iterator[UInt8[ndarray, "h w 3"]]:
    """Photographs full turns inside the panoramas; gives a strip of pictures of each."""
    width, height = parse_size(options.panorama_size, "--panorama-size")
    rng = np.random.default_rng(options.seed)
    for name in [n for n in INDOOR_PANORAMAS if n not in OUTDOORS][: options.panoramas]:
        panorama = load_panorama(options.data / "panoramas" / f"{name}.npy")
        poses = closed_turn(EYE_LEVEL, options.views, rng.uniform(0, 2 * np.pi), 0.0)
        rgb = np.stack([photograph(panorama, pose, options.panorama_fov, width, height) for pose in poses])
        write_scene(options.out / "panoramas" / name, rgb, None, poses, options.panorama_fov, "pan360")
        print(f"panorama {name}", flush=True)
        yield strip(rgb)


def strip(rgb: UInt8[ndarray, "v h w 3"]) -> UInt8[ndarray, "h w 3"]:
    """Some frames of a turn beside each other."""
    chosen = np.linspace(0, len(rgb) - 1, STRIP_FRAMES + 1).astype(int)[:-1]
    return np.concatenate([np.asarray(Image.fromarray(rgb[i]).resize(STRIP_TILE)) for i in chosen], axis=1)


if __name__ == "__main__":
    try:
        main(tyro.cli(Options, description=__doc__))
    except (ValueError, OSError) as error:
        sys.exit(f"build_validation: {error}")
