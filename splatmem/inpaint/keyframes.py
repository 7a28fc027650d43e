"""Frames filled one by one by any diffusers pipeline that fills the masked part of a picture.

A window has one frame: so each frame is filled when those before it are part of the memory, and sees in its known part what
they brought. What lies between such frames comes from the memory alone.
"""

from __future__ import annotations

import inspect
import json
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
from splatmem.models.hardware import place

SMALLEST_MULTIPLE = 16


class KeyframeInpainter:
    """Runs a picture inpainting pipeline: Stable Diffusion (XL, 3) Inpaint, Flux Fill, and what else takes image and mask."""

    continuous = False
    wants_surroundings = False
    reads_prompt = True
    window_frames = 1
    reference_views = 0

    def __init__(self, pipeline: Any, settings: InpainterConfig, hardware: HardwareConfig, device: str, name: str) -> None:
        place(pipeline, hardware, device)
        self.pipeline, self.settings, self.device, self.name = pipeline, settings, device, name
        self.budget = Budget(1, settings.max_pixels)
        self.notes: list[str] = []
        self._options = self._known_options()
        self.revising = settings.revise > 0 and can_revise(pipeline)
        if settings.revise > 0 and not self.revising:
            self.notes.append(
                f"{type(pipeline).__name__} cannot start from partial noise: what is known but poor is kept as it is"
            )
        pipeline.set_progress_bar_config(disable=True)

    @staticmethod
    def from_pretrained(
        folder: Path, settings: InpainterConfig, hardware: HardwareConfig, device: str, dtype: torch.dtype
    ) -> KeyframeInpainter:
        """Loads a saved pipeline: as the class it was saved as if that takes image and mask, else as its inpainting sibling.

        Raises:
            ValueError: it is no pipeline for pictures that has one.
        """
        import diffusers

        options: dict[str, Any] = {
            "dtype": dtype,
            "variant": settings.variant,
            "use_safetensors": True,
            "trust_remote_code": False,
        }
        class_name = json.loads((folder / "model_index.json").read_text(encoding="utf-8")).get("_class_name")
        saved_as = getattr(diffusers, str(class_name), None)
        if saved_as is not None and fills_pictures(saved_as):
            pipeline = saved_as.from_pretrained(folder, **options)
        else:
            try:
                pipeline = diffusers.AutoPipelineForInpainting.from_pretrained(folder, **options)
            except ValueError as error:
                raise ValueError(f"{folder}: diffusers has no inpainting pipeline for a {class_name}") from error
        return KeyframeInpainter(pipeline, settings, hardware, device, Path(settings.model).name)

    def __call__(
        self,
        partial: PartialFrames,
        *,
        generator: torch.Generator,
        prompt: str = "",
        reference: ReferenceViews | None = None,
    ) -> FilledFrames:
        frames = [self._fill(partial.frames(slice(i, i + 1)), prompt, generator) for i in range(len(partial))]
        return FilledFrames(keep_known(partial, torch.cat(frames)), None)

    def _fill(self, partial: PartialFrames, prompt: str, generator: torch.Generator) -> Float[Tensor, "1 h w 3"]:
        before = self.budget
        rgb, self.budget = within_memory(
            lambda budget: self._fill_at(self._working_size(partial, budget), partial, prompt, generator),
            self.budget,
            lambda budget: int(np.prod(self._working_size(partial, budget).padded)),
            self.device,
            generator,
        )
        if self.budget != before:
            self.notes.append(f"memory ran out: frames were filled at {self.budget.pixels} pixels and enlarged")
        return rgb

    def _fill_at(
        self, size: WorkingSize, partial: PartialFrames, prompt: str, generator: torch.Generator
    ) -> Float[Tensor, "1 h w 3"]:
        known, trust = size.shrink_mask(partial.known), size.shrink_values(partial.trust)
        # Smooth colours in the hole: samplers that do not start from pure noise begin with them.
        rgb = size.shrink_rgb(push_pull(partial.rgb.permute(0, 3, 1, 2), partial.known[:, None].float()).permute(0, 2, 3, 1))
        wanted = ~known | (trust < POOR_TRUST) if self.revising else ~known
        height, width = size.padded
        options = dict(self._options)
        if self.revising:
            options["callback_on_step_end"] = self._held_latents(rgb, known, trust, generator)
        result = self.pipeline(
            prompt=prompt,
            image=_picture(rgb[0]),
            mask_image=Image.fromarray(wanted[0].byte().numpy() * 255),
            height=height,
            width=width,
            generator=generator,
            output_type="np",
            **options,
        )
        made = torch.from_numpy(np.asarray(result.images[0], dtype=np.float32))
        return size.enlarge_rgb(made[None])

    @torch.no_grad()
    def _held_latents(
        self,
        rgb: Float[Tensor, "1 h w 3"],
        known: Bool[Tensor, "1 h w"],
        trust: Float[Tensor, "1 h w"],
        generator: torch.Generator,
    ) -> HeldLatents:
        prepare_scheduler(self.pipeline.scheduler, self._options.get("num_inference_steps", 1000))
        picture = (2 * rgb.permute(0, 3, 1, 2) - 1).to(self.pipeline._execution_device, self.pipeline.vae.dtype)
        # The pipeline's own way: some autoencoders overflow in half precision and are run in single.
        latents = self.pipeline._encode_vae_image(picture, generator=generator).float().cpu()
        allowed = allowed_in_cells(allowed_noise(known, trust, self.settings.revise), self.pipeline.vae_scale_factor, 1)
        return HeldLatents(latents, torch.randn(latents.shape, generator=generator), allowed[None])

    def _working_size(self, partial: PartialFrames, budget: Budget) -> WorkingSize:
        multiple = max(SMALLEST_MULTIPLE, 2 * getattr(self.pipeline, "vae_scale_factor", 8))
        height, width = partial.known.shape[1:]
        return WorkingSize.of(height, width, multiple, min_pixels=self.settings.min_pixels, max_pixels=budget.pixels)

    def _known_options(self) -> dict[str, Any]:
        """The settings that are given and that this pipeline takes."""
        asked = {
            "num_inference_steps": self.settings.steps,
            "guidance_scale": self.settings.guidance,
            "negative_prompt": self.settings.negative_prompt or None,
        }
        taken = _parameters(type(self.pipeline))
        return {name: value for name, value in asked.items() if value is not None and name in taken}


def fills_pictures(pipeline_class: type) -> bool:
    """Whether a diffusers pipeline takes a picture and a mask."""
    return {"image", "mask_image"} <= _parameters(pipeline_class)


def can_revise(pipeline: Any) -> bool:
    """Whether latents can be held between the steps: the pipeline asks after each, and has one latent per picture cell (not
    packed into tokens, as Flux has them)."""
    return (
        "callback_on_step_end" in _parameters(type(pipeline))
        and not hasattr(pipeline, "_pack_latents")
        and hasattr(pipeline, "vae")
        and hasattr(pipeline, "_encode_vae_image")
    )


def _parameters(pipeline_class: type) -> set[str]:
    """Names of what a pipeline is called with; a class that is no pipeline has none."""
    from diffusers import DiffusionPipeline

    known = isinstance(pipeline_class, type) and issubclass(pipeline_class, DiffusionPipeline)
    return set(inspect.signature(pipeline_class.__call__).parameters) if known else set()


def _picture(rgb: Float[Tensor, "h w 3"]) -> Image.Image:
    return Image.fromarray((rgb.clamp(0, 1) * 255).round().byte().numpy())
