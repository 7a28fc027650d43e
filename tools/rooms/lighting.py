"""Light baked at the vertices: lamps, daylight through the windows, sun, and three diffuse bounces.

The irradiance of a surface is gathered with a fixed set of directions (so that it is smooth, without noise) and Embree for
visibility. Everything is in linear light and in arbitrary units: ``choose_exposure`` sets the scale of the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int, UInt8
from numpy import ndarray

from rooms.meshes import DISPLAY_GAMMA
from rooms.room import Room
from rooms.shell import WindowPane
from rooms.tracing import Tracer, sphere_directions

WELD_DISTANCE = 0.045
"""Vertices closer than this (metres) with alike normals share one light value."""
SURFACE_OFFSET = 0.012
BOUNCE_DIRECTIONS = 48
BOUNCES = 3
LAMP_SAMPLES = 6
SUN_CHANCE = 0.3
LIGHT_MAP_SHAPE = (16, 32)
"""Panoramas are blurred to this before they light a room."""
TARGET_BRIGHTNESS = 0.47
"""Mean display value that pictures are exposed to."""


@dataclass(frozen=True, eq=False)
class Environment:
    """The world behind the windows: a blurred light map (linear) and a picture (display values); equirectangular, y up."""

    light: Float[ndarray, "16 32 3"]
    backdrop: UInt8[ndarray, "h w 3"]

    @staticmethod
    def load(rng: np.random.Generator, path: Path) -> Environment:
        """A panorama, turned by a random angle and of random brightness."""
        pixels = np.load(path).astype(np.float32)
        pixels = np.roll(np.minimum(pixels, np.percentile(pixels, 99.5)), int(rng.integers(pixels.shape[1])), axis=1)
        pixels = np.clip(pixels, 0.0, None) / pixels[: len(pixels) // 2].mean()
        rows, columns = LIGHT_MAP_SHAPE
        height, width = len(pixels) // rows * rows, pixels.shape[1] // columns * columns
        light = pixels[:height, :width].reshape(rows, height // rows, columns, width // columns, 3).mean((1, 3))
        grey = light.mean(-1, keepdims=True)
        # Half the saturation: one coloured lamp in a panorama must not paint the whole room.
        light = (grey + 0.5 * (light - grey)) * rng.uniform(1.5, 4.8)
        picture = np.clip(pixels * rng.uniform(0.45, 1.1), 0.0, 1.0) ** (1 / DISPLAY_GAMMA)
        return Environment(light, (picture * 255).astype(np.uint8))

    def radiance(self, directions: Float[ndarray, "r 3"]) -> Float[ndarray, "r 3"]:
        rows, columns = LIGHT_MAP_SHAPE
        u = (np.arctan2(directions[:, 0], -directions[:, 2]) / (2 * np.pi) + 0.5) * columns
        v = np.arccos(np.clip(directions[:, 1], -1, 1)) / np.pi * rows
        return self.light[np.clip(v.astype(int), 0, rows - 1), np.clip(u.astype(int), 0, columns - 1)]


@dataclass(frozen=True, eq=False)
class BakedLight:
    """Irradiance / pi for each mesh's corners (albedo times it is the outgoing radiance), and radiance for each face."""

    corners: list[Float[ndarray, "t 3 3"]]
    face_radiance: Float[ndarray, "n 3"]


@dataclass(frozen=True, eq=False)
class _Points:
    """Welded vertices: where light is gathered."""

    origins: Float[ndarray, "m 3"]
    normals: Float[ndarray, "m 3"]
    of_corner: Int[ndarray, "..."]
    """For each corner of each triangle the index of its point."""


def bake(rng: np.random.Generator, room: Room, environment: Environment, tracer: Tracer) -> BakedLight:
    """The light of a room."""
    points = _weld(room)
    albedo = np.concatenate([np.broadcast_to(0.9 * mesh.material.albedo(), (len(mesh), 3)) for mesh in room.meshes])
    direct = _lamp_light(rng, room.lamps, points, tracer)
    for pane in room.panes:
        direct += _window_light(rng, pane, environment, points, tracer)
    if room.panes and rng.random() < SUN_CHANCE:
        direct += _sun_light(rng, room.panes[int(rng.integers(len(room.panes)))], points, tracer)
    total = _bounce(direct, albedo, points, tracer)
    lit = total[total.sum(1) > 0]
    ambient = 0.08 * direct.mean(0) + 0.04 * (np.median(lit) if len(lit) else 1.0)
    corners = ((total + ambient)[points.of_corner] / np.pi).reshape(-1, 3, 3).astype(np.float32)
    ends = np.cumsum([len(mesh) for mesh in room.meshes])[:-1]
    return BakedLight(np.split(corners, ends), corners.mean(1) * albedo)


def choose_exposure(
    tracer: Tracer, light: BakedLight, origins: Float[ndarray, "r 3"], directions: Float[ndarray, "r 3"]
) -> float:
    """The factor that brings what these rays see to a medium brightness."""
    faces = tracer.faces(origins, directions)
    radiance = light.face_radiance[faces[faces >= 0]]
    low, high = -6.0, 8.0
    for _ in range(24):
        middle = (low + high) / 2
        brightness = (np.clip(radiance * 2.0**middle, 0.0, 1.0) ** (1 / DISPLAY_GAMMA)).mean() if len(radiance) else 1.0
        low, high = (middle, high) if brightness < TARGET_BRIGHTNESS else (low, middle)
    return float(2.0**low)


def _weld(room: Room) -> _Points:
    positions = np.concatenate([mesh.positions for mesh in room.meshes]).reshape(-1, 3)
    normals = np.concatenate([mesh.normals for mesh in room.meshes]).reshape(-1, 3)
    cells = np.round((positions - positions.min(0)) / WELD_DISTANCE).astype(np.int64)
    facings = np.round(normals * 1.6).astype(np.int64) + 2
    # One integer for each cell and facing: rooms are far below 2^12 cells long, facings lie in 0..4.
    keys = cells @ np.array([1 << 24, 1 << 12, 1]) * 125 + facings @ np.array([25, 5, 1])
    _, first, of_corner = np.unique(keys, return_index=True, return_inverse=True)
    normals = normals[first] / np.maximum(np.linalg.norm(normals[first], axis=1, keepdims=True), 1e-6)
    return _Points(positions[first] + SURFACE_OFFSET * normals, normals, of_corner.ravel())


def _towards(points: _Points, target: Float[ndarray, "3"]) -> tuple[ndarray, ndarray, ndarray]:
    """Directions, distances and cosines at the surface from every point to a target."""
    directions = target - points.origins
    distances = np.linalg.norm(directions, axis=1)
    directions = directions / np.maximum(distances, 1e-6)[:, None]
    return directions, distances, np.clip((directions * points.normals).sum(1), 0.0, None)


def _visible(
    tracer: Tracer, points: _Points, directions: ndarray, reach: ndarray | float, candidates: ndarray
) -> Float[ndarray, "m"]:
    """1 where a candidate's ray is free, 0 elsewhere."""
    visible = np.zeros(len(points.origins))
    reach = np.broadcast_to(reach, len(visible))[candidates]
    visible[candidates] = ~tracer.occluded(points.origins[candidates], directions[candidates], reach)
    return visible


def _lamp_light(rng: np.random.Generator, lamps: Sequence[ndarray], points: _Points, tracer: Tracer) -> Float[ndarray, "m 3"]:
    """Warm light from small spheres, falling with the square of the distance."""
    light = np.zeros_like(points.origins, dtype=np.float64)
    for lamp in lamps:
        intensity = np.array([1.0, 0.9, 0.76]) * rng.uniform(3.0, 9.0) / len(lamps) / LAMP_SAMPLES
        for _ in range(LAMP_SAMPLES):
            target = lamp + rng.normal(0.0, 0.2, 3) * [1.0, 0.2, 1.0]
            directions, distances, cosine = _towards(points, target)
            visible = _visible(tracer, points, directions, 0.97 * distances, cosine > 0)
            light += (visible * cosine / np.maximum(distances, 0.4) ** 2)[:, None] * intensity
    return light


def _window_light(
    rng: np.random.Generator, pane: WindowPane, environment: Environment, points: _Points, tracer: Tracer
) -> Float[ndarray, "m 3"]:
    """Daylight: nine samples over the pane, each with the radiance of the world behind it."""
    light = np.zeros_like(points.origins, dtype=np.float64)
    area = np.linalg.norm(pane.edge_u) * np.linalg.norm(pane.edge_v)
    samples = [(a, b) for a in (0.17, 0.5, 0.83) for b in (0.2, 0.5, 0.8)]
    for a, b in samples:
        a, b = np.array([a, b]) + rng.uniform(-0.1, 0.1, 2)
        target = pane.corner + a * pane.edge_u + b * pane.edge_v - 0.12 * pane.inward
        directions, distances, cosine = _towards(points, target)
        form = cosine * np.clip(-(directions @ pane.inward), 0.0, None)
        visible = _visible(tracer, points, directions, 0.98 * distances, form > 1e-4)
        weight = visible * form / np.maximum(distances, 0.3) ** 2 * area / len(samples)
        light += weight[:, None] * environment.radiance(directions)
    return light


def _sun_light(rng: np.random.Generator, pane: WindowPane, points: _Points, tracer: Tracer) -> Float[ndarray, "m 3"]:
    """Parallel light that enters through one window."""
    azimuth, elevation = rng.uniform(-0.8, 0.8), rng.uniform(0.35, 1.0)
    sideways = np.cross(pane.inward, [0.0, 1.0, 0.0])
    level = -pane.inward * np.cos(azimuth) + sideways * np.sin(azimuth)
    sun = level * np.cos(elevation) + np.array([0.0, np.sin(elevation), 0.0])
    cosine = np.clip(points.normals @ sun, 0.0, None)
    directions = np.broadcast_to(sun, points.origins.shape)
    visible = _visible(tracer, points, directions, 50.0, cosine > 0)
    return (visible * cosine)[:, None] * np.array([1.0, 0.93, 0.8]) * rng.uniform(1.5, 5.0)


def _bounce(
    direct: Float[ndarray, "m 3"], albedo: Float[ndarray, "n 3"], points: _Points, tracer: Tracer
) -> Float[ndarray, "m 3"]:
    """Direct light plus what the surfaces that each point sees send back."""
    gathered = []
    for direction in sphere_directions(BOUNCE_DIRECTIONS):
        cosine = points.normals @ direction
        seen = np.flatnonzero(cosine > 0.02)
        faces = tracer.faces(points.origins[seen], np.broadcast_to(direction, (len(seen), 3)))
        hit = faces >= 0
        gathered.append((seen[hit], faces[hit], cosine[seen[hit]].astype(np.float32)))
    total = direct
    for _ in range(BOUNCES):
        outgoing = (total[points.of_corner].reshape(-1, 3, 3).mean(1) * albedo).astype(np.float32)
        indirect = np.zeros(direct.shape, np.float32)
        for seen, faces, cosine in gathered:
            indirect[seen] += outgoing[faces] * cosine[:, None]
        # Uniform sampling of the sphere: the integral is 4 pi / n times the sum; a matt surface sends out radiosity / pi.
        total = direct + indirect * (4 / BOUNCE_DIRECTIONS)
    return total
