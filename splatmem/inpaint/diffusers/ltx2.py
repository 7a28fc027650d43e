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
from splatmem.inpaint.diffusers.crossfade import decoded, encoded, shares_of_part_before
from splatmem.inpaint.diffusers.loading import loading_options
from splatmem.inpaint.diffusers.ltx2_pipeline import HeldVideo, MemoryLTX2Pipeline
from splatmem.inpaint.diffusers.revise import FREE, allowed_in_cells, allowed_noise
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
        self.pipeline.held, lead = self._held(part)
        sampled = self.pipeline(
            height=part.rgb.shape[1],
            width=part.rgb.shape[2],
            num_frames=len(part.rgb),
            generator=generator,
            output_type="latent",  # so its sound is not decoded either
            **words,
            **self._sampling_options(),
        ).frames
        made = decoded(self._decoded, sampled, lead, self.group)
        self.pipeline.maybe_free_model_hooks()  # the pipeline does so by itself, but has not seen the autoencoder at work
        return made[:frames], torch.zeros(1, 1, 1, 1)

    def _sampling_options(self) -> dict[str, Any]:
        guidance = self.settings.guidance
        return super()._sampling_options() | (WITHOUT_GUIDANCE if guidance is not None and guidance <= 1 else {})

    def _held(self, part: PartOfWindow) -> tuple[HeldVideo, Float[Tensor, "1 f l H W"]]:
        """What is known, in latents, and the latents of the part's lead."""
        allowed = allowed_in_cells(allowed_noise(part.remembered, part.trust, self.settings.revise), self.cell, self.group)
        # The sampler mixes what it comes to with what is held in just this share, step by step.
        shares = shares_of_part_before(part.shared, len(allowed), self.group)[:, None, None]
        strength = torch.where(allowed >= FREE, shares, 1 - allowed.clamp(0, 1))
        latents, lead = encoded(self._encoded, part, self.group)
        vae = self.pipeline.vae
        held = self.pipeline._normalize_latents(latents, vae.latents_mean, vae.latents_std, vae.config.scaling_factor)
        return HeldVideo(held.cpu(), strength[None, None]), lead

    @torch.no_grad()
    def _encoded(self, frames: Float[Tensor, "t 3 H W"]) -> Float[Tensor, "1 f g h w"]:
        """The latents of a video, scaled as the autoencoder has them."""
        vae = self.pipeline.vae
        video = (2 * frames - 1).permute(1, 0, 2, 3)[None].to(self.pipeline._execution_device, vae.dtype)
        return vae.encode(video).latent_dist.mode().float()

    @torch.no_grad()
    def _decoded(self, latents: Float[Tensor, "1 f g h w"]) -> Float[Tensor, "t H W 3"]:
        """The frames of latents that are scaled as the autoencoder has them, and that have no noise left."""
        vae = self.pipeline.vae
        time = torch.zeros(1, device=latents.device, dtype=vae.dtype) if vae.config.timestep_conditioning else None
        video = vae.decode(latents.to(vae.dtype), time, return_dict=False)[0]
        return (video[0].permute(1, 2, 3, 0).float().cpu() / 2 + 0.5).clamp(0, 1)
