"""The embedded inpainter's windows: filled from wide views around a scene's first one, and from what lies beyond these."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, runtime_checkable

import torch

from splatmem.depth import DepthEstimator
from splatmem.explore.beyond import beyond, faded
from splatmem.explore.wide_views import WideViews
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.push_pull import fill_gaps
from splatmem.inpaint import FilledFrames, PartialFrames, ReferenceViews, VideoInpainter
from splatmem.inpaint.migan.pictures import PictureFiller
from splatmem.inpaint.protocol import prepared
from splatmem.memory import SpatialMemory

SLIVERS = 0.06
"""Share of a window that is left open, up to which it is closed smoothly from around."""


@runtime_checkable
class WideningInpainter(Protocol):
    """An inpainter that makes windows better when wide views around the first one were made before.

    Attributes:
        fill_wide: makes these, if they are wanted.
    """

    fill_wide: PictureFiller | None


def ready_for_path(
    inpainter: VideoInpainter, memory: SpatialMemory, cameras: Cameras, seed: int, estimate_depth: DepthEstimator
) -> VideoInpainter:
    """An inpainter made ready for a scene and a path, with wide views around its first one if it wants them.

    Args:
        memory: what was given of the scene, and nothing that was made; it is not changed.
        cameras: that will look at it: what is made is the same in whichever order its windows come.
        seed: of what the inpainter prepares.
        estimate_depth: tells the depth of wide views.
    """
    fill = _wide_filler(inpainter)
    if fill is None:
        return prepared(inpainter, memory, cameras, seed)

    def prepare() -> VideoInpainter:
        return prepared(inpainter, memory, cameras, seed)

    around = WideViews(memory, fill, estimate_depth, beyond(memory, cameras, prepare))
    return WideViewsFirst(prepare, around, cameras)


def ready_to_look(
    inpainter: VideoInpainter,
    memory: SpatialMemory,
    cameras: Cameras,
    seed: int,
    estimate_depth: DepthEstimator,
    before: VideoInpainter | None,
) -> VideoInpainter:
    """As ``ready_for_path``, where no path is known: each window has the wide views made that it sees.

    Args:
        cameras: that what the inpainter prepares leaves room for.
        before: what this gave for the scene before, whose wide views stay, if it did.
    """
    fill = _wide_filler(inpainter)
    if fill is None:
        return prepared(inpainter, memory, cameras, seed)

    def prepare() -> VideoInpainter:
        return prepared(inpainter, memory, cameras, seed)

    lies_beyond = beyond(memory, cameras, prepare)
    if isinstance(before, WideViewsFirst):
        around = before.around
        around.beyond = lies_beyond
    else:
        around = WideViews(memory, fill, estimate_depth, lies_beyond)
    return WideViewsFirst(prepare, around, None)


def _wide_filler(inpainter: VideoInpainter) -> PictureFiller | None:
    return inpainter.fill_wide if isinstance(inpainter, WideningInpainter) else None


class WideViewsFirst:
    """Fills windows of one scene from wide views around its first one, and what these do not show by another inpainter."""

    def __init__(self, prepare: Callable[[], VideoInpainter], around: WideViews, cameras: Cameras | None) -> None:
        """Args:
        prepare: gives what makes the rest; asked when it is needed for the first time.
        around: the wide views.
        cameras: that will look at the scene: what they see is made with the first window. None: what each window sees.
        """
        self.prepare_rest, self.around, self.cameras = prepare, around, cameras
        self._rest: VideoInpainter | None = None

    def make_ahead(self, pause: Callable[[], None]) -> tuple[int, int] | None:
        """Makes one of the things that windows will want: a wide view, or what makes the rest.

        Args:
            pause: called where this may be left off; what it raises loses nothing that was made.

        Returns:
            how many are made, and of how many; None if all were made before.
        """
        around = self.around
        missing = [index for index in range(len(around.views)) if index not in around.made]  # each comes after those before it
        wants_rest = around.beyond is None
        if not missing and (self._rest is not None or not wants_rest):
            return None
        if missing:
            around.make(missing[0], pause)
        else:
            self._rest = self.prepare_rest()
        return len(around.made) + (self._rest is not None), len(around.views) + wants_rest

    def __call__(
        self,
        partial: PartialFrames,
        *,
        generator: torch.Generator,
        prompt: str = "",
        reference: ReferenceViews | None = None,
    ) -> FilledFrames:
        if self.cameras is None:
            self.around.make_for(partial.cameras)
        elif not self.around.made:
            self.around.make_for(self.cameras)
        seen = self.around.memory.read(partial.cameras)
        helped = replace(
            partial, rgb=torch.where(partial.known[..., None], partial.rgb, seen.rgb), known=partial.known | seen.known,
            depth=torch.where(partial.known, partial.depth, seen.depth),
            trust=torch.where(partial.known, partial.trust, seen.trust),
        )  # fmt: skip
        around = self.around
        few = (~helped.known).float().mean() <= SLIVERS
        if few and (around.beyond is None or not around.made):
            closed = _closed(helped)
            return FilledFrames(closed.rgb, closed.depth)
        if around.beyond is not None:
            closed = _closed(helped)
            # Gaps between what the first wide view shows in front and behind: nothing lies beyond there.
            inside = around.inside(partial.cameras, closed.depth)
            sure = torch.where(partial.known, 1.0, inside)
            whole = replace(closed, known=helped.known | (inside > 0))
            return faded(whole, around.beyond(replace(whole, known=sure == 1)), sure)
        if self._rest is None:
            self._rest = self.prepare_rest()
        return self._rest(helped, generator=generator, prompt=prompt, reference=reference)


def _closed(partial: PartialFrames) -> PartialFrames:
    """Frames whose gaps take smoothly what is around them."""
    far = torch.isinf(partial.depth)
    inverse = torch.where(far, 0.0, 1 / partial.depth.clamp_min(1e-12))[:, None]
    maps = torch.cat([partial.rgb.permute(0, 3, 1, 2), inverse], dim=1)
    filled = fill_gaps(maps, partial.known)
    made = 1 / filled[:, 3]
    rgb = filled[:, :3].permute(0, 2, 3, 1).contiguous()
    return replace(partial, rgb=rgb, depth=torch.where(partial.known, partial.depth, made))
