"""What may lie all around: the known part of a scene as a panorama, continued by example to a full turn of colour and depth.

The panorama is a cylinder round one place, upright in the room. Its pixels hold colour and relief: how far the surface stands
in front of the room layout's walls, as the logarithm of a ratio of distances. Relief is copied together with colour, so that a
copied shelf stands before its wall. Rendered into views, it proposes what an inpainter then corrects.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.cameras import Cameras
from splatmem.inpaint.layout import LayoutReading, RoomLayout
from splatmem.inpaint.texture_synthesis import Exemplars, continue_panorama, copy_pixels

MATCHED_FOCAL = 222.0  # pixels per radian at which patches are matched at most; finer pictures copy what was found
STEEPEST = 1.6  # elevations (tangents) beyond this are left to the layout
MARGIN = 0.03
VIEWS = 8  # perspective views that a panorama is resampled from
RELIEF_WEIGHT = 0.5  # of relief against colour when patches are compared
LOWEST_RELIEF, HIGHEST_RELIEF, SKY_RELIEF = -1.6, 0.4, 3.0
CLEARANCE = 0.4
FOREGROUND_STEP, FOREGROUND_RAMP = 0.12, 0.15  # relief below the surroundings' from which a thing counts as foreground
FOREGROUND_WINDOW = (5, 25)  # cells of the coarse panorama that are a place's surroundings
MARCH_STEPS, MARCH_STRIDE, BISECTIONS = 28, 4, 6


@dataclass(frozen=True)
class Look:
    """What is known in one direction after another, ``v`` views: colour 0..1, z-depth (``inf`` for sky) and known."""

    rgb: Float[Tensor, "v h w 3"]
    depth: Float[Tensor, "v h w"]
    known: Bool[Tensor, "v h w"]


LookAround = Callable[[Cameras], Look]


@dataclass(frozen=True)
class Surroundings:
    """A full turn round a place.

    Attributes:
        layout: the room that the relief stands in; its axes are the panorama's.
        center: the place, in the world, ``[3]``.
        top, bottom: elevations of the panorama's upper and lower edge: tangents, down positive.
        rgb: azimuth runs to the right from the room's -z over +z in the middle, 0..1, ``[3, h, w]``.
        relief: log of distance over the layout's distance, ``SKY_RELIEF`` for sky, ``[h, w]``.
    """

    layout: RoomLayout
    center: Float[Tensor, "3"]
    top: float
    bottom: float
    rgb: Float[Tensor, "3 h w"]
    relief: Float[Tensor, "h w"]

    def render(self, cameras: Cameras) -> LayoutReading:
        """The surroundings as cameras see them, from anywhere inside the room; depth is ``inf`` in the sky."""
        reading = self.layout.render(cameras)
        origin = ((cameras.centers - self.center) @ self.layout.axes.T)[:, None, None]
        rays = cameras.world_rays() @ self.layout.axes.T
        depth = self._first_hits(origin, rays, reading.depth)
        x, y = self._pixels(origin + depth[..., None] * rays)
        inside = (y >= 0) & (y <= self.relief.shape[0])
        rgb = _bilinear(self.rgb, x, y)
        sky = self._nearest(self.relief, x, y) > 0.5 * (HIGHEST_RELIEF + SKY_RELIEF)
        return replace(
            reading,
            rgb=torch.where(inside[..., None], rgb, reading.rgb),
            depth=torch.where(inside, torch.where(sky, torch.inf, depth), reading.depth),
        )

    def distance(self) -> Float[Tensor, "h w"]:
        """Horizontal distance of the surface for each pixel of the panorama."""
        directions = _directions(self.relief.shape, self.top, self.bottom)
        return _wall_distance(self.layout, self.center, directions) * self.relief.exp()

    def _first_hits(
        self, origin: Float[Tensor, "t 1 1 3"], rays: Float[Tensor, "t h w 3"], wall: Float[Tensor, "t h w"]
    ) -> Float[Tensor, "t h w"]:
        """z-depth at which each ray first meets the relief: found in steps for few rays, then bisected for all."""
        surface = self.distance()

        def behind(depth: Float[Tensor, "t h w"], rays: Float[Tensor, "t h w 3"]) -> Bool[Tensor, "t h w"]:
            points = origin + depth[..., None] * rays
            return points[..., [0, 2]].norm(dim=-1) >= self._nearest(surface, *self._pixels(points))

        few, walls = rays[:, ::MARCH_STRIDE, ::MARCH_STRIDE], wall[:, ::MARCH_STRIDE, ::MARCH_STRIDE]
        factors = torch.logspace(LOWEST_RELIEF, HIGHEST_RELIEF, MARCH_STEPS, base=math.e).tolist()
        low, high = torch.full_like(walls, factors[0]), torch.full_like(walls, math.nan)
        for factor in factors[1:]:
            met = high.isnan() & behind(factor * walls, few)
            high = torch.where(met, factor, high)
            low = torch.where(high.isnan(), factor, low)
        high = high.nan_to_num(factors[-1])
        # A ray's own hit lies among those of the rays around it.
        low, high = -F.max_pool2d(-low, 3, 1, 1), F.max_pool2d(high, 3, 1, 1)
        low, high = (F.interpolate(x[None], size=wall.shape[1:], mode="nearest")[0] * wall for x in (low, high))
        for _ in range(BISECTIONS):
            middle = 0.5 * (low + high)
            beyond = behind(middle, rays)
            low, high = torch.where(beyond, low, middle), torch.where(beyond, middle, high)
        return high

    def _pixels(self, points: Float[Tensor, "*n 3"]) -> tuple[Float[Tensor, "*n"], Float[Tensor, "*n"]]:
        """Panorama coordinates of points; rows outside of 0..h lie beyond its edges."""
        height, width = self.relief.shape
        x, y, z = points.unbind(-1)
        elevation = y / torch.hypot(x, z).clamp_min(1e-6)
        return (
            (torch.atan2(x, z) / (2 * math.pi) + 0.5) * width,
            (elevation - self.top) / (self.bottom - self.top) * height,
        )

    @staticmethod
    def _nearest(values: Float[Tensor, "h w"], x: Tensor, y: Tensor) -> Tensor:
        height, width = values.shape
        return values[y.long().clamp(0, height - 1), x.long() % width]


def imagine_surroundings(
    look: LookAround,
    layout: RoomLayout,
    center: Float[Tensor, "3"],
    cameras: Cameras,
    generator: torch.Generator,
) -> Surroundings:
    """Continues what is known round ``center`` to a full turn.

    Args:
        look: shows what is known from any cameras.
        layout: the room.
        center: a place in it from which the known was seen well: the first photo's.
        cameras: all that the surroundings are made for; they give the range of elevations and the resolution.
        generator: another seed makes other surroundings.
    """
    top, bottom = _elevations(cameras, layout, center)
    focal = cameras.focal.mean().item()
    matched = min(focal, MATCHED_FOCAL)
    factor = max(1, round(focal / matched))
    width = 8 * max(8, round(2 * math.pi * matched / 8))
    height = 8 * max(2, math.ceil((bottom - top) * width / (2 * math.pi) / 8))
    bottom = top + height * 2 * math.pi / width  # square pixels
    size = (height * factor, width * factor)
    rgb, distance, known = _panorama(look, layout, center, size, top, bottom)
    directions = _directions(size, top, bottom)
    relief = (distance / _wall_distance(layout, center, directions)).log()
    sky = known & ~torch.isfinite(distance)
    relief = torch.where(sky, SKY_RELIEF, relief.clamp(LOWEST_RELIEF, HIGHEST_RELIEF))
    lowest = _relief_beyond(cameras, layout, center, directions)
    exemplars = _exemplars(rgb, relief, known, directions[:, 0, 1], factor)
    source = continue_panorama(exemplars, generator)
    made, found = copy_pixels(torch.cat([rgb, relief[None]]), known, source)
    # Relief is not blended: a mean of near and far would stand where nothing is.
    copied = _copied_relief(relief, source, factor)
    given = F.interpolate(exemplars.given.float()[None, None], size=size)[0, 0] > 0.5
    plain = layout.exit(layout.axes @ center, directions)[1]
    return Surroundings(
        layout,
        center,
        top,
        bottom,
        torch.where(given, rgb, torch.where(found, made[:3], plain.permute(2, 0, 1))),
        torch.where(given, relief, torch.where(found, torch.maximum(copied, lowest), 0.0)),
    )


def _relief_beyond(
    cameras: Cameras, layout: RoomLayout, center: Tensor, directions: Float[Tensor, "h w 3"]
) -> Float[Tensor, "h w"]:
    """The lowest relief at which what is made stands clear of all cameras: beyond their convex hull, seen from above, by
    ``CLEARANCE`` of the way to the wall."""
    places = ((cameras.centers - center) @ layout.axes.T)[:, [0, 2]]
    hull = (directions[0][:, [0, 2]] @ places.T).amax(1).clamp_min(0)  # support function for each azimuth
    wall = _wall_distance(layout, center, directions)
    return ((hull + CLEARANCE * (wall - hull)) / wall).clamp(0.05, 1).log()


def _exemplars(rgb: Tensor, relief: Tensor, known: Tensor, elevation: Tensor, factor: int) -> Exemplars:
    """The panorama at the size at which patches are matched, with its foreground found."""

    def shrink(x: Tensor) -> Tensor:
        return F.avg_pool2d(x[None], factor)[0]

    known_small = shrink(known.float()[None])[0] > 0.99
    relief_small = shrink(torch.where(known, relief, 0.0)[None])[0]
    solid = known_small & (relief_small <= HIGHEST_RELIEF)  # sky says nothing about what stands in front of what
    foreground = torch.where(solid, _foreground(relief_small, solid), 0.0)
    near = F.max_pool2d((foreground > 0.5).float()[None], 5, 1, 2)[0] > 0
    picture = torch.cat([shrink(rgb), RELIEF_WEIGHT * relief_small[None].clamp(max=1.0)])
    return Exemplars(picture, known_small, shrink(elevation[None, :, None].expand(1, -1, factor))[0, :, 0], foreground, near)


def _foreground(relief: Float[Tensor, "h w"], known: Bool[Tensor, "h w"]) -> Float[Tensor, "h w"]:
    """0..1: how clearly a pixel stands in front of most of what surrounds it."""
    cell = 8
    share = F.avg_pool2d(known.float()[None], cell)[0]
    coarse = F.avg_pool2d(torch.where(known, relief, 0.0)[None], cell)[0] / share.clamp_min(1e-3)
    coarse = torch.where(share > 0.5, coarse, torch.nan)
    rows, columns = FOREGROUND_WINDOW
    padded = F.pad(coarse[None, None], (columns // 2, columns // 2, 0, 0), mode="circular")
    padded = F.pad(padded, (0, 0, rows // 2, rows // 2), mode="replicate")
    windows = F.unfold(padded, FOREGROUND_WINDOW)[0]
    usual = windows.nanquantile(0.8, dim=0).view_as(coarse).nan_to_num(0.0)
    usual = F.interpolate(usual[None, None], size=relief.shape, mode="bilinear", align_corners=False)[0, 0]
    return ((usual - relief - FOREGROUND_STEP) / FOREGROUND_RAMP).clamp(0, 1)


def _copied_relief(relief: Float[Tensor, "H W"], source: Tensor, factor: int) -> Float[Tensor, "H W"]:
    height, width = source.shape
    row, column = torch.arange(height * factor)[:, None], torch.arange(width * factor)[None]
    found = source[row // factor, column // factor]
    return relief[found // width * factor + row % factor, found % width * factor + column % factor]


def _elevations(cameras: Cameras, layout: RoomLayout, center: Tensor) -> tuple[float, float]:
    """Tangents of the highest and the lowest direction in which lies what the cameras may see, down positive."""
    coarse = cameras.resized(9, 9)
    places = (coarse.unproject(layout.render(coarse).depth).flatten(0, 2) - center) @ layout.axes.T
    elevation = places[:, 1] / places[:, [0, 2]].norm(dim=-1).clamp_min(1e-6)
    # A few corners of a few frames may look steeper than all the rest: they are the layout's.
    top, bottom = (elevation.quantile(q).item() for q in (0.01, 0.99))
    return max(top - MARGIN, -STEEPEST), min(bottom + MARGIN, STEEPEST)


def _directions(size: tuple[int, ...], top: float, bottom: float) -> Float[Tensor, "h w 3"]:
    """Directions of a panorama's pixels in its axes, scaled to a horizontal length of 1."""
    height, width = size
    azimuth = ((torch.arange(width) + 0.5) / width - 0.5) * 2 * math.pi
    elevation = top + (torch.arange(height) + 0.5) / height * (bottom - top)
    elevation, azimuth = torch.meshgrid(elevation, azimuth, indexing="ij")
    return torch.stack([azimuth.sin(), elevation, azimuth.cos()], dim=-1)


def _wall_distance(layout: RoomLayout, center: Tensor, directions: Float[Tensor, "h w 3"]) -> Float[Tensor, "h w"]:
    """Horizontal distance of the layout's sides from the centre."""
    return layout.exit(layout.axes @ center, directions)[0]


def _panorama(
    look: LookAround, layout: RoomLayout, center: Tensor, size: tuple[int, int], top: float, bottom: float
) -> tuple[Float[Tensor, "3 h w"], Float[Tensor, "h w"], Bool[Tensor, "h w"]]:
    """Colour, horizontal distance and known of the panorama, resampled from perspective views."""
    width = size[1]
    focal = width / (2 * math.pi)
    sector = 2 * math.pi / VIEWS
    half_width = math.ceil(focal * math.tan(sector / 2)) + 2
    stretch = 1 / math.cos(sector / 2)
    above, below = (math.ceil(focal * max(0.0, edge) * stretch) + 2 for edge in (-top, bottom))
    angles = (torch.arange(VIEWS) + 0.5) * sector - math.pi
    right = torch.stack([angles.cos(), torch.zeros(VIEWS), -angles.sin()], dim=-1)
    ahead = torch.stack([angles.sin(), torch.zeros(VIEWS), angles.cos()], dim=-1)
    down = torch.tensor([0.0, 1.0, 0.0]).expand(VIEWS, 3)
    rotation = torch.stack([right, down, ahead], dim=1) @ layout.axes
    world_to_cam = torch.eye(4).repeat(VIEWS, 1, 1)
    world_to_cam[:, :3, :3] = rotation
    world_to_cam[:, :3, 3] = -(rotation @ center)
    intrinsics = torch.tensor([[focal, 0.0, half_width], [0.0, focal, above], [0.0, 0.0, 1.0]]).repeat(VIEWS, 1, 1)
    seen = look(Cameras(world_to_cam, intrinsics, 2 * half_width, above + below))
    directions = _directions(size, top, bottom)
    azimuth = ((torch.arange(width) + 0.5) / width - 0.5) * 2 * math.pi
    view = ((azimuth + math.pi) / sector).long().clamp(max=VIEWS - 1)
    off = (azimuth - angles[view])[None].expand(size)
    u = off.tan() * focal + half_width
    v = directions[..., 1] / off.cos() * focal + above
    view = view[None].expand(size)
    row, column = v.long().clamp(0, above + below - 1), u.long().clamp(0, 2 * half_width - 1)
    rgb = torch.empty(3, *size)
    for index in range(VIEWS):
        chosen = view == index
        rgb[:, chosen] = _bilinear(seen.rgb[index].permute(2, 0, 1), u[chosen], v[chosen], circular=False).T
    return rgb, seen.depth[view, row, column] / off.cos(), seen.known[view, row, column]


def _bilinear(
    picture: Float[Tensor, "c h w"], x: Float[Tensor, "*n"], y: Float[Tensor, "*n"], circular: bool = True
) -> Float[Tensor, "*n c"]:
    """Values at pixel coordinates (centres at +0.5); columns wrap round where ``circular``, else the border is repeated."""
    height, width = picture.shape[1:]
    padded = F.pad(picture[None], (1, 1, 0, 0), mode="circular" if circular else "replicate")
    grid = torch.stack([2 * (x + 1) / (width + 2) - 1, 2 * y / height - 1], dim=-1)
    sampled = F.grid_sample(padded, grid.reshape(1, 1, -1, 2), padding_mode="border", align_corners=False)
    return sampled[0, :, 0].T.reshape(*x.shape, len(picture))
