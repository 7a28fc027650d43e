"""How far a picture is from another to a vision transformer; see ``splatmem.depth.picture_tokens``."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

TOKENS = 400  # of a picture: as many as the depth model was trained with


def token_distance(one: list[Float[Tensor, "v c H W"]], other: list[Float[Tensor, "v c H W"]]) -> Float[Tensor, " v"]:
    """Mean cosine distance between tokens at the same place, over the layers; 0 for equal pictures, 2 at most."""
    layers = [1 - F.cosine_similarity(a, b, dim=1).flatten(1).mean(1) for a, b in zip(one, other, strict=True)]
    return torch.stack(layers).mean(0)
