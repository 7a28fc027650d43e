"""A place that goes on plainly: its ground, a low skyline far away and the sky, in the colours that were seen of them.

What a photo shows does not come again beside it: a second house or a second tower is what a stranger sees first. Level ground
under a wide sky is what may lie around anything in the open. Where a photo shows no sky, what it shows above the ground stands
around it, such as the leaves of a wood or what is out of focus behind a flower.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.classes import PixelClass, PixelClasses
from splatmem.extrapolate.azimuth import AzimuthRange
from splatmem.extrapolate.first_view import classes_of
from splatmem.extrapolate.plain_room import PlainReading
from splatmem.extrapolate.random_phase import continued_around
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.filters import dilate
from splatmem.memory import SpatialMemory
from splatmem.memory.stored_view import StoredView
from splatmem.pixels import from_uint8

FAR, NEAR = 12.0, 2.0
"""Distance of what stands on the horizon, and of what stands around where there is no sky, in units of the memory's scale."""
EYE_HEIGHT = 0.2
"""Height of a camera above a ground that no view shows, in units of the memory's scale."""
LEAST_HEIGHT = 0.05
"""The same for the lowest camera above any ground."""
STEEPEST = math.radians(75)
"""Inclination up to which there are pictures; beyond it they are as there."""
MOST_COLUMNS = 2048
"""Of the pictures, once around."""
SKYLINE, ROUGHNESS = math.radians(2.0), math.radians(0.8)
"""Height of the skyline above the horizon, at most, and how far it rises and falls."""
RISES = 6
"""How many times around, at least, so that it looks as hills and trees and not as a slope."""
LOWEST_SKIES = 0.2
"""Share of a photo's columns whose sky may go down below the skyline: a gap between trees says nothing."""
BELOW_SKYLINE = math.radians(5.0)
"""How far below its skyline a photo shows what stands on the horizon."""
HAZE = 0.4
"""Share of the sky in the colours of what stands far away."""
EDGE = 2
"""Pixels at the edge of what is told apart that may show what lies beside it."""
ENOUGH = 0.1
"""Share of what a photo shows below the horizon from which colours of the ground are taken: less is a stain."""


@dataclass(frozen=True)
class PlainLand:
    """Level ground around a camera, what stands on it, and the sky.

    Pictures lie at inclinations from ``-STEEPEST`` to ``STEEPEST`` and at azimuths once around, ``[rows, columns, 3]`` in 0..1.

    Attributes:
        directions: azimuths and inclinations about the camera.
        ground: distance from the camera down to the ground.
        far: horizontal distance of what stands on it.
        skyline: where the sky ends, in radians above the horizon; below the horizon where a photo shows the sky farther down.
        level, standing, sky: pictures of the ground, of what stands on it and of the sky.
    """

    directions: AzimuthRange
    ground: float
    far: float
    skyline: Float[Tensor, " columns"]
    level: Float[Tensor, "rows columns 3"]
    standing: Float[Tensor, "rows columns 3"]
    sky: Float[Tensor, "rows columns 3"]

    @staticmethod
    def around(memory: SpatialMemory, cameras: Cameras) -> PlainLand:
        """The land around what a memory shows, in the colours of its first view.

        Args:
            memory: with at least one view.
            cameras: that will look at it: all of them are above the ground.
        """
        assert memory.down is not None
        view = memory.views[0]
        directions = AzimuthRange.of(view.camera, memory.down)
        classes = classes_of(view, memory.down)
        height = _height_above_ground(view, classes, memory.down) or EYE_HEIGHT * memory.scale
        lowest = float(((cameras.centers - directions.center) @ memory.down).max())
        shown = _Shown.of(view, classes, directions)
        generator = torch.Generator().manual_seed(0)
        level, sky = shown.ground(generator), shown.continued(shown.sky, generator)
        if shown.sky.any():
            far = FAR
            standing, skyline = _standing(shown, generator)
            standing = torch.lerp(standing, sky[len(sky) // 2 - 1].expand_as(standing), HAZE)
        else:
            far = NEAR
            standing = shown.continued(shown.place & ~shown.level, generator)
            skyline = torch.full((shown.columns,), math.pi / 2)
        return PlainLand(
            directions,
            ground=max(height, lowest + LEAST_HEIGHT * memory.scale),
            far=far * memory.scale + float(directions.distance(cameras.centers).max()),
            skyline=skyline,
            level=level,
            standing=standing if (skyline > 0).any() else level,
            sky=sky,
        )

    def render(self, cameras: Cameras) -> PlainReading:
        """What cameras above the ground see of it."""
        axes = self.directions.axes
        rays = cameras.world_rays() @ axes.T
        origin = ((cameras.centers - self.directions.center) @ axes.T)[:, None, None]
        down, across = rays[..., 1], rays[..., [0, 2]].norm(dim=-1).clamp_min(1e-9)
        # What stands around stands on an upright cylinder about the first camera: where rays leave it.
        inward = (origin[..., 0] * rays[..., 0] + origin[..., 2] * rays[..., 2]) / across.square()
        outside = (origin[..., 0].square() + origin[..., 2].square() - self.far**2) / across.square()
        leaves = (inward.square() - outside).clamp_min(0).sqrt() - inward
        lands = torch.where(down > 1e-9, (self.ground - origin[..., 1]) / down.clamp_min(1e-9), torch.inf)
        depth = torch.minimum(leaves, lands)
        points = origin + depth[..., None] * rays
        inclination = torch.atan2(points[..., 1], points[..., [0, 2]].norm(dim=-1))
        column = (torch.atan2(points[..., 0], points[..., 2]) / (2 * math.pi)) % 1.0 * len(self.skyline)
        skyline = _sampled(self.skyline[None, :, None], torch.zeros_like(column), column)[..., 0]
        below = ((inclination + skyline) * float(cameras.focal.amax()) + 0.5).clamp(0, 1)  # its edge is one pixel soft
        row = self._row(inclination)
        solid = torch.where(
            (lands < leaves)[..., None], _sampled(self.level, row, column), _sampled(self.standing, row, column)
        )
        sky = _sampled(self.sky, self._row(torch.atan2(down, across)), column)
        return PlainReading(torch.lerp(sky, solid, below[..., None]), torch.where(below > 0.5, depth, torch.inf))

    def _row(self, inclination: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        return (inclination / STEEPEST + 1) / 2 * len(self.level) - 0.5


@dataclass(frozen=True)
class _Shown:
    """What a view shows, as the pictures of ``PlainLand`` but for the columns that it does not see.

    Attributes:
        rgb: 0..1.
        sky, solid: where there is sky, or anything else.
        place: of what is solid, what belongs to no thing.
        level: of that, ground and what grows there, below the horizon.
        below: what is below the horizon.
        columns: of the pictures once around.
    """

    rgb: Float[Tensor, "rows seen 3"]
    sky: Bool[Tensor, "rows seen"]
    solid: Bool[Tensor, "rows seen"]
    place: Bool[Tensor, "rows seen"]
    level: Bool[Tensor, "rows seen"]
    below: Bool[Tensor, "rows seen"]
    columns: int

    @property
    def step(self) -> float:
        """Angle of a pixel, in radians."""
        return 2 * math.pi / self.columns

    @staticmethod
    def of(view: StoredView, classes: PixelClasses, directions: AzimuthRange) -> _Shown:
        camera = view.camera
        columns = min(MOST_COLUMNS, round(2 * math.pi / directions.width * camera.width))
        rows, seen = 2 * round(STEEPEST / (2 * math.pi) * columns), max(2, int(directions.width / (2 * math.pi) * columns))
        azimuth = directions.left + (torch.arange(seen) + 0.5) / columns * 2 * math.pi
        inclination = (((torch.arange(rows) + 0.5) / rows * 2 - 1) * STEEPEST)[:, None]
        ahead = azimuth.sin()[:, None] * directions.axes[0] + azimuth.cos()[:, None] * directions.axes[2]
        rays = ahead * inclination.cos()[..., None] + directions.axes[1] * inclination.sin()[..., None]
        pixels, before = camera.project(directions.center + rays)
        at = pixels / torch.tensor([camera.width, camera.height]) * 2 - 1
        inside = (at[0].abs() < 1).all(dim=-1) & (before[0] > 0)
        sky = torch.isinf(view.depth)
        place = ~sky & (classes.things == 0)
        level = place & classes.where(PixelClass.GROUND, PixelClass.FLOOR, PixelClass.VEGETATION)
        masks = (torch.stack([sky, ~sky, place, level]) & view.written).float()[None]
        rgb = F.grid_sample(from_uint8(view.rgb).permute(2, 0, 1)[None], at, padding_mode="border", align_corners=False)[0]
        shown = (F.grid_sample(masks, at, mode="nearest", align_corners=False)[0] > 0.5) & inside
        sky, solid, place, level = ~dilate(~shown, EDGE)
        below = inside & (inclination > 0)
        return _Shown(rgb.permute(1, 2, 0), sky, solid, place, level & below, below, columns)

    def continued(self, where: Bool[Tensor, "rows seen"], generator: torch.Generator | None) -> Float[Tensor, "rows columns 3"]:
        """Once around as it is where it may be taken from; anywhere, if that is nowhere."""
        return continued_around(self.rgb, where if where.any() else self.solid | self.sky, self.columns, self.step, generator)

    def ground(self, generator: torch.Generator) -> Float[Tensor, "rows columns 3"]:
        """The ground; without texture where the view shows none, but in the colour of what comes next to it."""
        least = ENOUGH * float(self.below.sum())
        if self.level.sum() > least:
            return self.continued(self.level, generator)
        others = (self.place & self.below, self.solid & self.below, self.place, self.solid)
        return self.continued(next((other for other in others if other.sum() > least), self.solid), None)


def _height_above_ground(view: StoredView, classes: PixelClasses, down: Float[Tensor, "3"]) -> float | None:
    """Height of a view's camera above the ground that it shows; None if it shows none below it."""
    ground = classes.where(PixelClass.GROUND, PixelClass.FLOOR) & torch.isfinite(view.depth)
    if not ground.any():
        return None
    points = view.camera.unproject(torch.where(ground, view.depth, 1.0)[None])[0][ground]
    height = float(((points - view.camera.centers[0]) @ down).median())
    return height if height > 0 else None


def _standing(shown: _Shown, generator: torch.Generator) -> tuple[Float[Tensor, "rows columns 3"], Float[Tensor, " columns"]]:
    """A picture of what stands on the horizon, and its skyline in radians above the horizon."""
    rows, middle = len(shown.rgb), len(shown.rgb) / 2
    under_sky = shown.sky.any(dim=0)
    lowest = rows - 1 - shown.sky.flip(0).float().argmax(dim=0)  # row of the lowest sky in each column
    height = SKYLINE
    if under_sky.any():
        height = min(SKYLINE, float((middle - 1 - lowest[under_sky]).quantile(LOWEST_SKIES)) * shown.step)
    waves = torch.fft.rfft(torch.randn(shown.columns, generator=generator))
    waves = torch.fft.irfft(waves / torch.arange(len(waves)).clamp_min(RISES), n=shown.columns)
    waves = waves - waves.mean()
    skyline = height + waves / waves.std() * min(ROUGHNESS, 0.4 * max(height, 0.0))
    # What lies right below the sky, moved so that the sky ends in one row.
    reach = torch.arange(max(1, round(BELOW_SKYLINE / shown.step)))[:, None]
    row = (lowest + 1 + reach).clamp_max(rows - 1)
    where = shown.place.gather(0, row) & under_sky
    rgb = shown.rgb.gather(0, row[..., None].expand(-1, -1, 3))
    where = where if where.any() else torch.ones_like(where)
    band = continued_around(rgb, where, shown.columns, shown.step, generator)
    below = (torch.arange(rows)[:, None] - (middle - skyline / shown.step)).round().long().clamp(0, len(reach) - 1)
    return band.gather(0, below[..., None].expand(-1, -1, 3)), skyline


def _sampled(
    picture: Float[Tensor, "rows columns c"], row: Float[Tensor, "*n"], column: Float[Tensor, "*n"]
) -> Float[Tensor, "*n c"]:
    """Bilinear samples of a picture whose ends meet sideways; above and below it is as at its edges."""
    rows, columns = picture.shape[:2]
    closed = torch.cat([picture[:, -1:], picture, picture[:, :1]], dim=1).permute(2, 0, 1)[None]
    at = torch.stack([2 * (column + 1) / (columns + 2) - 1, (2 * row + 1) / rows - 1], dim=-1)
    sampled = F.grid_sample(closed, at.flatten(0, -2)[None, None], padding_mode="border", align_corners=False)
    return sampled[0, :, 0].T.reshape(*row.shape, -1)
