"""Where a camera that goes round a subject may stand: before the photo's background, beside its things, inside its walls.

What a thing hides from the photo is no solid: the space behind it reaches to the background, which goes on behind it. Walls
that were seen go on beyond the picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from scipy import ndimage
from torch import Tensor

from splatmem.classes import PixelClass, PixelClasses
from splatmem.depth.classes import classify
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.normals import surface_normals
from splatmem.geometry.push_pull import push_pull
from splatmem.memory import SpatialMemory, StoredView
from splatmem.memory.free_space import SKY_DEPTH, FreeSpace

WALLS = (PixelClass.WALL, PixelClass.OPENING, PixelClass.BUILDING)
BACKGROUND = (*WALLS, PixelClass.FLOOR, PixelClass.CEILING, PixelClass.GROUND, PixelClass.SKY)
WIDTH = 96
"""Pixels across a view whose surfaces are looked at."""
MOST_WALLS = 4
TRIALS = 200
FLAT = 0.04
"""Distance from a wall, as a share of the scene's scale, up to which a point lies on it."""
WALL_SUPPORT = 0.15
"""Share of the points of walls that a plane must explain to count as a wall that goes on."""
NEAREST, TIGHT = 0.15, 0.06
"""Distance from all that was seen that is kept, as a share of the photo camera's own from what is nearest to it; and where
nothing else is in the way of a full circle."""
BEYOND, SEEN_THROUGH = 1.2, 0.15
"""A wall does not go on if more than this share of the picture before it shows what is so many times farther."""
WIDEST = 0.6
"""Widest thing, as a share of the picture's width, that stands out by its depth alone."""
STANDS_OUT = 1.15
"""By how many times what it hides must be farther."""
BEFORE_WALL = 0.15
"""How far before a wall that goes on a camera stays, as a share of the wall's distance from the photo's camera."""

MIDDLE = 0.5
"""What is this near to the middle of a round, as a share of its radius, belongs to its subject."""


class ClearSpace:
    """The space in which a camera may go round a photo's subject.

    Attributes:
        subject: distance from the photo's camera of what stands in the picture's middle.
        walls: upright planes of walls that go on: outward normals, and the planes' distances from the origin along them.
        camera: the photo's at a small size.
        stands_out: its pixels that show what stands before the background, ``[h, w]``.
    """

    def __init__(self, memory: SpatialMemory, made: Sequence[StoredView] = ()) -> None:
        """Args:
        memory: as it was given, with nothing that was made.
        made: views that were made since; what they show is in the way too, but for what stands in the middle of the round.
        """
        view = memory.views[0]
        assert memory.down is not None
        self.scale, self.down = memory.scale, memory.down
        classes = view.classes
        if classes is None:
            classes = classify(memory.first_photo, view.depth, view.camera, memory.down)
        camera = view.camera.coarse(min(WIDTH, view.camera.width))
        depth = view.at(camera.width, camera.height)[1]
        self.classes, self.camera, self.depth = classes.at(camera.width, camera.height), camera, depth
        self.walls = _walls(depth, self.classes, camera, memory.down, memory.scale)
        self.subject = self._subject()
        self.surfaces = memory.free_space()
        behind = _background(depth, self.classes)
        self.stands_out = ~self.classes.where(PixelClass.FLOOR, PixelClass.GROUND) & (behind > STANDS_OUT * depth)
        given = [(camera, behind), *((v.camera, v.depth) for v in memory.views[1:])]
        self.background = FreeSpace.of([*given, *map(self._around_the_middle, made)])

    def is_clear(self, points: Float[Tensor, "p 3"], nearest: float = NEAREST) -> Bool[Tensor, " p"]:
        """Positions before the background and before walls, and not too near to anything that was seen.

        Args:
            nearest: the distance to be kept, as a share of the photo camera's own from what is nearest to it.
        """
        reach = max(4 * self.scale, 2.5 * self.subject)  # beyond every picture nothing is known to be in the way
        clear = self.background.contains(points, reach) & self.surfaces.keeps_distance(points, nearest)
        for normal, distance in self.walls:
            clear = clear & (points @ normal < (1 - BEFORE_WALL) * distance)
        return clear

    def _around_the_middle(self, view: StoredView) -> tuple[Cameras, Float[Tensor, "h w"]]:
        """A view's camera and depth without what stands in the middle, which whoever goes round it may be behind."""
        camera = view.camera.coarse(min(WIDTH, view.camera.width))
        depth = view.at(camera.width, camera.height)[1].clamp_max(SKY_DEPTH)
        middle = self.camera.centers[0] + self.subject * self.camera.forward[0]
        aside = camera.unproject(depth[None])[0] - middle
        aside = aside - (aside @ self.down)[..., None] * self.down
        return camera, torch.where(aside.norm(dim=-1) < MIDDLE * self.subject, SKY_DEPTH, depth)

    def _subject(self) -> float:
        """That of the thing that covers most of the middle third, if it covers a quarter of it; else the median depth."""
        height, width = self.depth.shape
        middle = torch.zeros_like(self.depth, dtype=torch.bool)
        middle[height // 3 : 2 * height // 3 + 1, width // 3 : 2 * width // 3 + 1] = True
        finite = torch.isfinite(self.depth)
        things = self.classes.things[middle & finite & (self.classes.things > 0)]
        if not len(things) or len(things) < 0.25 * int(middle.sum()):
            depth = self.depth[middle & finite]
            return float(depth.median()) if len(depth) else self.scale
        thing = things.mode().values
        return float(self.depth[middle & finite & (self.classes.things == thing)].median())


def _background(depth: Float[Tensor, "h w"], classes: PixelClasses) -> Float[Tensor, "h w"]:
    """Depth with what stands before the background taken away: things, and whatever shows something farther on both sides.

    Where things were, the background's inverse depth goes on smoothly. Floor and ground lie below the cameras: they block
    nothing.
    """
    shown = classes.where(*BACKGROUND)
    far = torch.where(classes.where(PixelClass.FLOOR, PixelClass.GROUND), torch.inf, depth).clamp_max(SKY_DEPTH)
    if shown.any():
        inverse = torch.where(shown, 1 / far, 0.0)
        filled = push_pull(inverse[None, None], shown[None, None].float())[0, 0].clamp_min(1 / SKY_DEPTH)
        far = torch.where(shown, far, torch.maximum(1 / filled, far))
    size = 2 * round(0.5 * WIDEST * depth.shape[1]) + 1
    closed = torch.from_numpy(ndimage.grey_closing(far.numpy(), (1, size), mode="nearest"))
    return torch.where(closed > STANDS_OUT * far, closed, far)


def _walls(
    depth: Float[Tensor, "h w"], classes: PixelClasses, camera: Cameras, down: Float[Tensor, "3"], scale: float
) -> list[tuple[Float[Tensor, "3"], float]]:
    """Upright planes of the walls that were seen: outward normals, and distances from the camera along them (RANSAC)."""
    on_wall = classes.where(*WALLS) & torch.isfinite(depth)
    on_wall &= (surface_normals(depth[None], camera)[0] @ down).abs() < math.sin(math.radians(30))
    points = camera.unproject(torch.where(on_wall, depth, 1.0)[None])[0][on_wall] - camera.centers[0]
    points = points - (points @ down)[:, None] * down
    if int(on_wall.sum()) < max(12, 0.04 * depth.numel()):
        return []
    generator, total, found = torch.Generator().manual_seed(0), len(points), []
    while len(found) < MOST_WALLS and len(points) >= WALL_SUPPORT * total:
        picks = torch.randint(len(points), (TRIALS, 2), generator=generator)
        normals = torch.linalg.cross(points[picks[:, 1]] - points[picks[:, 0]], down.expand(TRIALS, 3), dim=-1)
        normals = torch.nn.functional.normalize(normals, dim=-1)
        offsets = (normals * points[picks[:, 0]]).sum(-1)
        normals, offsets = normals * offsets.sign()[:, None], offsets.abs()
        near = (points @ normals.T - offsets).abs() < FLAT * scale
        best = int(near.sum(0).argmax())
        if int(near[:, best].sum()) < WALL_SUPPORT * total:
            break
        if _goes_on(normals[best], float(offsets[best]), depth, camera):
            found.append((normals[best], float(offsets[best])))
        points = points[~near[:, best]]
    return [(normal, distance + float(camera.centers[0] @ normal)) for normal, distance in found if distance > 0]


def _goes_on(normal: Float[Tensor, "3"], distance: float, depth: Float[Tensor, "h w"], camera: Cameras) -> bool:
    """Whether a wall is one of a room: hardly anything shows beyond the plane. A house's front shows much beside it."""
    along = camera.world_rays()[0] @ normal
    ahead = along > 1e-3
    beyond = ahead & (depth * along > BEYOND * distance)
    return float(beyond.sum()) <= SEEN_THROUGH * float(ahead.sum())
