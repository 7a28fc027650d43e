"""Noise levels by trust: unknown pixels are sampled from full noise, poorly known ones from part of it, trusted ones are kept.

A sampler runs from full noise to none. Each latent cell is held at what is known, noised to the sampler's present level, until
that level has come down to what the cell may have; from then on it is free. So a trusted cell is held to the end, a poor one is
resampled from partial noise, and an unknown one is free from the start ("Differential Diffusion", Levin & Fried 2023; for two
levels only, "Blended Latent Diffusion", Avrahami et al. 2023).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

FREE = 2.0  # noise that a cell may have if it is not held at all; above every level, which lie in 0..1


def allowed_noise(known: Bool[Tensor, "t h w"], trust: Float[Tensor, "t h w"], revise: float) -> Float[Tensor, "t h w"]:
    """The share of noise from which each pixel may be sampled: ``revise (1 - trust)`` where known, ``FREE`` elsewhere."""
    return torch.where(known, revise * (1 - trust.clamp(0, 1)), FREE)


def allowed_in_cells(allowed: Float[Tensor, "t h w"], cell: int, frames_in_group: int) -> Float[Tensor, "g H W"]:
    """``allowed_noise`` at the resolution of the latents, for ``g`` latents in time.

    A cell covers ``cell`` pixels a side and, after the first frame, ``frames_in_group`` frames (as causal video autoencoders
    have it); it may have as much noise as any pixel under it. Cells beside the unknown are free too: an autoencoder's latent
    depends on its neighbours' pixels.
    """
    in_space = F.max_pool2d(allowed[:, None], cell, ceil_mode=True)[:, 0]
    groups = torch.cat([in_space[:1], in_space[1:]], dim=0)
    tail = -(len(groups) - 1) % frames_in_group
    padded = torch.cat([groups, groups[-1:].expand(tail, -1, -1)]) if tail else groups
    later = padded[1:].unflatten(0, (-1, frames_in_group)).amax(1) if len(padded) > 1 else padded[1:]
    cells = torch.cat([padded[:1], later])
    free = F.max_pool2d((cells >= FREE).float()[:, None], 3, 1, 1)[:, 0] > 0
    return torch.where(free, FREE, cells)


class HeldLatents:
    """The callback that a diffusers pipeline runs after each step (``callback_on_step_end``)."""

    def __init__(self, latents: Tensor, noise: Tensor, allowed: Tensor, shares: Tensor | None = None) -> None:
        """Args:
        latents: of the known pixels, scaled as in the pipeline's sampler.
        noise: standard normal, of the same shape; what the sampler itself starts from.
        allowed: see ``allowed_in_cells``, broadcastable to the latents.
        shares: how much of ``latents`` is mixed into cells that are not held, see ``shares_of_part_before``; broadcastable
            to the latents. As both have the same noise, their mixture has as much as the sampler expects.
        """
        self.latents, self.noise, self.allowed, self.shares = latents, noise, allowed, shares

    def __call__(self, pipeline: Any, step: int, timestep: Any, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        scheduler = pipeline.scheduler
        following = scheduler.timesteps[step + 1 : step + 2]
        known, noise, allowed = (x.to(tensors["latents"]) for x in (self.latents, self.noise, self.allowed))
        level = 0.0
        if len(following):
            level = float(following[0]) / scheduler.config.num_train_timesteps
            known = _noised(scheduler, known, noise, following)
        free = tensors["latents"]
        if self.shares is not None:
            free = torch.lerp(free, known, self.shares.to(free))
        return {"latents": torch.where(level >= allowed, known, free)}


class LastLatents:
    """A callback for each step that keeps the latest latents, after another callback has changed them."""

    def __init__(self, before: HeldLatents | None) -> None:
        self.before = before
        self.latents = torch.zeros(0)

    def __call__(self, pipeline: Any, step: int, timestep: Any, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        changed = tensors if self.before is None else self.before(pipeline, step, timestep, tensors)
        self.latents = changed["latents"]
        return changed


def _noised(scheduler: Any, latents: Tensor, noise: Tensor, timestep: Tensor) -> Tensor:
    if hasattr(scheduler, "scale_noise"):  # flow matching
        return scheduler.scale_noise(latents, timestep, noise)
    return scheduler.add_noise(latents, noise, timestep)


def prepare_scheduler(scheduler: Any, steps: int) -> None:
    """Turns off UniPC's corrector: it starts from the sample before the last step, and so takes back what the callback does."""
    if hasattr(scheduler, "disable_corrector"):
        scheduler.disable_corrector = list(range(steps))
