"""Fewer Gaussians for the same pictures: what no view tells apart is merged, the rest fitted to what the memory shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from jaxtyping import Int
from torch import Tensor

from splatmem.gaussians import Gaussians
from splatmem.gaussians.fit_shapes import Reference, fit_shapes
from splatmem.gaussians.merge import MERGE_ERROR, merge_alike
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.sampling import evenly_spread
from splatmem.memory.rounding import rounded, with_rounded_depth
from splatmem.memory.spatial_memory import SpatialMemory, StoredView
from splatmem.pixels import from_uint8

FIT_STEPS = 50
SEEN_SPREAD = 0.6  # of what a stored view shows, which is fitted to it
GIVEN_CARE = 2.0  # given pictures are to be shown so much better than made ones, in squared errors
HIDDEN_SPREAD = 0.74  # of what none shows: it covers as it is
ASIDE = 0.12  # how far beside the first view what it hides is looked at, in units of the memory's scale
FILM_CAMERAS = 6  # cameras of a film that the memory is fitted to beside its own views, at half the size


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
    all numbers to what is needed.

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
    parts = [
        merge_alike(memory.gaussians.select(slice(first, last)), view.camera, spread, error / _care(memory, view))
        for first, last, view, spread in _stretches(memory, ends)
    ]
    starts = torch.tensor([first for first, *_ in _stretches(memory, ends)])
    first = torch.cat([part.first + start for part, start in zip(parts, starts, strict=True)])
    merged, made = Gaussians.cat([part.gaussians for part in parts]), torch.cat([part.made for part in parts])
    fitted = fit_shapes(merged, made.to(merged.means.device), _references(memory, film), steps, announce)
    result = Compacted(memory, first)
    pieces = []
    for start, end, view, _ in _stretches(memory, ends):
        piece = fitted.select(slice(result.count_before(start), result.count_before(end)))
        pieces.append(rounded(piece, view.camera.centers[0]))
    views = [replace(with_rounded_depth(view), gaussians=_range(result, view)) for view in memory.views]
    return replace(result, memory=replace(memory, gaussians=Gaussians.cat(pieces), views=views))


def _care(memory: SpatialMemory, view: StoredView) -> float:
    given = memory.views[memory.num_given_views - 1].gaussians[1]
    return GIVEN_CARE if view.gaussians[1] <= given else 1.0


def _range(result: Compacted, view: StoredView) -> tuple[int, int]:
    return result.count_before(view.gaussians[0]), result.count_before(view.gaussians[1])


def _stretches(memory: SpatialMemory, ends: Sequence[int]) -> list[tuple[int, int, StoredView, float]]:
    """Ranges of Gaussians that were lifted together, the view that they were lifted from, and how wide they are to be.

    What lies between the ranges of views is hidden in the one before, or was put in there.
    """
    count = len(memory.gaussians)
    marks = {0, count, *(end for end in ends if 0 < end < count), *(end for view in memory.views for end in view.gaussians)}
    borders = sorted(marks)
    stretches = []
    for first, last in pairwise(borders):
        own = [view for view in memory.views if view.gaussians[0] <= first < view.gaussians[1]]
        before = [view for view in memory.views if view.gaussians[1] <= first]
        view = own[0] if own else before[-1] if before else memory.views[0]
        stretches.append((first, last, view, SEEN_SPREAD if own else HIDDEN_SPREAD))
    return stretches


def _references(memory: SpatialMemory, film: Cameras | None) -> list[Reference]:
    """What the memory is to show as before."""
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
