"""Validation scenes whose cameras leave their place: about things on a table, and about what stands alone in the open."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from rooms.around import paths_about
from rooms.clips import Clip, depth_to_millimetres
from rooms.furniture import Catalogue
from rooms.glow import light_things
from rooms.grounds import clear_of, compose_place
from rooms.lighting import BakedLight, Environment, bake, choose_exposure
from rooms.meshes import Mesh
from rooms.renderer import Renderer
from rooms.room import compose_room
from rooms.sources import Sources
from rooms.tabletop import with_things
from rooms.tracing import Tracer
from rooms.trajectories import is_clear, look_at, probe_rays

TRIES = 150
"""Places for the first camera that are tried about a subject."""
ROOM_FOV, OPEN_FOV = (50.0, 70.0), (45.0, 65.0)
THINGS = 6
LENS_CLEARANCE = 0.6
"""Metres that cameras in the open keep from everything."""
BEYOND = 0.3
"""Metres beyond the subject that a first camera in a room sees at least, in the median: no view onto one thing."""


@dataclass(frozen=True, eq=False)
class Shot:
    """Lit meshes and the paths about their subject, ready to be rendered.

    Attributes:
        name: what the subject is.
        backdrop: a panorama, display values.
    """

    name: str
    meshes: tuple[Mesh, ...]
    light: BakedLight
    tracer: Tracer
    backdrop: ndarray
    fov_x_degrees: float
    paths: dict[str, Float[ndarray, "v 4 4"]]


def room_shot(seed: int, catalogue: Catalogue, sources: Sources, views: int, aspect: float) -> Shot | None:
    """A room with things on a table, and paths about them; None where the room offers none."""
    rng = np.random.default_rng(seed)
    set_out = with_things(rng, compose_room(rng, catalogue, sources), sources.photos, THINGS)
    if set_out is None:
        return None
    room, subject = set_out
    tracer, fov = Tracer(room.meshes), float(rng.uniform(*ROOM_FOV))

    def clear(eyes: ndarray) -> ndarray:
        return np.array([is_clear(tracer, room, eye) for eye in eyes])

    for _ in range(TRIES):
        azimuth, away = rng.uniform(0, 2 * np.pi), rng.uniform(0.75, 1.9)
        eye = subject + np.array([away * np.sin(azimuth), rng.uniform(0.15, 0.55), away * np.cos(azimuth)])
        rays = probe_rays(look_at(eye, subject), fov, aspect)
        if not clear(eye[None])[0] or np.median(tracer.distances(eye, rays)) < away + BEYOND:
            continue
        paths = paths_about(eye, subject, views, clear, tracer.distances)
        if paths:
            environment = Environment.load(rng, sources.panoramas[int(rng.integers(len(sources.panoramas)))])
            light = bake(rng, room, environment, tracer)
            return Shot(room.kind, room.meshes, light, tracer, environment.backdrop, fov, paths)
    return None


def open_shot(seed: int, textures: dict[str, Path], views: int) -> Shot | None:
    """A place in the open and paths about what stands in its middle; None where something is in the way."""
    rng = np.random.default_rng(seed)
    place = compose_place(rng, textures)
    tracer, fov = Tracer(place.meshes), float(rng.uniform(*OPEN_FOV))
    clear = clear_of(tracer, LENS_CLEARANCE)
    for _ in range(TRIES):
        azimuth, away = rng.uniform(0, 2 * np.pi), rng.uniform(4.0, 9.0)
        eye = np.array([away * np.sin(azimuth), rng.uniform(1.4, 1.9), away * np.cos(azimuth)])
        paths = paths_about(eye, place.subject, views, clear, tracer.distances)
        if paths:
            light = light_things(rng, place.meshes, place.radiance, [(place.sun, place.glare)], tracer)
            return Shot(place.name, place.meshes, light, tracer, place.backdrop, fov, paths)
    return None


def render_shot(shot: Shot, renderer: Renderer, wanted: Sequence[str]) -> Iterator[tuple[str, Clip]]:
    """A clip for each of the wanted paths, by its name; all have one exposure and begin with the same picture."""
    aspect = renderer.width / renderer.height
    first = next(iter(shot.paths.values()))[0]
    rays = probe_rays(first, shot.fov_x_degrees, aspect)
    exposure = choose_exposure(shot.tracer, shot.light, np.broadcast_to(first[:3, 3], rays.shape), rays)
    batches, backdrop = renderer.upload(shot.meshes, shot.light), renderer.upload_backdrop(shot.backdrop)
    try:
        for name, poses in ((name, poses) for name, poses in shot.paths.items() if name in wanted):
            frames = [renderer.render(batches, backdrop, pose, shot.fov_x_degrees, exposure) for pose in poses]
            rgb, depth, _ = (np.stack(arrays) for arrays in zip(*frames, strict=True))
            yield name, Clip(rgb, depth_to_millimetres(depth), poses, shot.fov_x_degrees, name)
    finally:
        renderer.release(batches)
        backdrop.release()
