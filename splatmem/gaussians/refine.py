"""Refinement: newly written Gaussians fit their frame, the others stay as they are."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.gaussians import Gaussians
from splatmem.gaussians.draw import rasterize
from splatmem.gaussians.tiles import shared_tiles
from splatmem.geometry.cameras import Cameras
from splatmem.render.rasterization import render_views

LEARNING_RATES = {"sh": 0.02, "opacity_logits": 0.05, "log_scales": 0.01}
MAX_LOG_SCALE_CHANGE = 0.5
FEATURE_ROUNDS = 4  # then a view reads its features back to a few percent; more makes other views worse


def refine(
    gaussians: Gaussians, chosen: tuple[int, int], target: Float[Tensor, "h w 3"], camera: Cameras, steps: int
) -> Gaussians:
    """Fits colours, opacities and sizes of the chosen range to one picture with Adam; positions do not move.

    Only the part of the picture in which the chosen show is drawn: the rest cannot change.

    Args:
        chosen: first and one past the last Gaussian that may change.
        target: the picture, 0..1.
        camera: the one that saw it.
    """
    tiles = shared_tiles(gaussians, chosen, camera, growth=math.exp(MAX_LOG_SCALE_CHANGE))
    part, (first, last) = tiles.gaussians, tiles.chosen
    free = {name: getattr(part, name)[first:last].clone().requires_grad_() for name in LEARNING_RATES}
    groups = [{"params": [free[name]], "lr": rate} for name, rate in LEARNING_RATES.items()]
    optimizer = torch.optim.Adam(groups, betas=(0.8, 0.99), eps=1e-15)
    start = part.log_scales[first:last]
    for _ in range(steps):
        drawn = _colours(_with(part, first, last, free), camera)
        # Against the picture over black: missing opacity is an error too.
        loss = (tiles.pixels[..., None] * (drawn - target)).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        with torch.no_grad():
            free["log_scales"].clamp_(start - MAX_LOG_SCALE_CHANGE, start + MAX_LOG_SCALE_CHANGE)
    return _with(gaussians, *chosen, {name: value.detach() for name, value in free.items()})


def _colours(gaussians: Gaussians, camera: Cameras) -> Float[Tensor, "h w 3"]:
    """The picture over black, without the cost of its depth."""
    scene = (gaussians.means, gaussians.quats, gaussians.scales, gaussians.opacities, gaussians.sh, None)
    return render_views(*scene, camera.world_to_cam, camera.intrinsics, camera.width, camera.height)[0][0]


def _with(gaussians: Gaussians, first: int, last: int, values: dict[str, Tensor]) -> Gaussians:
    """The Gaussians with a range of some parameters replaced."""
    parameters = {name: getattr(gaussians, name) for name in ("means", "quats", "log_scales", "opacity_logits", "sh")}
    for name, value in values.items():
        old = parameters[name]
        parameters[name] = torch.cat([old[:first], value, old[last:]])
    return Gaussians(**parameters, features=gaussians.features)


def fit_features(
    gaussians: Gaussians,
    last: int,
    target: Float[Tensor, "h w f"],
    wanted: Bool[Tensor, "h w"],
    camera: Cameras,
    rounds: int = FEATURE_ROUNDS,
) -> Gaussians:
    """Adjusts the features of the last Gaussians until the camera reads ``target`` where wanted, and rounds them to half.

    A picture is linear in the features: they are found by the simultaneous iterative reconstruction technique (Gilbert 1972),
    which hands every Gaussian back the mean of what is missing in the pixels that it shows in.

    Args:
        gaussians: with features; those before the last are frozen.
        last: how many may change.
        target: what the camera should read.
        wanted: where that counts.
        camera: at the target's size.
    """
    assert gaussians.features is not None
    if last == 0:
        return replace(gaussians, features=gaussians.features.half())
    camera = camera.to(gaussians.means.device)
    features = gaussians.features.float()
    for _ in range(rounds):
        channels = torch.cat([features, torch.ones_like(features[:, :1])], dim=-1).requires_grad_()
        drawn = rasterize(gaussians, camera, extra=channels)
        assert drawn.extra is not None
        residual = wanted[..., None] * (target - drawn.extra[0, ..., :-1] / drawn.alpha[0].clamp_min(1e-3)[..., None])
        weighted = torch.cat([residual, wanted[..., None].float()], dim=-1).detach()
        (back,) = torch.autograd.grad((drawn.extra[0] * weighted).sum(), channels)
        change = back[:, :-1] / back[:, -1:].clamp_min(1e-3)
        features[-last:] += change[-last:]
    return replace(gaussians, features=features.half())
