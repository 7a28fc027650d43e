"""From a proposal to a sample: RGB-D windows at a small size, along a straight flow."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.inpaint.embedded.network import KNOWN_PROVENANCE

NOISE_SCALE = 0.5  # standard deviation of the noise on the proposal, in the network's units
DEPTH_SCALE = 1.5  # natural-log units of depth that map to 1
DEPTH_LIMIT = 2.0
TIMESTEPS = 1000  # that diffusers' schedulers divide the flow into


class Network(Protocol):
    """Predicts clean windows: ``WindowUNet``, or a model of diffusers with the same layers."""

    def __call__(
        self,
        sample: Float[Tensor, "b t 4 h w"],
        sigma: Float[Tensor, " b"],
        proposal: Float[Tensor, "b t 4 h w"],
        partial: Float[Tensor, "b t 4 h w"],
        provenance: Float[Tensor, "b t 1 h w"],
        geometry: Float[Tensor, "b t 6 h w"],
    ) -> Float[Tensor, "b t 4 h w"]: ...


class Scheduler(Protocol):
    """What of diffusers' schedulers for flows is used."""

    timesteps: Any
    sigmas: Any

    def set_timesteps(self, *, sigmas: list[float], device: torch.device) -> None: ...

    def step(self, model_output: Tensor, timestep: Tensor, sample: Tensor, *, return_dict: bool) -> Any: ...


class EulerSteps:
    """What diffusers' ``FlowMatchEulerDiscreteScheduler`` does with the shipped configuration, without importing diffusers."""

    def __init__(self) -> None:
        self.sigmas = self.timesteps = torch.zeros(0)
        self._index = 0

    def set_timesteps(self, *, sigmas: list[float], device: torch.device) -> None:
        noise = torch.tensor(sigmas, dtype=torch.float32, device=device)
        self.timesteps, self.sigmas, self._index = noise * TIMESTEPS, torch.cat([noise, noise.new_zeros(1)]), 0

    def step(self, model_output: Tensor, timestep: Tensor, sample: Tensor, *, return_dict: bool = False) -> tuple[Tensor]:
        """The sample at the next noise level; those are gone through in their order."""
        sigma, following = self.sigmas[self._index], self.sigmas[self._index + 1]
        self._index += 1
        return (sample + (following - sigma) * model_output,)


def encode_depth(depth: Tensor, scale: Tensor) -> Tensor:
    """Log depth relative to ``scale`` in the network's units; infinite depth takes the far limit."""
    return (torch.log((depth / scale).clamp_min(1e-4)) / DEPTH_SCALE).clamp(-DEPTH_LIMIT, DEPTH_LIMIT)


def decode_depth(encoded: Tensor, scale: Tensor) -> Tensor:
    return torch.exp(encoded.clamp(-DEPTH_LIMIT, DEPTH_LIMIT) * DEPTH_SCALE) * scale


def provenance_of(known: Bool[Tensor, "*t h w"], covered: Bool[Tensor, "*t h w"]) -> Float[Tensor, "*t 1 h w"]:
    """What the pixels of a proposal stand on, for the network: 1 known, 0.5 covered by a copy, 0 nothing."""
    return (0.5 * (known.float() + (known | covered).float())).unsqueeze(-3)


@torch.no_grad()
def sample_windows(
    network: Network,
    scheduler: Scheduler,
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
    scheduler.set_timesteps(sigmas=(strength * torch.linspace(1, 1 / steps, steps)).tolist(), device=proposal.device)
    sample = proposal + strength * NOISE_SCALE * noise
    timesteps, sigmas = torch.as_tensor(scheduler.timesteps), torch.as_tensor(scheduler.sigmas)
    for timestep, sigma in zip(timesteps, sigmas[:-1], strict=True):
        clean = network(sample, sigma.expand(len(sample)), proposal, partial, provenance, geometry)
        clean = torch.where(provenance > KNOWN_PROVENANCE, partial, clean.clamp(-DEPTH_LIMIT, DEPTH_LIMIT))
        velocity = (sample - clean) / sigma
        sample = scheduler.step(velocity, timestep, sample, return_dict=False)[0]
    return torch.where(provenance > KNOWN_PROVENANCE, partial, sample)


@torch.no_grad()
def fill_window(
    network: Network,
    scheduler: Scheduler,
    proposal_rgb: Float[Tensor, "t h w 3"],
    proposal_depth: Float[Tensor, "t h w"],
    partial_rgb: Float[Tensor, "t h w 3"],
    partial_depth: Float[Tensor, "t h w"],
    known: Bool[Tensor, "t h w"],
    covered: Bool[Tensor, "t h w"],
    geometry: Float[Tensor, "t h w 6"],
    *,
    device: torch.device | str = "cpu",
    steps: int = 4,
    strength: float = 1.0,
    generator: torch.Generator | None = None,
) -> tuple[Float[Tensor, "t h w 3"], Float[Tensor, "t h w"]]:
    """Fills one window at the size that it is given; colours in 0..1, z-depth in any unit.

    Args:
        covered: where the proposal is a copy of something that was seen.
        device: the network's.
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
    filled = sample_windows(
        network,
        scheduler,
        *(tensor.to(device) for tensor in shown),
        steps=steps,
        strength=strength,
        generator=generator,
    )[0].to(proposal_rgb.device)
    rgb = (filled[:, :3] * 0.5 + 0.5).clamp(0, 1).permute(0, 2, 3, 1)
    return rgb, decode_depth(filled[:, 3], scale)
