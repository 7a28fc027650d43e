"""What lies beyond a photo and its wide view where these show a room or something near, made without a network that dreams."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from splatmem.extrapolate.plain_land import PlainLand
from splatmem.extrapolate.plain_room import PlainRoom
from splatmem.extrapolate.surroundings import is_close_up, shows_open_air
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.distance import distance_inside
from splatmem.geometry.push_pull import push_pull
from splatmem.inpaint import FilledFrames, PartialFrames, VideoInpainter
from splatmem.memory import SpatialMemory

TONE_REACH, TONE = 0.15, 0.25
"""Of a window's width: how far the plain room takes the colours of what is known beside it, where they differ by so much at
most: what differs more is a thing."""

SKY = 0.01
Beyond: TypeAlias = Callable[[PartialFrames], FilledFrames]
"""Makes whole frames of what lies beyond what is known; what is known itself need not come back."""


def beyond(memory: SpatialMemory, cameras: Cameras, prepare: Callable[[], VideoInpainter]) -> Beyond | None:
    """What lies beyond what a memory shows: the plain room around it; around a close-up, which does not show its place, what
    another inpainter makes of it; None in the open.

    Args:
        cameras: that will look at it.
        prepare: gives the inpainter for close-ups; asked when it is needed for the first time.
    """
    if not is_close_up(memory):
        if not shows_open_air(memory):
            room = PlainRoom.around(memory, cameras)
            return lambda partial: in_room(partial, room)
        if torch.isinf(memory.views[0].depth).float().mean() > SKY:
            land = PlainLand.around(memory, cameras)
            return lambda partial: in_room(partial, land)
    prepared: list[VideoInpainter] = []

    def around(partial: PartialFrames) -> FilledFrames:
        if not prepared:
            prepared.append(prepare())
        return prepared[0](partial, generator=torch.Generator().manual_seed(0))

    return around


def in_room(partial: PartialFrames, room: PlainRoom | PlainLand) -> FilledFrames:
    """Frames that show the plain room everywhere, near what is known in its colours."""
    plain = room.render(partial.cameras)
    difference = partial.rgb - plain.rgb
    alike = partial.known & (difference.abs().amax(-1) < TONE)
    spread = push_pull(difference.permute(0, 3, 1, 2), alike[:, None].float()).permute(0, 2, 3, 1)
    away = torch.stack([distance_inside(~known) for known in partial.known]) / partial.cameras.width
    toned = plain.rgb + spread * torch.exp(-away / TONE_REACH)[..., None]
    return FilledFrames(toned.clamp(0, 1), plain.depth)


def faded(partial: PartialFrames, made: FilledFrames, sure: Float[Tensor, "t h w"]) -> FilledFrames:
    """Frames that show what is known where that is sure, else more and more what lies made."""
    share = torch.where(partial.known, sure, 0.0)
    rgb = torch.lerp(made.rgb, partial.rgb, share[..., None])
    depth = made.depth
    if depth is not None:
        near = partial.known & torch.isfinite(partial.depth) & torch.isfinite(depth)
        between = torch.lerp(depth.log(), partial.depth.clamp_min(1e-12).log(), share).exp()
        depth = torch.where(near, between, torch.where(share > 0.5, partial.depth, depth))
    return FilledFrames(rgb, depth)
