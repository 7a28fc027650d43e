"""Draws a ``Gaussians`` container through ``Cameras``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from splatmem.gaussians import Gaussians
from splatmem.geometry.cameras import Cameras
from splatmem.render.rasterization import render_views

PIXELS_AT_ONCE = 600_000  # of the views of one call: what is drawn of them is held together
MOST_VIEWS_AT_ONCE = 64


def in_batches(cameras: Cameras) -> list[Cameras]:
    """Views in their order, as many together as one call should draw: more of small ones, since what a call prepares serves
    all of its views."""
    count = max(1, min(MOST_VIEWS_AT_ONCE, PIXELS_AT_ONCE // (cameras.width * cameras.height)))
    return [cameras[slice(first, first + count)] for first in range(0, len(cameras), count)]


@dataclass
class Rendering:
    """What ``v`` cameras see.

    Attributes:
        rgb: sRGB over the background (black by default), not clamped, ``[v, h, w, 3]``.
        depth: expected z-depth, ``sum(w z) / alpha``, in world units; 0 where ``alpha`` is 0, ``[v, h, w]``.
        alpha: accumulated opacity in 0..1, ``[v, h, w]``.
        extra: ``sum(w extra)``, not divided by ``alpha``, ``[v, h, w, f]``, or None if none was asked for.
        backfacing_alpha: the part of ``alpha`` that comes from Gaussians seen from behind, against their local z axis,
            ``[v, h, w]``, or None if it was not asked for.
    """

    rgb: Float[Tensor, "v h w 3"]
    depth: Float[Tensor, "v h w"]
    alpha: Float[Tensor, "v h w"]
    extra: Float[Tensor, "v h w f"] | None = None
    backfacing_alpha: Float[Tensor, "v h w"] | None = None


def rasterize(
    gaussians: Gaussians,
    cameras: Cameras,
    *,
    extra: Float[Tensor, "n f"] | Float[Tensor, "v n f"] | None = None,
    background: Float[Tensor, "3"] | None = None,
    backfacing: bool = False,
) -> Rendering:
    """Renders colour, depth, alpha and any further channels; differentiable in the Gaussians, ``extra`` and ``background``.

    Args:
        gaussians: the scene. Every spherical-harmonic band it holds is drawn; a Gaussian's ``features`` are not, unless
            they are passed as ``extra``.
        cameras: the views; all Gaussians and cameras lie on one device.
        extra: further channels per Gaussian, or per view and Gaussian.
        background: sRGB colour behind everything; black if None.
        backfacing: whether to render how much comes from Gaussians seen from behind (constant for gradients).

    Raises:
        ValueError: if a shape, a dtype or a device does not fit.
    """
    _check(gaussians, cameras, extra, background)
    backgrounds = None
    if background is not None:
        features = 0 if extra is None else extra.shape[-1]
        backgrounds = torch.nn.functional.pad(background, (0, features)).expand(len(cameras), -1)
    image, alpha = _views(gaussians, cameras, extra, backgrounds=backgrounds, render_mode="RGB+ED", with_backfacing=backfacing)
    extra_end = -2 if backfacing else -1
    return Rendering(
        rgb=image[..., :3],
        depth=image[..., -1],
        alpha=alpha[..., 0],
        extra=None if extra is None else image[..., 3:extra_end],
        backfacing_alpha=image[..., -2].detach() if backfacing else None,
    )


def rasterize_colours(
    gaussians: Gaussians, cameras: Cameras
) -> tuple[Float[Tensor, "v h w 3"], Float[Tensor, "v h w"], Float[Tensor, "v h w"]]:
    """``rgb``, ``alpha`` and ``backfacing_alpha`` of a rendering over black, without its depth: a third faster."""
    _check(gaussians, cameras, None, None)
    image, alpha = _views(gaussians, cameras, None, render_mode="RGB", with_backfacing=True)
    return image[..., :3], alpha[..., 0], image[..., 3].detach()


def _views(gaussians: Gaussians, cameras: Cameras, extra: Tensor | None, **options: Any) -> tuple[Tensor, Tensor]:
    return render_views(
        gaussians.means,
        gaussians.quats,
        gaussians.scales,
        gaussians.opacities,
        gaussians.sh,
        extra,
        cameras.world_to_cam,
        cameras.intrinsics,
        cameras.width,
        cameras.height,
        **options,
    )


def _check(gaussians: Gaussians, cameras: Cameras, extra: Tensor | None, background: Tensor | None) -> None:
    n, v = len(gaussians), len(cameras)
    if extra is not None and tuple(extra.shape[:-1]) not in ((n,), (v, n)):
        raise ValueError(f"extra must have shape ({n}, f) or ({v}, {n}, f), got {tuple(extra.shape)}")
    if background is not None and tuple(background.shape) != (3,):
        raise ValueError(f"background must be one sRGB colour of shape (3,), got {tuple(background.shape)}")
