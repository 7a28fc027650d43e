"""The loop: read what is known, fill only the unknown, lift it, write it.

read(cameras) -> partial frames -> inpainter -> whole frames -> depth aligned with the memory -> write -> read ...
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import torch

from splatmem.depth import DepthEstimator
from splatmem.explore.feature_gaussians import encode_views, read_latents, write_latents
from splatmem.explore.frames import write_frame
from splatmem.explore.motion import MovingPart, motion_of
from splatmem.explore.planner import GRID_WIDTH, Planner, PlanSettings, default_planner
from splatmem.explore.seeds import usable_seed
from splatmem.explore.widening import ready_for_path
from splatmem.geometry.cameras import Cameras
from splatmem.inpaint import FilledFrames, PartialFrames, ReferenceViews, VideoInpainter
from splatmem.inpaint.protocol import LatentInpainter, Traits, keep_known
from splatmem.memory import SpatialMemory, StoredView
from splatmem.memory.free_space import Bodies
from splatmem.pixels import from_uint8
from splatmem.threads import torch_alone
from splatmem.timing import StageClock
from splatmem.trajectory.trajectory import Trajectory


class Progress(Protocol):
    """Told of every finished window: how much of the film is unknown still, 0..1."""

    def __call__(self, unknown_share: float) -> None: ...


@dataclass(frozen=True)
class ExploreSettings:
    """How the unseen is made."""

    plan: PlanSettings = field(default_factory=PlanSettings)
    max_generated_share: float = 0.5
    """Generated frames per film frame at most; what is unknown then stays unknown."""
    max_video_share: float = 2.0
    """The same for video models, whose windows are runs of frames that overlap."""
    min_generated_limit: int = 24
    """However short the film, this many frames may be generated (but not more than it has)."""
    photo_refine_steps: int = 8
    """Steps of conjugate gradients that fit the memory to the photo, or to each picture that was given."""
    refine_steps: int = 4
    """Steps of conjugate gradients that fit each newly written frame."""
    min_write_pixels: int = 16
    """A frame with fewer unknown pixels than this is not written."""
    min_video_write: float = 0.12
    """Of a video model's window, frames with at least this share of unknown pixels are written first."""
    keep_motion: bool = False
    """Whether what moves within a video model's windows is kept for the film. It is not written in either case."""

    def generated_limit(self, film_frames: int, continuous: bool) -> int:
        """How many frames may be generated for a film."""
        share = self.max_video_share if continuous else self.max_generated_share
        return max(int(share * film_frames), min(film_frames, self.min_generated_limit))


@dataclass
class ExploreState:
    """How far an exploration has come; with the memory and the generator it is all that a continuation needs.

    Attributes:
        windows: moments of the cameras that were filled, window by window; those of a video model may lie between the film's
            frames.
        border_steps: relative steps of depth between what was known and what was written beside it.
        finished: whether nothing is left to be made.
        notes: sentences for the report.
        moving: what moved in the frames, where that is to be kept.
    """

    windows: list[Sequence[float]] = field(default_factory=list)
    border_steps: list[float] = field(default_factory=list)
    finished: bool = False
    notes: list[str] = field(default_factory=list)
    moving: list[MovingPart] = field(default_factory=list)

    @property
    def generated_frames(self) -> int:
        return sum(len(window) for window in self.windows)

    def remark(self, *notes: str) -> None:
        """Adds notes, each once."""
        self.notes = list(dict.fromkeys([*self.notes, *notes]))


def explore(
    memory: SpatialMemory,
    film: Trajectory,
    inpainter: VideoInpainter,
    estimate_depth: DepthEstimator,
    *,
    seed: int = 0,
    generator: torch.Generator | None = None,
    settings: ExploreSettings | None = None,
    planner: Planner | None = None,
    state: ExploreState | None = None,
    prompt: str = "",
    clock: StageClock | None = None,
    progress: Progress | None = None,
    after_window: Callable[[ExploreState], None] | None = None,
) -> ExploreState:
    """Makes what ``film`` will show and ``memory`` does not know yet, window by window.

    Args:
        memory: is written to.
        film: the film's cameras, in its order; the order of the windows is the planner's.
        inpainter: fills the unknown.
        estimate_depth: tells the depth of filled frames where the inpainter makes none.
        seed: any whole number; of what the inpainter prepares, and of ``generator`` where none is given.
        generator: of the inpainter's randomness; to go on with an exploration, in the state that it had then.
        settings: how much is made, and how it is written.
        planner: decides which cameras are filled next; ``default_planner`` if not given.
        state: of an exploration to go on with; the memory and the generator must be those of that moment.
        prompt: what the scene shows, for inpainters that read words.
        clock: gets the seconds by stage.
        progress: told the unknown share before every window.
        after_window: called with the state when a window has become part of the memory: the moment to save.
    """
    seed = usable_seed(seed)
    settings, state, clock = settings or ExploreSettings(), state or ExploreState(), clock or StageClock()
    if generator is None:
        generator = torch.Generator().manual_seed(seed)
    traits = Traits.of(inpainter)
    limit = settings.generated_limit(len(film), traits.continuous)
    given = memory.as_given()
    with clock.stage("fill"), torch_alone(film.cameras.width * film.cameras.height):
        inpainter = ready_for_path(inpainter, given, film.cameras, seed, estimate_depth)
    with clock.stage("read"):
        planner = planner or default_planner(traits, given, film, settings.plan)
        ahead = given.free_space().bodies_ahead(film.cameras)
    while not state.finished:
        with clock.stage("read"):
            plan = planner(memory, film, [moment for window in state.windows for moment in window])
        window = plan.window.first(max(0, limit - state.generated_frames))
        if len(plan.window) and not len(window):
            state.remark(
                f"stopped after {state.generated_frames} generated frames, the most for a film of {len(film)}: "
                f"{100 * plan.unknown_share:.1f} % of it is unknown still"
            )
        if progress is not None:
            progress(plan.unknown_share)
        if len(window):
            make_window(
                memory, window.cameras, inpainter, traits, estimate_depth, generator, settings, clock, prompt, state,
                window.moments, ahead,
            )  # fmt: skip
            state.windows.append(window.moments)
        state.finished = not len(window)
        if after_window is not None:
            after_window(state)
    return state


def make_window(
    memory: SpatialMemory,
    cameras: Cameras,
    inpainter: VideoInpainter,
    traits: Traits,
    estimate_depth: DepthEstimator,
    generator: torch.Generator,
    settings: ExploreSettings,
    clock: StageClock,
    prompt: str,
    state: ExploreState,
    moments: Sequence[float] = (),
    ahead: Bodies | None = None,
) -> None:
    """Fills one window and writes what stands still in it, but nothing that reaches the cameras ``ahead``; ``state`` gets the
    border steps of its frames, the inpainter's notes and, if they are to be kept, the parts that moved at ``moments``.

    Raises:
        ValueError: the inpainter gave back frames of another size, or values that are not finite.
    """
    reader = inpainter if isinstance(inpainter, LatentInpainter) and inpainter.reads_latents else None
    latents = None
    if reader is not None:
        with clock.stage("fill"):
            encode_views(memory, reader)
        with clock.stage("read"):
            latents = read_latents(memory, reader, cameras)
    with clock.stage("read"):
        reading = memory.read(cameras)
        reference = references(memory, cameras, traits.reference_views)
    partial = PartialFrames(reading.rgb, reading.depth, reading.known, reading.trust, cameras, latents)
    with clock.stage("fill"):
        filled = _checked(inpainter(partial, generator=generator, prompt=prompt, reference=reference), partial, traits.name)
    state.remark(*filled.notes)
    motion = None
    if traits.continuous:
        with clock.stage("depth"):
            motion = motion_of(filled, reading, cameras, estimate_depth)
    if motion is not None:
        state.remark(*motion.notes)
        if settings.keep_motion:
            state.moving += motion.parts(filled, cameras, moments)
    shares = reading.known.flatten(1).float().mean(1).tolist()
    pixels = cameras.width * cameras.height
    passes = [(list(range(len(cameras))), settings.min_write_pixels)]
    if traits.continuous:
        # Outward from the known. Neighbours show nearly the same: some are written whole, of the others what is left then.
        outward = sorted(range(len(cameras)), key=lambda index: -shares[index])
        passes = [(outward, int(settings.min_video_write * pixels)), (outward, int(settings.plan.min_unknown * pixels))]
    for order, min_pixels in passes:
        for index in order:
            still = None if motion is None else ~motion.where[index]
            step = write_frame(
                memory, filled, index, cameras[index], min_pixels, estimate_depth, settings.refine_steps, clock, still, ahead
            )
            if step is not None:
                state.border_steps.append(step)
    if reader is not None and filled.latents is not None:
        with clock.stage("write"):
            write_latents(memory, reader, filled.latents, cameras)


def _checked(filled: FilledFrames, partial: PartialFrames, name: str) -> FilledFrames:
    """What an inpainter gave back, with the known pixels as they came."""
    for label, values, shape in (("rgb", filled.rgb, partial.rgb.shape), ("depth", filled.depth, partial.depth.shape)):
        if values is None:
            continue
        if tuple(values.shape) != tuple(shape):
            raise ValueError(f"the inpainter {name} must give {label} of shape {tuple(shape)}, got {tuple(values.shape)}")
        if torch.isnan(values).any():
            raise ValueError(f"the inpainter {name} gave {label} with NaN")
    return replace(filled, rgb=keep_known(partial, filled.rgb))


def references(memory: SpatialMemory, cameras: Cameras, count: int) -> ReferenceViews | None:
    """The photo, and those of the other stored views whose surfaces the cameras see most of; None for a count of 0."""
    if count < 1:
        return None
    others = [(_overlap(view, cameras), -index) for index, view in enumerate(memory.views) if index > 0]
    best = [-index for overlap, index in sorted(others, reverse=True)[: count - 1] if overlap > 0]
    views = [memory.views[index] for index in (0, *best)]
    rgb = torch.stack([from_uint8(view.rgb) for view in views])
    return ReferenceViews(rgb, torch.stack([view.depth for view in views]), Cameras.cat([view.camera for view in views]))


def _overlap(view: StoredView, cameras: Cameras) -> float:
    """Share of a stored view's surfaces that fall into the pictures of other cameras, on average."""
    coarse = view.camera.coarse(GRID_WIDTH)
    depth = view.at(coarse.width, coarse.height)[1]
    near = torch.isfinite(depth)
    points = coarse.unproject(torch.where(near, depth, 1.0)[None])[0][near]
    return cameras.sees(points).float().mean().item() if len(points) else 0.0
