"""A scene that begins with one wide picture of the whole turn around its first camera.

All directions are made together, so that they agree with each other as the parts of one picture do. The picture is cut into
views, which are lifted into a memory of their own, as frames are in the loop; windows take from there what they do not
know, and the rest is made as always.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from splatmem.depth import DepthEstimator
from splatmem.explore.frames import write_frame
from splatmem.explore.loop import ExploreSettings
from splatmem.extrapolate.cylinder import Cylinder
from splatmem.geometry.cameras import Cameras
from splatmem.inpaint import FilledFrames, PartialFrames, ReferenceViews, VideoInpainter
from splatmem.inpaint.protocol import Traits, TurnInpainter, keep_known
from splatmem.memory import SpatialMemory
from splatmem.timing import StageClock

OVERLAP = 0.35  # share of a view's width that the next one shows too, at least
ALL_KNOWN = 0.999  # share of a window's pixels that need not be made any more
NOTE = "the turn around the first camera was made as one picture, from which windows took what they did not know"


class PanoramaFirst:
    """Fills windows from a panorama first, and what it does not show by the inpainter that made it."""

    def __init__(
        self,
        inpainter: VideoInpainter,
        estimate_depth: Callable[[], DepthEstimator],
        given: SpatialMemory | None = None,
        seed: int = 0,
    ) -> None:
        """Args:
        inpainter: of pictures, that can fill one of a whole turn.
        estimate_depth: gives what tells the depth of the panorama's views.
        given, seed: of the scene; ``prepare`` makes an inpainter that has them.

        Raises:
            ValueError: the inpainter cannot fill such a picture.
        """
        traits = Traits.of(inpainter)
        if not (isinstance(inpainter, TurnInpainter) and inpainter.fills_turns):
            raise ValueError(
                "inpainter.panorama is for picture inpainters with a UNet that are shown pixels and steered by nothing; "
                f"{traits.name} cannot fill a picture whose ends meet"
            )
        self.inpainter, self.turns = inpainter, inpainter
        self.estimate_depth, self.given, self.seed = estimate_depth, given, seed
        self.name = f"{traits.name}, panorama first"
        self.window_frames, self.continuous = traits.window_frames, traits.continuous
        self.reads_prompt, self.reference_views = traits.reads_prompt, traits.reference_views
        self.around: SpatialMemory | None = None

    def prepare(self, memory: Any, trajectory: Cameras, seed: int) -> PanoramaFirst:
        """One for this scene; the panorama is made with its first window, when the prompt is known."""
        assert isinstance(memory, SpatialMemory)
        return PanoramaFirst(self.inpainter, self.estimate_depth, memory, seed)

    def __call__(
        self,
        partial: PartialFrames,
        *,
        generator: torch.Generator,
        prompt: str = "",
        reference: ReferenceViews | None = None,
    ) -> FilledFrames:
        if self.given is None:
            raise ValueError("a panorama is made around a scene's first camera: call prepare() first")
        if self.around is None:
            self.around = with_panorama(self.given, self.turns, self.estimate_depth(), prompt, self.seed)
        seen = self.around.read(partial.cameras)
        known = partial.known | seen.known
        rgb = torch.where(partial.known[..., None], partial.rgb, seen.rgb)
        if known.float().mean() >= ALL_KNOWN:
            return FilledFrames(rgb, notes=(NOTE,))
        helped = replace(
            partial, rgb=rgb, known=known, depth=torch.where(partial.known, partial.depth, seen.depth),
            trust=torch.where(partial.known, partial.trust, seen.trust), latents=None,
        )  # fmt: skip
        filled = self.inpainter(helped, generator=generator, prompt=prompt, reference=reference)
        return FilledFrames(keep_known(partial, filled.rgb), notes=(NOTE, *filled.notes))


def with_panorama(
    memory: SpatialMemory, inpainter: TurnInpainter, estimate_depth: DepthEstimator, prompt: str, seed: int
) -> SpatialMemory:
    """A memory of what one shows and of a panorama around its first view.

    Args:
        memory: is not changed.
        inpainter: fills the panorama.
        estimate_depth: tells the depth of its views.
        prompt: what the scene shows.
        seed: of all randomness.
    """
    assert memory.down is not None
    camera = memory.views[0].camera
    cylinder = Cylinder.around(camera, memory.down, *inpainter.turn_sizes())
    views = cylinder.turned(camera, count=math.ceil(2 * math.pi / ((1 - OVERLAP) * cylinder.place.width)))
    reading = memory.read(views)
    rgb, known, trust = cylinder.of_views(views, reading.rgb, reading.known, reading.trust)
    picture = inpainter.fill_turn(rgb, known, trust, generator=torch.Generator().manual_seed(seed), prompt=prompt)
    filled = FilledFrames(cylinder.seen_by(views, picture))
    around, settings, clock = replace(memory, views=list(memory.views)), ExploreSettings(), StageClock()
    for index in _outward(len(views)):
        write_frame(
            around, filled, index, views[index], settings.min_write_pixels, estimate_depth, settings.refine_steps, clock
        )
    return around


def _outward(count: int) -> list[int]:
    """Views of a turn from the first to both sides."""
    return sorted(range(1, count), key=lambda index: (min(index, count - index), index))
