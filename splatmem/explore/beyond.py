"""What lies beyond a photo and its wide view, made without a network that dreams."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from threading import Lock
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from splatmem.extrapolate.plain_place import PlainPlace, plain_place
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.distance import distance_inside
from splatmem.geometry.push_pull import push_pull
from splatmem.inpaint import FilledFrames, PartialFrames
from splatmem.memory import SpatialMemory
from splatmem.threads import torch_alone

TONE_REACH, TONE = 0.15, 0.25
"""Of a window's width: how far a plain place takes the colours of what is known beside it, where they differ by so much at
most: what differs more is a thing."""
RIM = 2.0
"""Pixels at the edge of what is known whose colours are half those of what was smeared in beside it."""

Beyond: TypeAlias = Callable[[PartialFrames], FilledFrames]
"""Makes whole frames of what lies beyond what is known; what is known itself need not come back."""


def beyond(memory: SpatialMemory, cameras: Cameras) -> Beyond:
    """What lies beyond what a memory shows: the place, going on plainly. It is found out when it is asked for the first time.

    Args:
        cameras: that will look at it.
    """
    place, finding_out = cache(lambda: plain_place(memory, cameras)), Lock()

    def made(partial: PartialFrames) -> FilledFrames:
        with torch_alone(partial.cameras.width * partial.cameras.height):
            with finding_out:  # frames may be made side by side
                found = place()
            return plainly(partial, found)

    return made


def plainly(partial: PartialFrames, place: PlainPlace) -> FilledFrames:
    """Frames that show a plain place everywhere, near what is known in its colours."""
    plain = place.render(partial.cameras)
    difference = partial.rgb - plain.rgb
    inside = torch.stack([distance_inside(known) for known in partial.known])
    alike = (inside > RIM) & (difference.abs().amax(-1) < TONE)
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
