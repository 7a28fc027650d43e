"""Seamless joins between what is known and what was made."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from splatmem.geometry.push_pull import push_pull


def blend_colours(
    made: Float[Tensor, "h w 3"],
    known_rgb: Float[Tensor, "h w 3"],
    known: Bool[Tensor, "h w"],
    reach: float = 0.06,
) -> Float[Tensor, "h w 3"]:
    """``made`` with its colours drawn to those of the known at the border, fading inward; the known itself as it is.

    The offset at the border is carried into the unknown smoothly (as in gradient-domain blending, Pérez et al. 2003,
    without its solve), and falls off over ``reach`` of the picture's width.
    """
    if known.all() or not known.any():
        return torch.where(known[..., None], known_rgb, made)
    offset = torch.where(known[..., None], known_rgb - made, 0.0).permute(2, 0, 1)[None]
    inward = torch.from_numpy(distance_transform_edt(known.numpy())).float()
    # Only a band along the border tells how the pictures differ there; far inside they may show different things.
    weight = (known & (inward <= 6))[None, None].float()
    spread = push_pull(offset, weight)[0].permute(1, 2, 0)
    outward = torch.from_numpy(distance_transform_edt((~known).numpy())).float()
    fade = torch.exp(-outward / (reach * known.shape[1]))[..., None]
    return torch.where(known[..., None], known_rgb, (made + spread * fade).clamp(0, 1))
