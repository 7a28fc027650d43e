"""How much of a pixel at a silhouette shows the thing, and how much what is behind it.

Colours of both sides are taken where only one of them can show; the pixel's colour lies between them (alpha matting by
sampling; Wang & Cohen 2007). Where it does not, or where both sides look alike, nothing is told.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from splatmem.depth.silhouettes import Silhouettes
from splatmem.gaussians.soft_rims import SoftRims

CONTRAST = 0.15
"""Difference of the colours of both sides, from which on a pixel's share is told."""
UNLIKE = 0.08
"""How far a pixel's colour may lie beside the line between those."""
LEAST, MOST = 0.1, 0.92
"""Shares of the thing between which a pixel shows both."""
BATCH = 4096


def soft_rims(rgb: Float[Tensor, "h w 3"], depth: Float[Tensor, "h w"]) -> SoftRims:
    """The pixels of a picture that show some of a thing and some of what is behind it.

    Args:
        rgb: 0..1.
        depth: z-depth, ``inf`` for sky.
    """
    found = Silhouettes.of(depth)
    where, share = torch.zeros_like(found.where), torch.zeros_like(depth)
    thing, behind, its_depth, depth_behind = rgb.clone(), rgb.clone(), depth.clone(), depth.clone()
    near, far, colours = found.framed(found.near), found.framed(found.far), found.framed(rgb, 0.0)
    between = found.middle
    for pixels in torch.nonzero(found.where).split(BATCH):
        places, distance = found.around(pixels)
        row, column = pixels.T
        middle = between[row, column]
        weight = torch.exp(-0.5 * (distance / (found.reach + 1)).square())[:, None]
        shown, sides = found.seen(colours, places), []
        for sure in (found.seen(far, places) < middle, found.seen(near, places) > middle):
            own = weight * sure
            mean = (own[..., None] * shown).sum(0) / own.sum(0)[:, None].clamp_min(1e-9)
            at = found.pixels(places.gather(0, own.argmax(0, keepdim=True))[0])
            sides.append((mean, depth[at], own.sum(0) > 0))
        (front, front_depth, front_seen), (back, back_depth, back_seen) = sides
        across, own = front - back, rgb[row, column] - back
        length = across.square().sum(-1).clamp_min(1e-9)
        told = (own * across).sum(-1) / length
        beside = (own - told[:, None] * across).norm(dim=-1)
        mixed = front_seen & back_seen & (length > CONTRAST**2) & (beside < UNLIKE) & (told > LEAST) & (told < MOST)
        at = row[mixed], column[mixed]
        where[at], share[at] = True, told[mixed]
        thing[at], its_depth[at], behind[at], depth_behind[at] = (
            values[mixed] for values in (front, front_depth, back, back_depth)
        )
    return SoftRims(where, share, thing, its_depth, behind, depth_behind)
