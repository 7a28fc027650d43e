"""Renders single frames with depth for training the depth model: rooms with near things, stairwells, the open air, game levels.

Fetch the sources first with tools/fetch_scenes.py. Needs the extra `train` and EGL (Debian: libegl1, libgl1-mesa-dri).

    python tools/render_frames.py --kind near --scenes 400 --out out/frames --sheet out/near.png
    python tools/render_frames.py --kind open --scenes 200 --out out/frames
    python tools/render_frames.py --kind levels --scenes 60 --frames 20 --out out/frames

Each scene is one .npz of rgb, depth_mm and labels (rooms/labels.py) as tools/train_depth.py reads it; unlike a clip's, its
frames do not belong together. A scene that is already there is left as it is, so the same command goes on with what is missing.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import tyro
from jaxtyping import Float, UInt8
from numpy import ndarray
from PIL import Image

from render_rooms import parse_size
from rooms.clips import depth_to_millimetres
from rooms.furniture import Catalogue
from rooms.glow import Beam, light_things, of_room
from rooms.labels import colours
from rooms.level_views import random_view
from rooms.lighting import BakedLight, Environment, bake, choose_exposure
from rooms.meshes import DISPLAY_GAMMA
from rooms.near_things import FOV_RANGE, View, random_pose, random_setup
from rooms.open_air import random_open_air, random_sky
from rooms.quake_levels import Level, level_files, load_level
from rooms.renderer import Renderer, Rendering
from rooms.room import Room, compose_room
from rooms.sources import Sources, Split
from rooms.stairs import random_stairwell
from rooms.tracing import Tracer
from rooms.trajectories import direction, is_clear, probe_rays, view_statistics

TRIES_PER_FRAME = 30
MIN_DEPTH_SPREAD = 0.08
"""Standard deviation of log depth below which a frame shows a blank wall."""
NEAREST = 0.1
"""Metres: what is nearer than this fills the picture or cuts it."""
MOST_SKY_BELOW = 0.05
"""Share of the lowest row of a level's frame: beyond it the camera looks into an abyss."""
DARKEST = 0.004
"""Mean linear light of a level's frame at exposure 1."""
MOST_BLACK = 0.15
"""Share of a level's frame that may show nothing."""


@dataclass
class Options:
    """What to render."""

    data: Path = Path("out/rooms-data")
    """Folder that tools/fetch_scenes.py has filled."""
    out: Path = Path("out/frames")
    """Folder for the frames."""
    kind: Literal["near", "stairs", "open", "levels"] = "near"
    """near: furnished rooms with hands, people, tables and things before the camera; stairs: stairwells; open: outdoors;
    levels: game levels (fetched with --levels)."""
    split: Split = "train"
    """validation shows furniture, pictures and levels that train never shows."""
    scenes: int = 100
    """Number of scenes."""
    frames: int = 10
    """Frames of each."""
    size: str = "384x288"
    """Width x height in pixels."""
    supersampling: int = 2
    """n x n sub-samples for each pixel."""
    seed: int = 0
    """Scene i is made from seed + i alone."""
    sheet: Path | None = None
    """Also write a picture with the frames of the first scenes."""


def main(options: Options) -> None:
    render = scene_maker(options, Renderer(*parse_size(options.size), options.supersampling))
    rows: list[UInt8[ndarray, "h w 3"]] = []
    options.out.mkdir(parents=True, exist_ok=True)
    for seed in range(options.seed, options.seed + options.scenes):
        path = options.out / f"{options.kind}{seed:06d}_0.npz"
        if path.exists():
            continue
        start = time.perf_counter()
        frames = list(render(seed))
        if frames:
            write_frames(path, frames)
            rows.append(sheet_row(frames))
        print(f"{path.stem}: {len(frames)} frames, {time.perf_counter() - start:.1f} s", flush=True)
        if options.sheet is not None and rows and len(rows) <= 10:
            options.sheet.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.concatenate(rows)).save(options.sheet)


def scene_maker(options: Options, renderer: Renderer) -> Callable[[int], Iterator[Rendering]]:
    """Makes the frames of one scene from its seed; levels follow each other by name and begin anew after the last."""
    if options.kind == "levels":
        files = level_files(options.data / "levels", held_out=options.split == "validation")
        return lambda seed: frames_of_level(
            np.random.default_rng(seed), load_level(files[seed % len(files)]), renderer, options.frames
        )
    sources = Sources.open(options.data, options.split)
    catalogue = Catalogue.of(sources)
    make = {"near": frames_of_room, "stairs": frames_of_stairwell, "open": frames_outdoors}[options.kind]
    return lambda seed: make(np.random.default_rng(seed), sources, catalogue, renderer, options.frames)


def frames_of_room(
    rng: np.random.Generator, sources: Sources, catalogue: Catalogue, renderer: Renderer, count: int
) -> Iterator[Rendering]:
    """Frames in one room, most with things set before the camera that are lit by the room."""
    room = compose_room(rng, catalogue, sources)
    tracer = Tracer(room.meshes)
    environment = Environment.load(rng, sources.panoramas[int(rng.integers(len(sources.panoramas)))])
    light = bake(rng, room, environment, tracer)
    textures = (*sources.floors, *sources.walls, *sources.photos)
    batches, backdrop = renderer.upload(room.meshes, light), renderer.upload_backdrop(environment.backdrop)
    aspect = renderer.width / renderer.height
    try:
        for _ in range(count):
            setup = random_setup(rng)
            fov = float(rng.uniform(*FOV_RANGE))
            pose = clear_pose(rng, room, tracer, setup.heights, setup.elevations, fov, aspect, bare=setup.name != "nothing")
            if pose is None:
                continue
            view = View(pose, fov, lambda directions, eye=pose[:3, 3]: tracer.distances(eye, directions))
            meshes = setup.make(rng, view, textures, catalogue)
            exposure = exposed(rng, tracer, light, pose, fov, aspect)
            extra = []
            if meshes:
                near_light = lit_by_room(rng, meshes, room, tracer, light, environment)
                extra = renderer.upload(meshes, near_light)
            frame = renderer.render([*batches, *extra], backdrop, pose, fov, exposure)
            renderer.release(extra)
            if is_worth_learning(frame.depth):
                yield frame
    finally:
        renderer.release(batches)
        backdrop.release()


def clear_pose(
    rng: np.random.Generator,
    room: Room,
    tracer: Tracer,
    heights: tuple[float, float],
    elevations: tuple[float, float],
    fov: float,
    aspect: float,
    bare: bool,
) -> Float[ndarray, "4 4"] | None:
    """A camera with nothing of the room right before it; where nothing is set before it (not ``bare``), it must see things."""
    for _ in range(TRIES_PER_FRAME):
        pose = random_pose(rng, room.width, room.depth, heights, elevations)
        if not is_clear(tracer, room, pose[:3, 3]):
            continue
        seen = view_statistics(tracer, pose, fov, aspect)
        if seen.nearest > 0.3 and seen.median > 0.7 and (bare or seen.things > 0.12):
            return pose
    return None


def exposed(
    rng: np.random.Generator, tracer: Tracer, light: BakedLight, pose: Float[ndarray, "4 4"], fov: float, aspect: float
) -> float:
    """The exposure for one view of a room, now and then too bright or too dark."""
    return choose_exposure(tracer, light, pose[:3, 3], probe_rays(pose, fov, aspect)) * float(np.exp(rng.normal(0.0, 0.35)))


def lit_by_room(
    rng: np.random.Generator, meshes: list, room: Room, tracer: Tracer, light: BakedLight, environment: Environment
) -> BakedLight:
    """Light on things that are set into a lit room: what the room sends, and its lamps."""
    centre = np.concatenate([mesh.positions.reshape(-1, 3) for mesh in meshes]).mean(0).astype(np.float64)
    beams: list[Beam] = []
    for lamp in room.lamps:
        offset = lamp - centre
        distance = max(float(np.linalg.norm(offset)), 0.5)
        beams.append((offset / distance, np.array([1.0, 0.9, 0.76]) * rng.uniform(3.0, 9.0) / len(room.lamps) / distance**2))
    return light_things(rng, meshes, of_room(tracer, light, centre, environment.radiance), beams)


def frames_of_stairwell(
    rng: np.random.Generator, sources: Sources, catalogue: Catalogue, renderer: Renderer, count: int
) -> Iterator[Rendering]:
    """Frames up and down one flight of stairs."""
    meshes, lamps, poses = random_stairwell(rng, (*sources.floors, *sources.walls), count)
    tracer = Tracer(meshes)
    environment = Environment.load(rng, sources.panoramas[int(rng.integers(len(sources.panoramas)))])
    room = Room("stairs", 0, 0, 0, tuple(meshes), (), tuple(lamps), ())
    light = bake(rng, room, environment, tracer)
    batches, backdrop = renderer.upload(meshes, light), renderer.upload_backdrop(environment.backdrop)
    aspect = renderer.width / renderer.height
    try:
        for pose in poses:
            fov = float(rng.uniform(*FOV_RANGE))
            frame = renderer.render(batches, backdrop, pose, fov, exposed(rng, tracer, light, pose, fov, aspect))
            if is_worth_learning(frame.depth):
                yield frame
    finally:
        renderer.release(batches)
        backdrop.release()


def frames_outdoors(
    rng: np.random.Generator, sources: Sources, catalogue: Catalogue, renderer: Renderer, count: int
) -> Iterator[Rendering]:
    """Frames in one place under the open sky."""
    scene = random_open_air(rng, (*sources.floors, *sources.walls), count, (*sources.grown, *sources.grown, *sources.photos))
    tracer = Tracer(scene.meshes)
    light = light_things(rng, scene.meshes, scene.radiance, [scene.sun], tracer)
    batches, backdrop = renderer.upload(scene.meshes, light), renderer.upload_backdrop(scene.sky)
    aspect = renderer.width / renderer.height
    try:
        for pose in scene.poses:
            fov = float(rng.uniform(*FOV_RANGE))
            frame = renderer.render(batches, backdrop, pose, fov, exposed(rng, tracer, light, pose, fov, aspect))
            if is_worth_learning(frame.depth):
                yield frame
    finally:
        renderer.release(batches)
        backdrop.release()


def frames_of_level(rng: np.random.Generator, level: Level, renderer: Renderer, count: int) -> Iterator[Rendering]:
    """Frames at eye height in one level, under a random sky."""
    if not len(level.starts):
        return
    tracer = Tracer([surface.mesh for surface in level.surfaces])
    sky = random_sky(rng, bool(rng.random() < 0.4), direction(rng.uniform(0, 2 * np.pi), rng.uniform(0.15, 1.3)))
    batches, backdrop = renderer.upload_level(level), renderer.upload_backdrop(sky)
    found = 0
    try:
        for _ in range(TRIES_PER_FRAME * count):
            view = random_view(rng, tracer, level.starts, renderer.width / renderer.height)
            if view is None:
                continue
            pose, fov = view.cam_to_world, view.fov_x_degrees
            trial = renderer.render(batches, backdrop, pose, fov, exposure=1.0)
            if not is_worth_learning(trial.depth) or (trial.depth[-1] == 0).mean() > MOST_SKY_BELOW:
                continue
            exposure = exposure_for(rng, trial)
            if exposure is None:
                continue
            frame = renderer.render(batches, backdrop, pose, fov, exposure)
            if (frame.rgb.max(-1) < 8).mean() > MOST_BLACK:
                continue
            yield frame
            found += 1
            if found == count:
                return
    finally:
        renderer.release(batches)
        renderer.release_textures()
        backdrop.release()


def exposure_for(rng: np.random.Generator, trial: Rendering) -> float | None:
    """The factor that brings a picture taken at exposure 1 to a medium brightness; None where all is dark."""
    rgb, depth = trial.rgb[::4, ::4], trial.depth[::4, ::4]
    linear = np.clip((rgb[depth > 0] / 255.0) ** DISPLAY_GAMMA, 0.0, 0.6).mean()
    if linear < DARKEST:
        return None
    return float(np.clip(rng.uniform(0.08, 0.25) / linear, 0.5, 12.0))


def is_worth_learning(depth: Float[ndarray, "h w"]) -> bool:
    """Neither a blank wall nor all sky nor something that touches the lens."""
    there = depth[depth > 0]
    if len(there) < 0.15 * depth.size:
        return False
    return bool(np.quantile(there, 0.01) > NEAREST and np.log(there).std() > MIN_DEPTH_SPREAD)


def write_frames(path: Path, frames: list[Rendering]) -> None:
    """Writes ``rgb``, ``depth_mm`` (0 = sky) and ``labels`` (``rooms.labels``); the file appears whole or not at all."""
    rgb, depth, labels = (np.stack(arrays) for arrays in zip(*frames, strict=True))
    temporary = path.with_suffix(".part")
    with temporary.open("wb") as file:
        np.savez_compressed(file, rgb=rgb, depth_mm=depth_to_millimetres(depth), labels=labels)
    os.replace(temporary, path)


def sheet_row(frames: list[Rendering], columns: int = 8, width: int = 192) -> UInt8[ndarray, "h w 3"]:
    """Frames and, below them, their inverse depth and their labels."""
    cells = []
    for rgb, depth, labels in (frames * columns)[:columns]:
        inverse = np.where(depth > 0, 1.0 / np.maximum(depth, 1e-3), 0.0)
        grey = np.clip(inverse / max(float(np.percentile(inverse, 98)), 1e-9) * 255, 0, 255).astype(np.uint8)
        pair = Image.fromarray(np.concatenate([rgb, np.repeat(grey[..., None], 3, axis=2), colours(labels)]))
        cells.append(np.asarray(pair.resize((width, width * pair.height // pair.width))))
    return np.concatenate(cells, axis=1)


if __name__ == "__main__":
    try:
        main(tyro.cli(Options, description=__doc__))
    except (ValueError, OSError) as error:
        sys.exit(f"render_frames: {error}")
