"""Renders views of furnished rooms with and without one of their things: the truth for tools/measure_removal.py.

Fetch the sources first with tools/fetch_scenes.py. Light is baked once, with the thing: its shadow stays in both pictures.

    python tools/render_removals.py --data out/rooms-data --pairs 12 --out out/removals
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tyro
from numpy import ndarray

from render_rooms import parse_size
from rooms.furniture import Catalogue
from rooms.lighting import BakedLight, Environment, bake
from rooms.renderer import Renderer
from rooms.room import Room, compose_room
from rooms.sources import Sources
from rooms.tracing import Tracer
from rooms.trajectories import exposure_of_views, good_trajectories, random_trajectory

SHARES = (0.03, 0.25)  # of the picture that a thing covers
EDGE = 4  # pixels from the picture's edge that a thing keeps


@dataclass
class Options:
    """What to render."""

    data: Path = Path("out/rooms-data")
    """Folder that tools/fetch_scenes.py has filled."""
    out: Path = Path("out/removals")
    """Folder for the pairs, one .npz each."""
    pairs: int = 12
    """How many; one for each room that has a fitting view."""
    size: str = "384x216"
    """Width x height in pixels."""
    seed: int = 0
    """Of the first room."""


def main(options: Options) -> None:
    width, height = parse_size(options.size)
    sources = Sources.open(options.data, "validation")
    catalogue, renderer = Catalogue.of(sources), Renderer(width, height)
    options.out.mkdir(parents=True, exist_ok=True)
    made, seed = 0, options.seed
    while made < options.pairs and seed < options.seed + 10 * options.pairs:
        rng = np.random.default_rng(seed)
        pair = removal(rng, compose_room(rng, catalogue, sources), sources, renderer)
        if pair is not None:
            np.savez_compressed(options.out / f"room{seed:05d}.npz", **pair)
            print(f"{seed}: {pair['name']}, {100 * pair['thing'].mean():.0f} % of the picture", flush=True)
            made += 1
        seed += 1


def removal(rng: np.random.Generator, room: Room, sources: Sources, renderer: Renderer) -> dict[str, ndarray] | None:
    """One view of a room with one of its things and without it; None if no view fits."""
    tracer, aspect = Tracer(room.meshes), renderer.width / renderer.height
    paths = list(good_trajectories(rng, room, tracer, 3, 6, aspect, random_trajectory))
    if not paths:
        return None
    environment = Environment.load(rng, sources.panoramas[int(rng.integers(len(sources.panoramas)))])
    light = bake(rng, room, environment, tracer)
    poses = [(pose, path.fov_x_degrees) for path in paths for pose in path.cam_to_world[::3]]
    exposure = exposure_of_views(tracer, light, poses, aspect)
    backdrop = renderer.upload_backdrop(environment.backdrop)
    try:
        whole = rendered(renderer, room, light, backdrop, poses, exposure)
        for item in rng.permutation(len(room.item_spans)):
            first, last = room.item_spans[item]
            bare = replace(room, meshes=room.meshes[:first] + room.meshes[last:])
            rest = replace(light, corners=[*light.corners[:first], *light.corners[last:]])
            without = rendered(renderer, bare, rest, backdrop, poses, exposure)
            for index, ((rgb, depth), (bare_rgb, bare_depth)) in enumerate(zip(whole, without, strict=True)):
                thing = np.abs(depth - bare_depth) > 0.01
                inner = thing[EDGE:-EDGE, EDGE:-EDGE]
                if SHARES[0] <= thing.mean() <= SHARES[1] and inner.sum() == thing.sum() and (depth > 0).all():
                    return {
                        "rgb": rgb, "depth": depth, "rgb_without": bare_rgb, "depth_without": bare_depth, "thing": thing,
                        "fov_x_degrees": np.float32(poses[index][1]), "name": np.array(room.item_names[item]),
                    }  # fmt: skip
    finally:
        backdrop.release()
    return None


def rendered(renderer: Renderer, room: Room, light: BakedLight, backdrop, poses, exposure: float) -> list:
    batches = renderer.upload(room.meshes, light)
    try:
        return [renderer.render(batches, backdrop, pose, fov, exposure)[:2] for pose, fov in poses]
    finally:
        renderer.release(batches)


if __name__ == "__main__":
    try:
        main(tyro.cli(Options, description=__doc__))
    except (ValueError, OSError) as error:
        sys.exit(f"render_removals: {error}")
