"""Blends the colours of generated pixels into those of the known ones."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.geometry.distance import distance_inside
from splatmem.geometry.push_pull import push_pull

EDGE, BAND = 1.5, 6.0
"""Pixels at the edge of what is known that say nothing, and width of the band beside them that does."""


def blend_colours(
    made: Float[Tensor, "h w 3"],
    known_rgb: Float[Tensor, "h w 3"],
    known: Bool[Tensor, "h w"],
    reach: float = 0.06,
) -> Float[Tensor, "h w 3"]:
    """A whole frame: the known pixels as they are, and ``made`` with its colours corrected to match them at the border.

    The difference at the border is extended smoothly into the unknown (like gradient-domain blending, Pérez et al. 2003,
    without its equation), and falls off exponentially over the share ``reach`` of the picture's width.
    """
    if known.all() or not known.any():
        return torch.where(known[..., None], known_rgb, made)
    offset = torch.where(known[..., None], known_rgb - made, 0.0).permute(2, 0, 1)[None]
    inward = distance_inside(known)
    # Only a band along the border counts: far inside the two pictures may show different things, and the edge of what is known
    # is half covered.
    weight = ((inward > EDGE) & (inward <= EDGE + BAND))[None, None].float()
    spread = push_pull(offset, weight)[0].permute(1, 2, 0)
    outward = distance_inside(~known)
    fade = torch.exp(-outward / (reach * known.shape[1]))[..., None]
    return torch.where(known[..., None], known_rgb, (made + spread * fade).clamp(0, 1))
