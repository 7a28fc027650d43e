"""The LTX-2 pipeline of diffusers, with the option to hold parts of its frames instead of whole ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from diffusers import LTX2ConditionPipeline
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class HeldVideo:
    """What a video should show.

    Attributes:
        latents: of a whole video, as its sampler has them, ``[1, f, g, h, w]``.
        strength: how firmly each of them is held: 1 is kept, 0 is made anew from pure noise, and what lies between starts from
            part of the noise, ``[1, 1, g, h, w]``.
    """

    latents: Float[Tensor, "1 f g h w"]
    strength: Float[Tensor, "1 1 g h w"]


class MemoryLTX2Pipeline(LTX2ConditionPipeline):
    """An ``LTX2ConditionPipeline`` whose mask has a value for each latent: ``held``, if it is set, stands for its conditions.

    The pipeline's steps have a noise level for each token already; its own conditions are whole frames.
    """

    held: HeldVideo | None = None

    def prepare_latents(self, *args: Any, noise_scale: float = 1.0, **options: Any) -> tuple[Tensor, Tensor, Tensor, Any]:
        """Latents, mask and clean latents of the tokens, as the base class gives them for its conditions."""
        noise, mask, clean, coordinates = super().prepare_latents(*args, noise_scale=noise_scale, **options)
        if self.held is None:
            return noise, mask, clean, coordinates
        sizes = (self.transformer_spatial_patch_size, self.transformer_temporal_patch_size)
        clean = self._pack_latents(self.held.latents, *sizes).to(noise)
        mask = self._pack_latents(self.held.strength, *sizes).to(mask)
        level = (1 - mask) * noise_scale
        noise = noise / noise_scale  # without conditions there is nothing else in it
        return noise * level + clean * (1 - level), mask, clean, coordinates
