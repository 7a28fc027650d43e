"""Joins the parts of a long window: over the frames that two of them share, the later one is faded in, in latents.

What the earlier part has made of these frames the later one takes over wholly in the first of them, and less in each further
latent, in every step of the sampler, so that nothing jumps where it goes on alone. ("MultiDiffusion", Bar-Tal et al. 2023,
averages windows that are sampled together; here one comes after the other, each with the device's memory to itself.)

A causal video autoencoder needs some frames to begin with. So it is also shown those before the shared ones, the *lead*, both
to encode the part and to decode it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from splatmem.geometry.push_pull import push_pull
from splatmem.inpaint.diffusers.time_groups import PartOfWindow

LONGEST_LEAD = 2  # latents in time


def frames_of_lead(longest: int, group: int) -> int:
    """Frames before a part that are shown to the autoencoder too: whole latents, and a quarter of the ``longest`` part at
    most, as parts are what fits into memory."""
    return group * min(LONGEST_LEAD, longest // 4 // group)


def shares_of_part_before(shared: int, latents: int, group: int) -> Float[Tensor, "g"]:
    """How much each latent in time of a part is of what the part before has made: 1 for the first, 0 behind what they share.

    Args:
        shared: frames that both parts have: none, or 1 + ``k group``.
        latents: of the part, in time.
        group: frames of a latent.
    """
    if shared == 0:
        return torch.zeros(latents)
    return (1 - torch.arange(latents) / ((shared - 1) // group + 1)).clamp(min=0)


def joined(before: Float[Tensor, "s h w 3"], after: Float[Tensor, "s h w 3"]) -> Float[Tensor, "s h w 3"]:
    """The frames that two parts share, of which each has decoded its own: from the earlier part's to the later one's."""
    share = torch.arange(len(before)) / max(1, len(before))
    return torch.lerp(before, after, share[:, None, None, None])


def encoded(
    encode: Callable[[Float[Tensor, "t 3 h w"]], Float[Tensor, "1 f g H W"]], part: PartOfWindow, group: int
) -> tuple[Float[Tensor, "1 f g H W"], Float[Tensor, "1 f l H W"]]:
    """The latents of a part, and those of its lead up to the part's first frame; the holes are filled smoothly, as a latent
    mixes the colours of its neighbourhood."""
    rgb = push_pull(part.rgb.permute(0, 3, 1, 2), part.known[:, None].float())
    if len(part.lead) == 0:
        latents = encode(rgb)
        return latents, latents[:, :, :1]
    whole, before = encode(torch.cat([part.lead.permute(0, 3, 1, 2), rgb])), len(part.lead) // group
    # For the sampler the first frame is a latent of its own, as at any beginning of a video.
    return torch.cat([encode(rgb[:1]), whole[:, :, before + 1 :]], dim=2), whole[:, :, : before + 1]


def decoded(
    decode: Callable[[Float[Tensor, "1 f g H W"]], Float[Tensor, "t h w 3"]],
    latents: Float[Tensor, "1 f g H W"],
    lead: Float[Tensor, "1 f l H W"] | None,
    group: int,
) -> Float[Tensor, "t h w 3"]:
    """The frames of a part that the sampler has come to, with the ``lead`` that ``encoded`` gave, if there is one."""
    if lead is None or lead.shape[2] == 1:
        return decode(latents)
    return decode(torch.cat([lead.to(latents), latents[:, :, 1:]], dim=2))[(lead.shape[2] - 1) * group :]
