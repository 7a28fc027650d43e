"""Takes Gaussians away, and fills what they hid from what surrounds it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.depth import DepthEstimator
from splatmem.depth.behind import OCCLUDER, continue_behind
from splatmem.edit.stored_views import Shown, renumbered, seen_again, shown_among
from splatmem.explore.loop import ExploreSettings, write_frame
from splatmem.extrapolate.continuation import Guide, continue_colours
from splatmem.gaussians import Gaussians
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.filters import dilate
from splatmem.inpaint import FilledFrames, PartialFrames, VideoInpainter
from splatmem.memory import SpatialMemory
from splatmem.timing import StageClock

RIM = 110  # a view's width over this is the width of the rim that goes with a thing: its pixels show both sides
NEARNESS = 0.15  # of the patches that go on behind a thing: a room's light and shadows change within the size of a thing


@dataclass(frozen=True)
class Hole:
    """What a view shows of what was taken away.

    Attributes:
        camera: of the view.
        where: pixels, ``[h, w]``.
        depth: z-depth of what was there, ``[h, w]``.
    """

    camera: Cameras
    where: Bool[Tensor, "h w"]
    depth: Float[Tensor, "h w"]


@dataclass(frozen=True)
class Removal:
    """A memory without some of its Gaussians.

    Attributes:
        memory: what is left.
        kept: which Gaussians of the one before are left, ``[n]``.
        holes: by view, what it shows of what is gone; None where that is nothing.
    """

    memory: SpatialMemory
    kept: Bool[Tensor, " n"]
    holes: list[Hole | None]


def take_away(memory: SpatialMemory, chosen: Bool[Tensor, " n"], with_rim: bool = True) -> Removal:
    """The memory without the chosen Gaussians. Its views still store what was there.

    Args:
        with_rim: those of the pixels around the chosen ones go too: they show both a thing and what is behind it.

    Raises:
        ValueError: nothing is chosen, or all.
    """
    if not chosen.any():
        raise ValueError("the selection is empty: nothing of the scene lies in it")
    shown = [shown_among(memory.gaussians, chosen, view.camera) for view in memory.views]
    rim = torch.zeros_like(chosen)
    for view, where in zip(memory.views, shown, strict=True):
        if where is not None and with_rim:
            rim[slice(*view.gaussians)] |= _on_rim(memory.gaussians, view.gaussians, view.camera, where)
    kept = ~(chosen | rim)
    if not kept.any():
        raise ValueError("the selection holds the whole scene: nothing would be left")
    left = replace(memory, gaussians=memory.gaussians.select(kept.to(memory.device)), views=renumbered(memory.views, kept))
    # Features of models are of whole cells: they are encoded anew.
    left = replace(left, feature_gaussians=None, num_feature_views=0)
    holes = [None if s is None else _hole(view.camera, s) for view, s in zip(memory.views, shown, strict=True)]
    return Removal(left, kept, holes)


def rim_width(camera: Cameras) -> int:
    return max(1, round(camera.width / RIM))


def _hole(camera: Cameras, shown: Shown) -> Hole:
    return Hole(camera, dilate(shown.where[None], rim_width(camera) + 1)[0], shown.depth)


def _on_rim(gaussians: Gaussians, span: tuple[int, int], camera: Cameras, shown: Shown) -> Bool[Tensor, " m"]:
    """Those of a range of Gaussians whose middles lie in the pixels around what shows."""
    means = gaussians.means[slice(*span)].cpu()
    pixels, depth = camera.project(means)
    inside = camera.in_picture(pixels, depth)[0]
    around = dilate(shown.where[None], rim_width(camera))[0]
    column = pixels[0, :, 0].floor().clamp(0, camera.width - 1).long()
    row = pixels[0, :, 1].floor().clamp(0, camera.height - 1).long()
    return inside & around[row, column]


def fill_holes(
    removal: Removal,
    estimate_depth: DepthEstimator,
    settings: ExploreSettings,
    clock: StageClock,
    generator: torch.Generator,
    inpainter: VideoInpainter | None = None,
    prompt: str = "",
) -> int:
    """Fills the holes of a removal in its memory, view by view, the largest first; returns how many views were written.

    Depth goes on from the surroundings of the hole in every case.

    Args:
        inpainter: makes the colours; None: they go on from the surroundings too.
        prompt: what the scene shows, for an inpainter that reads words.
    """
    memory = removal.memory
    waiting = sorted((hole for hole in removal.holes if hole is not None), key=lambda hole: -int(hole.where.sum()))
    written = 0
    for hole in waiting:
        with clock.stage("read"):
            now = memory.read(hole.camera)
        unknown = hole.where & ~now.known[0]
        if int(unknown.sum()) < settings.min_write_pixels:
            continue
        with clock.stage("depth"):
            behind = continue_behind(now.depth[0], now.known[0], unknown, _filled_depth(hole))
        with clock.stage("fill"):
            if inpainter is None:
                log_depth = torch.where(torch.isfinite(behind.depth), behind.depth, 50 * memory.scale).clamp_min(1e-12).log()
                # What stands before the hole does not go on in it.
                source = now.known[0] & (now.depth[0] > OCCLUDER * behind.depth[unknown].quantile(0.02))
                rgb = continue_colours(
                    now.rgb[0], source, unknown, Guide(behind.label, log_depth), generator, nearness=NEARNESS
                )
            else:
                known = now.known | ~hole.where
                partial = PartialFrames(now.rgb, behind.depth[None], known, now.trust, hole.camera)
                rgb = inpainter(partial, generator=generator, prompt=prompt).rgb[0]
        made = FilledFrames(rgb[None], behind.depth[None])
        usable = unknown | now.known[0]
        write_frame(memory, made, 0, hole.camera, settings.min_write_pixels, estimate_depth, settings, clock, usable)
        written += 1
    return written


def _filled_depth(hole: Hole) -> Float[Tensor, "h w"]:
    """Depth of what was there for all pixels of the hole, those of its rim as the nearest ones of the thing."""
    from scipy.ndimage import distance_transform_edt

    shown = hole.depth > 0
    if not shown.any():
        return torch.zeros_like(hole.depth)
    nearest = torch.from_numpy(distance_transform_edt(~shown.numpy(), return_distances=False, return_indices=True)).long()
    return hole.depth[nearest[0], nearest[1]]


def settled(removal: Removal, views_before: int) -> SpatialMemory:
    """The memory of a removal with the stored views brought into line with it; those that filling added stay as they are."""
    changed: list[Bool[Tensor, "h w"] | None] = [None if hole is None else hole.where for hole in removal.holes]
    more = len(removal.memory.views) - views_before
    return seen_again(removal.memory, [*changed, *[None] * more])
