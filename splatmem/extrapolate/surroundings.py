"""A guess of what lies all around: the view that is known, mirrored to a full turn, in a closed room."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.extrapolate.above_below import beyond_rims
from splatmem.extrapolate.clearance import clear_of, moved_clear
from splatmem.extrapolate.copy_order import prominence, wander
from splatmem.extrapolate.room_layout import BACKGROUND, LayoutReading, RoomLayout
from splatmem.extrapolate.view_copies import AzimuthRange, mirrored_gaussians
from splatmem.extrapolate.walls import stand_as_walls
from splatmem.gaussians import Gaussians
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.push_pull import push_pull
from splatmem.memory import SpatialMemory

CLEARANCE = 0.3  # of the memory's scale: nothing is guessed nearer than this to a camera ...
NEAREST_SHARE = 0.5  # ... or than this share of the distance that the view's nearest things have from its own camera
RIM_MARGIN = 0.2  # radians beyond what the path's cameras see of the room's sides
GUESS_WEIGHT = 0.002  # of the room's own colours where gaps are closed


@dataclass(frozen=True)
class Proposal:
    """Whole frames that an inpainter may start from, ``t`` views.

    Attributes:
        rgb: ``[t, h, w, 3]`` in 0..1.
        depth: z-depth, ``inf`` in the sky, ``[t, h, w]``.
        covered: what something stands for that was seen, here or elsewhere; the rest are gaps, ``[t, h, w]``.
        place: where in the room the pixel's ray ends, and its direction, in the room's axes, ``[t, h, w, 6]``.
    """

    rgb: Float[Tensor, "t h w 3"]
    depth: Float[Tensor, "t h w"]
    covered: Bool[Tensor, "t h w"]
    place: Float[Tensor, "t h w 6"]


@dataclass(frozen=True)
class Surroundings:
    """What may be seen in any direction.

    Attributes:
        layout: the room that closes the gaps; its axes serve a model as a frame of reference.
        copies: mirrored copies of what is known, a memory of their own.
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
        """Whole frames: what is known, beside it the copies where they show their front, in the gaps the room."""
        copies = self.copies.read(cameras)
        rgb = torch.where(known[..., None], rgb, copies.rgb)
        depth = torch.where(known, depth, copies.depth)
        return propose(rgb, depth, known | copies.known, self.layout.render(cameras))


def propose(
    rgb: Float[Tensor, "t h w 3"], depth: Float[Tensor, "t h w"], covered: Bool[Tensor, "t h w"], room: LayoutReading
) -> Proposal:
    """Closes gaps with the room's depth, and with the colours of the background around them, smoothly carried on."""
    background = covered & (depth > BACKGROUND * room.depth)
    colours = torch.where(covered[..., None], rgb, room.rgb).permute(0, 3, 1, 2)
    weights = torch.where(background, 1.0, torch.where(covered, 0.0, GUESS_WEIGHT))[:, None]
    closed = push_pull(colours, weights).permute(0, 2, 3, 1)
    return Proposal(
        rgb=torch.where(covered[..., None], rgb, closed),
        depth=torch.where(covered, depth, room.depth),
        covered=covered,
        place=torch.cat([room.position, room.direction], dim=-1),
    )


def imagine_surroundings(
    memory: SpatialMemory, layout: RoomLayout, cameras: Cameras, down: Float[Tensor, "3"], seed: int
) -> Surroundings:
    """Mirrors what a memory's first view shows; in a room, its copies stand where walls would.

    Args:
        memory: what is known.
        layout: the room.
        cameras: that will look at it: they are kept clear.
        down: direction of gravity.
        seed: which of the view's parts are seen again where.
    """
    view, depth = memory.views[0].camera, memory.views[0].depth
    view_range = AzimuthRange.of(view, down)
    legs = wander(view_range, prominence(view, depth < BACKGROUND * layout.render(view).depth[0], view_range), seed)
    seen = memory.gaussians.to("cpu")  # cameras, view_range and room are there
    beyond = beyond_rims(seen, view, view_range, layout, _inclinations(cameras, layout, view_range))
    gaussians = Gaussians.cat([beyond, mirrored_gaussians(Gaussians.cat([seen, beyond]), view_range, legs)])
    if memory.metric:
        gaussians = stand_as_walls(gaussians, seen, view_range, layout, memory.scale)
    nearest = (seen.means - view.centers).norm(dim=1).sort().values[len(seen) // 100]
    clearance = min(CLEARANCE * memory.scale, NEAREST_SHARE * nearest.item())
    places = cameras.centers[:: max(1, len(cameras) // 48)]
    gaussians = moved_clear(gaussians, view_range, layout, places, clearance)
    clear = gaussians.select(clear_of(gaussians, places, clearance)).to(memory.device)
    return Surroundings(layout, SpatialMemory(clear, memory.views, memory.scale))


def _inclinations(cameras: Cameras, layout: RoomLayout, view_range: AzimuthRange) -> tuple[float, float]:
    """Highest and lowest direction, radians below the horizon, of what cameras look at: of the room's sides, with a margin for
    what stands before them."""
    coarse = cameras.resized(8, 8)
    inclination = view_range.inclination(coarse.unproject(layout.render(coarse).depth))
    return inclination.min().item() - RIM_MARGIN, inclination.max().item() + RIM_MARGIN
