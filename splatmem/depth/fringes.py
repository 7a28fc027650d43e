"""What of a thing a depth model took for the sky beside it.

Written with the sky it stays there when the camera moves aside: a brown scrap beside a roof. A pixel of the sky close to a
thing that is unlike the sky around it, and more like the thing beside it, is a part of that.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from splatmem.depth.thin import OPEN, THIN, unlike_around
from splatmem.geometry.connected import numbered_parts
from splatmem.geometry.distance import distance_inside
from splatmem.geometry.nearest import nearest_pixels
from splatmem.geometry.push_pull import push_pull

REACH = 0.03
"""How far from a thing its parts may lie, as a share of the picture's width."""
LIKE = 0.5
"""How much of its difference from the sky a pixel may differ from the thing."""


def with_fringes(depth: Float[Tensor, "h w"], rgb: Float[Tensor, "h w 3"]) -> Float[Tensor, "h w"]:
    """The depth map with what of things was taken for sky on the things.

    Args:
        depth: z-depth, ``inf`` for sky.
        rgb: the picture, 0..1.
    """
    sky = torch.isinf(depth)
    if sky.all() or sky[0].float().mean() < OPEN:
        return depth
    away = distance_inside(sky)
    unlike, _ = unlike_around(rgb, sky, 2 * max(2, round(THIN * depth.shape[1] / 2)) + 1)
    found = sky & (unlike > 1) & (away <= REACH * depth.shape[1])
    plain = push_pull(rgb.permute(2, 0, 1)[None], (sky & ~found)[None, None].float())[0].permute(1, 2, 0)
    thing = push_pull(rgb.permute(2, 0, 1)[None], ((~sky) & (distance_inside(~sky) > 1))[None, None].float())[0].permute(
        1, 2, 0
    )
    found &= (rgb - thing).norm(dim=-1) < LIKE * (rgb - plain).norm(dim=-1)
    # A bird is no part of the house over which it flies.
    numbers = torch.from_numpy(numbered_parts(found.numpy()))
    touching = numbers[found & (away <= 1)].unique()
    found &= torch.isin(numbers, touching)
    return torch.where(found, depth[nearest_pixels(~sky)], depth)
