"""The loop: read what is known, fill only the unknown, lift it, write it; then film the memory.

read(cameras) -> partial frames -> inpainter -> whole frames -> depth agrees with the memory -> write -> read ...
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.cameras import Cameras
from splatmem.depth import DepthEstimator, completed_depth
from splatmem.depth.agreement import agree
from splatmem.inpaint import FilledFrames, PartialFrames, ReferenceViews, VideoInpainter
from splatmem.inpaint.blend import blend_colours
from splatmem.inpaint.layout import RoomLayout, fit_room_layout
from splatmem.inpaint.protocol import LatentInpainter
from splatmem.inpaint.surroundings import Surroundings, imagine_surroundings
from splatmem.latents import encode_views, read_latents, write_latents
from splatmem.memory import MemoryReading, SpatialMemory, StoredView
from splatmem.planner import GRID_WIDTH, PlanSettings, candidate_frames, plan_run, plan_window
from splatmem.surface import surface_normals
from splatmem.timing import StageClock
from splatmem.visibility import KNOWN_ALPHA, SOLID_ALPHA
from splatmem.walk import Walk

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
    max_video_share: float = 2.0
    """The same for video models, whose windows are runs of frames that overlap."""
    photo_refine_steps: int = 8
    """Steps of conjugate gradients that fit the memory to the photo, or to each picture that was given."""
    refine_steps: int = 6
    """Steps of conjugate gradients that fit each newly written frame."""
    min_write_pixels: int = 16
    """A frame with fewer unknown pixels than this is not written."""
    min_video_write: float = 0.12
    """Of a video model's window, frames with at least this share of unknown pixels are written first."""


@dataclass
class ExploreState:
    """How far an exploration has come; with the memory and the generator it is all that a continuation needs."""

    windows: list[Sequence[float]] = field(default_factory=list)
    """Frame numbers of the film; those of a video model's windows may lie between its frames."""
    border_steps: list[float] = field(default_factory=list)
    finished: bool = False

    @property
    def generated_frames(self) -> int:
        return sum(len(window) for window in self.windows)


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
    walk = Walk.along(path, memory.scale) if inpainter.continuous else Walk.every_frame(path)
    share = settings.max_video_share if inpainter.continuous else settings.max_generated_share
    limit = int(share * len(walk.cameras))
    surroundings = None
    if inpainter.wants_surroundings:
        with clock.stage("fill"):
            surroundings = imagine(memory.as_given(), path, generator.initial_seed())
    while not state.finished:
        with clock.stage("read"):
            made = [position for window in state.windows for position in window]
            if inpainter.continuous:
                window, unknown_share = next_run(memory, path, walk, inpainter.window_frames, settings.plan, made)
            else:
                layout = surroundings.layout if surroundings is not None else fit_layout(memory, path)
                window, unknown_share = next_window(memory, path, layout, inpainter.window_frames, settings.plan, made)
        window = window.first(max(0, limit - state.generated_frames))
        if progress is not None:
            progress(unknown_share)
        if window.positions:
            state.border_steps += make_window(
                memory, window.cameras, surroundings, inpainter, estimate_depth, generator, settings, clock, prompt
            )
            state.windows.append(window.positions)
        state.finished = not window.positions
        if after_window is not None:
            after_window(state)
    return state


def next_window(
    memory: SpatialMemory,
    path: Cameras,
    layout: RoomLayout,
    window_frames: int,
    settings: PlanSettings,
    made: list[float],
) -> tuple[Walk, float]:
    """The next window, given the frames that were made before, and the candidates' mean unknown share."""
    near = max(1, len(path) // 48)
    unknown_share = 0.0
    for limit in sorted({min(settings.max_candidates, len(path)), len(path)}):
        frames = candidate_frames(len(path), limit)
        coarse = _coarse(path[frames], GRID_WIDTH)
        unknown, unknown_share = _unknown_cells(memory, coarse)
        points = coarse.unproject(layout.render(coarse).depth)
        chosen = plan_window(unknown, points, coarse, window_frames, settings, _near(frames, made, near))
        if chosen:
            return Walk.every_frame(path).at([frames[i] for i in chosen]), unknown_share
    return Walk.every_frame(path).at([]), unknown_share


def next_run(
    memory: SpatialMemory,
    path: Cameras,
    walk: Walk,
    window_frames: int,
    settings: PlanSettings,
    made: list[float],
) -> tuple[Walk, float]:
    """As ``next_window``, for a video model: cameras that follow each other along the walk, and at last, for what a wide
    stride has missed, along the film."""
    unknown_share = 0.0
    for along in (walk, Walk.every_frame(path)) if walk.spacing > 1 else (walk,):
        coarse = _coarse(along.cameras, GRID_WIDTH)
        unknown, unknown_share = _unknown_cells(memory, coarse)
        chosen = plan_run(unknown, coarse, window_frames, settings, _near(along.positions, made, along.spacing))
        if chosen:
            return along.at(chosen), unknown_share
    return walk.at([]), unknown_share


def _unknown_cells(memory: SpatialMemory, coarse: Cameras) -> tuple[Bool[Tensor, "f h w"], float]:
    """Unknown cells of coarse views, and their mean share. A cell counts as unknown once a quarter of it is: thin
    disocclusions must be found too."""
    unknown = (~memory.read(coarse.resized(4 * coarse.width, 4 * coarse.height)).known).float()[:, None]
    share = torch.nn.functional.avg_pool2d(unknown, 4)[:, 0]
    return share >= 0.25, share.mean().item()


def _near(frames: Sequence[float], made: list[float], reach: float) -> Bool[Tensor, " f"]:
    """Frames at or next to one that was made."""
    return torch.tensor([any(abs(frame - other) <= 1.001 * reach for other in made) for frame in frames])


def make_window(
    memory: SpatialMemory,
    cameras: Cameras,
    surroundings: Surroundings | None,
    inpainter: VideoInpainter,
    estimate_depth: DepthEstimator,
    generator: torch.Generator,
    settings: ExploreSettings,
    clock: StageClock,
    prompt: str = "",
) -> list[float]:
    """Fills one window and writes it; returns the border steps of its frames."""
    reader = inpainter if isinstance(inpainter, LatentInpainter) and inpainter.reads_latents else None
    latents = None
    if reader is not None:
        with clock.stage("fill"):
            encode_views(memory, reader)
        with clock.stage("read"):
            latents = read_latents(memory, reader, cameras)
    with clock.stage("read"):
        reading = memory.read(cameras)
        reference = references(memory, cameras, inpainter.reference_views)
    partial = PartialFrames(reading.rgb, reading.depth, reading.known, reading.trust, cameras, surroundings, latents)
    with clock.stage("fill"):
        filled = inpainter(partial, generator=generator, prompt=prompt, reference=reference)
    shares = reading.known.flatten(1).float().mean(1).tolist()
    pixels = cameras.width * cameras.height
    passes = [(list(range(len(cameras))), settings.min_write_pixels)]
    if inpainter.continuous:
        # Outward from the known. Neighbours show nearly the same: some are written whole, of the others what is left then.
        outward = sorted(range(len(cameras)), key=lambda index: -shares[index])
        passes = [(outward, int(settings.min_video_write * pixels)), (outward, int(settings.plan.min_unknown * pixels))]
    steps = [
        step
        for order, least in passes
        for index in order
        if (step := write_frame(memory, filled, index, cameras[index], least, estimate_depth, settings, clock)) is not None
    ]
    if reader is not None and filled.latents is not None:
        with clock.stage("write"):
            write_latents(memory, reader, filled.latents, cameras)
    return steps


def references(memory: SpatialMemory, cameras: Cameras, count: int) -> ReferenceViews | None:
    """The photo, and those of the other stored views whose surfaces the cameras see most of; None for a count of 0."""
    if count < 1:
        return None
    others = [(_overlap(view, cameras), -index) for index, view in enumerate(memory.views) if index > 0]
    best = [-index for overlap, index in sorted(others, reverse=True)[: count - 1] if overlap > 0]
    views = [memory.views[index] for index in (0, *best)]
    rgb = torch.stack([view.rgb.float() / 255 for view in views])
    return ReferenceViews(rgb, torch.stack([view.depth for view in views]), Cameras.cat([view.camera for view in views]))


def _overlap(view: StoredView, cameras: Cameras) -> float:
    """Share of a stored view's surfaces that fall into the pictures of other cameras, on average."""
    coarse = _coarse(view.camera, GRID_WIDTH)
    depth = view.at(coarse.width, coarse.height)[1]
    near = torch.isfinite(depth)
    points = coarse.unproject(torch.where(near, depth, 1.0)[None])[0][near]
    pixels, distance = cameras.project(points)
    x, y = pixels.unbind(-1)
    inside = (distance > 0) & (x >= 0) & (x < cameras.width) & (y >= 0) & (y < cameras.height)
    return inside.float().mean().item() if inside.numel() else 0.0


def write_frame(
    memory: SpatialMemory,
    filled: FilledFrames,
    index: int,
    camera: Cameras,
    least: int,
    estimate_depth: DepthEstimator,
    settings: ExploreSettings,
    clock: StageClock,
) -> float | None:
    """Writes what is unknown still in one frame of a window, if that is ``least`` pixels; returns its border step.

    Earlier frames of the window are known by now.
    """
    with clock.stage("read"):
        now = memory.read(camera)
    known = now.known[0]
    if int((~known).sum()) < max(1, least):
        return None
    with clock.stage("depth"):
        if filled.depth is not None:
            made = filled.depth[index]
        else:
            made = completed_depth(estimate_depth, filled.rgb[index], now.depth[0], known, camera.fov_x_degrees)
        agreed = agree(made, now.depth[0], known)
        depth = _before_backs(agreed.depth, now)
    rgb = blend_colours(filled.rgb[index], now.rgb[0], known)
    # What is known but hardly covered, the rims of what was written before, is written too: a little behind.
    solid = known & (now.alpha[0] >= SOLID_ALPHA)
    depth = torch.where(known & ~solid, _farthest_beside(depth), depth)
    with clock.stage("write"):
        memory.write(rgb, depth, camera, ~solid)
    with clock.stage("refine"):
        memory.refine(settings.refine_steps)
    return agreed.border_step


def _farthest_beside(depth: Float[Tensor, "h w"]) -> Float[Tensor, "h w"]:
    """The farthest depth of each pixel and its eight neighbours."""
    return torch.nn.functional.max_pool2d(depth[None], 3, 1, 1)[0]


def _before_backs(depth: Float[Tensor, "h w"], now: MemoryReading) -> Float[Tensor, "h w"]:
    """Depth that does not lie behind the back of a surface: what is made there becomes the surface's other side."""
    back = ~now.known[0] & (now.alpha[0] > KNOWN_ALPHA) & torch.isfinite(now.depth[0])
    return torch.where(back, torch.minimum(depth, SKIN * now.depth[0]), depth)


def imagine(memory: SpatialMemory, path: Cameras, seed: int) -> Surroundings:
    """What may lie all around, given what the memory shows: a guess that every window starts from."""
    return imagine_surroundings(memory, fit_layout(memory, path), path, memory.down(), seed)


def fit_layout(memory: SpatialMemory, path: Cameras) -> RoomLayout:
    """The closed room that continues what the written views show, with all of the path inside; where they show nothing but
    sky, one of the memory's scale."""
    points, normals, colours = [], [], []
    sky_alone = not any(torch.isfinite(view.depth).any() for view in memory.views)
    for view in memory.views:
        camera = _coarse(view.camera, LAYOUT_WIDTH)
        rgb, depth = view.at(camera.width, camera.height)
        depth = torch.full_like(depth, memory.scale) if sky_alone else depth
        near = torch.isfinite(depth)
        points.append(camera.unproject(torch.where(near, depth, 1.0)[None])[0][near])
        normals.append(surface_normals(depth[None], camera)[0][near])
        colours.append(rgb[near])
    inside = torch.cat([path.centers, *(view.camera.centers for view in memory.views)])
    return fit_room_layout(torch.cat(points), torch.cat(normals), torch.cat(colours), inside, memory.down())


def _coarse(cameras: Cameras, width: int) -> Cameras:
    return cameras.resized(width, max(1, round(width * cameras.height / cameras.width)))
