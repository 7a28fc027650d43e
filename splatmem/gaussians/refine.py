"""Refinement: newly written Gaussians fit their frame, the others stay as they are."""

from __future__ import annotations

import math
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
HELD = 0.001  # weight of a colour's difference from the lifted one, times the area of its Gaussian, beside the picture's errors
BRIGHTEST = 1.25  # colours may exceed white by this much, to make up for darker neighbours that show in the same pixels
FEATURE_ROUNDS = 4  # then a view reads its features back to a few percent; more makes other views worse


@torch.no_grad()
def refine(
    gaussians: Gaussians, chosen: tuple[int, int], target: Float[Tensor, "h w 3"], camera: Cameras, steps: int
) -> Gaussians:
    """Fits the colours of the chosen range to one picture; places, sizes and with them the sampling distance do not change.

    A picture is linear in the colours: conjugate gradients on the normal equations (CGLS, Hestenes & Stiefel 1952), scaled by
    how much of each Gaussian shows. Colours are bounded, as what is drawn of them is: after half of the steps, those that left
    the bounds are put on them, and the other half fits the rest to what that changed. Only the part of the picture in which the
    chosen show is drawn: the rest cannot change.

    Args:
        chosen: first and one past the last Gaussian that may change.
        target: the picture, 0..1. Where the Gaussians do not cover it, it is taken to lie behind them.
        camera: the one that saw it.
    """
    tiles = shared_tiles(gaussians, chosen, camera, growth=1.0)
    part, (first, last) = tiles.gaussians, tiles.chosen
    counts = tiles.pixels[..., None].to(target)
    handed_back = _HandedBack(part, camera)
    alpha = handed_back.alpha
    shown = handed_back(counts.expand_as(target))[first:last].clamp_min(WEIGHT_FLOOR)
    held = HELD * _footprints(part.select(slice(first, last)), camera)[:, None]
    colours = lifted = part.rgb[first:last]
    for count in (steps - steps // 2, steps // 2):
        all_colours = part.rgb.index_copy(0, torch.arange(first, last, device=lifted.device), colours)
        residual = counts * (alpha * target - _composited(part, all_colours, camera)[0])
        gradient = handed_back(residual)[first:last] - held * (colours - lifted)
        # A colour that would leave its bounds stays on them, and the others make up for it.
        free = ~(((colours <= 0) & (gradient < 0)) | ((colours >= BRIGHTEST) & (gradient > 0)))
        gradient = free * gradient
        direction = scaled = gradient / shown
        size = (gradient * scaled).sum()
        for _ in range(count):
            change = torch.zeros_like(part.means)
            change[first:last] = direction
            drawn = counts * _composited(part, change, camera)[0]
            curvature = drawn.square().sum() + (held * direction.square()).sum()
            length = size / curvature.clamp_min(1e-20)
            colours, residual = colours + length * direction, residual - length * drawn
            gradient = free * (handed_back(residual)[first:last] - held * (colours - lifted))
            scaled = gradient / shown
            previous, size = size, (gradient * scaled).sum()
            direction = scaled + size / previous.clamp_min(1e-20) * direction
        colours = colours.clamp(0, BRIGHTEST)
    sh = gaussians.sh.clone()
    sh[chosen[0] : chosen[1], 0] += (colours - lifted) / SH_C0  # what does not show stays the same to the bit
    return gaussians.recoloured(sh, *chosen)


def _footprints(gaussians: Gaussians, camera: Cameras) -> Float[Tensor, " n"]:
    """Area of each Gaussian in the picture, in pixels, if nothing hid it and it were seen from the front."""
    depth = camera.project(gaussians.means)[1][0].clamp_min(1e-6)
    return 2 * math.pi * (camera.focal.mean() * gaussians.scales[:, :2] / depth[:, None]).prod(-1)


def _composited(
    gaussians: Gaussians, colours: Float[Tensor, "n 3"], camera: Cameras
) -> tuple[Float[Tensor, "h w 3"], Float[Tensor, "h w 1"]]:
    """Any values of the Gaussians' own, blended over 0, and the opacity."""
    scene = (gaussians.means, gaussians.quats, gaussians.scales, gaussians.opacities, colours)
    image, alpha, _ = rasterization(*scene, camera.world_to_cam, camera.intrinsics, camera.width, camera.height)
    return image[0], alpha[0]


class _HandedBack:
    """For each Gaussian the sum of a picture's values, weighted as the Gaussian shows in them: what ``_composited`` transposes
    to.

    A drawing is linear in the colours, so its graph is made once, and gone back through for each picture.
    """

    def __init__(self, gaussians: Gaussians, camera: Cameras) -> None:
        with torch.enable_grad():
            self._colours = torch.zeros_like(gaussians.means, requires_grad=True)
            self._image, alpha = _composited(gaussians, self._colours, camera)
        self.alpha = alpha.detach()

    def __call__(self, picture: Float[Tensor, "h w 3"]) -> Float[Tensor, "n 3"]:
        # As a sum of its own: for gradients that are handed over PyTorch imports sympy, which takes seconds.
        with torch.enable_grad():
            weighted = (self._image * picture).sum()
        return torch.autograd.grad(weighted, self._colours, retain_graph=True)[0]


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
