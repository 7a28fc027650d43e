"""The projected Gaussians of a drawing, as gsplat's ``meta`` shows them.

Most callers never look at them, so they are made when somebody does. The graph needs their tensors before: until then these
are memory that nothing has been written to.
"""

from __future__ import annotations

import weakref
from collections import UserDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from splatmem.threads import kernel_threads

FLOAT_SHAPES = ((2,), (), (3,), ())  # of one Gaussian's means2d, depths, conics and opacities


@dataclass(frozen=True)
class Projected:
    """The Gaussians as the views show them, under gsplat's names: a row for each that is visible (packed), or one for each
    there is, with radii of zero for the others and no ids (dense: the leading dimensions are those of the scenes, then
    ``c n``)."""

    batch_ids: Int[Tensor, " m"] | None
    camera_ids: Int[Tensor, " m"] | None
    gaussian_ids: Int[Tensor, " m"] | None
    radii: Int[Tensor, "*m 2"]
    means2d: Float[Tensor, "*m 2"]
    depths: Float[Tensor, "*m"]
    conics: Float[Tensor, "*m 3"]
    opacities: Float[Tensor, "*m"]


@dataclass
class Layout:
    """Positions of the visible Gaussians of some views in the tensors that are returned to the caller.

    Attributes:
        views: as the kernels keep them, scene after scene.
        cameras: views of each scene.
        dense_shape: the leading dimensions of the dense layout, the last of which counts a scene's Gaussians; None for packed.
        rows: place of each visible Gaussian in the flattened dense layout; known once the caller has looked.
        shown: the tensors that the caller has looked at, and may hold.
    """

    views: list[Any]
    cameras: int
    dense_shape: tuple[int, ...] | None
    rows: Int[Tensor, " m"] | None = None
    shown: list[weakref.ref] = field(default_factory=list)

    def counts(self) -> list[int]:
        """Number of visible Gaussians in each view."""
        return [view.visible for view in self.views]

    def slices(self) -> list[slice]:
        """Each view's rows among all visible Gaussians."""
        ends = np.cumsum(self.counts()).tolist()
        return [slice(end - count, end) for end, count in zip(ends, self.counts(), strict=True)]

    def shape(self) -> tuple[int, ...]:
        return (sum(self.counts()),) if self.dense_shape is None else self.dense_shape

    def held(self) -> list[Tensor | None]:
        """Those of the returned tensors that are still referenced outside."""
        return [ref() for ref in self.shown]

    def to_packed(self, tensor: Tensor) -> Tensor:
        """A row for each visible Gaussian, view after view, of a tensor in the layout."""
        if self.rows is None:
            return tensor.contiguous()
        return tensor.reshape(self._flat(tensor))[self.rows]

    def from_packed(self, packed: Tensor) -> Tensor:
        """The inverse of ``to_packed``, with zeros for Gaussians that are not visible."""
        if self.dense_shape is None:
            return packed
        dense = packed.new_zeros(*self.dense_shape, *packed.shape[1:])
        dense.view(self._flat(dense))[self.rows] = packed
        return dense

    def _flat(self, tensor: Tensor) -> tuple[int, ...]:
        assert self.dense_shape is not None
        return (-1, *tensor.shape[len(self.dense_shape) :])


class LazyProjected:
    """The projected Gaussians in a layout; ``empty`` makes tensors of a shape."""

    def __init__(self, layout: Layout, empty: Callable[..., Tensor]) -> None:
        self.layout, self.empty = layout, empty
        self.memory = [empty(*layout.shape(), *shape) for shape in FLOAT_SHAPES]
        self.shown: Sequence[Tensor] = self.memory  # or the same memory as part of a graph

    @cached_property
    def value(self) -> Projected:
        layout = self.layout
        counts = layout.counts()
        gaussian_ids = torch.empty(sum(counts), dtype=torch.int64)
        radii = torch.empty(sum(counts), 2, dtype=torch.int32)
        packed = self.memory
        if layout.dense_shape is not None:
            packed = [self.empty(sum(counts), *shape) for shape in FLOAT_SHAPES]
        for view, rows in zip(layout.views, layout.slices(), strict=True):
            parts = (t[rows] for t in (gaussian_ids, radii, *packed))
            view.projected(*parts, threads=kernel_threads())
        layout.shown = [weakref.ref(t) for t in self.shown]
        view_ids = np.repeat(np.arange(len(counts)), counts)
        if layout.dense_shape is None:
            batch_ids, camera_ids = map(torch.from_numpy, np.divmod(view_ids, layout.cameras))
            return Projected(batch_ids, camera_ids, gaussian_ids, radii, *self.shown)
        layout.rows = torch.from_numpy(view_ids * layout.dense_shape[-1]) + gaussian_ids
        for dense, part in zip(self.memory, packed, strict=True):
            dense.copy_(layout.from_packed(part))
        return Projected(None, None, None, layout.from_packed(radii), *self.shown)


class Meta(UserDict):
    """A dictionary whose values are computed when it is first accessed."""

    def __init__(self, make: Callable[[], dict[str, Any]]) -> None:
        self._make = make

    @cached_property
    def data(self) -> dict[str, Any]:  # type: ignore[override]
        return self._make()
