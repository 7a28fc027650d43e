"""The compiled kernels as one differentiable function of torch tensors."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from splatmem.render.extension import load_kernels

MAX_IMAGE_SIDE = 32768


@dataclass(frozen=True)
class ViewSettings:
    """What a view needs beside the tensors; the names and meanings are gsplat's."""

    width: int
    height: int
    near_plane: float = 0.01
    far_plane: float = 1e10
    radius_clip: float = 0.0
    eps2d: float = 0.3
    sh_degree: int = 0  # of the harmonics that are evaluated
    with_depth: bool = False  # whether the z-depth is drawn as the last channel

    def __post_init__(self) -> None:
        for name in ("width", "height"):
            side = getattr(self, name)
            if not 1 <= side <= MAX_IMAGE_SIDE:
                raise ValueError(f"{name} must lie in 1..{MAX_IMAGE_SIDE} pixels, got {side}")
        if not 0 < self.near_plane < self.far_plane:
            raise ValueError(f"expected 0 < near_plane < far_plane, got {self.near_plane} and {self.far_plane}")
        if not (self.eps2d >= 0 and self.radius_clip >= 0):
            raise ValueError(f"eps2d and radius_clip must not be negative, got {self.eps2d} and {self.radius_clip}")


def draw(
    means: Float[Tensor, "n 3"],
    quats: Float[Tensor, "n 4"],
    scales: Float[Tensor, "n 3"],
    opacities: Float[Tensor, " n"],
    colors: Float[Tensor, "v n d"] | None,
    harmonics: Float[Tensor, "v n k 3"] | None,
    viewmats: Float[Tensor, "c 4 4"],
    Ks: Float[Tensor, "c 3 3"],
    backgrounds: Float[Tensor, "c x"] | None,
    settings: ViewSettings,
) -> tuple[Float[Tensor, "c h w x"], Float[Tensor, "c h w 1"], list]:
    """Draws ``c`` views; the caller has checked shapes, types and devices.

    Args:
        colors: channels that are drawn as they are, with ``v`` = 1 if all views share them and else ``v`` = ``c``.
        harmonics: spherical-harmonic coefficients of a colour, which becomes the image's first three channels; ``v`` as above.
        backgrounds: one value for each of the image's channels.

    Returns:
        The image with its channels in the order harmonics, colors, depth; the accumulated alpha; and the drawn views, as the
        kernels keep them.
    """
    views: list = []
    image, alpha = _Draw.apply(
        means, quats, scales, opacities, colors, harmonics, viewmats, _centers(viewmats, settings), Ks, backgrounds, settings,
        views,
    )  # fmt: skip
    return image, alpha, views


def _centers(viewmats: Tensor, settings: ViewSettings) -> Tensor:
    """Places of the cameras in the world, for which only view-dependent colours ask."""
    if settings.sh_degree == 0:
        return viewmats.new_zeros(len(viewmats), 3)
    return torch.linalg.inv(viewmats)[:, :3, 3]


class _Draw(torch.autograd.Function):
    """``views`` receives what the kernels keep of each view."""

    @staticmethod
    def forward(
        ctx: Any,
        means: Tensor,
        quats: Tensor,
        scales: Tensor,
        opacities: Tensor,
        colors: Tensor | None,
        harmonics: Tensor | None,
        viewmats: Tensor,
        centers: Tensor,
        Ks: Tensor,
        backgrounds: Tensor | None,
        settings: ViewSettings,
        views: list,
    ) -> tuple[Tensor, Tensor]:
        kernels = load_kernels()
        scene = [None if t is None else t.detach().contiguous() for t in (means, quats, scales, opacities, colors, harmonics)]
        channels = sum((0 if colors is None else colors.shape[-1], 0 if harmonics is None else 3, settings.with_depth))
        image = means.new_empty(len(viewmats), settings.height, settings.width, channels)
        alpha = means.new_empty(len(viewmats), settings.height, settings.width, 1)
        views += kernels.draw(
            kernels.Scene(*scene, settings.sh_degree),
            *(t.detach().contiguous() for t in (viewmats, Ks, centers)),
            None if backgrounds is None else backgrounds.detach().contiguous(),
            image,
            alpha,
            near_plane=settings.near_plane,
            far_plane=settings.far_plane,
            radius_clip=settings.radius_clip,
            eps2d=settings.eps2d,
            with_depth=settings.with_depth,
            threads=torch.get_num_threads(),
        )
        ctx.save_for_backward(*scene, image, alpha)
        ctx.views, ctx.settings = list(views), settings
        return image, alpha

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_image: Tensor, grad_alpha: Tensor) -> tuple[Tensor | None, ...]:
        kernels: ModuleType = load_kernels()
        *scene, image, alpha = ctx.saved_tensors
        grad_image, grad_alpha = grad_image.contiguous(), grad_alpha.contiguous()
        wanted = (True, True, True, True, *ctx.needs_input_grad[4:6])
        grads = [
            torch.empty_like(t, dtype=torch.float32) if want and t is not None else None
            for t, want in zip(scene, wanted, strict=True)
        ]
        tensors, gradients = kernels.Scene(*scene, ctx.settings.sh_degree), kernels.Gradients(*grads)
        threads = torch.get_num_threads()
        gradients.clear(threads)
        for i, view in enumerate(ctx.views):
            view.backward(tensors, i, image[i], alpha[i], grad_image[i], grad_alpha[i], gradients, threads=threads)
        grad_backgrounds = None
        if ctx.needs_input_grad[9]:
            grad_backgrounds = ((1 - alpha) * grad_image).sum(dim=(1, 2))
        if grads[4] is not None:
            grads[4] = grads[4].to(scene[4].dtype)
        return (*grads, None, None, None, grad_backgrounds, None, None)
