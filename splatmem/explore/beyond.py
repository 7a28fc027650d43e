"""What lies beyond a photo and its wide view, made without a network that dreams."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from splatmem.extrapolate.plain_land import PlainLand
from splatmem.extrapolate.plain_room import PlainReading, PlainRoom
from splatmem.extrapolate.surroundings import is_close_up, shows_open_air
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.distance import distance_inside
from splatmem.geometry.push_pull import push_pull
from splatmem.inpaint import FilledFrames, PartialFrames, VideoInpainter
from splatmem.memory import SpatialMemory

TONE_REACH, TONE = 0.15, 0.25
"""Of a window's width: how far a plain place takes the colours of what is known beside it, where they differ by so much at most:
what differs more is a thing."""
SKY = 0.01
"""Share of a photo in the open that must be sky for level ground under the sky to lie around it. Without, it may be a wood, or an
animal's fur before leaves."""

Beyond: TypeAlias = Callable[[PartialFrames], FilledFrames]
"""Makes whole frames of what lies beyond what is known; what is known itself need not come back."""


class PlainPlace(Protocol):
    """A place without things."""

    def render(self, cameras: Cameras) -> PlainReading:
        """What cameras in it see."""
        ...


def beyond(memory: SpatialMemory, cameras: Cameras, prepare: Callable[[], VideoInpainter]) -> Beyond:
    """What lies beyond what a memory shows: a plain room around a room, plain land around what stands under the sky. Around all
    else, such as a close-up, which does not show its place, it is what another inpainter makes of it.

    It is found out when it is asked for the first time.

    Args:
        cameras: that will look at it.
        prepare: gives the other inpainter.
    """
    found: list[Beyond] = []

    def around(partial: PartialFrames) -> FilledFrames:
        if not found:
            place = _plain_place(memory, cameras)
            if place is None:
                inpainter = prepare()
                found.append(lambda frames: inpainter(frames, generator=torch.Generator().manual_seed(0)))
            else:
                found.append(lambda frames: plainly(frames, place))
        return found[0](partial)

    return around


def _plain_place(memory: SpatialMemory, cameras: Cameras) -> PlainPlace | None:
    if not is_close_up(memory) and not shows_open_air(memory):
        return PlainRoom.around(memory, cameras)
    return PlainLand.around(memory, cameras)


def plainly(partial: PartialFrames, place: PlainPlace) -> FilledFrames:
    """Frames that show a plain place everywhere, near what is known in its colours."""
    plain = place.render(partial.cameras)
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
