"""The films that are compared: made by the loop with its memory, or, as the ablation, without one."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.depth import DepthEstimator, DepthPrediction
from splatmem.depth.alignment import align
from splatmem.evaluation.scenes import Scene
from splatmem.explore.beginnings import begin_memory
from splatmem.explore.loop import ExploreSettings, explore, references
from splatmem.explore.seeds import usable_seed
from splatmem.explore.widening import ready_for_path
from splatmem.gaussians.draw import in_batches
from splatmem.geometry.cameras import Cameras
from splatmem.inpaint import PartialFrames, VideoInpainter
from splatmem.inpaint.blending import blend_colours
from splatmem.inpaint.protocol import Traits
from splatmem.memory import SpatialMemory
from splatmem.timing import StageClock
from splatmem.trajectory.trajectory import Trajectory


@dataclass(frozen=True)
class Film:
    """One method's film along a scene's cameras, at the film's size.

    Attributes:
        rgb: as it is shown, ``[v, h, w, 3]``.
        depth: z-depth in the scene's unit, ``inf`` where there is none, ``[v, h, w]``.
        known: pixels that are more than a smear of their surroundings, ``[v, h, w]``.
        memory: that it was read from; None for the ablation.
        seconds: by stage, and ``total``.
        generated_frames: frames that went through the inpainter.
        gaussians, memory_bytes: of the memory; of the largest throw-away one for the ablation.
    """

    rgb: Float[Tensor, "v h w 3"]
    depth: Float[Tensor, "v h w"]
    known: Bool[Tensor, "v h w"]
    memory: SpatialMemory | None
    seconds: dict[str, float]
    generated_frames: int
    gaussians: int
    memory_bytes: int


@dataclass(frozen=True)
class Begun:
    """A memory that holds the photo and nothing else, and what it took."""

    memory: SpatialMemory
    seconds: dict[str, float]

    def copy(self) -> SpatialMemory:
        """A copy to go on with: neither Gaussians nor views are ever changed in place."""
        return replace(self.memory, views=list(self.memory.views))


class ScaledToTruth:
    """A depth estimator for the photo, brought to the unit of the scene's cameras by one factor.

    A single picture does not tell its scale, and the cameras' steps must be right for what is near and far: the estimate is
    multiplied by the median ratio of true to estimated depth where the truth has depth. Where it has none, the estimate is
    taken as it is; in a turn on the spot scale makes no difference.
    """

    name = "scaled to the truth"
    estimates_fov = False

    def __init__(self, estimate: DepthEstimator, scene: Scene) -> None:
        self.estimate, self.scene = estimate, scene

    def __call__(self, images: Float[Tensor, "t h w 3"], *, fov_x_degrees: float | None = None) -> DepthPrediction:
        estimate = self.estimate(images, fov_x_degrees=fov_x_degrees)
        usable = self.scene.photo_measured & torch.isfinite(estimate.depth[0])
        if not usable.any():
            return estimate
        scale = (self.scene.photo_depth / estimate.depth[0])[usable].median()
        return replace(estimate, depth=estimate.depth * scale, metric=True)


class TrueDepth:
    """The photo's true depth; where none was measured, the estimate in agreement with it."""

    name = "the truth"
    estimates_fov = False

    def __init__(self, estimate: DepthEstimator, scene: Scene) -> None:
        self.estimate, self.scene = estimate, scene

    def __call__(self, images: Float[Tensor, "t h w 3"], *, fov_x_degrees: float | None = None) -> DepthPrediction:
        depth = self.estimate(images, fov_x_degrees=fov_x_degrees).depth[0]
        aligned = align(depth, self.scene.photo_depth, torch.isfinite(self.scene.photo_depth))
        return DepthPrediction(aligned.depth[None], metric=True)


def begin(scene: Scene, estimate_photo_depth: DepthEstimator, settings: ExploreSettings) -> Begun:
    """Lifts the photo; all methods go on from there."""
    clock, started = StageClock(), time.perf_counter()
    memory = begin_memory(scene.photo, scene.path[0], estimate_photo_depth, settings, clock)
    return Begun(memory, {**clock.seconds, "total": time.perf_counter() - started})


def film_with_memory(
    begun: Begun,
    path: Cameras,
    inpainter: VideoInpainter,
    estimate_depth: DepthEstimator,
    seed: int,
    settings: ExploreSettings,
) -> Film:
    """The product: the loop makes what is unknown, and the film is read from the memory."""
    memory, clock, started = begun.copy(), StageClock(), time.perf_counter()
    state = explore(memory, Trajectory(path), inpainter, estimate_depth, seed=seed, settings=settings, clock=clock)
    return _filmed(memory, path, begun, clock, started, state.generated_frames)


def film_of_photo(
    begun: Begun,
    path: Cameras,
    inpainter: VideoInpainter | None,
    estimate_depth: DepthEstimator,
    seed: int,
    settings: ExploreSettings,
) -> Film:
    """The photo alone: nothing is made, what it does not show is smeared over. Tells of depth, in a fraction of the time."""
    return _filmed(begun.copy(), path, begun, StageClock(), time.perf_counter(), 0)


def _filmed(memory: SpatialMemory, path: Cameras, begun: Begun, clock: StageClock, started: float, generated: int) -> Film:
    """Reads the film from a finished memory."""
    frames, depths, knowns = [], [], []
    for views in in_batches(path):
        with clock.stage("render"):
            reading = memory.read(views)
            frames.append(reading.rgb)
        depths.append(torch.where(reading.known, reading.depth, torch.inf))
        knowns.append(reading.known)
    return Film(
        rgb=torch.cat(frames),
        depth=torch.cat(depths),
        known=torch.cat(knowns),
        memory=memory,
        seconds=_added(begun.seconds, {**clock.seconds, "total": time.perf_counter() - started}),
        generated_frames=generated,
        gaussians=len(memory.gaussians),
        memory_bytes=memory.nbytes,
    )


def film_without_memory(
    begun: Begun,
    path: Cameras,
    inpainter: VideoInpainter,
    estimate_depth: DepthEstimator,
    seed: int,
    settings: ExploreSettings,
) -> Film:
    """The ablation: the same model makes every frame after the photo, window by window in film order.

    A window is conditioned on the last frames only: it reads a throw-away memory that holds the window before it (the photo,
    for the first) and nothing else, so the camera is followed as well as in the product. What may lie around is guessed anew
    from those frames: the product's guess, made once from the photo, would be a memory too. The filled frames are the film.
    """
    throw_away, clock, started = begun.copy(), StageClock(), time.perf_counter()
    seed = usable_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    with clock.stage("render"):
        reading = throw_away.read(path[0])
    frames, depths = [reading.rgb], [reading.depth]
    gaussians, size = len(throw_away.gaussians), throw_away.nbytes
    window_frames = Traits.of(inpainter).window_frames
    for first in range(1, len(path), window_frames):
        cameras = path[slice(first, first + window_frames)]
        rgb, depth = _next_frames(throw_away, cameras, inpainter, estimate_depth, seed, generator, clock)
        frames.append(rgb)
        depths.append(depth)
        if first + len(cameras) < len(path):
            throw_away = _remembering_only(rgb, depth, cameras, settings, clock, begun.memory.metric)
            gaussians, size = max(gaussians, len(throw_away.gaussians)), max(size, throw_away.nbytes)
    rgb = torch.cat(frames)
    return Film(
        rgb=rgb,
        depth=torch.cat(depths),
        known=torch.ones(rgb.shape[:3], dtype=torch.bool),
        memory=None,
        seconds=_added(begun.seconds, {**clock.seconds, "total": time.perf_counter() - started}),
        generated_frames=len(path) - 1,
        gaussians=gaussians,
        memory_bytes=size,
    )


def _next_frames(
    memory: SpatialMemory,
    cameras: Cameras,
    inpainter: VideoInpainter,
    estimate_depth: DepthEstimator,
    seed: int,
    generator: torch.Generator,
    clock: StageClock,
) -> tuple[Float[Tensor, "t h w 3"], Float[Tensor, "t h w"]]:
    """One window as the loop would fill it, joined to the known as the loop would join it."""
    with clock.stage("fill"):
        ready = ready_for_path(inpainter, memory, cameras, seed, estimate_depth)
    with clock.stage("read"):
        reading = memory.read(cameras)
    partial = PartialFrames(reading.rgb, reading.depth, reading.known, reading.trust, cameras)
    with clock.stage("fill"):
        reference = references(memory, cameras, Traits.of(inpainter).reference_views)
        filled = ready(partial, generator=generator, reference=reference)
    with clock.stage("depth"):
        made = filled.depth
        if made is None:
            made = estimate_depth(filled.rgb, fov_x_degrees=cameras.fov_x_degrees).depth
        depth = [align(*frame).depth for frame in zip(made, reading.depth, reading.known, strict=True)]
    rgb = [blend_colours(*frame) for frame in zip(filled.rgb, reading.rgb, reading.known, strict=True)]
    return torch.stack(rgb), torch.stack(depth)


def _remembering_only(
    rgb: Float[Tensor, "t h w 3"],
    depth: Float[Tensor, "t h w"],
    cameras: Cameras,
    settings: ExploreSettings,
    clock: StageClock,
    metric: bool,
) -> SpatialMemory:
    """A memory of these frames and nothing else."""
    memory = SpatialMemory(metric=metric)
    for index in range(len(cameras)):
        camera = cameras[index]
        with clock.stage("read"):
            unknown = ~memory.read(camera).known[0] if memory.views else torch.ones(depth.shape[1:], dtype=torch.bool)
        if int(unknown.sum()) < settings.min_write_pixels:
            continue
        with clock.stage("write"):
            memory.write(rgb[index], depth[index], camera, unknown, refine_steps=settings.refine_steps, clock=clock)
    return memory


def _added(first: dict[str, float], second: dict[str, float]) -> dict[str, float]:
    return {name: first.get(name, 0.0) + second.get(name, 0.0) for name in {**first, **second}}
