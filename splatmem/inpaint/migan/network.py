"""MI-GAN: a small convolutional network that fills what is missing in a picture.

Sargsyan et al. 2023, "MI-GAN: A Simple Baseline for Image Inpainting on Mobile Devices": an encoder of depthwise separable
convolutions, and a generator that adds the encoder's features of each resolution to its own. The noise that the generator adds
is fixed, so that one picture has one answer.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from safetensors.torch import load_file
from torch import Tensor, nn

STRIDE = 128  # sides of the pictures that it was trained on are multiples of this
FINE_STRIDE = 32  # ... and of the smallest that it takes: then its coarsest features get a margin of zeros


class MIGAN(nn.Module):
    """Fills pictures whose sides are multiples of ``FINE_STRIDE``."""

    def __init__(self, channels: list[int]) -> None:
        """Args:
        channels: of features at each resolution, from the finest to the coarsest.
        """
        super().__init__()
        self.from_rgb = nn.Conv2d(4, channels[0], 1)
        coarser = [*channels[1:], channels[-1]]
        self.encoder = nn.ModuleList(
            _Encode(own, after, halved=number + 1 < len(channels))
            for number, (own, after) in enumerate(zip(channels, coarser, strict=True))
        )
        finest = 4 * 2 ** (len(channels) - 1)
        self.generator = nn.ModuleList(
            _Generate(
                before, own, noise=finest >> number if number + 1 < len(channels) else 0, doubled=number + 1 < len(channels)
            )
            for number, (own, before) in enumerate(zip(channels, coarser, strict=True))
        )

    @staticmethod
    def from_folder(folder: Path) -> MIGAN:
        """The network of a folder with ``config.json`` (its channels) and ``model.safetensors``."""
        with torch.device("meta"):  # nothing is drawn at random that is replaced at once
            network = MIGAN(json.loads((folder / "config.json").read_text(encoding="utf-8"))["channels"])
        weights = load_file(folder / "model.safetensors")
        network.load_state_dict({name: weight.float() for name, weight in weights.items()}, assign=True)
        network.eval().requires_grad_(False)
        for weights in network.parameters():
            if weights.ndim == 4:  # half the time of the other order
                weights.data = weights.data.contiguous(memory_format=torch.channels_last)
        return network

    def forward(self, rgb: Float[Tensor, "n 3 h w"], known: Float[Tensor, "n 1 h w"]) -> Float[Tensor, "n 3 h w"]:
        """Whole pictures; also the known pixels are only close to what was given.

        Args:
            rgb: 0..1; what is not known does not matter.
            known: 1 where a pixel is to be kept, else 0.
        """
        x = _activated(self.from_rgb(torch.cat([known - 0.5, (2 * rgb - 1) * known], dim=1)))
        kept = []
        for block in self.encoder:
            features, x = block(x)
            kept.append(features)
        picture: Tensor | None = None
        for block, features in zip(reversed(self.generator), reversed(kept), strict=True):
            x, picture = block(x, features, picture)
        assert picture is not None
        return (0.5 * picture + 0.5).clamp(0, 1)


def _activated(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    return F.leaky_relu(x, 0.2, inplace=True)  # the factor that the paper has here lies in the weights before it


class _Separable(nn.Module):
    """A 3x3 convolution of each channel, and a mixture of the channels."""

    def __init__(self, channels: int, after: int, noise: int = 0) -> None:
        """Args:
        noise: side of the fixed noise, or 0 for none.
        """
        super().__init__()
        self.each = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.mixed = nn.Conv2d(channels, after, 1, bias=False)
        self.noise: Tensor | None
        self.register_buffer("noise", torch.zeros(noise, noise) if noise else None)

    def forward(self, x: Float[Tensor, "n c h w"], *, halved: bool = False, doubled: bool = False) -> Float[Tensor, "n k i j"]:
        x = _activated(self.each(x))
        x = self.mixed(_halved(x) if halved else x)
        if doubled:
            x = _doubled(x)
        if self.noise is not None:
            x += _of_size(self.noise, x.shape[-2], x.shape[-1])
        return _activated(x)


class _Encode(nn.Module):
    def __init__(self, channels: int, after: int, *, halved: bool) -> None:
        super().__init__()
        self.first, self.second, self.halved = _Separable(channels, channels), _Separable(channels, after), halved

    def forward(self, x: Float[Tensor, "n c h w"]) -> tuple[Float[Tensor, "n c h w"], Float[Tensor, "n k i j"]]:
        features = self.first(x)
        return features, self.second(features, halved=self.halved)


class _Generate(nn.Module):
    def __init__(self, before: int, channels: int, *, noise: int, doubled: bool) -> None:
        super().__init__()
        self.first, self.second = _Separable(before, channels, noise), _Separable(channels, channels, noise)
        self.to_rgb, self.doubled = nn.Conv2d(channels, 3, 1), doubled

    def forward(
        self, x: Float[Tensor, "n k i j"], features: Float[Tensor, "n c h w"], picture: Float[Tensor, "n 3 i j"] | None
    ) -> tuple[Float[Tensor, "n c h w"], Float[Tensor, "n 3 h w"]]:
        height, width = features.shape[2:]
        x = self.second(self.first(x, doubled=self.doubled)[..., :height, :width] + features)
        own = self.to_rgb(x)
        return x, own if picture is None else own.add_(_doubled(picture)[..., :height, :width])


def _halved(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c i j"]:
    x = F.pad(x, (0, x.shape[3] % 2, 0, x.shape[2] % 2))
    line = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=x.dtype, device=x.device) / 8
    return F.conv2d(x, (line[:, None] * line).expand(x.shape[1], 1, 4, 4), stride=2, padding=1, groups=x.shape[1])


def _doubled(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c i j"]:
    # The filter (1, 3, 3, 1) between zeros is bilinear interpolation, of a picture with a margin of zeros.
    return F.interpolate(F.pad(x, (1, 1, 1, 1)), scale_factor=2, mode="bilinear", align_corners=False)[..., 2:-2, 2:-2]


def _of_size(noise: Float[Tensor, "k k"], height: int, width: int) -> Float[Tensor, "h w"]:
    rows, columns = math.ceil(height / len(noise)), math.ceil(width / len(noise))
    return noise.repeat(rows, columns)[:height, :width]
