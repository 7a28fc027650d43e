"""Refinement: newly written Gaussians fit their frame, the others stay as they are."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.gaussians.container import Gaussians
from splatmem.gaussians.draw import rasterize
from splatmem.gaussians.tiles import shared_tiles
from splatmem.geometry.cameras import Cameras
from splatmem.render import rasterization
from splatmem.render.spherical_harmonics import SH_C0

WEIGHT_FLOOR = 0.05  # of a Gaussian in the picture, in pixels: one that hardly shows is not fitted to what little of it does
HELD = 0.03  # how much a colour that differs from the lifted one weighs, beside what it shows as in the picture
FEATURE_ROUNDS = 4  # then a view reads its features back to a few percent; more makes other views worse


@torch.no_grad()
def refine(
    gaussians: Gaussians, chosen: tuple[int, int], target: Float[Tensor, "h w 3"], camera: Cameras, steps: int
) -> Gaussians:
    """Fits the colours of the chosen range to one picture; places, sizes and with them the sampling distance do not change.

    A picture is linear in the colours: conjugate gradients on the normal equations (CGLS, Hestenes & Stiefel 1952), scaled by
    how much of each Gaussian shows. Few steps sharpen, many fit noise by colours that stand out in other views. Only the part
    of the picture in which the chosen show is drawn: the rest cannot change.

    Args:
        chosen: first and one past the last Gaussian that may change.
        target: the picture, 0..1. Where the Gaussians do not cover it, it is taken to lie behind them.
        camera: the one that saw it.
    """
    tiles = shared_tiles(gaussians, chosen, camera, growth=1.0)
    part, (first, last) = tiles.gaussians, tiles.chosen
    counts = tiles.pixels[..., None].to(target)
    image, alpha = _composited(part, part.rgb, camera)
    residual = counts * (alpha * target - image)
    shown = _handed_back(part, counts.expand_as(target), camera)[first:last].clamp_min(WEIGHT_FLOOR)
    gradient = _handed_back(part, residual, camera)[first:last]
    scaled = gradient / shown
    direction, size = scaled, (gradient * scaled).sum()
    colours = lifted = part.rgb[first:last]
    for _ in range(steps):
        change = torch.zeros_like(part.means)
        change[first:last] = direction
        drawn = counts * _composited(part, change, camera)[0]
        curvature = drawn.square().sum() + (HELD * shown * direction.square()).sum()
        length = size / curvature.clamp_min(1e-20)
        colours, residual = colours + length * direction, residual - length * drawn
        gradient = _handed_back(part, residual, camera)[first:last] - HELD * shown * (colours - lifted)
        scaled = gradient / shown
        previous, size = size, (gradient * scaled).sum()
        direction = scaled + size / previous.clamp_min(1e-20) * direction
    sh = gaussians.sh.clone()
    sh[chosen[0] : chosen[1], 0] += (colours.clamp(0, 1) - lifted) / SH_C0  # what does not show stays the same to the bit
    return replace(gaussians, sh=sh)


def _composited(
    gaussians: Gaussians, colours: Float[Tensor, "n 3"], camera: Cameras
) -> tuple[Float[Tensor, "h w 3"], Float[Tensor, "h w 1"]]:
    """Any values of the Gaussians' own, blended over 0, and the opacity."""
    scene = (gaussians.means, gaussians.quats, gaussians.scales, gaussians.opacities, colours)
    image, alpha, _ = rasterization(*scene, camera.world_to_cam, camera.intrinsics, camera.width, camera.height)
    return image[0], alpha[0]


def _handed_back(gaussians: Gaussians, picture: Float[Tensor, "h w 3"], camera: Cameras) -> Float[Tensor, "n 3"]:
    """For each Gaussian the sum of a picture's values, weighted as the Gaussian shows in them: what ``_composited`` transposes
    to."""
    with torch.enable_grad():
        colours = torch.zeros_like(gaussians.means, requires_grad=True)
        image, _ = _composited(gaussians, colours, camera)
        return torch.autograd.grad(image, colours, picture)[0]


def fit_features(
    gaussians: Gaussians,
    last: int,
    target: Float[Tensor, "h w f"],
    wanted: Bool[Tensor, "h w"],
    camera: Cameras,
    rounds: int = FEATURE_ROUNDS,
) -> Gaussians:
    """Adjusts the features of the last Gaussians until the camera reads ``target`` where wanted, and rounds them to half
    precision.

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
