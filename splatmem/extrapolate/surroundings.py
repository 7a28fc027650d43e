"""A guess of what lies all around a view: the empty place that it shows, going on calmly around a shell."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.classes import PixelClasses
from splatmem.depth.classes import classify
from splatmem.depth.thin import thin_in_the_sky
from splatmem.extrapolate.azimuth import AzimuthRange
from splatmem.extrapolate.calm import calm_turn
from splatmem.extrapolate.emptied import in_the_open, level_relief, prominent, removable, sun, with_halo
from splatmem.extrapolate.raised import raised
from splatmem.extrapolate.room_layout import BACKGROUND, LayoutReading, RoomLayout
from splatmem.extrapolate.shell import BINS, Shell, clear_distance, fit_shell
from splatmem.extrapolate.unrolled import Grid, Unrolled, unroll
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.push_pull import push_pull
from splatmem.memory import SpatialMemory
from splatmem.memory.spatial_memory import FAR_SHELL
from splatmem.memory.stored_view import StoredView
from splatmem.pixels import from_uint8

MAX_CLEARANCE = 0.3  # of the memory's scale: copies keep this distance from the cameras of the path ...
CLEARANCE_SHARE = 0.5  # ... or, if less, this share of the view's own distance from the nearest surfaces
INCLINATION_MARGIN = 0.2  # radians, for what stands before the shell and is seen from aside
CLOSE_UP = 1.6  # metres: what fills a view from nearer, in the median, is no room, whatever its background is taken for
SHADE = 0.15  # of the light: how much darker a plain wall is at a right angle to the one that the view looks at
MAX_INCLINATION = 1.4  # radians above or below the horizon
ROOM_COLOUR_WEIGHT = 0.002  # of the layout's colours, relative to background that was seen, where gaps are closed


@dataclass(frozen=True)
class Proposal:
    """Whole frames that an inpainter may start from, ``t`` views.

    Attributes:
        rgb: ``[t, h, w, 3]`` in 0..1.
        depth: z-depth, ``inf`` in the sky, ``[t, h, w]``.
        covered: pixels that are known or show a copy of something known; the rest are gaps, ``[t, h, w]``.
        place: where the pixel's ray leaves the room (-1..1), and its unit direction, in the room's axes, ``[t, h, w, 6]``.
    """

    rgb: Float[Tensor, "t h w 3"]
    depth: Float[Tensor, "t h w"]
    covered: Bool[Tensor, "t h w"]
    place: Float[Tensor, "t h w 6"]


@dataclass(frozen=True)
class Surroundings:
    """What may be seen in any direction: a guess that an inpainter starts from.

    Attributes:
        layout: the closed room behind everything; its axes are the frame of reference of ``Proposal.place``.
        copies: stretches of the emptied view all around, as a memory of their own.
    """

    layout: RoomLayout
    copies: SpatialMemory

    def propose(
        self,
        cameras: Cameras,
        rgb: Float[Tensor, "t h w 3"],
        depth: Float[Tensor, "t h w"],
        known: Bool[Tensor, "t h w"],
    ) -> Proposal:
        """Whole frames: the known pixels, else the copies where they are seen from their front, else the room.

        Args:
            cameras: of ``t`` frames.
            rgb: 0..1; depth: z-depth; known: which pixels of both are known.
        """
        copies = self.copies.read(cameras)
        rgb = torch.where(known[..., None], rgb, copies.rgb)
        depth = torch.where(known, depth, copies.depth)
        return propose(rgb, depth, known | copies.known, self.layout.render(cameras))


def propose(
    rgb: Float[Tensor, "t h w 3"], depth: Float[Tensor, "t h w"], covered: Bool[Tensor, "t h w"], room: LayoutReading
) -> Proposal:
    """Whole frames from frames with gaps, which take the room's depth and colours extended smoothly from the background.

    Args:
        rgb: 0..1, ``[t, h, w, 3]``.
        depth: z-depth, ``[t, h, w]``.
        covered: where both are given; the rest are gaps, ``[t, h, w]``.
        room: the layout in the same views.
    """
    background = covered & (depth > BACKGROUND * room.depth)
    colours = torch.where(covered[..., None], rgb, room.rgb).permute(0, 3, 1, 2)
    weights = torch.where(background, 1.0, torch.where(covered, 0.0, ROOM_COLOUR_WEIGHT))[:, None]
    closed = push_pull(colours, weights).permute(0, 2, 3, 1)
    return Proposal(
        rgb=torch.where(covered[..., None], rgb, closed),
        depth=torch.where(covered, depth, room.depth),
        covered=covered,
        place=torch.cat([room.position, room.direction], dim=-1),
    )


def extrapolate_view(memory: SpatialMemory, layout: RoomLayout, cameras: Cameras) -> Surroundings:
    """Extends the first view of a memory to all directions.

    The view is unrolled onto a shell around its camera, and emptied of things. The empty place goes on above, below and around;
    raised from the shell by its relief it becomes a memory of its own. Nothing of it stands in the way of the cameras.

    Args:
        memory: what is known, with at least one view.
        layout: the room that closes the scene.
        cameras: that will look at the surroundings.
    """
    view = memory.views[0]
    assert memory.down is not None
    view_range = AzimuthRange.of(view.camera, memory.down)
    near = view.depth[torch.isfinite(view.depth)]
    nearest = near.quantile(0.01).item() if len(near) else memory.scale
    clearance = min(MAX_CLEARANCE * memory.scale, CLEARANCE_SHARE * nearest)
    positions = cameras.centers[:: max(1, len(cameras) // 48)]
    classes = classes_of(view, memory.down)
    azimuth = view_range.left + torch.linspace(0, 2 * math.pi, BINS + 1)
    needed = clear_distance(azimuth, view_range, positions, clearance)
    open_air = in_the_open(classes, view.depth, memory.metric)
    indoors = not open_air and not is_close_up(memory)
    shell = fit_shell(view_range, layout, indoors, memory.scale, needed / BACKGROUND)
    grid = _grid(view.camera, shell, _inclinations(cameras, layout, view_range))
    turn, width = _around(view, classes, open_air, indoors, shell, grid)
    gaussians = raised(turn, width, shell, grid, view.camera, positions, clearance, FAR_SHELL * memory.scale)
    return Surroundings(layout, SpatialMemory(gaussians.to(memory.device), memory.views, memory.scale, down=memory.down))


def shows_open_air(memory: SpatialMemory) -> bool:
    """Whether the first view of a memory shows a place in the open."""
    assert memory.down is not None
    view = memory.views[0]
    return in_the_open(classes_of(view, memory.down), view.depth, memory.metric)


def is_close_up(memory: SpatialMemory) -> bool:
    """Whether what a memory shows is too near to tell what place it stands in."""
    return memory.metric and memory.scale < CLOSE_UP


def classes_of(view: StoredView, down: Float[Tensor, "3"]) -> PixelClasses:
    """What the pixels of a view show."""
    return classify(from_uint8(view.rgb), view.depth, view.camera, down) if view.classes is None else view.classes


def _grid(view: Cameras, shell: Shell, inclinations: tuple[float, float]) -> Grid:
    """Rows that hold the view and what the cameras see, at the view's own resolution."""
    rays = view.centers[0] + view.world_rays()[0]
    own = shell.view_range.inclination(rays)
    top = max(min(own.min().item(), inclinations[0]), -MAX_INCLINATION)
    bottom = min(max(own.max().item(), inclinations[1]), MAX_INCLINATION)
    ahead = float(shell.radius.max())
    unit = shell.view_length / shell.view_range.width
    return Grid.of(math.tan(top) * ahead, math.tan(bottom) * ahead, shell.view_length / view.width, unit)


def _around(
    view: StoredView, classes: PixelClasses, open_air: bool, indoors: bool, shell: Shell, grid: Grid
) -> tuple[Unrolled, int]:
    """Pictures of the whole turn on the shell, and how many columns of them the view shows."""
    rgb = from_uint8(view.rgb)
    gone = removable(classes, view.depth, open_air) | ~view.written
    if open_air:
        gone |= thin_in_the_sky(view.depth, rgb) | sun(rgb, view.depth)
    known_again = prominent(classes, view.depth, open_air)
    shown = unroll(view.camera, rgb, view.depth, classes.labels, known_again, gone, shell, grid)
    width = shown.seen.shape[1]
    shown = replace(shown, thing=with_halo(shown.thing) & shown.seen)
    total = max(2 * width, round(shell.length / grid.step))
    turn = calm_turn(shown, level_relief(shell, grid), grid, indoors, total)
    return _shaded(turn, shell, width) if indoors else turn, width


def _shaded(turn: Unrolled, shell: Shell, width: int) -> Unrolled:
    """Plain walls, those darker that face another way than the one in the middle of the view: else nothing shows a corner.

    Args:
        width: columns that the view shows.
    """
    columns = turn.rgb.shape[1]
    azimuth = shell.azimuth_at((torch.arange(columns) + 0.5) / columns * shell.length)
    place = shell.radius_at(azimuth) * torch.stack([azimuth.sin(), azimuth.cos()])
    along = torch.atan2(*(place.roll(-1, 1) - place.roll(1, 1)))
    return replace(turn, rgb=turn.rgb * (1 - SHADE * (along - along[width // 2]).sin().square())[:, None])


def _inclinations(cameras: Cameras, layout: RoomLayout, view_range: AzimuthRange) -> tuple[float, float]:
    """Inclinations of the highest and the lowest point of the room's sides that the cameras see, in radians below the horizon.

    ``INCLINATION_MARGIN`` is added at both ends unless all cameras stand where the view's does.
    """
    coarse = cameras.resized(8, 8)
    inclination = view_range.inclination(coarse.unproject(layout.render(coarse).depth))
    aside = (cameras.centers - view_range.center).norm(dim=1).max() > 1e-3 * layout.render(coarse).depth.median()
    margin = INCLINATION_MARGIN if aside else 0.02
    return inclination.min().item() - margin, inclination.max().item() + margin
