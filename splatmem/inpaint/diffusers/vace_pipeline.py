"""Wan VACE as diffusers has it, with the choice to be shown the known in latents."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import WanVACEPipeline
from jaxtyping import Float
from torch import Tensor


class MemoryVACEPipeline(WanVACEPipeline):
    """A ``WanVACEPipeline`` that takes the latents of the video to keep and of the video to change instead of encoding them.

    ``conditioning``, if it is set, stands for what ``prepare_video_latents`` would make of the video and the mask:
    ``[1, 2 f, g, h, w]``, first what is kept, then what is changed; mid-grey where there is neither. Reference pictures are
    encoded as always.
    """

    conditioning: Float[Tensor, "1 c g h w"] | None = None

    def prepare_video_latents(
        self,
        video: Tensor,
        mask: Tensor,
        reference_images: list[list[Tensor]] | None = None,
        generator: torch.Generator | list[torch.Generator] | None = None,
        device: torch.device | None = None,
    ) -> Tensor:
        prepare = super().prepare_video_latents
        if self.conditioning is None:
            return prepare(video, mask, reference_images, generator, device)
        conditioning = self.conditioning.to(video.device, self.vae.dtype)
        references = 0 if reference_images is None else len(reference_images[0])
        if references == 0:
            return conditioning
        # One frame is enough to have the references encoded, which come first.
        encoded: Any = prepare(video[:, :, :1], mask[:, :, :1], reference_images, generator, device)
        return torch.cat([encoded[:, :, :references], conditioning], dim=2)
