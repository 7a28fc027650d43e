"""How far a picture is from another to a vision transformer: the tokens of DINOv2, the backbone of the embedded depth model.

DINOv2 (Oquab et al. 2023) learnt without labels to see what is the same in two views of a picture. Its tokens tell things and
their parts rather than texture, and change little with light and colour. Each of the four layers that the depth model reads is
standardised, channel by channel, by the statistics that the depth model's training has measured.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from splatmem.depth import load_depth_estimator
from splatmem.depth.embedded.token_stream import DEVIATION, MEAN, TokenStream, grid_of
from splatmem.depth.embedded.vision_transformer import PATCH

TOKENS = 400  # of a picture: as many as the depth model was trained with
BATCH = 4


class TokenFeatures:
    """The transformer, ready to describe pictures."""

    def __init__(self, stream: TokenStream) -> None:
        self.stream = stream.eval().requires_grad_(False)

    @staticmethod
    def embedded() -> TokenFeatures:
        """That of the embedded depth model.

        Raises:
            FileNotFoundError: the weights are missing.
        """
        model = getattr(load_depth_estimator("embedded"), "model")  # noqa: B009 - the protocol does not have it
        return TokenFeatures(model.stream)

    @torch.no_grad()
    def __call__(self, pictures: Float[Tensor, "v h w 3"]) -> list[Float[Tensor, "v c H W"]]:
        """Standardised maps of tokens after each of the four layers, of pictures in 0..1."""
        parts = [self._describe(batch) for batch in pictures.split(BATCH)]
        return [torch.cat(maps) for maps in zip(*parts, strict=True)]

    def _describe(self, pictures: Float[Tensor, "v h w 3"]) -> list[Float[Tensor, "v c H W"]]:
        rows, columns = grid_of(pictures.shape[1], pictures.shape[2], TOKENS)
        size = (PATCH * rows, PATCH * columns)
        x = F.interpolate(pictures.permute(0, 3, 1, 2), size=size, mode="bilinear", antialias=True, align_corners=False)
        mean, deviation = (torch.tensor(values)[:, None, None] for values in (MEAN, DEVIATION))
        tokens = self.stream.transformer((x - mean) / deviation, self.stream.layers)
        return [norm(maps) for norm, (maps, _) in zip(self.stream.standardise, tokens, strict=True)]


def token_distance(one: list[Float[Tensor, "v c H W"]], other: list[Float[Tensor, "v c H W"]]) -> Float[Tensor, " v"]:
    """Mean cosine distance between tokens at the same place, over the layers; 0 for equal pictures, 2 at most."""
    layers = [1 - F.cosine_similarity(a, b, dim=1).flatten(1).mean(1) for a, b in zip(one, other, strict=True)]
    return torch.stack(layers).mean(0)
