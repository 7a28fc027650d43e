"""The embedded inpainter as a diffusers pipeline: RGB-D windows at a small size, from proposal to sample."""

from __future__ import annotations

import torch
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.inpaint.embedded.unet import KNOWN_PROVENANCE, RGBDWindowUNet

NOISE_SCALE = 0.5  # standard deviation of the noise on the proposal, in the network's units
DEPTH_SCALE = 1.5  # natural-log units of depth that map to 1
DEPTH_LIMIT = 2.0


def encode_depth(depth: Tensor, scale: Tensor) -> Tensor:
    """Log depth relative to ``scale`` in the network's units; infinite depth takes the far limit."""
    return (torch.log(depth.clamp_min(1e-4) / scale) / DEPTH_SCALE).clamp(-DEPTH_LIMIT, DEPTH_LIMIT)


def decode_depth(encoded: Tensor, scale: Tensor) -> Tensor:
    return torch.exp(encoded.clamp(-DEPTH_LIMIT, DEPTH_LIMIT) * DEPTH_SCALE) * scale


def provenance_of(known: Bool[Tensor, "*t h w"], covered: Bool[Tensor, "*t h w"]) -> Float[Tensor, "*t 1 h w"]:
    """What the pixels of a proposal stand on, for the network: 1 known, 0.5 covered by a copy, 0 nothing."""
    return (0.5 * (known.float() + (known | covered).float())).unsqueeze(-3)


def make_scheduler() -> FlowMatchEulerDiscreteScheduler:
    return FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000, shift=1.0)


class RGBDInpaintPipeline(DiffusionPipeline):
    """Samples the unknown of RGB-D windows by a straight flow that starts at the proposal plus noise."""

    unet: RGBDWindowUNet
    scheduler: FlowMatchEulerDiscreteScheduler

    def __init__(self, unet: RGBDWindowUNet, scheduler: FlowMatchEulerDiscreteScheduler) -> None:
        super().__init__()
        self.register_modules(unet=unet, scheduler=scheduler)

    @torch.no_grad()
    def sample(
        self,
        proposal: Float[Tensor, "b t 4 h w"],
        partial: Float[Tensor, "b t 4 h w"],
        provenance: Float[Tensor, "b t 1 h w"],
        geometry: Float[Tensor, "b t 6 h w"],
        *,
        steps: int = 4,
        strength: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "b t 4 h w"]:
        """Whole windows in the network's units; known pixels take ``partial``.

        Args:
            strength: where on the flow the sampling starts, 1 at its very beginning; less keeps more of the proposal
                (SDEdit, Meng et al. 2022).
        """
        noise = torch.randn(proposal.shape, generator=generator, dtype=proposal.dtype).to(proposal.device)
        self.scheduler.set_timesteps(sigmas=(strength * torch.linspace(1, 1 / steps, steps)).tolist(), device=proposal.device)
        sample = proposal + strength * NOISE_SCALE * noise
        timesteps, sigmas = torch.as_tensor(self.scheduler.timesteps), torch.as_tensor(self.scheduler.sigmas)
        for timestep, sigma in zip(timesteps, sigmas[:-1], strict=True):
            clean = self.unet(sample, sigma.expand(len(sample)), proposal, partial, provenance, geometry)
            clean = torch.where(provenance > KNOWN_PROVENANCE, partial, clean.clamp(-DEPTH_LIMIT, DEPTH_LIMIT))
            velocity = (sample - clean) / sigma
            sample = self.scheduler.step(velocity, timestep, sample, return_dict=False)[0]  # type: ignore[arg-type]
        return torch.where(provenance > KNOWN_PROVENANCE, partial, sample)

    @torch.no_grad()
    def __call__(
        self,
        proposal_rgb: Float[Tensor, "t h w 3"],
        proposal_depth: Float[Tensor, "t h w"],
        partial_rgb: Float[Tensor, "t h w 3"],
        partial_depth: Float[Tensor, "t h w"],
        known: Bool[Tensor, "t h w"],
        covered: Bool[Tensor, "t h w"],
        geometry: Float[Tensor, "t h w 6"],
        *,
        num_inference_steps: int = 4,
        strength: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> tuple[Float[Tensor, "t h w 3"], Float[Tensor, "t h w"]]:
        """Fills one window at the size that it is given, on the model's device; colours in 0..1, z-depth in any unit.

        Args:
            covered: where the proposal is a copy of something that was seen.
        """
        scale = proposal_depth.median()

        def encode(rgb: Tensor, depth: Tensor) -> Tensor:
            return torch.cat([rgb.permute(0, 3, 1, 2) * 2 - 1, encode_depth(depth, scale)[:, None]], dim=1)[None]

        partial = torch.where(known[:, None], encode(partial_rgb, partial_depth)[0].nan_to_num(), 0.0)[None]
        shown = (
            encode(proposal_rgb, proposal_depth),
            partial,
            provenance_of(known, covered)[None],
            geometry.permute(0, 3, 1, 2)[None],
        )
        filled = self.sample(
            *(tensor.to(self.device) for tensor in shown),
            steps=num_inference_steps,
            strength=strength,
            generator=generator,
        )[0].to(proposal_rgb.device)
        rgb = (filled[:, :3] * 0.5 + 0.5).clamp(0, 1).permute(0, 2, 3, 1)
        return rgb, decode_depth(filled[:, 3], scale)
