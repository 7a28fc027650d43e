"""The loop: read what is known, fill only the unknown, lift it, write it; then film the memory.

read(cameras) -> partial frames -> inpainter -> whole frames -> depth agrees with the memory -> write -> read ...
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from splatmem.cameras import Cameras
from splatmem.depth import DepthEstimator
from splatmem.depth.agreement import agree
from splatmem.depth.sky import plausible_sky
from splatmem.gravity import estimate_down
from splatmem.inpaint import FilledFrames, PartialFrames, ReferenceViews, VideoInpainter
from splatmem.inpaint.blend import blend_colours
from splatmem.inpaint.layout import RoomLayout, fit_room_layout
from splatmem.inpaint.surroundings import Look, Surroundings, imagine_surroundings
from splatmem.memory import MemoryReading, SpatialMemory
from splatmem.planner import GRID_WIDTH, PlanSettings, candidate_frames, plan_window
from splatmem.surface import surface_normals
from splatmem.timing import StageClock
from splatmem.visibility import KNOWN_ALPHA

SKIN = 0.985  # depth of a surface's other side, relative to the back that a view sees
LAYOUT_WIDTH = 64  # the layout is fitted to the written views at this width


class Progress(Protocol):
    """Told of every finished window: how much of the path is unknown still, 0..1."""

    def __call__(self, unknown_share: float) -> None: ...


@dataclass(frozen=True)
class ExploreSettings:
    """How the unseen is made."""

    plan: PlanSettings = field(default_factory=PlanSettings)
    max_generated_share: float = 0.5
    """Generated frames per film frame at most; what is unknown then stays unknown."""
    photo_refine_steps: int = 60
    """Gradient steps that fit the memory to the photo."""
    refine_steps: int = 12
    """Gradient steps that fit each newly written frame."""
    min_write_pixels: int = 16
    """A frame with fewer unknown pixels than this is not written."""


@dataclass
class ExploreState:
    """How far an exploration has come; with the memory and the generator it is all that a continuation needs."""

    windows: list[list[int]] = field(default_factory=list)
    border_steps: list[float] = field(default_factory=list)
    finished: bool = False
    seed: int | None = None
    """Of the surroundings, so that a continuation imagines the same."""

    @property
    def generated_frames(self) -> int:
        return sum(len(window) for window in self.windows)


def begin_memory(
    photo: Float[Tensor, "h w 3"],
    camera: Cameras,
    estimate_depth: DepthEstimator,
    settings: ExploreSettings,
    clock: StageClock,
) -> SpatialMemory:
    """A memory that holds one photo, seen by ``camera``."""
    with clock.stage("depth"):
        fov = 2 * torch.rad2deg(torch.atan(0.5 * camera.width / camera.focal[0, 0])).item()
        depth = estimate_depth(photo[None], fov_x_degrees=fov).depth[0]
        depth = plausible_sky(depth, camera, estimate_down(photo, camera) @ camera.world_to_cam[0, :3, :3])
    memory = SpatialMemory()
    everything = torch.ones(depth.shape, dtype=torch.bool)
    with clock.stage("write"):
        memory.write(photo, depth, camera, everything)
    with clock.stage("refine"):
        memory.refine(settings.photo_refine_steps)
    return memory


def explore(
    memory: SpatialMemory,
    path: Cameras,
    inpainter: VideoInpainter,
    estimate_depth: DepthEstimator,
    generator: torch.Generator,
    settings: ExploreSettings,
    clock: StageClock,
    *,
    state: ExploreState | None = None,
    prompt: str = "",
    progress: Progress | None = None,
    after_window: Callable[[ExploreState], None] | None = None,
) -> ExploreState:
    """Makes what ``path`` will show and ``memory`` does not know yet, window by window.

    Args:
        path: the film's cameras, in film order; the order of the windows is the planner's.
        state: of an exploration to go on with; the memory and the generator must be those of that moment.
        progress: told the unknown share after every window.
        after_window: called with the state when a window has become part of the memory: the moment to save.
    """
    state = state or ExploreState()
    limit = int(settings.max_generated_share * len(path))
    if state.seed is None:
        state.seed = int(torch.randint(2**31, (1,), generator=generator))
    with clock.stage("fill"):
        surroundings = imagine(memory.first_only(), path, state.seed)
    while not state.finished:
        with clock.stage("read"):
            made = [frame for window in state.windows for frame in window]
            window, unknown_share = next_window(memory, path, surroundings.layout, inpainter.window_frames, settings.plan, made)
        window = window[: max(0, limit - state.generated_frames)]
        if progress is not None:
            progress(unknown_share)
        if window:
            state.border_steps += make_window(
                memory, path[window], surroundings, inpainter, estimate_depth, generator, settings, clock, prompt
            )
            state.windows.append(window)
        state.finished = not window
        if after_window is not None:
            after_window(state)
    return state


def next_window(
    memory: SpatialMemory,
    path: Cameras,
    layout: RoomLayout,
    window_frames: int,
    settings: PlanSettings,
    made: list[int],
) -> tuple[list[int], float]:
    """Film frames of the next window, given those that were made before, and the candidates' mean unknown share."""
    near = max(1, len(path) // 48)
    unknown_share = 0.0
    for limit in sorted({min(settings.max_candidates, len(path)), len(path)}):
        frames = candidate_frames(len(path), limit)
        coarse = _coarse(path[frames], GRID_WIDTH)
        fine = coarse.resized(4 * coarse.width, 4 * coarse.height)
        unknown = (~memory.read(fine).known).float()[:, None]
        share = torch.nn.functional.avg_pool2d(unknown, 4)[:, 0]
        unknown_share = share.mean().item()
        points = coarse.unproject(layout.render(coarse).depth)
        # A cell counts as unknown once a quarter of it is: thin disocclusions must be found too.
        again = torch.tensor([any(abs(frame - other) <= near for other in made) for frame in frames])
        chosen = plan_window(share >= 0.25, points, coarse, window_frames, settings, again)
        if chosen:
            return [frames[i] for i in chosen], unknown_share
    return [], unknown_share


def make_window(
    memory: SpatialMemory,
    cameras: Cameras,
    surroundings: Surroundings,
    inpainter: VideoInpainter,
    estimate_depth: DepthEstimator,
    generator: torch.Generator,
    settings: ExploreSettings,
    clock: StageClock,
    prompt: str = "",
) -> list[float]:
    """Fills one window and writes it; returns the border steps of its frames."""
    with clock.stage("read"):
        reading = memory.read(cameras)
    partial = PartialFrames(reading.rgb, reading.depth, reading.known, reading.trust, cameras, surroundings)
    with clock.stage("fill"):
        filled = inpainter(partial, generator=generator, prompt=prompt, reference=references(memory))
    filled = with_depth(filled, estimate_depth, clock)
    return [
        step
        for index in range(len(cameras))
        if (step := _write_frame(memory, filled, index, cameras[index], settings, clock)) is not None
    ]


def references(memory: SpatialMemory) -> ReferenceViews:
    """What was really seen: the photo."""
    photo = memory.views[0]
    return ReferenceViews(memory.first_photo[None], photo.depth[None], photo.camera)


def with_depth(filled: FilledFrames, estimate_depth: DepthEstimator, clock: StageClock) -> FilledFrames:
    """Frames with depth: the inpainter's own, or an estimate."""
    if filled.depth is not None:
        return filled
    with clock.stage("depth"):
        return FilledFrames(filled.rgb, estimate_depth(filled.rgb).depth)


def _write_frame(
    memory: SpatialMemory,
    filled: FilledFrames,
    index: int,
    camera: Cameras,
    settings: ExploreSettings,
    clock: StageClock,
) -> float | None:
    """Writes what is unknown still in one frame of a window; earlier frames of the window are known by now."""
    assert filled.depth is not None
    with clock.stage("read"):
        now = memory.read(camera)
    known = now.known[0]
    if int((~known).sum()) < settings.min_write_pixels:
        return None
    with clock.stage("depth"):
        agreed = agree(filled.depth[index], now.depth[0], known)
        depth = _before_backs(agreed.depth, now)
    rgb = blend_colours(filled.rgb[index], now.rgb[0], known)
    with clock.stage("write"):
        memory.write(rgb, depth, camera, ~known)
    with clock.stage("refine"):
        memory.refine(settings.refine_steps)
    return agreed.border_step


def _before_backs(depth: Float[Tensor, "h w"], now: MemoryReading) -> Float[Tensor, "h w"]:
    """Depth that does not lie behind the back of a surface: what is made there becomes the surface's other side."""
    back = ~now.known[0] & (now.alpha[0] > KNOWN_ALPHA) & torch.isfinite(now.depth[0])
    return torch.where(back, torch.minimum(depth, SKIN * now.depth[0]), depth)


def imagine(memory: SpatialMemory, path: Cameras, seed: int) -> Surroundings:
    """What may lie all around, given what the memory shows: a guess that every window starts from."""

    def look(cameras: Cameras) -> Look:
        reading = memory.read(cameras)
        return Look(reading.rgb, reading.depth, reading.known)

    camera = memory.views[0].camera
    cameras = Cameras.cat([camera.resized(path.width, path.height), path])
    generator = torch.Generator().manual_seed(seed)
    return imagine_surroundings(look, fit_layout(memory, path), camera.centers[0], cameras, generator)


def fit_layout(memory: SpatialMemory, path: Cameras) -> RoomLayout:
    """The closed room that continues what the written views show, with all of the path inside."""
    points, normals, colours = [], [], []
    for view in memory.views:
        camera = _coarse(view.camera, LAYOUT_WIDTH)
        rgb, depth = view.at(camera.width, camera.height)
        near = torch.isfinite(depth)
        points.append(camera.unproject(torch.where(near, depth, 1.0)[None])[0][near])
        normals.append(surface_normals(depth[None], camera)[0][near])
        colours.append(rgb[near])
    inside = torch.cat([path.centers, *(view.camera.centers for view in memory.views)])
    return fit_room_layout(torch.cat(points), torch.cat(normals), torch.cat(colours), inside, memory.down())


def _coarse(cameras: Cameras, width: int) -> Cameras:
    return cameras.resized(width, max(1, round(width * cameras.height / cameras.width)))
