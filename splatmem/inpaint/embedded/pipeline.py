"""The embedded inpainter as a diffusers pipeline: the form in which it is trained and kept, and others can load it."""

from __future__ import annotations

from typing import Any, cast

import torch
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler
from jaxtyping import Float
from torch import Tensor

from splatmem.inpaint.embedded.sampling import TIMESTEPS, fill_window, sample_windows
from splatmem.inpaint.embedded.unet import RGBDWindowUNet


def make_scheduler() -> FlowMatchEulerDiscreteScheduler:
    return FlowMatchEulerDiscreteScheduler(num_train_timesteps=TIMESTEPS, shift=1.0)


class RGBDInpaintPipeline(DiffusionPipeline):
    """Samples the unknown of RGB-D windows by a straight flow that starts at the proposal plus noise."""

    unet: RGBDWindowUNet
    scheduler: FlowMatchEulerDiscreteScheduler

    def __init__(self, unet: RGBDWindowUNet, scheduler: FlowMatchEulerDiscreteScheduler) -> None:
        super().__init__()
        self.register_modules(unet=unet, scheduler=scheduler)

    def sample(self, *windows: Tensor, **options: Any) -> Float[Tensor, "b t 4 h w"]:
        """``splatmem.inpaint.embedded.sampling.sample_windows`` by this pipeline's network and scheduler."""
        return sample_windows(self.unet, cast(Any, self.scheduler), *windows, **options)

    def __call__(
        self, *window: Tensor, num_inference_steps: int = 4, strength: float = 1.0, generator: torch.Generator | None = None
    ) -> tuple[Float[Tensor, "t h w 3"], Float[Tensor, "t h w"]]:
        """``splatmem.inpaint.embedded.sampling.fill_window`` on the model's device."""
        return fill_window(
            self.unet, cast(Any, self.scheduler), *window, device=self.device, steps=num_inference_steps,
            strength=strength, generator=generator,
        )  # fmt: skip
