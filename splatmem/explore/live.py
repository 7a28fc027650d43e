"""Fills what one camera sees and its neighbourhood, with no path known."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch

from splatmem.depth import DepthEstimator
from splatmem.explore.loop import ExploreSettings, ExploreState, make_window
from splatmem.explore.widening import ready_to_look
from splatmem.geometry.cameras import Cameras
from splatmem.inpaint import VideoInpainter
from splatmem.inpaint.protocol import Traits
from splatmem.memory import SpatialMemory
from splatmem.timing import StageClock

ASIDE = (0.6, 0.45, 0.3, 0.15)  # of the field of view: how far the neighbours are turned to either side
WIDER = (
    1.06  # than the camera's are the views that are made: pictures turned aside show less in their corners, where slivers stay
)
READ_WIDTH = 128  # pixels of the pictures in which the unknown is looked for
SAME_PLACE = 0.05  # of the memory's scale, with ASIDE's last turn: cameras nearer to each other show the same
ROOM = 0.5  # of the memory's scale: surroundings are kept clear of cameras this far from those that were there


@dataclass
class LiveInpainter:
    """An inpainter made ready for cameras that are not known beforehand.

    What it places around is kept clear of a ball about the cameras that have looked; when one leaves it, it is made ready
    anew, by the same seed, for all that were there.

    It also remembers where something stayed unknown although it was filled, as slivers beside a thing that was taken away do:
    what found no place once finds none the next time.
    """

    inpainter: VideoInpainter
    seed: int
    ready: VideoInpainter | None = None
    cameras: list[Cameras] = field(default_factory=list)
    left: list[tuple[Cameras, float]] = field(default_factory=list)

    def left_unknown(self, memory: SpatialMemory, camera: Cameras) -> float:
        """Share of the pictures of cameras at the same place that stayed unknown; 0 where nothing did."""
        turn = math.cos(math.radians(ASIDE[-1] * camera.fov_x_degrees))
        same = (
            share
            for other, share in self.left
            if (camera.centers - other.centers).norm() <= SAME_PLACE * memory.scale
            and float((camera.forward * other.forward).sum()) >= turn
        )
        return max(same, default=0.0)

    def for_camera(self, memory: SpatialMemory, camera: Cameras, estimate_depth: DepthEstimator) -> VideoInpainter:
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
            self.ready = ready_to_look(self.inpainter, memory.as_given(), all_around, self.seed, estimate_depth, self.ready)
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
    after_window: Callable[[], None] | None = None,
) -> ExploreState:
    """Fills what ``camera`` shows and the memory does not know, and with it the view to its left or right that lacks most.

    Nothing is made while all but ``settings.plan.min_unknown`` of the view is known, beside what found no place before. So a
    viewer may ask for every camera: what one that turns sees next was made with its neighbour. What the camera is shown at the
    end stays, whatever is made later.

    Args:
        memory: is written to.
        camera: one camera.
        inpainter: made ready as cameras come.
        generator: of the inpainter's randomness.
        after_window: called when a window has become part of the memory.
    """
    state, traits, min_unknown = ExploreState(finished=True), Traits.of(inpainter.inpainter), settings.plan.min_unknown
    worth = min_unknown + inpainter.left_unknown(memory, camera)
    with clock.stage("read"):
        own = memory.glance(camera)
    views = _around(camera) if own.unknown > worth else camera
    waiting = list(range(len(views)))
    while own.unknown > worth and 0 in waiting:  # what stays unknown in a view that was filled finds no place beside it either
        with clock.stage("read"):
            unknown = [own.unknown, *_unknown(memory, views[1:])]
        # The view with most to be made holds what the camera lacks at its edge, and what it sees next; but it must have enough
        # to hold on to.
        anchored = [i for i in waiting if unknown[i] <= 1 - settings.plan.min_known and unknown[i] > min_unknown]
        chosen = max(anchored, key=unknown.__getitem__) if anchored else 0
        if chosen not in waiting:
            break
        waiting.remove(chosen)
        with clock.stage("fill"):
            ready = inpainter.for_camera(memory, camera, estimate_depth)
        make_window(memory, views[chosen], ready, traits, estimate_depth, generator, settings, clock, prompt, state)
        state.windows.append([float(chosen)])
        if after_window is not None:
            after_window()
        with clock.stage("read"):
            own = memory.glance(camera)
    if 0 not in waiting and own.unknown > min_unknown:
        inpainter.left.append((camera, own.unknown))
    with clock.stage("read"):
        memory.hold(camera, own)
    return state


def _around(camera: Cameras) -> Cameras:
    """The views that may be filled for a camera: its own and those to either side of it, each wider and taller than the
    camera's."""
    aside = torch.tensor([side * share * camera.fov_x_degrees for share in ASIDE for side in (1, -1)])
    views = camera[[0] * (1 + len(aside))].turned(torch.cat([torch.zeros(1), aside]))
    intrinsics = views.intrinsics.clone()
    intrinsics[:, [0, 1], [0, 1]] /= WIDER
    return replace(views, intrinsics=intrinsics)


def _unknown(memory: SpatialMemory, cameras: Cameras) -> list[float]:
    """Shares of views that the memory does not know."""
    known, _ = memory.coverage(cameras.coarse(min(READ_WIDTH, cameras.width)), coarse=cameras.width > READ_WIDTH)
    return (~known).flatten(1).float().mean(1).tolist()
