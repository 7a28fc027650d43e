"""Windows of video filled by LTX-2 ("LTX-2: Efficient Joint Audio-Visual Foundation Model", HaCohen et al. 2026) through
diffusers.

The model was trained to go on from frames that are given without noise; here each latent of a frame is given so or not. So what
is known is held, what is known but poor starts from part of the noise, and the unknown from all of it. Its sound is not used.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from splatmem.config import HardwareConfig, InpainterConfig
from splatmem.geometry.push_pull import push_pull
from splatmem.inpaint.diffusers.loading import loading_options
from splatmem.inpaint.diffusers.ltx2_pipeline import HeldVideo, MemoryLTX2Pipeline
from splatmem.inpaint.diffusers.revise import allowed_in_cells, allowed_noise
from splatmem.inpaint.diffusers.time_groups import PartOfWindow, padded_length
from splatmem.inpaint.diffusers.windows import WindowInpainter
from splatmem.inpaint.protocol import ReferenceViews
from splatmem.models.hardware import place

WITHOUT_GUIDANCE: dict[str, float] = {
    "guidance_scale": 1.0, "stg_scale": 0.0, "modality_scale": 1.0, "guidance_rescale": 0.0,
    "audio_guidance_scale": 1.0, "audio_stg_scale": 0.0, "audio_modality_scale": 1.0, "audio_guidance_rescale": 0.0,
}  # fmt: skip
"""All kinds of guidance off, each of which is one more run of the transformer for every step."""


class LTX2Inpainter(WindowInpainter):
    """Runs an LTX-2 pipeline."""

    default_window = 121
    overlap = 17  # the first and two latent groups
    reads_latents = False

    def __init__(self, pipeline: Any, settings: InpainterConfig, hardware: HardwareConfig, device: str, name: str) -> None:
        super().__init__(pipeline, settings, hardware, device, name)
        for asked, what in ((settings.conditioning == "latents", "latents"), (settings.control == "depth", "depth")):
            if asked:
                raise ValueError(f"an LTX-2 pipeline cannot be shown {what} here: leave that setting away")
        place(pipeline, hardware, device)

    @staticmethod
    def from_pretrained(
        folder: Path, settings: InpainterConfig, hardware: HardwareConfig, device: str, dtype: torch.dtype
    ) -> LTX2Inpainter:
        """Loads a saved LTX-2 pipeline of any kind: they have the same parts."""
        pipeline = MemoryLTX2Pipeline.from_pretrained(folder, **loading_options(folder, settings, dtype))
        return LTX2Inpainter(pipeline, settings, hardware, device, Path(settings.model).name)

    @property
    def group(self) -> int:
        return self.pipeline.vae_temporal_compression_ratio

    @property
    def cell(self) -> int:
        return self.pipeline.vae_spatial_compression_ratio

    @property
    def multiple(self) -> int:
        return self.cell * self.pipeline.transformer_spatial_patch_size

    def read_prompt(self, prompt: str) -> dict[str, Any]:
        return {"prompt": prompt, "negative_prompt": self.settings.negative_prompt}

    def _fill_part(
        self, part: PartOfWindow, reference: ReferenceViews | None, words: dict[str, Any], generator: torch.Generator
    ) -> tuple[Float[Tensor, "t h w 3"], Float[Tensor, "g H W f"]]:
        frames = len(part.rgb)
        part = part.lengthened(padded_length(frames, self.group))
        self.pipeline.held = self._held(part)
        result = self.pipeline(
            height=part.rgb.shape[1],
            width=part.rgb.shape[2],
            num_frames=len(part.rgb),
            generator=generator,
            output_type="pt",
            **words,
            **self._sampling_options(),
        )
        return result.frames[0][:frames].permute(0, 2, 3, 1).float().cpu(), torch.zeros(1, 1, 1, 1)

    def _sampling_options(self) -> dict[str, Any]:
        guidance = self.settings.guidance
        return super()._sampling_options() | (WITHOUT_GUIDANCE if guidance is not None and guidance <= 1 else {})

    @torch.no_grad()
    def _held(self, part: PartOfWindow) -> HeldVideo:
        pipeline, vae = self.pipeline, self.pipeline.vae
        allowed = allowed_in_cells(allowed_noise(part.known, part.trust, self.settings.revise), self.cell, self.group)
        # Smooth in the holes: a latent mixes the colours of its neighbourhood.
        rgb = push_pull(part.rgb.permute(0, 3, 1, 2), part.known[:, None].float())
        video = (2 * rgb - 1).permute(1, 0, 2, 3)[None].to(pipeline._execution_device, vae.dtype)
        encoded = vae.encode(video).latent_dist.mode().float()
        latents = pipeline._normalize_latents(encoded, vae.latents_mean, vae.latents_std, vae.config.scaling_factor)
        return HeldVideo(latents.cpu(), (1 - allowed.clamp(0, 1))[None, None])
