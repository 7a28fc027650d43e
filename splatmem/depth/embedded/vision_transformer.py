"""A vision transformer with DINOv2's architecture (Dosovitskiy et al. 2021; Oquab et al. 2023), as an image encoder."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

PATCH = 14
"""Side in pixels of what becomes one token."""
TRAINED_SIDE = 37
"""Tokens along a side of the pictures of the pretraining, for which the positions were learnt."""
HEAD_WIDTH = 64


class VisionTransformer(nn.Module):
    """Tokens of a picture after chosen layers, each brought through the final norm."""

    def __init__(self, width: int = 384, depth: int = 12) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, PATCH, PATCH)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(torch.zeros(1, 1 + TRAINED_SIDE**2, width))
        self.blocks = nn.ModuleList(Block(width) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(
        self, picture: Float[Tensor, "b 3 h w"], layers: Sequence[int]
    ) -> list[tuple[Float[Tensor, "b c H W"], Float[Tensor, "b c"]]]:
        """Patch tokens as maps, and the class token, after each of ``layers`` (counted from 1).

        ``picture``: ImageNet scaling; its sides are multiples of ``PATCH``.
        """
        x = self.patches(picture)
        count, width, rows, columns = x.shape
        x = torch.cat([self.class_token.expand(count, -1, -1), x.flatten(2).transpose(1, 2)], dim=1)
        x = x + self._positions_for(rows, columns)
        outputs = []
        for index, block in enumerate(self.blocks, start=1):
            x = block(x)
            if index in layers:
                tokens = self.norm(x)
                outputs.append((tokens[:, 1:].transpose(1, 2).reshape(count, width, rows, columns), tokens[:, 0]))
        return outputs

    def _positions_for(self, rows: int, columns: int) -> Float[Tensor, "1 n c"]:
        """The learnt positions, resized to another grid of tokens."""
        if rows == columns == TRAINED_SIDE:
            return self.positions
        grid = self.positions[:, 1:].transpose(1, 2).unflatten(2, (TRAINED_SIDE, TRAINED_SIDE)).float()
        grid = F.interpolate(grid, size=(rows, columns), mode="bicubic", align_corners=False).flatten(2).transpose(1, 2)
        return torch.cat([self.positions[:, :1], grid.to(self.positions.dtype)], dim=1)


class Block(nn.Module):
    """Attention and a perceptron, each added to its input with a learnt scale for every channel (Touvron et al. 2021)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.query_key_value, self.output = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.expand, self.reduce = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.scale1, self.scale2 = nn.Parameter(torch.ones(width)), nn.Parameter(torch.ones(width))

    def forward(self, x: Float[Tensor, "b n c"]) -> Float[Tensor, "b n c"]:
        query, key, value = self.query_key_value(self.norm1(x)).unflatten(-1, (3, -1, HEAD_WIDTH)).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        x = x + self.scale1 * self.output(attended)
        return x + self.scale2 * self.reduce(F.gelu(self.expand(self.norm2(x))))
