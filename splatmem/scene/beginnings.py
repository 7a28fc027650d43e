"""What a scene begins with: the memory of a photo, of posed pictures, of words, or of a Gaussian splat file, and its models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.config import Config, load_preset
from splatmem.depth import DepthEstimator
from splatmem.edit.from_elsewhere import memory_of_gaussians, memory_of_lifted
from splatmem.explore.beginnings import begin_memory, begin_posed_memory, field_of_view
from splatmem.explore.loop import ExploreSettings
from splatmem.explore.models import Models
from splatmem.explore.planner import Planner
from splatmem.explore.seeds import usable_seed
from splatmem.gaussians.lifter import Lifter
from splatmem.geometry.cameras import Cameras, identity_camera
from splatmem.inpaint import VideoInpainter
from splatmem.inpaint.diffusers.first_frame import make_first_frame
from splatmem.inpaint.protocol import Traits
from splatmem.io.path_files import load_path
from splatmem.io.photo import DEFAULT_FOV_X_DEGREES
from splatmem.io.source import Source
from splatmem.io.splats.files import read_splat_camera, read_splat_normals, read_splats
from splatmem.memory import SpatialMemory
from splatmem.models.hardware import choose_device, drawing_device, release
from splatmem.models.needs import require_models
from splatmem.render.gsplat_kernels import why_gsplat_cannot_draw
from splatmem.scene.announce import Announce, silent
from splatmem.timing import StageClock


class BeginOptions(TypedDict, total=False):
    """What every beginning of a scene may be told.

    Attributes:
        fov: horizontal field of view in degrees; found out if None.
        prompt: what the scene shows, for models that read words.
        overrides: dotted names and values that change the preset's configuration.
        low_vram: whether models are kept in main memory while they do not run.
        device: where the models run: ``auto``, ``cpu``, ``cuda``, ...
        inpainter, depth, planner: to be used instead of the preset's.
        lifter: makes the Gaussians of a photo, in the place of the depth model.
        settings: how the unseen is made.
        clock: to which the seconds of each stage are added.
        announce: told of the progress.
    """

    fov: float | None
    prompt: str
    overrides: Sequence[str]
    low_vram: bool
    device: str
    inpainter: VideoInpainter | None
    depth: DepthEstimator | None
    planner: Planner | None
    lifter: Lifter | None
    settings: ExploreSettings | None
    clock: StageClock | None
    announce: Announce


@dataclass(frozen=True)
class Beginning:
    """What a scene begins with.

    Attributes:
        memory: what is known.
        models: what makes the unseen.
        source: the name of what the memory was made from.
        pictures: how many pictures there were.
        notes: sentences for a reader.
        settings: how the unseen is made.
        clock: to which the seconds of each stage were added.
        moving: pixels of posed pictures that were left out since they moved, if any.
    """

    memory: SpatialMemory
    models: Models
    source: str
    pictures: int
    notes: list[str]
    settings: ExploreSettings = field(default_factory=ExploreSettings)
    clock: StageClock = field(default_factory=StageClock)
    moving: Bool[Tensor, "n h w"] | None = None


def begin(
    source: Source | tuple[int, int],
    preset: str,
    seed: int,
    *,
    fov: float | None = None,
    prompt: str = "",
    overrides: Sequence[str] = (),
    low_vram: bool = False,
    device: str = "auto",
    inpainter: VideoInpainter | None = None,
    depth: DepthEstimator | None = None,
    planner: Planner | None = None,
    lifter: Lifter | None = None,
    settings: ExploreSettings | None = None,
    clock: StageClock | None = None,
    announce: Announce = silent,
) -> Beginning:
    """Begins a scene from pictures that were read, or, given a size alone, from words.

    Args:
        source: pictures, or width and height of one to be made from ``prompt``.
        preset: which models.
        seed: of all that is made.
        fov, prompt, overrides, low_vram, device, inpainter, depth, planner, lifter, settings, clock, announce: see
            ``BeginOptions``.

    Raises:
        ValueError: the preset or an option cannot be used, or a model is missing; the message says what to do.
    """
    device = choose_device(device)
    config = load_preset(preset, overrides)
    config = config.with_low_vram() if low_vram else config
    settings, clock = settings or ExploreSettings(), clock or StageClock()
    if inpainter is None or depth is None:
        require_models(config, preset, tuple(overrides), first_frame=isinstance(source, tuple))
    if isinstance(source, tuple):
        announce("making the first frame", 0.0)
        with clock.stage("fill"):
            source = picture_from_words(config, device, prompt, *source, seed)
    models = Models(config, device, inpainter=inpainter, depth=depth, planner=planner)
    announce("loading the models", 0.0)
    with clock.stage("load"):
        traits, estimate_depth = Traits.of(models.inpainter), models.depth
    announce("lifting the photo" if source.cameras is None else "lifting the pictures", 0.0)
    draws_on, moving = drawing_device(device), None
    if lifter is not None and source.cameras is not None:
        raise ValueError("a lifter makes Gaussians of one photo: give no posed pictures with it")
    if source.cameras is not None:
        posed = begin_posed_memory(
            source.rgb, source.cameras, estimate_depth, settings, clock, draws_on,
            lambda share: announce("lifting the pictures", share), source.usable, source.one_picture,
        )  # fmt: skip
        memory, notes = posed.memory, posed.notes
        moving = posed.moving if posed.moving.any() else None
    else:
        with clock.stage("depth"):
            degrees, notes = field_of_view(source.rgb, fov or source.fov_x_degrees, estimate_depth)
        camera = identity_camera(degrees, source.rgb.shape[2], source.rgb.shape[1])
        if lifter is None:
            memory = begin_memory(source.rgb[0], camera, estimate_depth, settings, clock, draws_on)
        else:
            memory = _lifted(source.rgb[0], camera, lifter, settings, clock, draws_on)
            notes = [*notes, f"the photo's Gaussians were made by {getattr(lifter, 'name', type(lifter).__name__)}"]
    notes = [*source.notes, *notes]
    if prompt and not traits.reads_prompt:
        notes.append(f"{traits.name} reads no words: the prompt did not reach it")
    if device != draws_on == "cpu":
        reason = f": {why_gsplat_cannot_draw()}" if device == "cuda" else ""
        notes.append(f"{device} ran the models, the CPU drew the Gaussians{reason}")
    return Beginning(memory, models, source.name, len(source.rgb), notes, settings, clock, moving)


def _lifted(
    photo: Float[Tensor, "h w 3"],
    camera: Cameras,
    lifter: Lifter,
    settings: ExploreSettings,
    clock: StageClock,
    device: str,
) -> SpatialMemory:
    """A memory of what a lifter makes of a photo, its colours fitted to it."""
    with clock.stage("write"):
        gaussians = lifter(photo, camera)
        memory = memory_of_lifted(photo, camera, gaussians, bool(getattr(lifter, "metric", False)), device)
    with clock.stage("refine"):
        memory.refine(settings.photo_refine_steps)
    return memory


def begin_from_splats(
    file: Path,
    size: tuple[int, int],
    preset: str,
    *,
    poses: Path | None = None,
    fov: float | None = None,
    overrides: Sequence[str] = (),
    device: str = "auto",
    inpainter: VideoInpainter | None = None,
    depth: DepthEstimator | None = None,
) -> Beginning:
    """Begins a scene from a Gaussian splat file; see ``Scene.from_splats``."""
    gaussians, notes = read_splats(file)
    degrees = DEFAULT_FOV_X_DEGREES if fov is None else fov
    cameras = None
    if poses is not None:
        cameras = load_path(poses, width=size[0], height=size[1], fov_x_degrees=degrees)
    elif (photographed := read_splat_camera(file)) is not None:
        cameras = photographed.cropped(*size)
    device = choose_device(device)
    memory, more = memory_of_gaussians(gaussians, size, degrees, cameras, read_splat_normals(file), drawing_device(device))
    models = Models(load_preset(preset, overrides), device, inpainter=inpainter, depth=depth)
    return Beginning(memory, models, file.name, 0, [*notes, *more])


def picture_from_words(config: Config, device: str, prompt: str, width: int, height: int, seed: int) -> Source:
    """The first frame of a scene without a photo.

    Raises:
        ValueError: the configuration names no text-to-image model, or it cannot be loaded.
    """
    generator = torch.Generator().manual_seed(usable_seed(seed))
    rgb = make_first_frame(config.first_frame, config.hardware, device, prompt, width, height, generator)
    release(device)
    return Source(prompt, rgb[None], notes=[f"the first frame was made by {config.first_frame.model}"])
