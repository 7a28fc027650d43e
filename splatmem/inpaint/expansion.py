"""Two inpainters for one scene: one makes the windows of which little is known, the other those that hold on to something."""

from __future__ import annotations

from typing import Any

import torch

from splatmem.config import InpainterConfig
from splatmem.geometry.cameras import Cameras
from splatmem.inpaint.protocol import FilledFrames, PartialFrames, ReferenceViews, Traits, VideoInpainter, prepared


def expander_settings(settings: InpainterConfig) -> InpainterConfig | None:
    """Those of an inpainter's expander; None if it has none. What changes the model that fills the rest is not for the
    expander, which is of another kind."""
    if settings.expander is None:
        return None
    return InpainterConfig(model=settings.expander, max_pixels=settings.max_pixels, match_colours=settings.match_colours)


class ExpandingInpainter:
    """Gives a window to ``first`` if less than a share of it is known, else to ``then``.

    A model that is steered by cameras alone invents whole views that agree with each other, which a memory can be begun from;
    one that takes a mask holds on to what is there.
    """

    def __init__(self, first: VideoInpainter, then: VideoInpainter, below: float) -> None:
        """Args:
        first, then: models of videos.
        below: share of a window's pixels, 0..1.

        Raises:
            ValueError: one of them fills pictures one by one.
        """
        traits = (Traits.of(first), Traits.of(then))
        for one in traits:
            if not one.continuous:
                raise ValueError(f"inpainter.expander goes with models that fill videos, and {one.name} fills pictures")
        self.first, self.then, self.below = first, then, below
        self.name = f"{traits[1].name}, where little is known {traits[0].name}"
        self.window_frames, self.continuous = traits[1].window_frames, True
        self.reads_prompt = any(one.reads_prompt for one in traits)
        self.reference_views = max(one.reference_views for one in traits)

    def prepare(self, memory: Any, trajectory: Cameras, seed: int) -> ExpandingInpainter:
        """Both of them made ready for a scene."""
        both = (prepared(inpainter, memory, trajectory, seed) for inpainter in (self.first, self.then))
        return ExpandingInpainter(*both, below=self.below)

    def __call__(
        self,
        partial: PartialFrames,
        *,
        generator: torch.Generator,
        prompt: str = "",
        reference: ReferenceViews | None = None,
    ) -> FilledFrames:
        little = partial.known.float().mean() < self.below
        chosen = self.first if little else self.then
        return chosen(partial, generator=generator, prompt=prompt, reference=reference)
