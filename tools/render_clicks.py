"""Renders views of furnished rooms with the number of the thing that each pixel shows: the truth for tools/measure_clicks.py.

Fetch the sources first with tools/fetch_scenes.py. Needs the extra `train` and EGL (Debian: libegl1, libgl1-mesa-dri).

    python tools/render_clicks.py --data out/rooms-data --rooms 24 --out out/clicks
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tyro
from jaxtyping import Float
from numpy import ndarray

from render_frames import clear_pose, is_worth_learning
from render_rooms import parse_size
from rooms.furniture import Catalogue
from rooms.labels import SKY
from rooms.lighting import Environment, bake, choose_exposure
from rooms.renderer import Renderer
from rooms.room import Room, compose_room
from rooms.sources import Sources, Split
from rooms.tabletop import with_things
from rooms.tracing import Tracer
from rooms.trajectories import is_clear, look_at, probe_rays

FOV_RANGE = (45.0, 75.0)
HEIGHTS, ELEVATIONS = (1.0, 1.75), (-0.5, 0.0)
THINGS = 6
TRIES = 100
FIRST_NUMBER = 10  # of a thing: smaller ones are labels, and surfaces labelled sky are windows to the backdrop


@dataclass
class Options:
    """What to render."""

    data: Path = Path("out/rooms-data")
    """Folder that tools/fetch_scenes.py has filled."""
    out: Path = Path("out/clicks")
    """Folder for the views, one .npz each."""
    split: Split = "validation"
    """train shows the other furniture and pictures: what constants are chosen on."""
    rooms: int = 24
    """Number of rooms; each has things on a table where it has one."""
    views: int = 2
    """Views of a whole room, and as many of its table from near."""
    size: str = "384x216"
    """Width x height in pixels."""
    seed: int = 0
    """Of the first room."""


def main(options: Options) -> None:
    width, height = parse_size(options.size)
    sources = Sources.open(options.data, options.split)
    catalogue, renderer = Catalogue.of(sources), Renderer(width, height)
    options.out.mkdir(parents=True, exist_ok=True)
    for seed in range(options.seed, options.seed + options.rooms):
        views = list(views_of_room(np.random.default_rng(seed), catalogue, sources, renderer, options.views))
        for index, view in enumerate(views):
            np.savez_compressed(options.out / f"room{seed:05d}_{index}.npz", **view)
        print(f"{seed}: {len(views)} views", flush=True)


def views_of_room(
    rng: np.random.Generator, catalogue: Catalogue, sources: Sources, renderer: Renderer, count: int
) -> Iterator[dict[str, ndarray]]:
    """Views with ``rgb``, ``depth``, ``things`` (numbers from 1, 0 for the room itself), ``names`` of these, and the field of
    view."""
    room, middle = compose_room(rng, catalogue, sources), None
    set_out = with_things(rng, room, sources.photos, THINGS)
    if set_out is not None:
        room, middle = set_out
    room, aspect = numbered(room), renderer.width / renderer.height
    tracer = Tracer(room.meshes)
    environment = Environment.load(rng, sources.panoramas[int(rng.integers(len(sources.panoramas)))])
    light = bake(rng, room, environment, tracer)
    batches, backdrop = renderer.upload(room.meshes, light), renderer.upload_backdrop(environment.backdrop)
    try:
        for index in range(2 * count):
            fov = float(rng.uniform(*FOV_RANGE))
            if index % 2 or middle is None:
                pose = clear_pose(rng, room, tracer, HEIGHTS, ELEVATIONS, fov, aspect, bare=False)
            else:
                pose = pose_about(rng, room, tracer, middle)
            if pose is None:
                continue
            exposure = choose_exposure(tracer, light, pose[:3, 3], probe_rays(pose, fov, aspect))
            frame = renderer.render(batches, backdrop, pose, fov, exposure)
            if is_worth_learning(frame.depth):
                things = np.maximum(frame.labels.astype(np.int16) - FIRST_NUMBER + 1, 0).astype(np.uint8)
                yield {
                    "rgb": frame.rgb, "depth": frame.depth, "things": things, "names": np.array(room.item_names),
                    "fov_x_degrees": np.float32(fov),
                }  # fmt: skip
    finally:
        renderer.release(batches)
        backdrop.release()


def numbered(room: Room) -> Room:
    """The room with the number of its thing as each mesh's label."""
    meshes = [mesh if mesh.label == SKY else replace(mesh, label=0) for mesh in room.meshes]
    for number, (first, last) in enumerate(room.item_spans, start=FIRST_NUMBER):
        meshes[first:last] = [replace(mesh, label=number) for mesh in meshes[first:last]]
    return replace(room, meshes=tuple(meshes))


def pose_about(
    rng: np.random.Generator, room: Room, tracer: Tracer, middle: Float[ndarray, "3"]
) -> Float[ndarray, "4 4"] | None:
    """A camera close to the things on a table; None where there is no place for one."""
    for _ in range(TRIES):
        azimuth, away = rng.uniform(0, 2 * np.pi), rng.uniform(0.75, 1.9)
        eye = middle + np.array([away * np.sin(azimuth), rng.uniform(0.15, 0.7), away * np.cos(azimuth)])
        towards = (middle - eye) / np.linalg.norm(middle - eye)
        if is_clear(tracer, room, eye) and tracer.distances(eye[None], towards[None])[0] > 0.6 * away:
            return look_at(eye, middle)
    return None


if __name__ == "__main__":
    try:
        main(tyro.cli(Options, description=__doc__))
    except (ValueError, OSError) as error:
        sys.exit(f"render_clicks: {error}")
