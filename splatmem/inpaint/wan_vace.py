"""Windows of video filled by Wan VACE ("VACE: All-in-One Video Creation and Editing", Jiang et al. 2025) through diffusers.

What the pipeline needs and does not do itself happens here: sides that are multiples of 16, 4k + 1 frames, mid-grey in the
hole, masks that hold for whole latent time groups, long windows in overlapping parts.
"""

from __future__ import annotations

import inspect
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from PIL import Image
from torch import Tensor

from splatmem.config import HardwareConfig, InpainterConfig
from splatmem.inpaint.budget import Budget, within_memory
from splatmem.inpaint.protocol import FilledFrames, PartialFrames, ReferenceViews, keep_known
from splatmem.inpaint.pyramid import push_pull
from splatmem.inpaint.revise import POOR_TRUST, HeldLatents, allowed_in_cells, allowed_noise, prepare_scheduler
from splatmem.inpaint.sizes import WorkingSize
from splatmem.models.hardware import place, release

DEFAULT_WINDOW = 81  # frames that the models were trained on
OVERLAP = 9  # frames that a part of a long window shares with the one before: the first and two latent groups
GREY = 0.5
MAX_PROMPT_TOKENS = 512


class WanVACEInpainter:
    """Runs a ``WanVACEPipeline``, of Wan 2.1 or, with two transformers, of Wan 2.2."""

    continuous = True
    wants_surroundings = False
    reads_prompt = True

    def __init__(self, pipeline: Any, settings: InpainterConfig, hardware: HardwareConfig, device: str, name: str) -> None:
        self.pipeline, self.settings, self.hardware, self.device, self.name = pipeline, settings, hardware, device, name
        self.window_frames = checked_window(settings.window_frames or DEFAULT_WINDOW, pipeline.vae_scale_factor_temporal)
        self.reference_views = settings.references
        self.budget = Budget(self.window_frames, settings.max_pixels)
        self.notes: list[str] = []
        self._embeddings: tuple[str, dict[str, Tensor]] | None = None
        self._placed = False
        pipeline.set_progress_bar_config(disable=True)

    @staticmethod
    def from_pretrained(
        folder: Path, settings: InpainterConfig, hardware: HardwareConfig, device: str, dtype: torch.dtype
    ) -> WanVACEInpainter:
        """Loads a saved pipeline; its autoencoder always computes in float32, as diffusers recommends for this model."""
        from diffusers import WanVACEPipeline

        pipeline = WanVACEPipeline.from_pretrained(
            folder,
            dtype={"default": dtype, "vae": torch.float32},
            variant=settings.variant,
            use_safetensors=True,
            trust_remote_code=False,
        )
        return WanVACEInpainter(pipeline, settings, hardware, device, folder.name)

    def __call__(
        self,
        partial: PartialFrames,
        *,
        generator: torch.Generator,
        prompt: str = "",
        reference: ReferenceViews | None = None,
    ) -> FilledFrames:
        pictures = [] if reference is None else [_picture(rgb) for rgb in reference.rgb[: self.reference_views]]
        embeddings = self._prompt_embeddings(prompt)
        before = self.budget
        rgb, self.budget = within_memory(
            lambda budget: self._fill(partial, pictures, embeddings, generator, budget),
            self.budget,
            lambda budget: int(np.prod(self._working_size(partial, budget).padded)),
            self.device,
            generator,
        )
        if self.budget != before:
            self.notes.append(_memory_note(self.budget))
        return FilledFrames(keep_known(partial, rgb), None)

    def _fill(
        self,
        partial: PartialFrames,
        pictures: list[Image.Image],
        embeddings: dict[str, Tensor],
        generator: torch.Generator,
        budget: Budget,
    ) -> Float[Tensor, "t h w 3"]:
        """The window in parts; each holds on to the last frames of the part before."""
        size = self._working_size(partial, budget)
        known, rgb = size.shrink_mask(partial.known), size.shrink_rgb(torch.where(partial.known[..., None], partial.rgb, GREY))
        trust = size.shrink_values(partial.trust)
        made = torch.zeros(0, *rgb.shape[1:])
        for first, last in overlapping_parts(len(partial), budget.frames, OVERLAP):
            again = slice(first, len(made))
            rgb[again], known[again], trust[again] = made[first:], True, 1.0
            part = self._fill_part(rgb[first:last], known[first:last], trust[first:last], pictures, embeddings, generator)
            made = torch.cat([made, part[len(made) - first :]])
        return size.enlarge_rgb(made)

    def _fill_part(
        self,
        rgb: Float[Tensor, "t h w 3"],
        known: Bool[Tensor, "t h w"],
        trust: Float[Tensor, "t h w"],
        pictures: list[Image.Image],
        embeddings: dict[str, Tensor],
        generator: torch.Generator,
    ) -> Float[Tensor, "t h w 3"]:
        """One run of the pipeline, on frames of a size that it takes."""
        frames, group = len(rgb), self.pipeline.vae_scale_factor_temporal
        longer = padded_length(frames, group) - frames
        rgb, known, trust = (torch.cat([x, x[-1:].expand(longer, *x.shape[1:])]) for x in (rgb, known, trust))
        # The pipeline's masks come out too short where there are more pictures than latents in time.
        pictures = pictures[: (len(rgb) - 1) // group + 1]
        revising = self.settings.revise > 0
        wanted = ~known | (trust < POOR_TRUST) if revising else ~known
        wanted = grow_over_groups(wanted, group)
        # What is only poor keeps its colours under the mask: it is to be revised, not invented.
        seen = known & ~grow_over_groups(~known, group)
        video = torch.where(seen[..., None], rgb, GREY)
        options: dict[str, Any] = {}
        if revising:
            options["callback_on_step_end"] = self._held_latents(rgb, known, trust, len(pictures), generator)
        result = self.pipeline(
            video=video.permute(0, 3, 1, 2)[None],
            mask=wanted[None, :, None].float().expand(-1, -1, 3, -1, -1),
            reference_images=pictures or None,
            height=rgb.shape[1],
            width=rgb.shape[2],
            num_frames=len(rgb),
            generator=generator,
            output_type="pt",
            **embeddings,
            **self._sampling_options(),
            **options,
        )
        return result.frames[0][:frames].permute(0, 2, 3, 1).float().cpu()

    def _sampling_options(self) -> dict[str, Any]:
        options = {"num_inference_steps": self.settings.steps, "guidance_scale": self.settings.guidance}
        return {name: value for name, value in options.items() if value is not None}

    @torch.no_grad()
    def _held_latents(
        self,
        rgb: Float[Tensor, "t h w 3"],
        known: Bool[Tensor, "t h w"],
        trust: Float[Tensor, "t h w"],
        references: int,
        generator: torch.Generator,
    ) -> HeldLatents:
        """What is known, in latents, and how much noise each of them may have; those of the references are left alone."""
        vae, group, cell = (
            self.pipeline.vae,
            self.pipeline.vae_scale_factor_temporal,
            self.pipeline.vae_scale_factor_spatial,
        )
        prepare_scheduler(self.pipeline.scheduler, self._steps)
        # Smooth in the holes, not grey: a latent mixes the colours of its neighbourhood.
        whole = push_pull(rgb.permute(0, 3, 1, 2), known[:, None].float())
        video = (2 * whole - 1).permute(1, 0, 2, 3)[None].to(self.pipeline._execution_device, vae.dtype)
        latents = vae.encode(video).latent_dist.mode().float().cpu()
        mean, std = (torch.tensor(values).view(1, -1, 1, 1, 1) for values in (vae.config.latents_mean, vae.config.latents_std))
        latents = (latents - mean) / std
        allowed = allowed_in_cells(allowed_noise(known, trust, self.settings.revise), cell, group)[None, None]
        if references:
            ahead = (1, 1, references, *allowed.shape[-2:])
            latents = torch.cat([torch.zeros_like(latents[:, :, :1]).expand(-1, -1, references, -1, -1), latents], dim=2)
            allowed = torch.cat([torch.full(ahead, torch.inf), allowed], dim=2)
        noise = torch.randn(latents.shape, generator=generator)
        return HeldLatents(latents, noise, allowed)

    @property
    def _steps(self) -> int:
        default = inspect.signature(type(self.pipeline).__call__).parameters["num_inference_steps"].default
        return self.settings.steps or default

    def _working_size(self, partial: PartialFrames, budget: Budget) -> WorkingSize:
        transformer = self.pipeline.transformer or self.pipeline.transformer_2
        multiple = self.pipeline.vae_scale_factor_spatial * transformer.config.patch_size[1]
        height, width = partial.known.shape[1:]
        return WorkingSize.of(height, width, multiple, min_pixels=self.settings.min_pixels, max_pixels=budget.pixels)

    @torch.no_grad()
    def _prompt_embeddings(self, prompt: str) -> dict[str, Tensor]:
        """The prompt as the pipeline takes it, made once: the text encoder, the larger part of the small model, is let go
        before the rest of the model is brought to the device."""
        if self._embeddings is not None and self._embeddings[0] == prompt:
            return self._embeddings[1]
        if self._placed:
            raise ValueError("this inpainter has let go of its text encoder: use one for each prompt")
        if self.hardware.offload != "none" and self.device != "cpu":
            place(self.pipeline, self.hardware, self.device)
        else:
            self.pipeline.text_encoder.to(self.device)
        guided = (self.settings.guidance is None) or self.settings.guidance > 1
        positive, negative = self.pipeline.encode_prompt(
            prompt=prompt,
            negative_prompt=self.settings.negative_prompt,
            do_classifier_free_guidance=guided,
            max_sequence_length=MAX_PROMPT_TOKENS,
            device=torch.device(self.device),
        )
        embeddings = {"prompt_embeds": positive} | ({"negative_prompt_embeds": negative} if guided else {})
        self.pipeline.text_encoder = None
        release(self.device)
        if self.hardware.offload == "none" or self.device == "cpu":
            place(self.pipeline, self.hardware, self.device)
        self._placed = True
        self._embeddings = (prompt, embeddings)
        return embeddings


def checked_window(frames: int, group: int) -> int:
    """``frames``; raises ``ValueError`` if they do not fill whole latent time groups."""
    if frames < 1 or (frames - 1) % group:
        below = max(1, (frames - 1) // group * group + 1)
        raise ValueError(
            f"inpainter.window_frames must be {group}k + 1 for this model, got {frames}: take {below} or {below + group}"
        )
    return frames


def padded_length(frames: int, group: int) -> int:
    """The next length that fills whole latent time groups: the first frame, and ``group`` for each further latent."""
    return -(-(frames - 1) // group) * group + 1


def overlapping_parts(frames: int, longest: int, overlap: int) -> list[tuple[int, int]]:
    """First and one past the last frame of parts of at most ``longest`` that share ``overlap`` with the one before."""
    if frames <= longest:
        return [(0, frames)]
    overlap = min(overlap, longest - 1)
    firsts = range(0, frames - overlap, longest - overlap)
    return [(first, min(first + longest, frames)) for first in firsts]


def sampled_frames(frames: int, group: int) -> list[int]:
    """The frame from which the pipeline takes each latent's mask: nearest over time, so early latents get a later one's."""
    latents = (frames + group - 1) // group
    index = torch.arange(frames, dtype=torch.float32)[None, None]
    return torch.nn.functional.interpolate(index, size=latents, mode="nearest-exact")[0, 0].long().tolist()


def grow_over_groups(wanted: Bool[Tensor, "t h w"], group: int) -> Bool[Tensor, "t h w"]:
    """A mask that is the same in all frames of a latent time group, and wherever the pipeline looks for a latent's mask covers
    what is wanted in that latent's own frames.

    Latent 0 holds frame 0, latent ``i`` the ``group`` frames from ``group (i - 1) + 1`` on.
    """
    starts = [0, *range(1, len(wanted), group), len(wanted)]
    spans = [slice(a, b) for a, b in pairwise(starts)]
    unions = torch.stack([wanted[span].any(0) for span in spans])
    grown = unions.clone()
    for latent, frame in enumerate(sampled_frames(len(wanted), group)):
        owner = 0 if frame == 0 else (frame - 1) // group + 1
        grown[owner] |= unions[latent]
    return torch.cat([grown[i : i + 1].expand(span.stop - span.start, -1, -1) for i, span in enumerate(spans)])


def _picture(rgb: Float[Tensor, "h w 3"]) -> Image.Image:
    return Image.fromarray((rgb.clamp(0, 1) * 255).round().byte().numpy())


def _memory_note(budget: Budget) -> str:
    size = "" if budget.pixels is None else f" of at most {budget.pixels} pixels"
    return f"memory ran out: windows were filled in parts of {budget.frames} frames{size}"
