"""Pictures of a whole turn through networks of convolutions: their left end is made the right one's neighbour.

A UNet and an autoencoder of convolutions know where a pixel lies by the zeros beyond the picture's sides alone. Where the other
end of the picture stands for these, a picture that is shifted around comes out as it was, shifted around: no seam is anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import MethodType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def can_go_around(pipeline: Any) -> bool:
    """Whether a pipeline's networks know no place: transformers tell each token where it lies."""
    return getattr(pipeline, "unet", None) is not None and type(getattr(pipeline, "vae", None)).__name__ == "AutoencoderKL"


def columns_of(pipeline: Any) -> int:
    """Latents side by side that a UNet halves to one: a turn's picture must have a multiple of them."""
    return 2 ** (len(pipeline.unet.config.block_out_channels) - 1)


@contextmanager
def goes_around(pipeline: Any) -> Iterator[None]:
    """The UNet, ControlNets and the autoencoder of a pipeline go around while the block runs; above and below, nothing
    changes. The autoencoder works without tiles meanwhile, which have ends of their own."""
    networks = [part for part in pipeline.components.values() if isinstance(part, nn.Module)]
    padded_outside = {
        id(module.conv) for network in networks for module in network.modules() if getattr(module, "padding", None) == 0
        and type(module).__name__ == "Downsample2D"
    }  # fmt: skip
    changed: list[Any] = [
        module for network in networks for module in network.modules() if _looks_beside(module, padded_outside)
    ]
    tiled, pipeline.vae.use_tiling = pipeline.vae.use_tiling, False
    for module in changed:
        module._conv_forward = MethodType(_around(id(module) in padded_outside), module)
    try:
        yield
    finally:
        pipeline.vae.use_tiling = tiled
        for module in changed:
            del module._conv_forward


def _looks_beside(module: nn.Module, padded_outside: set[int]) -> bool:
    if not isinstance(module, nn.Conv2d):
        return False
    return id(module) in padded_outside or (module.padding_mode == "zeros" and module.padding != (0, 0))


def _around(padded_outside: bool) -> Callable[[nn.Conv2d, Tensor, Tensor, Tensor | None], Tensor]:
    """What computes a convolution whose columns go around; if ``padded_outside``, its input has a column of zeros at the
    right end already, for which the first column is taken."""

    def forward(self: nn.Conv2d, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        rows, columns = (0, 0) if padded_outside else (int(side) for side in self.padding)
        if padded_outside:
            x = torch.cat([x[..., :-1], x[..., :1]], dim=-1)
        x = F.pad(F.pad(x, (columns, columns, 0, 0), mode="circular"), (0, 0, rows, rows))
        return F.conv2d(x, weight, bias, self.stride, 0, self.dilation, self.groups)

    return forward
