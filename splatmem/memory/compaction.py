"""Fewer Gaussians for the same pictures: what no view tells apart is merged, the rest fitted to what the memory shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from splatmem.gaussians import Gaussians
from splatmem.gaussians.fit_shapes import Reference, fit_shapes
from splatmem.gaussians.merge import MERGE_ERROR, merge_alike
from splatmem.gaussians.quantised import QuantisedGaussians
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.sampling import evenly_spread
from splatmem.memory.spatial_memory import SpatialMemory
from splatmem.memory.stored_view import PackedPictures, Pictures, PlainPictures, StoredView
from splatmem.pixels import from_uint8

FIT_STEPS = 60
SEEN_SPREAD = 0.6  # of what a stored view shows, which is fitted to it
GIVEN_CARE = 2.0  # given pictures are to be shown so much better than made ones, in squared errors
HIDDEN_SPREAD = 0.74  # of what none shows: it covers as it is
ASIDE = 0.12  # how far beside the first view what it hides is looked at, in units of the memory's scale
FILM_CAMERAS = 24  # cameras of a film that the memory is fitted to beside its own views
PHOTO_BAR = 40.0
"""PSNR, in dB, that a given picture is to have in the end ..."""
PHOTO_LOSS = 0.5
"""... or as much less than it has at first, where that is less. Where merging misses this, the Gaussians stay as they are."""
SPARE = 0.15  # share of the squared error that the bar allows, which is left for what merging does around those tiles
MOST_PASSES = 3  # until no given picture is spoilt: what stays changes what is fitted around it
TILE = 8  # pixels along a side of the parts of a given picture in which they stay
DEPTH_BITS = 11  # of the depths of stored views that stay, behind the first one: 0.02 percent at most


@dataclass(frozen=True)
class Compacted:
    """A memory with fewer Gaussians.

    Attributes:
        memory: the views are those of before, but for the ranges of their Gaussians.
        first: for each of its Gaussians the index of one, the first, that it stands for, ascending, ``[m]``.
    """

    memory: SpatialMemory
    first: Int[Tensor, " m"]

    def count_before(self, end: int) -> int:
        """How many of the Gaussians there are before what was the index ``end``."""
        return int((self.first < end).sum())


def compacted(
    memory: SpatialMemory,
    ends: Sequence[int] = (),
    film: Cameras | None = None,
    steps: int = FIT_STEPS,
    error: float = MERGE_ERROR,
    announce: Callable[[float], None] = lambda share: None,
) -> Compacted:
    """Merges what each view has brought, then fits places, sizes and colours to what the memory showed before, and rounds
    all numbers to what is needed. Where given pictures would lose too much by that, as rich textures do, what shows most of
    the loss stays as it is, and the rest is fitted again, twice at most.

    Pictures to fit are the given ones, what the memory shows at the cameras of its other views, from a step beside the first
    one, and along a film.

    Args:
        memory: stays as it is.
        ends: indices across which no Gaussians may be merged.
        film: cameras of a film of it.
        steps: of the fit.
        error: squared error of colour that one Gaussian less may cost; see ``splatmem.gaussians.merge``.
        announce: told the share of the fit that is done.

    Raises:
        ValueError: the memory holds no view, or colours that change with the view.
    """
    if not memory.views:
        raise ValueError("the memory holds no view yet: there is nothing to compact")
    if memory.gaussians.sh.shape[1] > 1:
        raise ValueError("the scene's colours change with the view (spherical harmonics): it cannot be compacted")
    kept: dict[int, Bool[Tensor, "h w"]] = {}
    for number in range(MOST_PASSES):
        made = _merged(memory, ends, film, steps, error, kept, lambda share, n=number: announce((n + share) / MOST_PASSES))
        spoilt = _spoilt(memory, made.memory)
        if not spoilt:
            break
        kept |= {index: pixels | kept[index] if index in kept else pixels for index, pixels in spoilt.items()}
    announce(1.0)
    return made


def _merged(
    memory: SpatialMemory,
    ends: Sequence[int],
    film: Cameras | None,
    steps: int,
    error: float,
    kept: dict[int, Bool[Tensor, "h w"]],
    announce: Callable[[float], None],
) -> Compacted:
    """``kept``: by the index of a view, the pixels whose Gaussians stay as they are."""
    stretches = _stretches(memory, ends)
    parts = []
    for start, end, index, own in stretches:
        view = memory.views[index]
        gaussians, limit = memory.gaussians.select(slice(start, end)), error / _care(memory, view)
        spread, still = (SEEN_SPREAD, kept.get(index)) if own else (HIDDEN_SPREAD, None)
        parts.append(merge_alike(gaussians, view.camera, spread, limit, still))
    first = torch.cat([part.first + start for part, (start, *_) in zip(parts, stretches, strict=True)])
    merged, free = Gaussians.cat([part.gaussians for part in parts]), torch.cat([part.made for part in parts])
    given = memory.num_given_views
    references = _references(memory, film)
    fitted = fit_shapes(merged, free.to(merged.device), references[:given], references[given:], steps, announce)
    result = Compacted(memory, first)
    views = [
        StoredView(view.camera, PackedPictures.of(_with_rounded_depth(view.pictures)), _range(result, view))
        for view in memory.views
    ]
    return replace(result, memory=replace(memory, gaussians=QuantisedGaussians.of(fitted), views=views))


def _with_rounded_depth(pictures: Pictures) -> PlainPictures:
    """A view's pictures with depths of fewer bits; ``inf`` stays."""
    spare = 23 - DEPTH_BITS
    bits = pictures.depth.view(torch.int32)
    depth = ((bits + (1 << (spare - 1))) >> spare << spare).view(torch.float32)
    return PlainPictures(pictures.rgb, depth, pictures.written, pictures.classes)


def _spoilt(memory: SpatialMemory, small: SpatialMemory) -> dict[int, Bool[Tensor, "h w"]]:
    """By the index of each given view that shows its picture too badly, the fewest tiles without whose loss it would not."""
    spoilt = {}
    for index, view in enumerate(memory.views[: memory.num_given_views]):
        photo, counts = from_uint8(view.rgb), view.written[..., None]
        errors = [(counts * (scene.film(view.camera)[0][0] - photo)).square().sum(-1) for scene in (memory, small)]
        before, after = (float(value.sum()) for value in errors)
        allowed = max(10 ** (-PHOTO_BAR / 10) * 3 * float(counts.sum()), 10 ** (PHOTO_LOSS / 10) * before)
        if after <= allowed:
            continue
        loss = _tile_sums(errors[1] - errors[0])
        worst, order = loss.flatten().sort(descending=True)
        count = 1 + int((worst.cumsum(0) < after - (1 - SPARE) * allowed).sum())
        chosen = torch.zeros(loss.numel(), dtype=torch.bool)
        chosen[order[:count]] = worst[:count] > 0
        pixels = chosen.view(loss.shape).repeat_interleave(TILE, 0).repeat_interleave(TILE, 1)
        spoilt[index] = pixels[: view.camera.height, : view.camera.width]
    return spoilt


def _tile_sums(values: Float[Tensor, "h w"]) -> Float[Tensor, "rows columns"]:
    rows, columns = (-(-side // TILE) for side in values.shape)
    padded = F.pad(values, (0, columns * TILE - values.shape[1], 0, rows * TILE - values.shape[0]))
    return padded.view(rows, TILE, columns, TILE).sum((1, 3))


def _care(memory: SpatialMemory, view: StoredView) -> float:
    given = memory.views[memory.num_given_views - 1].gaussians[1]
    return GIVEN_CARE if view.gaussians[1] <= given else 1.0


def _range(result: Compacted, view: StoredView) -> tuple[int, int]:
    return result.count_before(view.gaussians[0]), result.count_before(view.gaussians[1])


def _stretches(memory: SpatialMemory, ends: Sequence[int]) -> list[tuple[int, int, int, bool]]:
    """Ranges of Gaussians that were lifted together, the index of the view that they belong to, and whether it shows them.

    What lies between the ranges of views is hidden in the one before, or was put in there.
    """
    count = len(memory.gaussians)
    marks = {0, count, *(end for end in ends if 0 < end < count), *(end for view in memory.views for end in view.gaussians)}
    borders = sorted(marks)
    stretches = []
    for first, last in pairwise(borders):
        own = [index for index, view in enumerate(memory.views) if view.gaussians[0] <= first < view.gaussians[1]]
        before = [index for index, view in enumerate(memory.views) if view.gaussians[1] <= first]
        stretches.append((first, last, own[0] if own else before[-1] if before else 0, bool(own)))
    return stretches


def _references(memory: SpatialMemory, film: Cameras | None) -> list[Reference]:
    """What the memory is to show as before: the given views first."""
    given = memory.views[: memory.num_given_views]
    references = [Reference(view.camera, from_uint8(view.rgb), view.written, GIVEN_CARE) for view in given]
    cameras = [view.camera for view in memory.views[memory.num_given_views :]]
    first = memory.views[0].camera
    for side in (-1.0, 1.0):
        cameras.append(first.moved(right=side * ASIDE * memory.scale))
    if film is not None:
        cameras += [film[index] for index in evenly_spread(len(film), FILM_CAMERAS)]
    for camera in cameras:
        rgb, known = memory.film(camera)
        references.append(Reference(camera, rgb[0], known[0]))
    where = memory.device
    return [
        replace(reference, camera=reference.camera.to(where), rgb=reference.rgb.to(where), counts=reference.counts.to(where))
        for reference in references
    ]
