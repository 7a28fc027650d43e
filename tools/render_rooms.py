"""Renders posed RGB-D clips of random furnished rooms, for training the embedded models and for evaluating them.

Fetch the sources first with tools/fetch_scenes.py. Needs the extra `train` and EGL (Debian: libegl1, libgl1-mesa-dri).

    python tools/render_rooms.py --rooms 100 --out out/clips --sheet out/rooms.png
    python tools/render_rooms.py --split validation --export scenes --views 48 --out out/scenes
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import tyro
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image

from rooms.clips import Clip, depth_to_millimetres, export_scene, write_clip
from rooms.furniture import Catalogue
from rooms.lighting import Environment, bake
from rooms.renderer import Renderer, Rendering
from rooms.room import Room, compose_room
from rooms.sources import Sources, Split
from rooms.tracing import Tracer
from rooms.trajectories import Trajectory, exposure_of_views, good_trajectories, random_trajectory

SHEET_COLUMNS = 5


@dataclass
class Options:
    """What to render."""

    data: Path = Path("out/rooms-data")
    """Folder that tools/fetch_scenes.py has filled."""
    out: Path = Path("out/clips")
    """Folder for the clips."""
    split: Split = "train"
    """validation shows furniture, panoramas and pictures that train never shows."""
    export: Literal["clips", "scenes"] = "clips"
    """clips: one .npz each; scenes: folders with transforms.json and 16-bit depth PNGs in millimetres."""
    rooms: int = 12
    """Number of rooms."""
    clips: int = 4
    """Camera paths in each room; a room that offers fewer good ones gives fewer."""
    views: int = 12
    """Frames of each path."""
    size: str = "256x144"
    """Width x height in pixels."""
    supersampling: int = 2
    """n x n sub-samples for each pixel; 1 halves the time and shows stairs on edges."""
    seed: int = 0
    """Room i is made from seed + i alone."""
    sheet: Path | None = None
    """Also write a picture with a few frames of each room."""


def main(options: Options) -> None:
    width, height = parse_size(options.size)
    for name in ("rooms", "clips", "views", "supersampling"):
        if getattr(options, name) < 1:
            raise ValueError(f"--{name} expects 1 or more, got {getattr(options, name)}")
    sources = Sources.open(options.data, options.split)
    catalogue = Catalogue.of(sources)
    renderer = Renderer(width, height, options.supersampling)
    rows: list[UInt8[ndarray, "h w 3"]] = []
    for seed in range(options.seed, options.seed + options.rooms):
        start = time.perf_counter()
        rng = np.random.default_rng(seed)
        room = compose_room(rng, catalogue, sources)
        count = 0
        for index, clip in enumerate(render_room(rng, room, sources, renderer, options.clips, options.views)):
            save(clip, options, f"room{seed:05d}_{index}")
            count += 1
            if index == 0:
                rows.append(sheet_row(clip))
        print(f"{seed}: {describe(room)}, {count} clips, {time.perf_counter() - start:.1f} s", flush=True)
    if options.sheet is not None and rows:
        options.sheet.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.concatenate(rows)).save(options.sheet)


def parse_size(text: str, option: str = "--size") -> tuple[int, int]:
    """``256x144`` to (256, 144)."""
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if match is None or min(int(match[1]), int(match[2])) < 8:
        raise ValueError(f"{option} expects WIDTHxHEIGHT such as 256x144, at least 8 pixels each, got {text!r}")
    return int(match[1]), int(match[2])


def render_room(
    rng: np.random.Generator,
    room: Room,
    sources: Sources,
    renderer: Renderer,
    count: int,
    views: int,
    propose: Callable[[np.random.Generator, float, float, int], Trajectory] = random_trajectory,
) -> Iterator[Clip]:
    """Lights a room and renders up to ``count`` clips of it, along paths that ``propose`` makes."""
    tracer = Tracer(room.meshes)
    aspect = renderer.width / renderer.height
    paths = list(good_trajectories(rng, room, tracer, count, views, aspect, propose))
    if not paths:
        return
    environment = Environment.load(rng, sources.panoramas[int(rng.integers(len(sources.panoramas)))])
    light = bake(rng, room, environment, tracer)
    poses = [(pose, path.fov_x_degrees) for path in paths for pose in path.cam_to_world[::4]]
    exposure = exposure_of_views(tracer, light, poses, aspect)
    batches, backdrop = renderer.upload(room.meshes, light), renderer.upload_backdrop(environment.backdrop)
    try:
        for path in paths:
            frames = [renderer.render(batches, backdrop, pose, path.fov_x_degrees, exposure) for pose in path.cam_to_world]
            yield make_clip(path, frames)
    finally:
        renderer.release(batches)
        backdrop.release()


def make_clip(path: Trajectory, frames: list[Rendering]) -> Clip:
    rgb, depth, _ = (np.stack(arrays) for arrays in zip(*frames, strict=True))
    return Clip(rgb, depth_to_millimetres(depth), path.cam_to_world, path.fov_x_degrees, path.kind)


def save(clip: Clip, options: Options, name: str) -> None:
    if options.export == "scenes":
        export_scene(clip, options.out / name)
    else:
        write_clip(clip, options.out / f"{name}.npz")


def describe(room: Room) -> str:
    triangles = sum(len(mesh) for mesh in room.meshes)
    return f"{room.kind} {room.width:.1f} x {room.depth:.1f} m, {len(room.item_names)} things, {triangles} triangles"


def sheet_row(clip: Clip) -> UInt8[ndarray, "h w 3"]:
    """A few frames of a clip and the depth of the first, nearer = brighter, beside each other."""
    chosen = np.linspace(0, len(clip.rgb) - 1, SHEET_COLUMNS).round().astype(int)
    depth = clip.depth_mm[0].astype(np.float32)
    inverse = np.where(depth > 0, 1.0 / np.maximum(depth, 1.0), 0.0)
    grey = np.clip(inverse / max(float(np.percentile(inverse, 98)), 1e-9) * 255, 0, 255).astype(np.uint8)
    return np.concatenate([*clip.rgb[chosen], np.repeat(grey[..., None], 3, axis=2)], axis=1)


if __name__ == "__main__":
    try:
        main(tyro.cli(Options, description=__doc__))
    except (ValueError, OSError) as error:
        sys.exit(f"render_rooms: {error}")
