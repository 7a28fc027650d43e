"""The memory that a run begins with: of one photo, or of many pictures whose depths are aligned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.classes import PixelClasses
from splatmem.depth import DepthEstimator
from splatmem.depth.matting import soft_rims
from splatmem.depth.motion import moved
from splatmem.depth.parallax import depth_from_parallax
from splatmem.depth.photo_depth import classes_of, gravity_of, photo_depth
from splatmem.depth.protocol import estimator_name
from splatmem.depth.sky import plausible_sky
from splatmem.explore.backs import backs_of_things
from splatmem.explore.behind_things import hidden_background
from splatmem.explore.frames import write_frame
from splatmem.explore.loop import ExploreSettings
from splatmem.explore.planner import GRID_WIDTH
from splatmem.gaussians import Gaussians
from splatmem.gaussians.soft_rims import SoftRims
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.world import World
from splatmem.inpaint import FilledFrames
from splatmem.io.photo import DEFAULT_FOV_X_DEGREES
from splatmem.memory import SpatialMemory, WriteReport
from splatmem.threads import both, torch_alone
from splatmem.timing import StageClock
from splatmem.trajectory.clear_space import ClearSpace
from splatmem.trajectory.from_behind import bears_circle

HELD = 0.03  # share of a picture that must be known for its depth to be completed from there
NO_PARALLAX = "the pictures do not show how their cameras' unit relates to depth: the depth model's own unit is taken for it"

CONTRADICTION = 0.3  # share of the pictures that seems to move from which the poses or depths are wrong, and not the things
CONTRADICT = "the given pictures contradict each other nearly everywhere: check their poses; nothing was taken for moving"


def begin_memory(
    photo: Float[Tensor, "h w 3"],
    camera: Cameras,
    estimate_depth: DepthEstimator,
    settings: ExploreSettings,
    clock: StageClock,
    device: str = "cpu",
) -> SpatialMemory:
    """A memory that holds one photo, seen by ``camera``; its Gaussians lie on ``device``."""
    with clock.stage("depth"):
        told = photo_depth(photo, camera, estimate_depth)
    return _first_written(
        photo, told.depth, camera, told.down, told.metric, settings, clock, device, classes=told.classes, behind=True
    )


@dataclass(frozen=True)
class PosedBeginning:
    """What a run with posed pictures begins with.

    Attributes:
        memory: holds what stands still of all pictures.
        notes: sentences for the reader of the report.
        moving: pixels of the pictures that were left out since they moved, ``[n, h, w]``.
    """

    memory: SpatialMemory
    notes: list[str]
    moving: Bool[Tensor, "n h w"]


def begin_posed_memory(
    rgb: Float[Tensor, "n h w 3"],
    cameras: Cameras,
    estimate_depth: DepthEstimator,
    settings: ExploreSettings,
    clock: StageClock,
    device: str = "cpu",
    progress: Callable[[float], None] | None = None,
    usable: Bool[Tensor, "n h w"] | None = None,
    one_picture: bool = False,
) -> PosedBeginning:
    """A memory of posed pictures.

    Their depths are brought into the cameras' unit, and with that into line, by the parallax between them. The first one is
    written whole; then, always, the one of which most is known already: its depth is aligned with what is
    known, and only the rest is written. What moved between the pictures is left out.

    Args:
        rgb: sRGB in 0..1.
        cameras: of the pictures, in their own world; the memory's world is that of the first.
        device: where the Gaussians lie.
        progress: told the share of the pictures that is written.
        usable: pixels that show the scene; the others (masked out, beyond the lens) are not written. None: all of them.
        one_picture: whether they were cut out of one, a panorama: then their cameras have no unit that parallax could tell.
    """
    world = World.of_first(cameras)
    cameras = world.to_memory(cameras)
    with clock.stage("depth"):
        fovs = [cameras[index].fov_x_degrees for index in range(len(rgb))]
        estimates = [estimate_depth(rgb[i : i + 1], fov_x_degrees=fov) for i, fov in enumerate(fovs)]
        depth, told = depth_from_parallax(rgb, torch.cat([estimate.depth for estimate in estimates]), cameras)
        downs = [gravity_of(picture, cameras[index]) for index, picture in enumerate(rgb)]
        depth = torch.stack(
            [
                plausible_sky(depth[index], cameras[index], down, rgb[index], estimates[index].first_class_logits)
                for index, down in enumerate(downs)
            ]
        )
        classes = classes_of(rgb[0], depth[0], cameras[0], downs[0], estimates[0])
        moving = torch.zeros(depth.shape, dtype=torch.bool)
        if told.any() and not one_picture:
            moving = moved(rgb, depth, cameras, usable)
    metric = estimates[0].metric and not told.any()  # else it is the cameras' unit, whichever that is
    notes = [] if told.any() or len(rgb) == 1 or one_picture else [NO_PARALLAX]
    if moving.float().mean() > CONTRADICTION:
        notes.append(CONTRADICT)
        moving = torch.zeros_like(moving)
    elif moving.any():
        notes.append(
            f"{100 * moving.float().mean():.1f} % of the given pictures shows what moved between them: it was left out"
        )
        usable = ~moving if usable is None else usable & ~moving
    shown = [None] * len(rgb) if usable is None else [*usable]
    memory = _first_written(rgb[0], depth[0], cameras[0], downs[0], metric, settings, clock, device, shown[0], classes)
    memory.world = world
    min_pixels, steps = settings.min_write_pixels, settings.photo_refine_steps
    waiting, differences = list(range(1, len(rgb))), []
    known, written = torch.zeros(len(rgb)), 0
    while waiting:
        with clock.stage("read"):
            changed = [index for index in waiting if _shows(memory, written, cameras[index])]
            if changed:
                known[changed] = _known_shares(memory, cameras[changed])
            written = len(memory.gaussians)
            index = waiting.pop(int(known[waiting].argmax()))
            differences += _difference(memory, depth[index], cameras[index])
        # Without parallax, what the memory shows tells the scale and, where the model leaves it open, the shift of depth.
        own = told[index] or known[index] < HELD
        filled = FilledFrames(rgb[index : index + 1], depth[index : index + 1] if own else None)
        write_frame(memory, filled, 0, cameras[index], min_pixels, estimate_depth, steps, clock, shown[index])
        if progress is not None:
            progress(1 - len(waiting) / len(rgb))
    memory.num_given_views = len(memory.views)
    if differences:
        percent = 100 * torch.tensor(differences).median().item()
        notes.append(
            f"{len(rgb)} pictures were given; where they show the same, their depths differed by {percent:.0f} % (median)"
        )
    return PosedBeginning(memory, notes, moving)


def _first_written(
    rgb: Float[Tensor, "h w 3"],
    depth: Float[Tensor, "h w"],
    camera: Cameras,
    down: Float[Tensor, "3"],
    metric: bool,
    settings: ExploreSettings,
    clock: StageClock,
    device: str,
    usable: Bool[Tensor, "h w"] | None = None,
    classes: PixelClasses | None = None,
    behind: bool = False,
) -> SpatialMemory:
    """A memory that holds one picture; ``behind``: and what goes on behind its silhouettes, and, where a camera may go all
    the way round, the backs of its things."""
    memory = SpatialMemory(Gaussians.empty(device), metric=metric, down=down)
    with clock.stage("write"), torch_alone(depth.numel()):

        def write(rims: SoftRims | None = None) -> WriteReport:
            return memory.write(rgb, depth, camera, torch.ones(depth.shape, dtype=torch.bool), usable, classes, rims=rims)

        if not behind or classes is None:
            written = write()
        else:
            written, hidden = both(
                lambda: write(soft_rims(rgb, depth)), lambda: hidden_background(rgb, depth, classes, camera, down)
            )
            memory.write_behind(hidden.rgb, hidden.depth, hidden.camera, hidden.where)
            given = memory.as_given()
            if bears_circle(given, ClearSpace(given)):
                memory.add_hidden(backs_of_things(rgb, depth, classes, camera))
    with clock.stage("refine"), torch_alone(depth.numel()):
        memory.refine(settings.photo_refine_steps, written.behind_rims)
    return memory


def _shows(memory: SpatialMemory, first: int, camera: Cameras) -> bool:
    """Whether a camera's picture has the middle of a Gaussian in it, from the one with the number ``first`` on."""
    return bool(camera.sees(memory.gaussians.means[first:].cpu()).any())


def _known_shares(memory: SpatialMemory, cameras: Cameras) -> Float[Tensor, " v"]:
    return memory.coverage(cameras.coarse(4 * GRID_WIDTH))[0].flatten(1).float().mean(1)


def _difference(memory: SpatialMemory, depth: Float[Tensor, "h w"], camera: Cameras) -> list[float]:
    """Median relative difference of a picture's own depth from the memory's, where that knows some of it; else nothing."""
    now = memory.read(camera)
    both = now.known[0] & torch.isfinite(now.depth[0]) & torch.isfinite(depth)
    return [float((depth / now.depth[0] - 1).abs()[both].median())] if both.any() else []


def field_of_view(
    rgb: Float[Tensor, "n h w 3"], given: float | None, estimate_depth: DepthEstimator
) -> tuple[float, list[str]]:
    """Horizontal field of view of a single picture in degrees, and a note where it was not given.

    Args:
        rgb: the picture, sRGB in 0..1.
        given: as the user or the photo's data say, or None.
        estimate_depth: is asked then, if it tells a field of view.
    """
    if given is not None:
        return given, []
    told = estimate_depth(rgb).fov_x_degrees if getattr(estimate_depth, "estimates_fov", False) else None
    if told is not None:
        name = estimator_name(estimate_depth)
        return told, [f"the picture does not say its field of view: {name} tells {told:.1f} degrees"]
    return DEFAULT_FOV_X_DEGREES, [f"the picture does not say its field of view: {DEFAULT_FOV_X_DEGREES:g} degrees are assumed"]
