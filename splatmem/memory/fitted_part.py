"""The part of a written frame to which the colours of its Gaussians are fitted."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.gaussians import Gaussians
from splatmem.gaussians.refine import refine
from splatmem.geometry.cameras import Cameras
from splatmem.memory.stored_view import StoredView
from splatmem.pixels import from_uint8

MARGIN = 16
"""Pixels around what was written of a frame that are drawn as well: its outermost Gaussians show there."""


class FittedPart(NamedTuple):
    """A rectangle of a view.

    Attributes:
        camera: of the rectangle.
        rgb, depth: the frame's colours (0..1) and z-depth there, ``[h, w, 3]`` and ``[h, w]``.
    """

    camera: Cameras
    rgb: Float[Tensor, "h w 3"]
    depth: Float[Tensor, "h w"]

    @staticmethod
    def of(view: StoredView) -> FittedPart:
        """The rectangle around what was written of a view, with its margin."""
        rows, columns = (_span(view.written.any(axis)) for axis in (1, 0))
        camera = view.camera.part(columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)
        return FittedPart(camera, from_uint8(view.rgb)[rows, columns], view.depth[rows, columns])

    def fit(self, scene: Gaussians, chosen: tuple[int, int], steps: int) -> Gaussians:
        """The scene with the colours of a range of its Gaussians fitted to the frame that they were written from, by so many
        steps of conjugate gradients."""
        device = scene.device
        return refine(scene, chosen, self.rgb.to(device), self.depth.to(device), self.camera.to(device), steps)


def _span(some: Bool[Tensor, " n"]) -> slice:
    """The places from the first to the last of some, with a margin; all of them where there are none."""
    places = torch.nonzero(some)[:, 0]
    if not len(places):
        return slice(0, len(some))
    return slice(max(0, int(places[0]) - MARGIN), min(len(some), int(places[-1]) + 1 + MARGIN))
