"""Which pixels of a reading count as known, and how far they can be trusted.

A pixel is known if it is opaque and little of it comes from surfaces seen from behind. Trust falls with the magnification of
the surface, relative to the view that saw it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.gaussians import Gaussians
from splatmem.gaussians.draw import Rendering, rasterize, rasterize_colours
from splatmem.gaussians.lift import sampling_distance
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.filters import close_gaps
from splatmem.geometry.push_pull import fill_gaps
from splatmem.render.extension import load_kernels
from splatmem.threads import kernel_threads

KNOWN_ALPHA = 0.6  # accumulated opacity from which a pixel counts as covered
SOLID_ALPHA = 0.97  # what covers less lets so much of the gap behind it through that it says nothing of that gap's colours
KNOWN_FRONT = 0.55  # share of it that must come from surfaces seen from their front
CRACK_WIDTH = 3  # pixels; cracks up to this width are closed
FULL_TRUST_MAGNIFICATION = 1.5  # one pixel of the view that saw it covers this many pixels here, along a side
NO_TRUST_MAGNIFICATION = 6.0


@dataclass(frozen=True)
class Visibility:
    """``known`` and ``trust`` of ``v`` views, ``[v, h, w]``."""

    known: Bool[Tensor, "v h w"]
    trust: Float[Tensor, "v h w"]


def draw_known(gaussians: Gaussians, cameras: Cameras) -> tuple[Float[Tensor, "v h w 3"], Bool[Tensor, "v h w"]]:
    """What views show (0..1), and what of it is known: all that a film needs, at half the cost."""
    rgb, alpha, backfacing = rasterize_colours(gaussians, cameras)
    known = known_pixels(alpha, backfacing)
    return shown_colours(rgb, alpha, known), known


def draw_coverage(
    gaussians: Gaussians, cameras: Cameras, crack_width: int = CRACK_WIDTH
) -> tuple[Bool[Tensor, "v h w"], Float[Tensor, "v h w"]]:
    """What of views is known, and the accumulated opacity: what plans and writes ask for, at a third of the cost."""
    _, alpha, backfacing = rasterize_colours(gaussians, cameras)
    return known_pixels(alpha, backfacing, crack_width), alpha


def shown_colours(
    rgb: Float[Tensor, "v h w 3"], alpha: Float[Tensor, "v h w"], known: Bool[Tensor, "v h w"]
) -> Float[Tensor, "v h w 3"]:
    """Pictures as they are shown, 0..1: what is known, composited plainly over colours smeared in from around the gaps.

    Args:
        rgb: composited over black.
        alpha: its accumulated opacity.
        known: where that is of surfaces seen from their front; elsewhere the smeared colours are shown alone.
    """
    if rgb.is_cuda:
        return _shown_by_torch(rgb, alpha, known)
    shown = torch.empty(rgb.shape)
    maps = (tensor.contiguous() for tensor in (rgb, alpha, known))
    load_kernels().show(*maps, shown, solid=SOLID_ALPHA, threads=kernel_threads())
    return shown


def _shown_by_torch(
    rgb: Float[Tensor, "v h w 3"], alpha: Float[Tensor, "v h w"], known: Bool[Tensor, "v h w"]
) -> Float[Tensor, "v h w 3"]:
    """``shown_colours`` on any device."""
    solid = known & (alpha >= SOLID_ALPHA)
    behind = rgb if solid.all() else fill_gaps(rgb.permute(0, 3, 1, 2), solid).permute(0, 2, 3, 1)
    shown = torch.addcmul(rgb, 1 - alpha[..., None], behind)
    unknown = ~known
    shown[unknown] = behind[unknown]
    return shown.clamp_(0, 1)


def draw_visibility(gaussians: Gaussians, cameras: Cameras) -> tuple[Rendering, Visibility]:
    """Renders a scene and says what of it is known, and how far it is to be trusted; ``extra`` of the rendering holds the
    Gaussians' features, if any."""
    sampling, features = sampling_distance(gaussians)[:, None], gaussians.features
    extra = sampling if features is None else torch.cat([sampling, features.float()], dim=-1)
    drawn = rasterize(gaussians, cameras, extra=extra, backfacing=True)
    assert drawn.extra is not None
    assert drawn.backfacing_alpha is not None
    distance = drawn.depth * cameras.pixel_rays().norm(dim=-1)
    pixel = (distance / cameras.focal.mean(-1)[:, None, None]).clamp_min(1e-12)
    most = 2 * NO_TRUST_MAGNIFICATION * drawn.alpha
    magnification = torch.minimum(drawn.extra[..., 0] / pixel, most)
    known = known_pixels(drawn.alpha, drawn.backfacing_alpha)
    excess = (magnification / drawn.alpha.clamp_min(1e-4)).clamp_min(FULL_TRUST_MAGNIFICATION).log()
    full, none = math.log(FULL_TRUST_MAGNIFICATION), math.log(NO_TRUST_MAGNIFICATION)
    trust = (1 - (excess - full) / (none - full)).clamp(0, 1) * known
    return replace(drawn, extra=None if features is None else drawn.extra[..., 1:]), Visibility(known, trust)


def known_pixels(
    alpha: Float[Tensor, "v h w"], backfacing: Float[Tensor, "v h w"], crack_width: int = CRACK_WIDTH
) -> Bool[Tensor, "v h w"]:
    """What is covered by surfaces seen from their front, cracks closed that are at most so many pixels wide, from composited
    opacity and the part of it that is seen from behind."""
    opaque = alpha > KNOWN_ALPHA
    behind = opaque & (backfacing >= (1 - KNOWN_FRONT) * alpha)
    covered = opaque & ~behind
    # A crack is a thin line of weak opacity; where a back shows, nothing is closed.
    return (close_gaps(covered, crack_width) & ~behind) | covered if crack_width else covered
