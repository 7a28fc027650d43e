"""The first frame of a run that starts from words alone, by any text-to-image pipeline of diffusers."""

from __future__ import annotations

import inspect
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from splatmem.config import FirstFrameConfig, HardwareConfig
from splatmem.inpaint.diffusers.budget import Budget, within_memory
from splatmem.inpaint.diffusers.sizes import WorkingSize
from splatmem.models.check import offered_variant
from splatmem.models.hardware import place, weights_dtype
from splatmem.models.load import load_model, quiet

LATENT_SIZE_STEP = 16  # pixels; all latent diffusion models take sides that are multiples of this


def make_first_frame(
    settings: FirstFrameConfig,
    hardware: HardwareConfig,
    device: str,
    prompt: str,
    width: int,
    height: int,
    generator: torch.Generator,
) -> Float[Tensor, "h w 3"]:
    """A picture of what ``prompt`` describes, sRGB in 0..1; the model is loaded for it and let go.

    Raises:
        ValueError: no model is named, or it cannot be loaded, makes no pictures from text, or does not fit into memory.
    """
    if settings.model is None:
        raise ValueError("no text-to-image model is named")
    pipeline = load_model(
        settings.model, "text-to-image model", lambda folder: _from_folder(folder, settings, weights_dtype(hardware, device)),
        variant=settings.variant,
    )  # fmt: skip
    # One picture is not worth the time of compiling, and has a model of its own, to which other kernels may not apply.
    place(pipeline, replace(hardware, attention=None, compile=False), device)
    pipeline.set_progress_bar_config(disable=True)

    def size(budget: Budget) -> WorkingSize:
        return WorkingSize.of(height, width, LATENT_SIZE_STEP, min_pixels=budget.pixels, max_pixels=budget.pixels)

    def make(budget: Budget) -> Float[Tensor, "h w 3"]:
        rows, columns = size(budget).padded
        made = pipeline(
            prompt=prompt,
            height=rows,
            width=columns,
            generator=generator,
            output_type="np",
            **_known_options(pipeline, settings),
        )
        rgb = torch.from_numpy(np.asarray(made.images[0], dtype=np.float32))
        return size(budget).enlarge_rgb(rgb[None])[0].clamp(0, 1)

    budget = Budget(1, settings.pixels)

    def pixels(budget: Budget) -> int:
        return int(np.prod(size(budget).padded))

    return within_memory(make, budget, pixels, device, generator, hardware, "first_frame.pixels")[0]


@quiet()
def _from_folder(folder: Path, settings: FirstFrameConfig, dtype: torch.dtype) -> Any:
    from diffusers import AutoPipelineForText2Image

    return AutoPipelineForText2Image.from_pretrained(
        folder,
        dtype=dtype,
        variant=offered_variant(folder, settings.variant),
        use_safetensors=True,
        trust_remote_code=False,
    )


def _known_options(pipeline: Any, settings: FirstFrameConfig) -> dict[str, Any]:
    """The settings that are given and that this pipeline takes."""
    asked = {"num_inference_steps": settings.steps, "guidance_scale": settings.guidance}
    taken = inspect.signature(type(pipeline).__call__).parameters
    return {name: value for name, value in asked.items() if value is not None and name in taken}
