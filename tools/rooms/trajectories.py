"""Camera paths through a room: how they run, whether they keep clear of things, and whether they show enough."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from rooms.lighting import BakedLight, choose_exposure
from rooms.room import Room
from rooms.tracing import Tracer, sphere_directions

PATH_KINDS = ("orbit", "pan360", "dolly", "walk")
FOV_RANGE = (60.0, 85.0)
CLEARANCE = 0.25
"""No surface may be closer to the camera than this, in metres."""
WALL_CLEARANCE = 0.2
TRIES_PER_CLIP = 60
PROBE_GRID = (11, 7)
"""Rays through a view by which it is judged, across and down."""


@dataclass(frozen=True, eq=False)
class Trajectory:
    """The cameras of one clip: OpenGL camera-to-world matrices and the horizontal field of view."""

    kind: str
    cam_to_world: Float[ndarray, "v 4 4"]
    fov_x_degrees: float


@dataclass(frozen=True)
class ViewStatistics:
    """What a view shows, from a few rays: distances in metres; ``things`` is the share that hits no wall, floor or ceiling."""

    nearest: float
    median: float
    things: float
    meshes: int


def look_at(eye: Float[ndarray, "3"], target: Float[ndarray, "3"]) -> Float[ndarray, "4 4"]:
    """An upright camera at ``eye`` that looks at ``target`` (not straight up or down)."""
    backward = np.asarray(eye, np.float64) - np.asarray(target, np.float64)
    backward /= np.linalg.norm(backward)
    right = np.cross([0.0, 1.0, 0.0], backward)
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :4] = np.stack([right, np.cross(backward, right), backward, eye], axis=1)
    return pose


def direction(azimuth: float, elevation: float) -> Float[ndarray, "3"]:
    """The unit vector at these angles (radians); azimuth 0 is +z."""
    return np.array([np.sin(azimuth) * np.cos(elevation), np.sin(elevation), np.cos(azimuth) * np.cos(elevation)])


def pan360(
    centre: Float[ndarray, "3"], views: int, azimuth: float, elevation: float, radius: float = 0.0
) -> Float[ndarray, "v 4 4"]:
    """A full turn, looking outwards from a circle of ``radius``; one more view would be the first again."""
    poses = []
    for angle in azimuth + 2 * np.pi * np.arange(views) / views:
        eye = centre + radius * direction(angle, 0.0)
        poses.append(look_at(eye, eye + direction(angle, elevation)))
    return np.stack(poses)


def closed_turn(
    centre: Float[ndarray, "3"], views: int, azimuth: float, elevation: float, radius: float = 0.0
) -> Float[ndarray, "v 4 4"]:
    """A full turn as ``pan360`` makes it whose last view is the first again."""
    poses = pan360(centre, views - 1, azimuth, elevation, radius)
    return np.concatenate([poses, poses[:1]])


def orbit(eye: Float[ndarray, "3"], target: Float[ndarray, "3"], views: int, sweep: float) -> Float[ndarray, "v 4 4"]:
    """An arc of ``sweep`` radians about the vertical axis through ``target``, with ``eye`` in its middle."""
    offset = eye - target
    poses = []
    for angle in np.linspace(-sweep / 2, sweep / 2, views):
        c, s = np.cos(angle), np.sin(angle)
        turned = np.array([c * offset[0] + s * offset[2], offset[1], -s * offset[0] + c * offset[2]])
        poses.append(look_at(target + turned, target))
    return np.stack(poses)


def straight(
    start: Float[ndarray, "3"], end: Float[ndarray, "3"], views: int, azimuth: float, turn: float, elevation: float
) -> Float[ndarray, "v 4 4"]:
    """From ``start`` to ``end`` at constant speed, the azimuth turning by ``turn`` radians on the way."""
    poses = []
    for t in np.linspace(0.0, 1.0, views):
        eye = start + t * (end - start)
        poses.append(look_at(eye, eye + direction(azimuth + t * turn, elevation)))
    return np.stack(poses)


def random_trajectory(rng: np.random.Generator, width: float, depth: float, views: int) -> Trajectory:
    """A path of random kind that starts inside a room of this size; it may run into things."""
    kind = str(rng.choice(PATH_KINDS))
    eye = np.array([rng.uniform(-0.45, 0.45) * width, rng.uniform(1.0, 1.75), rng.uniform(-0.45, 0.45) * depth])
    azimuth, elevation = rng.uniform(0, 2 * np.pi), rng.uniform(-0.35, 0.02)
    if kind == "pan360":
        radius = float(rng.choice([0.0, rng.uniform(0.05, 0.25)]))
        poses = pan360(eye, views, azimuth, elevation, radius)
    elif kind == "orbit":
        target = np.array([rng.uniform(-0.25, 0.25) * width, rng.uniform(0.4, 1.1), rng.uniform(-0.25, 0.25) * depth])
        poses = orbit(eye, target, views, float(rng.uniform(0.5, 1.6) * rng.choice([-1, 1])))
    else:
        # Most of the room lies towards its middle: look there, more or less.
        azimuth = np.arctan2(-eye[0], -eye[2]) + rng.normal(0.0, 0.6)
        heading = azimuth + (rng.uniform(-0.3, 0.3) if kind == "dolly" else rng.uniform(-np.pi, np.pi))
        end = eye + direction(heading, 0.0) * rng.uniform(0.4, 1.5)
        turn = rng.uniform(-0.2, 0.2) if kind == "dolly" else rng.uniform(-0.7, 0.7)
        poses = straight(eye, end, views, azimuth, turn, elevation)
    return Trajectory(kind, poses, float(rng.uniform(*FOV_RANGE)))


def random_closed_turn(rng: np.random.Generator, width: float, depth: float, views: int) -> Trajectory:
    """A full turn with a little parallax, back to its start, in the middle of a room of this size."""
    eye = np.array([rng.uniform(-0.3, 0.3) * width, rng.uniform(1.2, 1.6), rng.uniform(-0.3, 0.3) * depth])
    poses = closed_turn(eye, views, rng.uniform(0, 2 * np.pi), rng.uniform(-0.2, 0.0), rng.uniform(0.06, 0.16))
    return Trajectory("pan360", poses, float(rng.uniform(*FOV_RANGE)))


def probe_rays(cam_to_world: Float[ndarray, "4 4"], fov_x_degrees: float, aspect: float) -> Float[ndarray, "r 3"]:
    """Unit directions through a grid of points of the image; ``aspect`` is width / height."""
    columns, rows = PROBE_GRID
    half_width = np.tan(np.radians(fov_x_degrees) / 2)
    x, y = np.meshgrid(np.linspace(-0.9, 0.9, columns), np.linspace(-0.9, 0.9, rows))
    rays = np.stack([x * half_width, y * half_width / aspect, -np.ones_like(x)], axis=-1).reshape(-1, 3)
    rays = rays @ cam_to_world[:3, :3].T
    return rays / np.linalg.norm(rays, axis=1, keepdims=True)


def exposure_of_views(
    tracer: Tracer, light: BakedLight, views: Sequence[tuple[Float[ndarray, "4 4"], float]], aspect: float
) -> float:
    """One exposure for several views of a lit room, each a pose and a horizontal field of view in degrees."""
    rays = [probe_rays(pose, fov, aspect) for pose, fov in views]
    origins = np.concatenate([np.broadcast_to(pose[:3, 3], r.shape) for (pose, _), r in zip(views, rays, strict=True)])
    return choose_exposure(tracer, light, origins, np.concatenate(rays))


def view_statistics(tracer: Tracer, cam_to_world: Float[ndarray, "4 4"], fov_x_degrees: float, aspect: float) -> ViewStatistics:
    """What a camera sees, judged by its probe rays; a ray that leaves the room counts as 10 m and as a thing."""
    rays = probe_rays(cam_to_world, fov_x_degrees, aspect)
    distances = np.minimum(tracer.distances(cam_to_world[:3, 3], rays), 10.0)
    faces = tracer.faces(cam_to_world[:3, 3], rays)
    hit = faces[faces >= 0]
    shell = int(tracer.is_shell[hit].sum())
    return ViewStatistics(
        nearest=float(distances.min()),
        median=float(np.median(distances)),
        things=1.0 - shell / len(rays),
        meshes=len(np.unique(tracer.mesh_of_face[hit])),
    )


def is_clear(tracer: Tracer, room: Room, eye: Float[ndarray, "3"]) -> bool:
    """Whether the camera is inside the room and no surface is within its clearance."""
    inside = abs(eye[0]) < room.width / 2 - WALL_CLEARANCE and abs(eye[2]) < room.depth / 2 - WALL_CLEARANCE
    return inside and not tracer.occluded(eye, sphere_directions(24), CLEARANCE).any()


def is_worth_showing(kind: str, statistics: list[ViewStatistics]) -> bool:
    """No view into a blank wall or with something right before the lens.

    A full turn cannot choose where it looks: it is judged as a whole, with a quarter of its views free to be bare.
    """
    things = np.array([view.things for view in statistics])
    near = min(view.nearest for view in statistics)
    median = np.array([view.median for view in statistics])
    if kind == "pan360":
        return bool(near > 0.35 and median.mean() > 1.5 and things.mean() > 0.2 and np.quantile(things, 0.25) > 0.05)
    meshes = np.array([view.meshes for view in statistics])
    return bool(near > 0.4 and median.min() > 1.3 and things.min() > 0.12 and things.mean() > 0.22 and meshes.min() >= 6)


def good_trajectories(
    rng: np.random.Generator,
    room: Room,
    tracer: Tracer,
    count: int,
    views: int,
    aspect: float,
    propose: Callable[[np.random.Generator, float, float, int], Trajectory] = random_trajectory,
) -> Iterator[Trajectory]:
    """Up to ``count`` paths that keep clear of everything and are worth showing; fewer in a room that offers no more.

    ``propose`` makes a path from the random generator, the room's width and depth and the number of views.
    """
    found = 0
    for _ in range(count * TRIES_PER_CLIP):
        if found == count:
            return
        path = propose(rng, room.width, room.depth, views)
        if not all(is_clear(tracer, room, pose[:3, 3]) for pose in path.cam_to_world):
            continue
        statistics = [view_statistics(tracer, pose, path.fov_x_degrees, aspect) for pose in path.cam_to_world]
        if is_worth_showing(path.kind, statistics):
            found += 1
            yield path
