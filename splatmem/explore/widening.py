"""The embedded inpainter's windows: filled from a wide view around a scene's first one, and from what lies beyond it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, runtime_checkable

import torch

from splatmem.depth import DepthEstimator
from splatmem.explore.beyond import beyond, faded
from splatmem.explore.wide_view import WideView
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.distance import distance_inside
from splatmem.geometry.push_pull import fill_gaps
from splatmem.inpaint import FilledFrames, PartialFrames, ReferenceViews, VideoInpainter
from splatmem.inpaint.migan.pictures import PictureFiller
from splatmem.inpaint.protocol import prepared
from splatmem.memory import SpatialMemory
from splatmem.threads import side_by_side, torch_alone

SLIVERS = 0.06
"""Share of a window that is left open, up to which it is closed smoothly from around."""
NARROW = 0.02
"""Of a window's width: gaps are closed so far from their rims."""


@runtime_checkable
class WideningInpainter(Protocol):
    """An inpainter that makes windows better when a wide view around the first one was made before.

    Attributes:
        fill_wide: makes it, if it is wanted.
    """

    fill_wide: PictureFiller | None


def ready_for_path(
    inpainter: VideoInpainter, memory: SpatialMemory, cameras: Cameras, seed: int, estimate_depth: DepthEstimator
) -> VideoInpainter:
    """An inpainter made ready for a scene and a path, with a wide view around its first one if it wants that.

    Args:
        memory: what was given of the scene, and nothing that was made; it is not changed.
        cameras: that will look at it: what is made is the same in whichever order its windows come.
        seed: of what the inpainter prepares.
        estimate_depth: tells the depth of the wide view.
    """
    fill = _wide_filler(inpainter)
    if fill is None:
        return prepared(inpainter, memory, cameras, seed)
    return WideViewFirst(WideView(memory, fill, estimate_depth, beyond(memory, cameras)), cameras)


def ready_to_look(
    inpainter: VideoInpainter,
    memory: SpatialMemory,
    cameras: Cameras,
    seed: int,
    estimate_depth: DepthEstimator,
    before: VideoInpainter | None,
) -> VideoInpainter:
    """As ``ready_for_path``, where no path is known: the wide view is made when a window sees it.

    Args:
        cameras: that what the inpainter prepares leaves room for.
        before: what this gave for the scene before, whose wide view stays, if it did.
    """
    fill = _wide_filler(inpainter)
    if fill is None:
        return prepared(inpainter, memory, cameras, seed)
    lies_beyond = beyond(memory, cameras)
    if isinstance(before, WideViewFirst):
        before.around.beyond = lies_beyond
        return before
    return WideViewFirst(WideView(memory, fill, estimate_depth, lies_beyond), None)


def _wide_filler(inpainter: VideoInpainter) -> PictureFiller | None:
    return inpainter.fill_wide if isinstance(inpainter, WideningInpainter) else None


class WideViewFirst:
    """Fills windows of one scene from a wide view around its first one, and from what lies beyond that."""

    def __init__(self, around: WideView, cameras: Cameras | None) -> None:
        """Args:
        around: the wide view.
        cameras: that will look at the scene: the wide view is made with the first window if they see it. None: with the first
            window that sees it.
        """
        self.around, self.cameras = around, cameras

    def make_ahead(self, pause: Callable[[], None]) -> bool:
        """Makes what windows will want: the wide view.

        Args:
            pause: called where this may be left off; what it raises loses nothing that was made.

        Returns:
            whether there was anything to be made.
        """
        if self.around.made:
            return False
        self.around.make(pause)
        return True

    def __call__(
        self,
        partial: PartialFrames,
        *,
        generator: torch.Generator,
        prompt: str = "",
        reference: ReferenceViews | None = None,
    ) -> FilledFrames:
        self.around.make_for(partial.cameras if self.cameras is None else self.cameras)
        with torch_alone(partial.cameras.width * partial.cameras.height):
            return self._filled(partial)

    def _filled(self, partial: PartialFrames) -> FilledFrames:
        """The frames, whose wide view was made if it is to be."""
        around = self.around
        seen = around.memory.read(partial.cameras)
        helped = replace(
            partial, rgb=torch.where(partial.known[..., None], partial.rgb, seen.rgb), known=partial.known | seen.known,
            depth=torch.where(partial.known, partial.depth, seen.depth),
            trust=torch.where(partial.known, partial.trust, seen.trust),
        )  # fmt: skip
        slivers = not around.made and bool((~helped.known).float().mean() <= SLIVERS)

        def whole(index: int) -> FilledFrames:
            return self._whole(_frame(partial, index), _frame(helped, index), slivers)

        frames = side_by_side(whole, range(len(partial)))
        depths = [frame.depth for frame in frames if frame.depth is not None]
        return FilledFrames(torch.cat([frame.rgb for frame in frames]), torch.cat(depths))

    def _whole(self, partial: PartialFrames, helped: PartialFrames, slivers: bool) -> FilledFrames:
        """One frame, of which the memory knows what ``partial`` shows, and with what is around it what ``helped`` shows;
        ``slivers``: whether so little is left open that it is closed from around."""
        closed = _closed(helped)
        if slivers:
            return FilledFrames(closed.rgb, closed.depth)
        # Narrow gaps are closed; wide ones show the place behind, since what lies between two surfaces is neither.
        away = distance_inside(~helped.known[0])[None] / partial.cameras.width
        inside = self.around.inside(partial.cameras, closed.depth) * (1 - away / NARROW).clamp_min(0)
        sure = torch.where(partial.known, 1.0, inside)
        whole = replace(closed, known=helped.known | (inside > 0))
        return faded(whole, self.around.beyond(replace(whole, known=sure == 1)), sure)


def _frame(frames: PartialFrames, index: int) -> PartialFrames:
    """One of the frames; an inpainter's own latents are left out."""
    rgb, depth, known, trust = (values[index : index + 1] for values in (frames.rgb, frames.depth, frames.known, frames.trust))
    return PartialFrames(rgb, depth, known, trust, frames.cameras[index])


def _closed(partial: PartialFrames) -> PartialFrames:
    """Frames whose gaps take smoothly what is around them."""
    far = torch.isinf(partial.depth)
    inverse = torch.where(far, 0.0, 1 / partial.depth.clamp_min(1e-12))[:, None]
    maps = torch.cat([partial.rgb.permute(0, 3, 1, 2), inverse], dim=1)
    filled = fill_gaps(maps, partial.known)
    made = 1 / filled[:, 3]
    rgb = filled[:, :3].permute(0, 2, 3, 1).contiguous()
    return replace(partial, rgb=rgb, depth=torch.where(partial.known, partial.depth, made))
