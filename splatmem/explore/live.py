"""Fills what one camera sees and its neighbourhood, with no path known."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from splatmem.depth import DepthEstimator
from splatmem.explore.loop import ExploreSettings, ExploreState, make_window
from splatmem.geometry.cameras import Cameras
from splatmem.inpaint import VideoInpainter
from splatmem.inpaint.protocol import Traits, prepared
from splatmem.memory import SpatialMemory
from splatmem.timing import StageClock

ASIDE = 0.5  # of the field of view: how far the neighbours are turned to the sides
ROOM = 0.5  # of the memory's scale: surroundings are kept clear of cameras this far from those that were there


@dataclass
class LiveInpainter:
    """An inpainter made ready for cameras that are not known beforehand.

    What it places around is kept clear of a ball about the cameras that have looked; when one leaves it, it is made ready
    anew, by the same seed, for all that were there.
    """

    inpainter: VideoInpainter
    seed: int
    ready: VideoInpainter | None = None
    cameras: list[Cameras] = field(default_factory=list)

    def for_camera(self, memory: SpatialMemory, camera: Cameras) -> VideoInpainter:
        """The inpainter, made ready for this camera too."""
        reach = ROOM * memory.scale
        near = any((camera.centers - other.centers).norm() <= reach for other in self.cameras)
        if self.ready is None or not near:
            self.cameras.append(camera)
            ways = ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))
            around = [c.moved(x * reach, 0.0, z * reach) for c in self.cameras for x, z in ways]
            turns = [camera.turned(angle) for angle in (90.0, 180.0, 270.0)]
            size = (camera.width, camera.height)
            all_around = Cameras.cat([c.resized(*size) for c in [*around, *turns]])
            self.ready = prepared(self.inpainter, memory.as_given(), all_around, self.seed)
        return self.ready


def look(
    memory: SpatialMemory,
    camera: Cameras,
    inpainter: LiveInpainter,
    estimate_depth: DepthEstimator,
    *,
    generator: torch.Generator,
    settings: ExploreSettings,
    clock: StageClock,
    prompt: str = "",
) -> ExploreState:
    """Fills what ``camera`` shows and the memory does not know, and with it the views to its left and right.

    Nothing is made while all but ``settings.plan.min_unknown`` of the view is known: a camera that moves on is asked for at
    every frame, and the neighbours have made what it sees next.

    Args:
        memory: is written to.
        camera: one camera.
        inpainter: made ready as cameras come.
        generator: of the inpainter's randomness.
    """
    state = ExploreState(finished=True)
    with clock.stage("read"):
        aside = ASIDE * camera.fov_x_degrees
        views = Cameras.cat([camera, camera.turned(aside), camera.turned(-aside)])
        unknown = (~memory.read(views.coarse(min(128, views.width))).known).flatten(1).float().mean(1)
    least = settings.plan.min_unknown
    if unknown[0] <= least:
        return state
    # A neighbour without anything to hold on to waits until the camera has come nearer.
    chosen = [0, *(i for i in (1, 2) if unknown[i] > settings.plan.min_unknown_again)]
    traits = Traits.of(inpainter.inpainter)
    with clock.stage("fill"):
        ready = inpainter.for_camera(memory, camera)
    for first in range(0, len(chosen), max(1, traits.window_frames)):
        window = views[chosen[first : first + max(1, traits.window_frames)]]
        make_window(memory, window, ready, traits, estimate_depth, generator, settings, clock, prompt, state)
        state.windows.append([float(i) for i in chosen[first : first + max(1, traits.window_frames)]])
    return state
