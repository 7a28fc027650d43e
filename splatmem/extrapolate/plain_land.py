"""A place in the open that goes on plainly: the ground, a low skyline far away and the sky, in the colours that were seen of them.

What a photo shows does not come again beside it: a second house or a second tower is what a stranger sees first. Open ground
under a wide sky is what may lie around anything in the open. Its texture is that of the photo, with random phases (random-phase
noise: Galerne, Gousseau and Morel 2011): grass, gravel, water and clouds are known again by it, and nothing in it is seen twice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from splatmem.classes import PixelClass
from splatmem.extrapolate.azimuth import AzimuthRange
from splatmem.extrapolate.plain_room import PlainReading
from splatmem.extrapolate.surroundings import classes_of
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.filters import dilate
from splatmem.memory import SpatialMemory
from splatmem.memory.stored_view import StoredView
from splatmem.pixels import from_uint8

FAR = 12.0
"""Distance of the skyline, in units of the memory's scale."""
EYE_HEIGHT = 0.2
"""Height of a camera above a ground that no view shows, in units of the memory's scale."""
STEEPEST = math.radians(75)
"""Inclination up to which the pictures go."""
MOST_COLUMNS = 2048
"""Of the pictures, once around."""
SKYLINE, ROUGHNESS = math.radians(2.0), math.radians(0.8)
"""Height of the skyline above the horizon, at most, and how far it rises and falls."""
BELOW_SKYLINE = math.radians(5.0)
"""How far below its skyline a photo shows what stands on the horizon."""
HAZE = 0.4
"""Share of the sky in the colours of what stands far away."""
LIGHT = math.radians(4.0)
"""Width over which colours are light, not texture."""
SMOOTH = math.radians(1.0)
"""Height over which colours at a height are one."""
ENOUGH = 0.1
RARE = 0.25
"""Difference from the colour that is usual at a height: what differs more is another thing."""
EDGE = 2
"""Pixels at the edge of what is told apart that may show what lies beside."""
FEWEST = 0.1
"""Share of a row that must show something for its texture to be taken from there."""


@dataclass(frozen=True)
class PlainLand:
    """Level ground around a camera, what stands on it far away, and the sky.

    Attributes:
        directions: azimuths and inclinations about the camera.
        ground: distance from the camera down to the ground.
        far: horizontal distance of what stands on the horizon.
        skyline: its height above the horizon, in radians, at ``columns`` azimuths once around.
        level, standing, sky: colours of the ground, of what stands on the horizon and of the sky, by inclination from
            ``-STEEPEST`` to ``STEEPEST`` and by azimuth, ``[rows, columns, 3]``.
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
            memory: with at least one view, which shows some sky.
            cameras: that will look at it: all of them are above the ground.
        """
        assert memory.down is not None
        view = memory.views[0]
        directions = AzimuthRange.of(view.camera, memory.down)
        shown = _Shown.of(view, memory.down, directions)
        heights = (cameras.centers - directions.center) @ memory.down
        ground = max(_ground(view, memory, shown), float(heights.max()) + 0.25 * EYE_HEIGHT * memory.scale)
        far = FAR * memory.scale + float(directions.distance(cameras.centers).max())
        generator = torch.Generator().manual_seed(0)
        columns = shown.columns
        sky = _going_on(shown.rgb, _enough([shown.sky], 0.0), columns, generator)
        grounds = [shown.level, shown.other & shown.below, shown.below & shown.solid, shown.other, shown.solid]
        ground_shown = _enough(grounds, float(shown.below.sum()))
        level = _going_on(shown.rgb, ground_shown, columns, generator)
        if ground_shown is not shown.level:
            level = level.mean(1,keepdim=True).expand_as(level)
        standing, skyline = _standing(shown, columns, generator)
        horizon = sky[len(sky) // 2 - 1]
        return PlainLand(directions, ground, far, skyline, level, torch.lerp(standing, horizon.expand_as(standing), HAZE), sky)

    def render(self, cameras: Cameras) -> PlainReading:
        """What cameras above the ground see of it."""
        rays = cameras.world_rays() @ self.directions.axes.T
        origin = ((cameras.centers - self.directions.center) @ self.directions.axes.T)[:, None, None]
        side, down, ahead = rays.unbind(-1)
        across = torch.hypot(side, ahead).clamp_min(1e-9)
        # Where rays leave the upright cylinder about the first camera on which the skyline stands.
        inward = (origin[..., 0] * side + origin[..., 2] * ahead) / across.square()
        rest = (origin[..., 0].square() + origin[..., 2].square() - self.far**2) / across.square()
        leaves = -inward + (inward.square() - rest).clamp_min(0).sqrt()
        lands = torch.where(down > 1e-9, (self.ground - origin[..., 1]) / down.clamp_min(1e-9), torch.inf)
        depth = torch.minimum(leaves, lands)
        points = origin + depth[..., None] * rays
        azimuth = torch.atan2(points[..., 0], points[..., 2])
        inclination = torch.atan2(points[..., 1], torch.hypot(points[..., 0], points[..., 2]))
        column = (azimuth / (2 * math.pi)) % 1.0 * len(self.skyline)
        pixel = 1 / float(cameras.focal.amax())
        top = _at_columns(self.skyline[None, :, None], torch.zeros_like(column), column)[..., 0]
        rises = ((inclination + top) / pixel + 0.5).clamp(0, 1)  # 1 below the skyline, with a soft edge of one pixel
        row = ((inclination / STEEPEST).clamp(-1, 1) + 1) / 2 * len(self.level) - 0.5
        up = torch.atan2(down, across)
        above = _at_columns(self.sky, ((up / STEEPEST).clamp(-1, 1) + 1) / 2 * len(self.sky) - 0.5, column)
        below = torch.where((lands < leaves)[..., None], _at_columns(self.level, row, column), _at_columns(self.standing, row, column))
        return PlainReading(torch.lerp(above, below, rises[..., None]), torch.where(rises > 0.5, depth, torch.inf))


@dataclass(frozen=True)
class _Shown:
    """What a view shows, by inclination and azimuth, ``rows`` from ``-STEEPEST`` to ``STEEPEST``, and ``seen`` columns."""

    rgb: Float[Tensor, "rows seen 3"]
    sky: Bool[Tensor, "rows seen"]
    level: Bool[Tensor, "rows seen"]
    other: Bool[Tensor, "rows seen"]
    solid: Bool[Tensor, "rows seen"]
    below: Bool[Tensor, "rows seen"]
    columns: int

    @staticmethod
    def of(view: StoredView, down: Float[Tensor, "3"], directions: AzimuthRange) -> _Shown:
        columns = min(MOST_COLUMNS, round(2 * math.pi / directions.width * view.camera.width))
        rows = 2 * round(STEEPEST / (2 * math.pi) * columns)
        seen = max(2, int(directions.width / (2 * math.pi) * columns))
        azimuth = directions.left + (torch.arange(seen) + 0.5) / columns * 2 * math.pi
        inclination = ((torch.arange(rows) + 0.5) / rows * 2 - 1) * STEEPEST
        ahead = azimuth.sin()[:, None] * directions.axes[0] + azimuth.cos()[:, None] * directions.axes[2]
        rays = ahead * inclination.cos()[:, None, None] + directions.axes[1] * inclination.sin()[:, None, None]
        pixels, ahead_of = view.camera.project(directions.center + rays)
        size = torch.tensor([view.camera.width, view.camera.height])
        place = pixels[0] / size * 2 - 1
        inside = (place.abs() < 1).all(-1) & (ahead_of[0] > 0)
        classes = classes_of(view, down)
        sky = torch.isinf(view.depth)
        empty = (classes.things == 0) & view.written & ~sky
        level = empty & classes.where(PixelClass.GROUND, PixelClass.FLOOR, PixelClass.VEGETATION)
        masks = torch.stack([sky & view.written, level, empty, view.written & ~sky]).float()
        maps = torch.cat([from_uint8(view.rgb).permute(2, 0, 1), masks])[None]
        rgb = F.grid_sample(maps[:, :3], place[None], padding_mode="border", align_corners=False)[0].permute(1, 2, 0)
        sampled = F.grid_sample(maps[:, 3:], place[None], mode="nearest", padding_mode="border", align_corners=False)[0]
        sky, level, empty, solid = ~dilate(~((sampled > 0.5) & inside), EDGE)
        below = (inclination > 0)[:, None]
        return _Shown(rgb, sky, level & below, empty, solid, below & inside, columns)


def _enough(masks: list[Bool[Tensor, "rows seen"]], of: float) -> Bool[Tensor, "rows seen"]:
    """The first of the masks that holds enough of a number of pixels; else all."""
    return next((mask for mask in masks if mask.sum() > ENOUGH * of), torch.ones_like(masks[0]))


def _ground(view: StoredView, memory: SpatialMemory, shown: _Shown) -> float:
    """How far below the camera the ground lies."""
    assert memory.down is not None
    classes = classes_of(view, memory.down)
    where = classes.where(PixelClass.GROUND, PixelClass.FLOOR) & torch.isfinite(view.depth)
    if where.float().mean() < 0.01:
        return EYE_HEIGHT * memory.scale
    points = view.camera.unproject(torch.where(where, view.depth, 1.0)[None])[0][where]
    height = float(((points - view.camera.centers[0]) @ memory.down).median())
    return height if height > 0 else EYE_HEIGHT * memory.scale


def _standing(
    shown: _Shown, columns: int, generator: torch.Generator
) -> tuple[Float[Tensor, "rows columns 3"], Float[Tensor, " columns"]]:
    """Colours of what stands on the horizon, at each inclination, and its skyline."""
    rows, seen = shown.sky.shape
    step = 2 * STEEPEST / rows
    below_sky = ~shown.sky & (shown.sky.flip(0).cumsum(0).flip(0) == 0) & (shown.other | shown.level)
    # The lowest sky in each column; columns without any are left out.
    has = shown.sky.any(0)
    lowest = rows - 1 - shown.sky.flip(0).float().argmax(0)
    heights = (rows / 2 - 1 - lowest) * step
    height = float(heights[has].quantile(0.2).clamp_max(SKYLINE)) if has.any() else SKYLINE
    reach = max(1, round(BELOW_SKYLINE / step))
    # What lies right below the skyline, moved so that all skylines lie in one row.
    row = (lowest[None, :] + 1 + torch.arange(reach)[:, None]).clamp_max(rows - 1)
    rgb = shown.rgb.gather(0, row[..., None].expand(-1, -1, 3))
    where = below_sky.gather(0, row) & has
    band = _going_on(rgb, _enough([where, has.expand_as(where)], 0.0), columns, generator)
    rough = torch.fft.rfft(torch.randn(columns, generator=generator))
    frequency = torch.arange(len(rough)).float()
    rough = torch.fft.irfft(rough / frequency.clamp_min(6), n=columns)
    skyline = height + rough / rough.std() * min(ROUGHNESS, 0.4 * max(height, 0.0))
    top = rows / 2 - skyline / step
    index = (torch.arange(rows)[:, None] - top).round().long().clamp(0, reach - 1)
    return band.gather(0, index[..., None].expand(-1, -1, 3)), skyline


def _going_on(
    rgb: Float[Tensor, "rows seen 3"], where: Bool[Tensor, "rows seen"], columns: int, generator: torch.Generator
) -> Float[Tensor, "rows columns 3"]:
    """Colours once around that are at each height as those ``where``, with their texture."""
    rows, seen = where.shape
    step = 2 * math.pi / columns
    usual = torch.where(where[..., None], rgb, torch.nan).nanmedian(dim=1, keepdim=True).values
    where = where & ((rgb - usual).abs().amax(-1) < RARE)
    weight = where.float()[..., None]
    # The colour at each height.
    sums = torch.cat([(rgb * weight).sum(1), weight.sum(1)], dim=-1)
    sums = _blurred(sums, SMOOTH / step)
    told = torch.nonzero(sums[:, 3] > 0.1 * sums[:, 3].max())[:, 0]
    colour = (sums[:, :3] / sums[:, 3:].clamp_min(1e-6))[_nearest(told, torch.arange(rows))]
    # Its texture: what differs there from the light, under white noise along the row.
    light = torch.cat([rgb * weight, weight], dim=-1)
    light = _blurred(_blurred(light, 0.3 * LIGHT / step).transpose(0, 1), LIGHT / step).transpose(0, 1)
    detail = (rgb - light[..., :3] / light[..., 3:].clamp_min(1e-6)) * weight
    count = weight.sum(1)[:, 0]
    full = torch.nonzero(count > FEWEST * seen)[:, 0]
    if not len(full):
        return colour[:, None].expand(rows, columns, 3).clone()
    noise = torch.fft.rfft(torch.randn(columns, generator=generator))
    spread = torch.fft.irfft(torch.fft.rfft(detail.transpose(1, 2), n=columns) * noise, n=columns).transpose(1, 2)
    texture = spread / count.clamp_min(1).sqrt()[:, None, None]
    first, last = int(full[0]), int(full[-1])
    row = torch.arange(rows)
    outside = torch.maximum(first - row, row - last).clamp_min(0)
    fading = (1 - outside / (2 * (last - first + 1))).clamp_min(0)[:, None, None]
    return (colour[:, None] + fading * texture[_nearest(full, _reflected(row, first, last))]).clamp(0, 1)


def _nearest(some: Int[Tensor, " n"], rows: Int[Tensor, " rows"]) -> Int[Tensor, " rows"]:
    """The nearest of some rows to each row."""
    return some[(rows[:, None] - some).abs().argmin(1)]


def _reflected(index: Tensor, first: int, last: int) -> Tensor:
    """Rows inside of a range for rows outside, as in mirrors at its ends."""
    span = max(1, last - first)
    return first + (span - ((index - first) % (2 * span) - span).abs())


def _blurred(values: Float[Tensor, "rows *n"], sigma: float) -> Float[Tensor, "rows *n"]:
    """Values blurred along rows by a Gaussian; nothing comes from outside."""
    return torch.from_numpy(gaussian_filter1d(values.numpy(), sigma, axis=0, mode="constant", truncate=3.0))


def _at_columns(
    picture: Float[Tensor, "rows columns c"], row: Float[Tensor, "*n"], column: Float[Tensor, "*n"]
) -> Float[Tensor, "*n c"]:
    """Bilinear samples of a picture that is closed sideways."""
    rows, columns = picture.shape[:2]
    row, left = row.clamp(0, rows - 1), (column - 0.5).floor()
    above = row.floor().clamp_max(max(0, rows - 2))
    fx, fy = (column - 0.5 - left)[..., None], (row - above)[..., None]
    y0, x0 = above.long(), left.long() % columns
    y1, x1 = (y0 + 1).clamp_max(rows - 1), (x0 + 1) % columns
    upper = torch.lerp(picture[y0, x0], picture[y0, x1], fx)
    return torch.lerp(upper, torch.lerp(picture[y1, x0], picture[y1, x1], fx), fy)
