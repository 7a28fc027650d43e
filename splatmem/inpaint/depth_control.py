"""Depth that steers what a model makes: what the memory knows, completed by what may lie around the scene.

What a model is steered by and what its pictures are lifted by then show the same space, so that colour and depth agree.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from splatmem.extrapolate.plain_place import PlainPlace, plain_place
from splatmem.geometry.cameras import Cameras
from splatmem.inpaint.protocol import FilledFrames, PartialFrames, ReferenceViews, Traits, VideoInpainter
from splatmem.memory import SpatialMemory
from splatmem.threads import torch_alone

SAMPLED = 200_000  # pixels of a window that tell how near its nearest are
NEAREST = 0.005  # share of a window's pixels that may be nearer than what is shown white: single ones would darken all else


class DepthSteered:
    """An inpainter whose windows say how far everything is, the unknown too."""

    def __init__(self, inpainter: VideoInpainter, place: PlainPlace | None = None) -> None:
        """Args:
        inpainter: is given ``PartialFrames.expected_depth``.
        place: that lies around; ``prepare`` makes an inpainter that has it.
        """
        self.inpainter, self.place = inpainter, place
        traits = Traits.of(inpainter)
        self.name, self.window_frames, self.continuous = traits.name, traits.window_frames, traits.continuous
        self.reads_prompt, self.reference_views = traits.reads_prompt, traits.reference_views

    def prepare(self, memory: Any, trajectory: Cameras, seed: int) -> DepthSteered:
        """One that knows what may lie around this scene."""
        assert isinstance(memory, SpatialMemory)
        return DepthSteered(self.inpainter, plain_place(memory, trajectory))

    def __call__(
        self,
        partial: PartialFrames,
        *,
        generator: torch.Generator,
        prompt: str = "",
        reference: ReferenceViews | None = None,
    ) -> FilledFrames:
        steered = replace(partial, expected_depth=self.expected_depth(partial))
        return self.inpainter(steered, generator=generator, prompt=prompt, reference=reference)

    def expected_depth(self, partial: PartialFrames) -> Float[Tensor, "t h w"]:
        """How far everything in a window is: what is known, and elsewhere the plain place around the scene.

        Raises:
            ValueError: nothing is known of what may lie around.
        """
        if self.place is None:
            raise ValueError("depth that steers a model is completed by what may lie around a scene: call prepare() first")
        with torch_alone(partial.cameras.width * partial.cameras.height):
            around = self.place.render(partial.cameras).depth
        return torch.where(partial.known, partial.depth, around)


def depth_pictures(depth: Float[Tensor, "t h w"]) -> Float[Tensor, "t h w 3"]:
    """Depth as models that are steered by it have learned it: grey pictures of inverse depth, what is near white, the farthest
    black (MiDaS, Ranftl et al. 2020).

    All frames of a window have one scale, so that a surface keeps its grey while the camera moves.

    Args:
        depth: z-depth, ``inf`` for sky.
    """
    inverse = torch.where(torch.isfinite(depth), 1 / depth.clamp_min(1e-6), 0.0)
    sample = inverse.flatten()[:: max(1, inverse.numel() // SAMPLED)]
    near = sample.sort(descending=True).values[int(NEAREST * (len(sample) - 1))]
    far = inverse.min()
    grey = ((inverse - far) / (near - far).clamp_min(1e-12)).clamp(0, 1)
    return grey[..., None].expand(*depth.shape, 3)
