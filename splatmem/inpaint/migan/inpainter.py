"""The network as an inpainter of the loop: frame by frame, without a prompt."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.inpaint.migan.pictures import PictureFiller, fill_near
from splatmem.inpaint.protocol import FilledFrames, PartialFrames, ReferenceViews, keep_known


class FrameByFrame:
    """Fills the colours of each frame on its own; depth is left to the depth estimator."""

    window_frames = 1
    continuous = False
    reads_prompt = False

    def __init__(self, fill: PictureFiller, name: str = "places", around: float | None = None) -> None:
        """Args:
        fill: makes whole pictures.
        name: for reports.
        around: of each frame, only that much around what is missing is shown; see ``fill_near``. None: all of it.
        """
        self.fill, self.name, self.around = fill, name, around

    def __call__(
        self,
        partial: PartialFrames,
        *,
        generator: torch.Generator,
        prompt: str = "",
        reference: ReferenceViews | None = None,
    ) -> FilledFrames:
        frames = [self._filled(rgb, known) for rgb, known in zip(partial.rgb, partial.known, strict=True)]
        return FilledFrames(keep_known(partial, torch.stack(frames)))

    def _filled(self, rgb: Float[Tensor, "h w 3"], known: Bool[Tensor, "h w"]) -> Float[Tensor, "h w 3"]:
        return self.fill(rgb, known) if self.around is None else fill_near(self.fill, rgb, known, self.around)


class EmbeddedInpainter(FrameByFrame):
    """The inpainter that comes with the package. It is at its best between what it is shown, so it wants a wide view around a
    scene's first one: see ``splatmem.explore.widening``."""

    window_frames = 4

    def __init__(self, fill: PictureFiller) -> None:
        """Args:
        fill: makes whole pictures.
        """
        super().__init__(fill, name="embedded")
        self.fill_wide: PictureFiller | None = fill
