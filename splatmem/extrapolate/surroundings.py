"""A guess of what lies all around a view: a closed room, with mirrored copies of the view in it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.extrapolate.above_below import extend_above_and_below
from splatmem.extrapolate.azimuth import AzimuthRange
from splatmem.extrapolate.azimuth_mapping import choose_segments, prominence
from splatmem.extrapolate.clearance import is_clear_of_cameras, move_clear_of_cameras
from splatmem.extrapolate.room_layout import BACKGROUND, LayoutReading, RoomLayout
from splatmem.extrapolate.view_copies import copy_gaussians
from splatmem.extrapolate.walls import move_to_walls
from splatmem.gaussians import Gaussians
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.push_pull import push_pull
from splatmem.memory import SpatialMemory

MAX_CLEARANCE = 0.3  # of the memory's scale: copies keep this distance from the cameras of the path ...
CLEARANCE_SHARE = 0.5  # ... or, if less, this share of the view's own distance from the nearest surfaces
INCLINATION_MARGIN = 0.2  # radians
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
        copies: mirrored copies of what is known, as a memory of their own.
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


def extrapolate_view(memory: SpatialMemory, layout: RoomLayout, cameras: Cameras, seed: int) -> Surroundings:
    """Extends the first view of a memory to all directions.

    Its background goes on above and below it; mirrored and plain copies of both fill the rest of a full turn. If the memory is
    metric and shows a room, the copies are moved to where walls would stand. What is in the way of the cameras is moved back,
    or left out.

    Args:
        memory: what is known, with at least one view.
        layout: the room that closes the scene.
        cameras: that will look at the surroundings.
        seed: decides which stretch of the view is shown again where.
    """
    view, depth = memory.views[0].camera, memory.views[0].depth
    assert memory.down is not None
    view_range = AzimuthRange.of(view, memory.down)
    foreground = depth < BACKGROUND * layout.render(view).depth[0]
    segments = choose_segments(view_range, prominence(view, foreground, view_range), seed)
    seen = memory.gaussians.to("cpu")  # where cameras, view_range and layout are
    beyond = extend_above_and_below(seen, view, view_range, layout, _inclinations(cameras, layout, view_range))
    gaussians = Gaussians.cat([beyond, copy_gaussians(Gaussians.cat([seen, beyond]), view_range, segments)])
    if memory.metric:
        gaussians = move_to_walls(gaussians, seen, view_range, layout, memory.scale)
    nearest = (seen.means - view.centers).norm(dim=1).sort().values[len(seen) // 100]
    clearance = min(MAX_CLEARANCE * memory.scale, CLEARANCE_SHARE * nearest.item())
    positions = cameras.centers[:: max(1, len(cameras) // 48)]
    gaussians = move_clear_of_cameras(gaussians, view_range, layout, positions, clearance)
    clear = gaussians.select(is_clear_of_cameras(gaussians, positions, clearance)).to(memory.device)
    return Surroundings(layout, SpatialMemory(clear, memory.views, memory.scale, down=memory.down))


def _inclinations(cameras: Cameras, layout: RoomLayout, view_range: AzimuthRange) -> tuple[float, float]:
    """Inclinations of the highest and the lowest point of the room's sides that the cameras see, in radians below the horizon.

    ``INCLINATION_MARGIN`` is added at both ends for what stands before the sides.
    """
    coarse = cameras.resized(8, 8)
    inclination = view_range.inclination(coarse.unproject(layout.render(coarse).depth))
    return inclination.min().item() - INCLINATION_MARGIN, inclination.max().item() + INCLINATION_MARGIN
