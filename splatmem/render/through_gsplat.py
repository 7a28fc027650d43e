"""Calls of gsplat's rasterization, arranged so that it takes whatever the package's own kernels take.

gsplat 1.5.3 refuses backgrounds of packed drawings, whatever their shape. It cannot tell the number of channels of no Gaussians
or of colours without channels, divides by the number of Gaussians, and its kernels read single precision alone.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

RenderMode = Literal["RGB", "D", "ED", "RGB+D", "RGB+ED"]


def draw_with_gsplat(
    means: Float[Tensor, "*b n 3"],
    quats: Float[Tensor, "*b n 4"],
    scales: Float[Tensor, "*b n 3"],
    opacities: Float[Tensor, "*b n"],
    colors: Tensor,
    viewmats: Float[Tensor, "*b c 4 4"],
    Ks: Float[Tensor, "*b c 3 3"],
    width: int,
    height: int,
    *,
    backgrounds: Float[Tensor, "*b c d"] | None,
    render_mode: RenderMode,
    sh_degree: int | None,
    **options: Any,
) -> tuple[Float[Tensor, "*b c h w x"], Float[Tensor, "*b c h w 1"], dict[str, Any]]:
    """``gsplat.rasterization``; arguments and results are those of ``splatmem.render.rasterization``, ``options`` gsplat's
    further ones."""
    import gsplat

    if render_mode in ("D", "ED"):  # colours are not drawn, and gsplat arranges them all the same
        colors, sh_degree, backgrounds = opacities.detach()[..., None], None, None
    if means.shape[-2] == 0:
        channels = ("RGB" in render_mode) * colors.shape[-1] + ("D" in render_mode)
        image, alpha, meta = _nothing(means, viewmats, width, height, channels)
    else:
        image, alpha, meta = gsplat.rasterization(
            means.contiguous(), quats, scales, opacities.contiguous(), colors.float().contiguous(), viewmats, Ks, width, height,
            render_mode=render_mode, sh_degree=sh_degree, **options,
        )  # fmt: skip
    return image if backgrounds is None else _before(backgrounds, image, alpha), alpha, meta


def _before(
    backgrounds: Float[Tensor, "*b c d"], image: Float[Tensor, "*b c h w x"], alpha: Float[Tensor, "*b c h w 1"]
) -> Float[Tensor, "*b c h w x"]:
    """The image in front of a colour, as gsplat's kernels compose it; a depth behind the colours stays as it is."""
    drawn, depth = image.split([backgrounds.shape[-1], image.shape[-1] - backgrounds.shape[-1]], dim=-1)
    return torch.cat([drawn + (1 - alpha) * backgrounds[..., None, None, :], depth], dim=-1)


def _nothing(means: Tensor, viewmats: Tensor, width: int, height: int, channels: int) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """The drawing of no Gaussians."""
    size = (*viewmats.shape[:-2], height, width)
    ids = torch.empty(0, dtype=torch.long, device=means.device)
    meta = {
        "means2d": means.new_zeros(0, 2), "radii": means.new_zeros(0, 2, dtype=torch.int32), "depths": means.new_zeros(0),
        "conics": means.new_zeros(0, 3), "opacities": means.new_zeros(0), "gaussian_ids": ids, "camera_ids": ids,
        "batch_ids": ids, "isect_ids": ids, "width": width, "height": height,
    }  # fmt: skip
    zero = means.sum()  # of nothing: what is drawn stays part of the graph
    return zero.expand(*size, channels), zero.expand(*size, 1), meta
