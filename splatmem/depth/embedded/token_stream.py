"""What a vision transformer sees in a picture, brought to the sizes of a convolutional pyramid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from splatmem.depth.embedded.vision_transformer import PATCH, VisionTransformer

# What pictures are scaled by for encoders that were trained on ImageNet.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class TokenMaps:
    """Maps that are added to a pyramid's levels, what each place is, and what tells the whole picture.

    Attributes:
        levels: maps for the strides 4, 8 and 16, ``[b, c, H, W]``, each at the size of its grid of tokens or twice that.
        label_logits: a logit for each class, ``[b, k, H, W]``, at twice the grid of tokens; absent where no class is told.
        mean: of the standardised tokens of each of the four layers, one after the other, ``[b, 4 c]``.
    """

    levels: tuple[Tensor, Tensor, Tensor]
    label_logits: Tensor | None
    mean: Float[Tensor, "b k"]


class TokenStream(nn.Module):
    """Fuses the tokens of four layers (as DPT does, Ranftl et al. 2021), at the grid of the tokens and at twice that."""

    def __init__(self, width: int, depth: int, channels: int, fused_channels: int = 128, labels: int = 0) -> None:
        """``width``, ``depth``: of the transformer; ``channels``: of the pyramid; ``labels``: number of classes to tell."""
        super().__init__()
        self.transformer = VisionTransformer(width, depth)
        self.layers: Sequence[int] = [round(depth * share / 4) for share in (1, 2, 3, 4)]
        # A few channels of the tokens vary twenty times as much as the others.
        self.standardise = nn.ModuleList(nn.BatchNorm2d(width, affine=False) for _ in self.layers)
        self.project = nn.ModuleList(nn.Conv2d(width, fused_channels, 1) for _ in self.layers)
        self.context = nn.Linear(width, fused_channels)
        self.fuse = nn.Sequential(Residual(fused_channels), Residual(fused_channels))
        self.widen = nn.Conv2d(fused_channels, channels, 1)
        self.early = nn.Conv2d(2 * width, channels, 1)
        self.refine = Residual(channels)
        self.to_levels = nn.ModuleList(nn.Conv2d(c, channels, 1) for c in (channels, channels, fused_channels))
        for convolution in self.to_levels:
            # At the beginning of a training the pyramid computes what it did without the tokens.
            assert isinstance(convolution, nn.Conv2d)
            nn.init.zeros_(convolution.weight)
            if convolution.bias is not None:
                nn.init.zeros_(convolution.bias)
        self.tell = _classifier(channels, labels) if labels else None

    def forward(self, pixel_values: Float[Tensor, "b 3 h w"], grid: tuple[int, int]) -> TokenMaps:
        """``pixel_values``: RGB in -1..1; ``grid``: rows and columns of tokens."""
        size = (PATCH * grid[0], PATCH * grid[1])
        picture = F.interpolate(pixel_values, size=size, mode="bilinear", antialias=True, align_corners=False)
        mean, deviation = (torch.tensor(v, device=picture.device).view(1, 3, 1, 1) for v in (MEAN, DEVIATION))
        tokens = self.transformer((0.5 * (picture + 1) - mean) / deviation, self.layers)
        maps = [norm(patches) for norm, (patches, _) in zip(self.standardise, tokens, strict=True)]
        x = sum((project(m) for project, m in zip(self.project, maps, strict=True)), torch.zeros((), device=picture.device))
        coarse = self.fuse(x + self.context(tokens[-1][1])[:, :, None, None])
        fine = self.widen(coarse) + self.early(torch.cat(maps[:2], dim=1))
        fine = self.refine(F.interpolate(fine, scale_factor=2, mode="bilinear", align_corners=False))
        levels = (self.to_levels[0](fine), self.to_levels[1](fine), self.to_levels[2](coarse))
        mean = torch.cat([m.float().mean((2, 3)) for m in maps], dim=1)
        return TokenMaps(levels, None if self.tell is None else self.tell(fine), mean)


def _classifier(channels: int, labels: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(), nn.Conv2d(channels, labels, 1))


class Residual(nn.Module):
    """Two convolutions, added to their input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.GroupNorm(8, channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return x + self.layers(x)


def grid_of(height: int, width: int, tokens: int) -> tuple[int, int]:
    """Rows and columns of about ``tokens`` tokens for a picture of this shape."""
    rows = max(2, round((tokens * height / width) ** 0.5))
    return rows, max(2, round(rows * width / height))
