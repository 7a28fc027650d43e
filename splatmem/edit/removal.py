"""Takes Gaussians away, and fills what they hid from what surrounds it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int16
from torch import Tensor

from splatmem.classes import LEVEL_CLASSES
from splatmem.depth import DepthEstimator
from splatmem.depth.behind import OCCLUDER, Behind
from splatmem.edit.holes import FIRST_THING, Hole, behind_hole, kinds_around
from splatmem.edit.shadows import shadow_beside
from splatmem.edit.stored_views import MARGIN, Shown, part_of, rectangle_around, renumbered, seen_again, shown_among, shown_in
from splatmem.edit.thing import classes_of
from splatmem.explore.frames import write_frame
from splatmem.explore.loop import ExploreSettings
from splatmem.extrapolate.continuation import Guide, continue_colours, same_colours
from splatmem.gaussians import Gaussians
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.distance import distance_inside
from splatmem.geometry.filters import dilate
from splatmem.inpaint import FilledFrames, PartialFrames, VideoInpainter
from splatmem.inpaint.migan.inpainter import FrameByFrame
from splatmem.memory import MemoryReading, SpatialMemory, StoredView
from splatmem.memory.leaks import LeakLimits
from splatmem.memory.spatial_memory import VISIBLE_EXTENT
from splatmem.threads import both, side_by_side, torch_alone
from splatmem.timing import StageClock

RIM = 110  # a view's width over this is the width of the rim that goes with a thing: its pixels show both sides
ON_SURFACE = 0.05  # relative difference of depth up to which a Gaussian is part of the surface that shows
SLIVER = 0.012  # of a view's width: half the width of what is left of a thing and goes with it
BAND = 0.08  # how far beside a selection is looked for more of the thing, in units of its size
GLANCE_WIDTH = 96  # pixels of the pictures that tell which view shows most of a selection
MOST_OF = 0.2  # share of a selection that a thing must have for its slivers to go
FOOT = 0.25  # share of a thing's height in a view that is its foot
WORTH = 0.01  # share of a view that must be unknown for it to be filled, times the views that were filled before
THIN = 0.1  # of a view's width: a hole no thicker is filled by its surroundings once another view was; no network is asked
FITTED = 2  # steps, at most, of the fit of what fills a hole: it is made up, and pictures with four steps were no better
LOOKED_AHEAD = 2  # views that are asked side by side what they lack
TOLD = 2  # how many times larger a hole counts in a view with classes of its own
LEFT = 0.5  # share of what a further view lacked; if more is left, it would leak in other views: most of these lack the same
LEAKS = LeakLimits(pixels=0.5, share=0.2, plain=0.3, rounds=2, views=2)
"""What fills a hole may cover more of what earlier views show than what the loop makes: strict limits leave gaps in it."""
NEARNESS = 0.15  # of the patches that go on behind a thing: a room's light and shadows change within the size of a thing


@dataclass(frozen=True)
class Going:
    """What goes when some Gaussians are taken away.

    Attributes:
        gone: all of them, ``[n]``: the chosen ones, and what goes along.
        shown: by view, where the chosen ones and the slivers of them show; None where they do not.
        shadow: which of them are a shadow on what stays, ``[n]``.
    """

    gone: Bool[Tensor, " n"]
    shown: list[Shown | None]
    shadow: Bool[Tensor, " n"]


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


def what_goes(memory: SpatialMemory, chosen: Bool[Tensor, " n"], with_rim: bool = True, with_shadow: bool = False) -> Going:
    """What a removal takes of a memory.

    Args:
        with_rim: those of the pixels around the chosen ones go too: they show both a thing and what is behind it.
        with_shadow: those of the shadow that they throw on plain surfaces beside them go too.

    Raises:
        ValueError: nothing is chosen.
    """
    if not chosen.any():
        raise ValueError("the selection is empty: nothing of the scene lies in it")
    most = _shown_most(memory, chosen)
    view = memory.views[most]
    now = memory.read(view.camera) if with_rim or with_shadow else None
    if with_rim and now is not None:
        chosen = chosen | _remnants(memory, chosen, view, now)
    shown = side_by_side(lambda view: shown_among(memory.gaussians, chosen, view.camera), memory.views)
    shadow = torch.zeros_like(chosen)
    if with_shadow and now is not None:
        shadow = _shadow(memory, chosen, view, now, shown[most])
    gone = chosen | shadow
    if with_rim:
        for more in side_by_side(lambda pair: _beside(memory, *pair), list(zip(memory.views, shown, strict=True))):
            gone |= more
    return Going(gone, shown, shadow)


def take_away(memory: SpatialMemory, chosen: Bool[Tensor, " n"], with_rim: bool = True, with_shadow: bool = False) -> Removal:
    """The memory without the chosen Gaussians and what goes along, see ``what_goes``. Its views still store what was there.

    Raises:
        ValueError: nothing is chosen, or all.
    """
    going = what_goes(memory, chosen, with_rim, with_shadow)
    if going.gone.all():
        raise ValueError("the selection holds the whole scene: nothing would be left")
    holes = [_hole(memory, view.camera, s, going.shadow) for view, s in zip(memory.views, going.shown, strict=True)]
    kept = ~going.gone
    left = replace(memory, gaussians=memory.gaussians.select(kept.to(memory.device)), views=renumbered(memory.views, kept))
    # Features of models are of whole cells: they are encoded anew.
    return Removal(replace(left, feature_gaussians=None, num_feature_views=0), kept, holes)


def _beside(memory: SpatialMemory, view: StoredView, shown: Shown | None) -> Bool[Tensor, " n"]:
    """What goes together with what shows in a view: Gaussians on its rim, and what was guessed behind it."""
    if shown is None:
        return torch.zeros(len(memory.gaussians), dtype=torch.bool)
    gone = _guessed_behind(memory, view.camera, shown)
    gone[slice(*view.gaussians)] |= _on_rim(memory.gaussians, view.gaussians, view.camera, shown)
    return gone


def _hole(memory: SpatialMemory, camera: Cameras, shown: Shown | None, shadow: Bool[Tensor, " n"]) -> Hole | None:
    if shown is None:
        return None
    where = dilate(shown.where[None], rim_width(camera) + 1)[0]
    dark = shown_among(memory.gaussians, shadow, camera) if shadow.any() else None
    if dark is None:
        return Hole(camera, where, shown.depth, torch.zeros_like(where), torch.zeros_like(shown.depth))
    return Hole(camera, where | dark.where, shown.depth, dark.where & ~where, dark.depth)


def _shadow(
    memory: SpatialMemory, chosen: Bool[Tensor, " n"], view: StoredView, now: MemoryReading, shown: Shown | None
) -> Bool[Tensor, " n"]:
    """Gaussians in the shadow of what shows in a view, if that has classes.

    Args:
        now: what the memory shows of the view.
        shown: where in it the chosen ones show.
    """
    if shown is None or view.classes is None:
        return torch.zeros_like(chosen)
    camera = view.camera
    thing = dilate(shown.where[None], rim_width(camera))[0]
    classes = view.classes.at(camera.width, camera.height)
    kinds = kinds_around(classes, now.rgb[0], thing)
    kinds = torch.where(kinds >= FIRST_THING, -1, 2 * kinds + classes.where(*LEVEL_CLASSES))
    where = shadow_beside(now.rgb[0], now.known[0], thing, kinds)
    if not where.any():
        return torch.zeros_like(chosen)
    return _on_surface(memory, camera, now.depth[0], where) & ~chosen


def _shown_most(memory: SpatialMemory, chosen: Bool[Tensor, " n"]) -> int:
    """The number of the view that shows most of some Gaussians, told by small pictures of them before what it has stored."""
    part = memory.gaussians.select(chosen.to(memory.device))

    def share(view: StoredView) -> float:
        small = view.camera.coarse(min(GLANCE_WIDTH, view.camera.width))
        shown = shown_in(part, small)
        if shown is None:
            return 0.0
        before = shown.depth < (1 + ON_SURFACE) * view.depth_at(small.width, small.height)
        return float((shown.where & before).float().mean())

    shares = side_by_side(share, memory.views)
    return max(range(len(shares)), key=lambda index: shares[index])


def _remnants(memory: SpatialMemory, chosen: Bool[Tensor, " n"], view: StoredView, now: MemoryReading) -> Bool[Tensor, " n"]:
    """Gaussians of what would be left of a thing along the outline of a selection, told in a view.

    Args:
        now: what the memory shows of the view.
    """
    camera = view.camera
    own = shown_among(memory.gaussians, chosen, camera)
    if own is None:
        return torch.zeros_like(chosen)
    where = dilate(own.where[None], rim_width(camera))[0]
    left = _unlike_around(now.rgb[0], now.known[0], where)
    if view.classes is not None:
        left |= _slivers(view.classes.at(camera.width, camera.height).things, own.where, where)
    return _on_surface(memory, camera, now.depth[0], left) & ~chosen if left.any() else left.new_zeros(len(chosen))


def _unlike_around(rgb: Float[Tensor, "h w 3"], known: Bool[Tensor, "h w"], where: Bool[Tensor, "h w"]) -> Bool[Tensor, "h w"]:
    """What is beside a selection, connected with it, in colours that nothing farther away from it has."""
    from scipy.ndimage import binary_propagation

    width = min(max(3.0, BAND * float(where.sum()) ** 0.5), 2 * SLIVER * where.shape[1])
    away = distance_inside(~where)
    band, beyond = known & (away > 0) & (away <= width), known & (away > width) & (away <= 4 * width)
    if not band.any() or not beyond.any():
        return torch.zeros_like(where)
    unlike = band & ~same_colours(rgb, beyond)
    connected = torch.from_numpy(binary_propagation(where.numpy(), mask=(where | unlike).numpy()))
    # Its own soft border, too.
    return dilate((connected & ~where)[None], 1)[0] & band


def _slivers(things: Int16[Tensor, "h w"], own: Bool[Tensor, "h w"], where: Bool[Tensor, "h w"]) -> Bool[Tensor, "h w"]:
    """What is left of things as slivers along a selection, such as the rim of a drum.

    Args:
        things: numbers of things.
        own: the selection.
        where: it and its rim.
    """
    width = max(1, round(SLIVER * own.shape[1]))
    numbers, counts = things[own & (things > 0)].unique(return_counts=True)
    left = torch.isin(things, numbers[counts > MOST_OF * int(own.sum())]) & ~where
    broad = dilate(~dilate(~left[None], width), width)[0]
    sliver = left & ~broad & dilate(where[None], 2 * width)[0]
    rows = torch.nonzero(own.any(1))[:, 0]
    sliver[int(rows[-1] - FOOT * (rows[-1] - rows[0])) :] = False  # there are slivers of what it stands on
    return sliver


def _on_surface(
    memory: SpatialMemory, camera: Cameras, shown_depth: Float[Tensor, "h w"], where: Bool[Tensor, "h w"]
) -> Bool[Tensor, " n"]:
    """Gaussians of the surface that a view shows at some of its pixels."""
    pixels, depth = camera.project(memory.gaussians.means.cpu())
    column = pixels[0, :, 0].floor().clamp(0, camera.width - 1).long()
    row = pixels[0, :, 1].floor().clamp(0, camera.height - 1).long()
    inside = camera.in_picture(pixels, depth)[0] & where[row, column]
    return inside & ((depth[0] / shown_depth[row, column] - 1).abs() < ON_SURFACE)


def rim_width(camera: Cameras) -> int:
    return max(1, round(camera.width / RIM))


def _guessed_behind(memory: SpatialMemory, camera: Cameras, shown: Shown) -> Bool[Tensor, " n"]:
    """What was made behind a photo's things when the photo was lifted, where it would show through the hole.

    It goes on what was behind a whole thing, such as the wall behind a chair. What is behind a cup on that chair is the chair.
    """
    guessed = torch.zeros(len(memory.gaussians), dtype=torch.bool)
    begin = memory.views[0].gaussians[1]
    end = memory.views[1].gaussians[0] if len(memory.views) > 1 else len(guessed)
    if end == begin:
        return guessed
    pixels, depth = camera.project(memory.gaussians.means[begin:end].cpu())
    inside = camera.in_picture(pixels, depth)[0]
    away = distance_inside(~shown.where)
    column = pixels[0, :, 0].floor().clamp(0, camera.width - 1).long()
    row = pixels[0, :, 1].floor().clamp(0, camera.height - 1).long()
    widest = memory.gaussians.log_scales[begin:end].amax(-1).exp().cpu()
    reach = VISIBLE_EXTENT * widest * camera.focal.mean() / depth[0].clamp_min(1e-12)
    guessed[begin:end] = inside & (away[row, column] <= rim_width(camera) + reach)
    return guessed


def _on_rim(gaussians: Gaussians, span: tuple[int, int], camera: Cameras, shown: Shown) -> Bool[Tensor, " m"]:
    """Those of a range of Gaussians whose middles lie in the pixels around what shows."""
    means = gaussians.means[slice(*span)].cpu()
    pixels, depth = camera.project(means)
    inside = camera.in_picture(pixels, depth)[0]
    around = dilate(shown.where[None], rim_width(camera))[0]
    column = pixels[0, :, 0].floor().clamp(0, camera.width - 1).long()
    row = pixels[0, :, 1].floor().clamp(0, camera.height - 1).long()
    return inside & around[row, column]


@dataclass
class _Waiting:
    """Views whose holes may be filled.

    Which lacks most is asked of all of them once, and after each write of those that lacked most before, since no view lacks
    more than it did (lazy greedy cover, Minoux 1978).

    Attributes:
        holes: by view.
        most: pixels that each of the waiting views lacks at most.
        asked: those whose number is of the present memory.
    """

    holes: dict[int, Hole]
    most: dict[int, int]
    asked: set[int] = field(default_factory=set)

    def lacking_most(self, memory: SpatialMemory | None) -> int:
        """The view that lacks most in a memory; None: the one with the largest number, nothing is asked."""
        while True:
            waiting = sorted(self.most, key=lambda index: -self.most[index])
            if memory is None or waiting[0] in self.asked:
                return waiting[0]
            ahead = [index for index in waiting if index not in self.asked][:LOOKED_AHEAD]
            with torch_alone(self.holes[ahead[0]].where.numel()):
                lacking = side_by_side(lambda index: _lacking(memory, self.holes[index]), ahead)
            self.most.update(zip(ahead, lacking, strict=True))
            self.asked.update(ahead)


def fill_holes(
    removal: Removal,
    estimate_depth: DepthEstimator,
    settings: ExploreSettings,
    clock: StageClock,
    generator: torch.Generator,
    inpainter: VideoInpainter | None = None,
    prompt: str = "",
) -> int:
    """Fills the holes of a removal in its memory, view by view; returns how many views were written.

    The largest hole comes first, but a view of which it was told what its pixels show comes before others of its size; then
    always the view that lacks most, while it lacks enough: the more was filled, the more it must be.

    Depth goes on from the surroundings of the hole in every case.

    Args:
        inpainter: makes the colours; None: they go on from the surroundings too.
        prompt: what the scene shows, for an inpainter that reads words.
    """
    memory = removal.memory
    found = [(index, hole) for index, hole in enumerate(removal.holes) if hole is not None]
    classes = {
        index: view.classes.at(view.camera.width, view.camera.height)
        for index, view in enumerate(memory.views)
        if view.classes is not None
    }
    waiting = _Waiting(dict(found), {i: int(hole.where.sum()) * (TOLD if i in classes else 1) for i, hole in found})
    written = 0
    while waiting.most:
        with clock.stage("read"):
            index = waiting.lacking_most(memory if written else None)
        hole, lacks = waiting.holes[index], waiting.most.pop(index)
        if lacks < max(settings.min_write_pixels, WORTH * written * hole.where.numel()):
            break
        with clock.stage("read"):
            now = memory.read(hole.camera)
        unknown = hole.where & ~now.known[0]
        if int(unknown.sum()) < max(1, settings.min_write_pixels):
            continue  # what was taken away hid nothing in this view
        with clock.stage("depth"):
            told = classes.get(index)
            if told is None and not written:  # what another view left open is too little to be worth the time
                told = classes_of(memory, hole.camera, now.depth[0])
        thin = written > 0 and thickness(unknown) < THIN * unknown.shape[1]
        if isinstance(inpainter, FrameByFrame) and not thin:  # it is shown no depth
            paint = partial(_painted, inpainter, hole, now, now.depth[0], generator, prompt)
            with clock.stage("fill"), torch_alone(unknown.numel()):
                behind, rgb = both(partial(behind_hole, hole, now, unknown, told), paint)
        else:
            with clock.stage("depth"), torch_alone(unknown.numel()):
                behind = behind_hole(hole, now, unknown, told)
            with clock.stage("fill"):
                if inpainter is None or thin:
                    rgb = _continued(memory.scale, now, unknown, behind, generator)
                else:
                    rgb = _painted(inpainter, hole, now, behind.depth, generator, prompt)
        made = FilledFrames(rgb[None], behind.depth[None])
        usable = unknown | now.known[0]
        # What is thin elsewhere stays as it is.
        place = dilate(hole.where[None], rim_width(hole.camera))[0]
        write_frame(
            memory,
            made,
            0,
            hole.camera,
            settings.min_write_pixels,
            estimate_depth,
            min(settings.refine_steps, FITTED),
            clock,
            usable,
            within=place,
            now=now,
            limits=LEAKS,
        )
        written += 1
        waiting.asked.clear()
        if written > 1:
            with clock.stage("read"):
                if _lacking(memory, hole) > LEFT * int(unknown.sum()):
                    break
    return written


def _lacking(memory: SpatialMemory, hole: Hole) -> int:
    """About how many pixels of a view's hole are unknown, told at half its size."""
    rectangle = rectangle_around(hole.where, MARGIN)
    part = part_of(hole.camera, rectangle)
    small = part.resized((part.width + 1) // 2, (part.height + 1) // 2)
    where = (
        F.interpolate(hole.where[rectangle][None, None].float(), (small.height, small.width), mode="nearest-exact")[0, 0] > 0
    )
    unknown = where & ~memory.coverage(small, coarse=True)[0][0]
    return round(float(unknown.sum()) * part.width * part.height / unknown.numel())


def _painted(
    inpainter: VideoInpainter,
    hole: Hole,
    now: MemoryReading,
    depth: Float[Tensor, "h w"],
    generator: torch.Generator,
    prompt: str,
) -> Float[Tensor, "h w 3"]:
    """Colours of a view with a hole, which an inpainter makes from all that is known."""
    frames = PartialFrames(now.rgb, depth[None], now.known | ~hole.where, now.trust, hole.camera)
    return inpainter(frames, generator=generator, prompt=prompt).rgb[0]


def _continued(
    scale: float, now: MemoryReading, unknown: Bool[Tensor, "h w"], behind: Behind, generator: torch.Generator
) -> Float[Tensor, "h w 3"]:
    """Colours of a view with a hole, in which those of its surroundings go on, each surface's on itself."""
    log_depth = torch.where(torch.isfinite(behind.depth), behind.depth, 50 * scale).clamp_min(1e-12).log()
    # What stands before the hole does not go on in it.
    source = now.known[0] & (now.depth[0] > OCCLUDER * behind.depth[unknown].quantile(0.02))
    guide = Guide(behind.label, log_depth)
    with torch_alone(unknown.numel()):
        return continue_colours(now.rgb[0], source, unknown, guide, generator, nearness=NEARNESS)


def thickness(hole: Bool[Tensor, "h w"]) -> float:
    """Pixels across the largest disc in a hole, which may go on beyond the picture."""
    return 2 * float(distance_inside(hole).max())


def settled(removal: Removal, views_before: int) -> SpatialMemory:
    """The memory of a removal with the stored views brought into line with it; those that filling added stay as they are."""
    changed: list[Bool[Tensor, "h w"] | None] = [None if hole is None else hole.where for hole in removal.holes]
    more = len(removal.memory.views) - views_before
    return seen_again(removal.memory, [*changed, *[None] * more])
