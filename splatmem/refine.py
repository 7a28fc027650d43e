"""Refinement by gradient: newly written Gaussians fit their frame, the others stay as they are."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from splatmem.cameras import Cameras
from splatmem.gaussians import Gaussians
from splatmem.render import rasterize

LEARNING_RATES = {"sh": 0.02, "opacity_logits": 0.05, "log_scales": 0.01}
MAX_LOG_SCALE_CHANGE = 0.5


def refine(
    gaussians: Gaussians, chosen: tuple[int, int], target: Float[Tensor, "h w 3"], camera: Cameras, steps: int
) -> Gaussians:
    """Fits colours, opacities and sizes of the chosen range to one picture with Adam; positions do not move.

    Args:
        chosen: first and one past the last Gaussian that may change.
        target: the picture, 0..1.
        camera: the one that saw it.
    """
    first, last = chosen
    free = {name: getattr(gaussians, name)[first:last].clone().requires_grad_() for name in LEARNING_RATES}
    groups = [{"params": [free[name]], "lr": rate} for name, rate in LEARNING_RATES.items()]
    optimizer = torch.optim.Adam(groups, betas=(0.8, 0.99), eps=1e-15)
    start = gaussians.log_scales[first:last]
    for _ in range(steps):
        drawn = rasterize(_with(gaussians, first, last, free), camera)
        # Against the picture over black: missing opacity is an error too.
        loss = (drawn.rgb[0] - target).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        with torch.no_grad():
            free["log_scales"].clamp_(start - MAX_LOG_SCALE_CHANGE, start + MAX_LOG_SCALE_CHANGE)
    return _with(gaussians, first, last, {name: value.detach() for name, value in free.items()})


def _with(gaussians: Gaussians, first: int, last: int, values: dict[str, Tensor]) -> Gaussians:
    """The Gaussians with a range of some parameters replaced."""
    parameters = {name: getattr(gaussians, name) for name in ("means", "quats", "log_scales", "opacity_logits", "sh")}
    for name, value in values.items():
        old = parameters[name]
        parameters[name] = torch.cat([old[:first], value, old[last:]])
    return Gaussians(**parameters, features=gaussians.features)
