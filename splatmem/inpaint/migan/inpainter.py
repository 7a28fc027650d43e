"""The network as an inpainter of the loop: frame by frame, without a prompt."""

from __future__ import annotations

import torch

from splatmem.inpaint.migan.pictures import PictureFiller
from splatmem.inpaint.protocol import FilledFrames, PartialFrames, ReferenceViews, keep_known


class FrameByFrame:
    """Fills the colours of each frame on its own; depth is left to the depth estimator."""

    window_frames = 1
    continuous = False
    reads_prompt = False

    def __init__(self, fill: PictureFiller, name: str = "places") -> None:
        """Args:
        fill: makes whole pictures.
        name: for reports.
        """
        self.fill, self.name = fill, name

    def __call__(
        self,
        partial: PartialFrames,
        *,
        generator: torch.Generator,
        prompt: str = "",
        reference: ReferenceViews | None = None,
    ) -> FilledFrames:
        frames = [self.fill(rgb, known) for rgb, known in zip(partial.rgb, partial.known, strict=True)]
        return FilledFrames(keep_known(partial, torch.stack(frames)))
