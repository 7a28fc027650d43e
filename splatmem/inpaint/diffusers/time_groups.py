"""The time groups of a causal video autoencoder: the first frame alone, then groups of frames that share one latent."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.geometry.cameras import Cameras
from splatmem.inpaint.diffusers.sizes import over_cells
from splatmem.inpaint.protocol import POOR_TRUST, LatentFrames


@dataclass(frozen=True)
class PartOfWindow:
    """Frames that one run of the pipeline fills, at its size; with ``latents`` if known cells are read from the memory.
    ``hole`` is what a pipeline may be shown where it is to make something. The first ``shared`` frames are known whole: by the
    memory where ``remembered``, else by the part before, which has made them; ``lead`` are whole frames before these."""

    rgb: Float[Tensor, "t h w 3"]
    known: Bool[Tensor, "t h w"]
    trust: Float[Tensor, "t h w"]
    hole: Float[Tensor, "t h w 3"]
    cameras: Cameras
    latents: LatentFrames | None
    remembered: Bool[Tensor, "t h w"]
    lead: Float[Tensor, "l h w 3"]
    shared: int

    def lengthened(self, frames: int) -> PartOfWindow:
        """The part with its last frame repeated up to ``frames`` frames; the latents have that length already."""
        more = frames - len(self.rgb)
        values = (self.rgb, self.known, self.trust, self.hole, self.remembered)
        rgb, known, trust, hole, remembered = (torch.cat([x, x[-1:].expand(more, *x.shape[1:])]) for x in values)
        cameras = self.cameras[[*range(len(self.rgb)), *[len(self.rgb) - 1] * more]]
        return PartOfWindow(rgb, known, trust, hole, cameras, self.latents, remembered, self.lead, self.shared)

    def wanted(self, revising: bool, group: int, cell: int) -> Bool[Tensor, "t h w"]:
        """Pixels that the pipeline fills: unknown ones, poorly known ones if ``revising``, and those in cells without
        latents."""
        wanted = ~self.known | ((self.trust < POOR_TRUST) & revising)
        if self.latents is not None:
            missing = self.latents.missing(revising)
            frames = [0, *(1 + index // group for index in range(len(wanted) - 1))]
            wanted = wanted | over_cells(missing[frames], cell)
        return grow_over_groups(wanted, group)


def checked_window(frames: int, group: int) -> int:
    """``frames``; raises ``ValueError`` if they do not fill whole latent time groups."""
    if frames < 1 or (frames - 1) % group:
        below = max(1, (frames - 1) // group * group + 1)
        raise ValueError(
            f"inpainter.window_frames must be {group}k + 1 for this model, got {frames}: take {below} or {below + group}"
        )
    return frames


def padded_length(frames: int, group: int) -> int:
    """The next length that fills whole latent time groups: the first frame, and ``group`` for each further latent."""
    return -(-(frames - 1) // group) * group + 1


def overlapping_parts(frames: int, longest: int, overlap: int, group: int) -> list[tuple[int, int]]:
    """First and one past the last frame of parts that share ``overlap`` with the one before, or fewer if they would not go on
    by a whole latent else; of at most ``longest``, or as many more as the last latent of these has."""
    longest = padded_length(longest, group)
    if frames <= longest:
        return [(0, frames)]
    overlap = max(min(1, longest - 1), min(overlap, longest - group))
    firsts = range(0, frames - overlap, longest - overlap)
    return [(first, min(first + longest, frames)) for first in firsts]


def sampled_frames(frames: int, group: int) -> list[int]:
    """The frame from which the pipeline takes each latent's mask: nearest over time, so early latents get a later one's."""
    latents = (frames + group - 1) // group
    index = torch.arange(frames, dtype=torch.float32)[None, None]
    return torch.nn.functional.interpolate(index, size=latents, mode="nearest-exact")[0, 0].long().tolist()


def grow_over_groups(wanted: Bool[Tensor, "t h w"], group: int) -> Bool[Tensor, "t h w"]:
    """A mask that is the same in all frames of a latent time group, and wherever the pipeline looks for a latent's mask covers
    what is wanted in that latent's own frames.

    Latent 0 holds frame 0, latent ``i`` the ``group`` frames from ``group (i - 1) + 1`` on.
    """
    starts = [0, *range(1, len(wanted), group), len(wanted)]
    spans = [slice(a, b) for a, b in pairwise(starts)]
    unions = torch.stack([wanted[span].any(0) for span in spans])
    grown = unions.clone()
    for latent, frame in enumerate(sampled_frames(len(wanted), group)):
        owner = 0 if frame == 0 else (frame - 1) // group + 1
        grown[owner] |= unions[latent]
    return torch.cat([grown[i : i + 1].expand(span.stop - span.start, -1, -1) for i, span in enumerate(spans)])
