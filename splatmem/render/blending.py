"""The weights with which Gaussians are blended into a view: a linear map from values of theirs to a picture, and its transpose.

A picture is linear in the colours of its Gaussians. What a fit of colours, or a look at how much each Gaussian shows, asks for
again and again is this map: where the Gaussians lie in the view, and in which order, is found once.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from splatmem.render.autograd import ViewSettings
from splatmem.render.extension import load_kernels
from splatmem.render.rasterization import rasterization
from splatmem.threads import kernel_threads


class BlendingWeights:
    """Of some Gaussians of a scene in one view, as they show among all others; they must not change while it is used."""

    def __init__(
        self,
        means: Float[Tensor, "n 3"],
        quats: Float[Tensor, "n 4"],
        scales: Float[Tensor, "n 3"],
        opacities: Float[Tensor, " n"],
        viewmat: Float[Tensor, "4 4"],
        K: Float[Tensor, "3 3"],
        width: int,
        height: int,
        *,
        chosen: tuple[int, int],
        channels: int,
        colours: Float[Tensor, "n c"] | None = None,
    ) -> None:
        """Args:
        means, quats, scales, opacities, viewmat, K, width, height: as ``rasterization`` takes them, of one view.
        chosen: first and one past the last of the Gaussians.
        channels: of their values, 1 or 3.
        colours: of all Gaussians, with as many channels: then ``drawn`` is what the scene shows with them.
        """
        self.size, self.chosen, self.channels = (height, width), chosen, channels
        self.drawn: tuple[Float[Tensor, "h w c"], Float[Tensor, "h w"]] | None = None
        """The picture and its accumulated opacity, meaningful wherever some of the chosen show."""
        means, quats, scales, opacities = (t.detach().contiguous() for t in (means, quats, scales, opacities))
        viewmat, K = viewmat.detach().contiguous(), K.detach().contiguous()
        self._kernels: Any = None
        if means.is_cuda:

            def draw(values: Tensor) -> Tensor:
                return rasterization(means, quats, scales, opacities, values, viewmat[None], K[None], width, height)[0][0]

            self._draw = draw
            with torch.enable_grad():
                self._values = means.new_zeros(len(means), channels).requires_grad_()
                self._drawn = draw(self._values)
            if colours is not None:
                picture, alpha, _ = rasterization(
                    means, quats, scales, opacities, colours, viewmat[None], K[None], width, height
                )
                self.drawn = picture[0], alpha[0, ..., 0]
            return
        settings, kernels = ViewSettings(width, height), load_kernels()
        image = alpha = None
        if colours is not None:
            image, alpha = torch.empty(height, width, channels), torch.empty(height, width)
            self.drawn = image, alpha
            colours = colours.detach().contiguous()[None]
        self._kernels = kernels.blending_weights(
            kernels.Scene(means, quats, scales, opacities, colours, None, 0), viewmat, K, width, height, *chosen, channels,
            image=image, alpha=alpha, near_plane=settings.near_plane, far_plane=settings.far_plane, eps2d=settings.eps2d,
            threads=kernel_threads(),
        )  # fmt: skip

    def blend(self, values: Float[Tensor, "m c"]) -> Float[Tensor, "h w c"]:
        """The picture of the chosen Gaussians with these values, before and behind all others, whose values are 0."""
        if self._kernels is None:
            everything = torch.zeros_like(self._values)
            everything[slice(*self.chosen)] = values
            return self._draw(everything)
        picture = torch.empty(*self.size, self.channels)
        self._kernels.blend(values.contiguous(), picture, threads=kernel_threads())
        return picture

    def sum(self, picture: Float[Tensor, "h w c"] | None = None) -> Float[Tensor, "m c"]:
        """For each of the chosen, the sum of a picture's values times its weights in the pixels; of its weights alone if no
        picture is given."""
        if self._kernels is None:
            picture = torch.ones_like(self._drawn) if picture is None else picture
            # As a sum of its own: for gradients that are handed over PyTorch imports sympy, which takes seconds.
            with torch.enable_grad():
                weighted = (self._drawn * picture).sum()
            return torch.autograd.grad(weighted, self._values, retain_graph=True)[0][slice(*self.chosen)]
        sums = torch.empty(self.chosen[1] - self.chosen[0], self.channels)
        self._kernels.sum(None if picture is None else picture.contiguous(), sums, threads=kernel_threads())
        return sums
