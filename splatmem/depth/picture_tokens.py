"""Pictures described by a vision transformer: the tokens of DINOv2, the backbone of the embedded depth model.

DINOv2 (Oquab et al. 2023) learnt without labels to see what is the same in two views of a picture. Its tokens tell things and
their parts rather than texture, and change little with light and colour. Each of the four layers that the depth model reads is
standardised, channel by channel, by the statistics that the depth model's training has measured.
"""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from splatmem.depth import load_depth_estimator
from splatmem.depth.embedded.token_stream import DEVIATION, MEAN, TokenStream, grid_of
from splatmem.depth.embedded.vision_transformer import PATCH

BATCH = 4


class PictureTokens:
    """The transformer, ready to describe pictures; what it was asked last it remembers."""

    def __init__(self, stream: TokenStream, tokens: int) -> None:
        """``tokens``: about so many tokens a picture is divided into."""
        self.stream = stream.eval().requires_grad_(False)
        self.tokens = tokens
        self._last: tuple[Tensor, list[Tensor]] | None = None

    @staticmethod
    @cache
    def embedded(tokens: int) -> PictureTokens:
        """That of the embedded depth model.

        Raises:
            FileNotFoundError: the weights are missing.
        """
        model = getattr(load_depth_estimator("embedded"), "model")  # noqa: B009 - the protocol does not have it
        return PictureTokens(model.stream, tokens)

    @torch.no_grad()
    def __call__(self, pictures: Float[Tensor, "v h w 3"]) -> list[Float[Tensor, "v c H W"]]:
        """Standardised maps of tokens after each of the four layers, of pictures in 0..1."""
        if self._last is None or not torch.equal(self._last[0], pictures):
            parts = [self._describe(batch) for batch in pictures.split(BATCH)]
            self._last = pictures.clone(), [torch.cat(maps) for maps in zip(*parts, strict=True)]
        return self._last[1]

    def _describe(self, pictures: Float[Tensor, "v h w 3"]) -> list[Float[Tensor, "v c H W"]]:
        rows, columns = grid_of(pictures.shape[1], pictures.shape[2], self.tokens)
        size = (PATCH * rows, PATCH * columns)
        x = F.interpolate(pictures.permute(0, 3, 1, 2), size=size, mode="bilinear", antialias=True, align_corners=False)
        mean, deviation = (torch.tensor(values)[:, None, None] for values in (MEAN, DEVIATION))
        tokens = self.stream.transformer((x - mean) / deviation, self.stream.layers)
        return [norm(maps) for norm, (maps, _) in zip(self.stream.standardise, tokens, strict=True)]
