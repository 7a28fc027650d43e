"""Scenes of simple solids whose every view is known exactly: floors, walls, boxes, cylinders and spheres, ray-cast with numpy.

No graphics hardware and no package beyond the project's is needed. Surfaces have a smooth colour with grain, so that what is
made in them can be told from what is there.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, UInt8
from splatmem.classes import PixelClass, PixelClasses
from splatmem.geometry.cameras import Cameras
from torch import Tensor

FAR = 1e6
ROOM = (((0.0, 0.0, 1.0), 5.0), ((1.0, 0.0, 0.0), 3.2), ((-1.0, 0.0, 0.0), 3.2))  # normals and distances of its walls
EYE = 1.3
"""Height of the camera above the floor."""


@dataclass(frozen=True)
class Solid:
    """A box (centre, half sizes), an upright cylinder (centre, radius and half height twice) or a sphere (centre, radius)."""

    kind: str
    centre: tuple[float, float, float]
    size: tuple[float, ...]
    colour: tuple[float, float, float]


@dataclass(frozen=True)
class SolidScene:
    """Solids on a floor, with walls or under a sky.

    Attributes:
        name: for tables.
        solids: the things.
        walls: planes with outward normals and distances from the origin; none in the open.
    """

    name: str
    solids: tuple[Solid, ...]
    walls: tuple[tuple[tuple[float, float, float], float], ...] = field(default=())

    def view(self, camera: Cameras) -> tuple[Float[Tensor, "h w 3"], Float[Tensor, "h w"], PixelClasses]:
        """Colour, z-depth and classes of one camera's picture; things are numbered by their order from 1."""
        origin = camera.centers[0].double().numpy()
        rays = camera.world_rays()[0].double().numpy()
        depth = np.full(rays.shape[:2], FAR)
        labels = np.full(depth.shape, int(PixelClass.SKY), np.uint8)
        things = np.zeros(depth.shape, np.int16)
        colour = np.broadcast_to(np.array([0.55, 0.7, 0.95]), rays.shape).copy()
        planes = [((0.0, 1.0, 0.0), EYE, PixelClass.FLOOR, (0.5, 0.42, 0.33))]
        planes += [(normal, far, PixelClass.WALL, (0.72, 0.7, 0.62)) for normal, far in self.walls]
        for normal, distance, label, tint in planes:
            along = rays @ np.array(normal)
            hit = (distance - origin @ np.array(normal)) / np.where(np.abs(along) < 1e-9, 1e-9, along)
            self._put(hit, hit > 1e-6, tint, int(label), 0, origin, rays, depth, labels, things, colour)
        for number, solid in enumerate(self.solids, start=1):
            hit = _hit(solid, origin, rays)
            self._put(hit, hit < FAR, solid.colour, int(PixelClass.THING), number, origin, rays, depth, labels, things, colour)
        depth = torch.from_numpy(np.where(depth >= FAR, np.inf, depth)).float()
        rgb = torch.from_numpy(colour.clip(0, 1)).float()
        return rgb, depth, PixelClasses(torch.from_numpy(labels), torch.from_numpy(things))

    @staticmethod
    def _put(hit, there, tint, label, number, origin, rays, depth, labels, things, colour) -> None:
        nearer = there & (hit < depth)
        points = origin + hit[nearer][:, None] * rays[nearer]
        grain = 0.1 * np.sin(points @ np.array([9.0, 7.0, 5.0])) * np.sin(points @ np.array([-4.0, 6.0, 11.0]))
        light = 0.08 * np.sin(1.3 * points @ np.array([1.0, -0.6, 0.8]))
        depth[nearer], labels[nearer], things[nearer] = hit[nearer], label, number
        colour[nearer] = np.array(tint) + (grain + light)[:, None]


def _hit(solid: Solid, origin: np.ndarray, rays: np.ndarray) -> np.ndarray:
    """z-depth at which rays of camera depth 1 meet a solid; ``FAR`` where they do not."""
    start, size = origin - np.array(solid.centre), solid.size
    with np.errstate(divide="ignore", invalid="ignore"):
        if solid.kind == "box":
            ends = np.stack([(side * np.array(size) - start) / rays for side in (-1, 1)])
            enter, leave = ends.min(0).max(-1), ends.max(0).min(-1)
            return np.where((enter < leave) & (enter > 1e-6), enter, FAR)
        axes = [0, 2] if solid.kind == "cylinder" else [0, 1, 2]
        d, o = rays[..., axes], start[axes]
        a, b, c = (d * d).sum(-1), (d * o).sum(-1), (o * o).sum() - size[0] ** 2
        root = np.sqrt(np.maximum(b * b - a * c, 0))
        enter, leave = (-b - root) / a, (-b + root) / a
        enter, leave = (np.where(b * b < a * c, value, edge) for value, edge in ((FAR, enter), (-FAR, leave)))
        if solid.kind == "cylinder":
            caps = np.stack([(side * size[1] - start[1]) / rays[..., 1] for side in (-1, 1)])
            enter, leave = np.maximum(enter, caps.min(0)), np.minimum(leave, caps.max(0))
    return np.where((enter < leave) & (enter > 1e-6), enter, FAR)


def standing(kind: str, x: float, z: float, size: tuple[float, ...], colour: tuple[float, float, float]) -> Solid:
    """A thing that stands on the floor; sizes as of ``Solid``."""
    height = size[1] if kind != "sphere" else size[0]
    return Solid(kind, (x, EYE - height, z), size, colour)


def _scenes() -> tuple[SolidScene, ...]:
    red, green, blue, dark = (0.75, 0.2, 0.15), (0.2, 0.5, 0.25), (0.2, 0.3, 0.7), (0.22, 0.16, 0.12)
    return (
        SolidScene("box in a room", (standing("box", 0.1, 3.0, (0.45, 0.6, 0.4), red),), ROOM),
        SolidScene("column in a room", (standing("cylinder", -0.2, 3.0, (0.25, 0.9), green),), ROOM),
        SolidScene(
            "three things in a room",
            (
                standing("box", -0.7, 3.2, (0.35, 0.5, 0.3), blue),
                standing("cylinder", 0.15, 2.8, (0.16, 0.8), dark),
                standing("sphere", 0.9, 3.3, (0.4,), red),
            ),
            ROOM,
        ),
        SolidScene("statue in the open", (standing("cylinder", 0.0, 4.0, (0.4, 0.9), dark),)),
        SolidScene("ball in the open", (standing("sphere", 0.0, 3.5, (0.7,), green),)),
        SolidScene(
            "trunks in the open",
            tuple(standing("cylinder", x, z, (0.13, 2.0), dark) for x, z in ((-1.2, 4.0), (0.1, 3.2), (1.1, 5.0), (-0.4, 7.0))),
        ),
    )


SCENES = _scenes()


def labels_as_logits(labels: UInt8[Tensor, "h w"], cell: int) -> Float[Tensor, "k p q"]:
    """Logits on a grid of cells, as a depth model that told classes without error would give them."""
    share = torch.nn.functional.one_hot(labels.long(), len(PixelClass)).permute(2, 0, 1).float()
    return 6 * torch.nn.functional.avg_pool2d(share[None], cell, ceil_mode=True)[0]
