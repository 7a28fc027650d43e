"""Which Gaussians of a memory are meant: shapes in space, regions of a view, a thing, and sets of these.

A selection is a description, kept as JSON values; ``mask`` finds the Gaussians that it means in a memory as it is now.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypedDict

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.edit.thing import thing_mask
from splatmem.geometry.cameras import Cameras
from splatmem.memory import SpatialMemory

BEHIND = 0.05  # share of its depth that a Gaussian may lie behind the surface that a view shows, and still be part of it


class Selection:
    """Which Gaussians are meant. ``&``, ``|`` and ``~`` combine selections; ``grown`` grows or shrinks one."""

    def mask(self, memory: SpatialMemory) -> Bool[Tensor, " n"]:
        """True for the Gaussians that are meant, on the CPU."""
        raise NotImplementedError

    def __and__(self, other: Selection) -> Selection:
        return Both(self, other)

    def __or__(self, other: Selection) -> Selection:
        return Either(self, other)

    def __invert__(self) -> Selection:
        return Other(self)

    def grown(self, distance: float) -> Selection:
        """The selection with all Gaussians within ``distance`` (world units), or without those as near to the rest if it is
        negative."""
        return Grown(self, distance)

    def to_json(self) -> dict[str, Any]:
        """JSON values that ``selection_of_json`` takes."""
        values: dict[str, Any] = {"kind": type(self).__name__.lower()}
        for f in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, f.name)
            if isinstance(value, Selection):
                value = value.to_json()
            elif isinstance(value, Cameras):
                pose, intrinsics = value.world_to_cam[0].tolist(), value.intrinsics[0].tolist()
                value = {"world_to_cam": pose, "intrinsics": intrinsics, "size": [value.width, value.height]}
            values[f.name] = list(value) if isinstance(value, tuple) else value
        return values


@dataclass(frozen=True, eq=False)
class Box(Selection):
    """The middles between two corners, ``[3]`` each, along the world's axes."""

    low: Sequence[float]
    high: Sequence[float]

    def mask(self, memory: SpatialMemory) -> Bool[Tensor, " n"]:
        means = memory.gaussians.means.cpu()
        ends = means.new_tensor([list(self.low), list(self.high)])
        return ((means >= ends.amin(0)) & (means <= ends.amax(0))).all(-1)


@dataclass(frozen=True, eq=False)
class Sphere(Selection):
    """The middles within ``radius`` of ``center``."""

    center: Sequence[float]
    radius: float

    def mask(self, memory: SpatialMemory) -> Bool[Tensor, " n"]:
        means = memory.gaussians.means.cpu()
        return (means - means.new_tensor(list(self.center))).norm(dim=-1) <= self.radius


@dataclass(frozen=True, eq=False)
class HalfSpace(Selection):
    """The middles with ``normal . x >= offset``."""

    normal: Sequence[float]
    offset: float

    def mask(self, memory: SpatialMemory) -> Bool[Tensor, " n"]:
        means = memory.gaussians.means.cpu()
        return means @ means.new_tensor(list(self.normal)) >= self.offset


@dataclass(frozen=True, eq=False)
class Region(Selection):
    """What a camera sees inside a polygon of its picture.

    Attributes:
        camera: one camera.
        corners: pixels ``x, y``, one after the other around the polygon; two of them are the corners of a rectangle.
        through: whether what lies behind the visible surface is meant too.
    """

    camera: Cameras
    corners: Sequence[Sequence[float]]
    through: bool = False

    def mask(self, memory: SpatialMemory) -> Bool[Tensor, " n"]:
        return _shown(memory, self.camera, lambda pixels: _inside_polygon(pixels, self.corners), self.through)


@dataclass(frozen=True, eq=False)
class Stroke(Selection):
    """What a camera sees under the stroke of a round brush.

    Attributes:
        camera: one camera.
        pixels: ``x, y`` of the brush's middle, along its way; one alone is a dab.
        radius: of the brush, in pixels.
        through: whether what lies behind the visible surface is meant too.
    """

    camera: Cameras
    pixels: Sequence[Sequence[float]]
    radius: float
    through: bool = False

    def mask(self, memory: SpatialMemory) -> Bool[Tensor, " n"]:
        return _shown(memory, self.camera, lambda pixels: _near_line(pixels, self.pixels, self.radius), self.through)


def _shown(
    memory: SpatialMemory,
    camera: Cameras,
    inside: Callable[[Float[Tensor, "n 2"]], Bool[Tensor, " n"]],
    through: bool,
) -> Bool[Tensor, " n"]:
    """The Gaussians that a camera shows at the pixels for which ``inside`` is true; ``through``: those behind them, too."""
    pixels, depth = camera.project(memory.gaussians.means.cpu())
    chosen = inside(pixels[0]) & camera.in_picture(pixels, depth)[0]
    if through:
        return chosen
    seen = memory.read(camera).depth[0]
    column = pixels[0, :, 0].floor().clamp(0, camera.width - 1).long()
    row = pixels[0, :, 1].floor().clamp(0, camera.height - 1).long()
    return chosen & (depth[0] <= (1 + BEHIND) * seen[row, column])


@dataclass(frozen=True, eq=False)
class Thing(Selection):
    """The thing that a camera sees at a pixel ``x, y``: a connected surface, see ``splatmem.edit.thing``.

    Attributes:
        camera: one camera.
        pixel: x, y in its picture.
    """

    camera: Cameras
    pixel: Sequence[float]

    def mask(self, memory: SpatialMemory) -> Bool[Tensor, " n"]:
        return thing_mask(memory, self.camera, (float(self.pixel[0]), float(self.pixel[1])))


@dataclass(frozen=True, eq=False)
class Both(Selection):
    first: Selection
    second: Selection

    def mask(self, memory: SpatialMemory) -> Bool[Tensor, " n"]:
        return self.first.mask(memory) & self.second.mask(memory)


@dataclass(frozen=True, eq=False)
class Either(Selection):
    first: Selection
    second: Selection

    def mask(self, memory: SpatialMemory) -> Bool[Tensor, " n"]:
        return self.first.mask(memory) | self.second.mask(memory)


@dataclass(frozen=True, eq=False)
class Other(Selection):
    """All that is not meant."""

    than: Selection

    def mask(self, memory: SpatialMemory) -> Bool[Tensor, " n"]:
        return ~self.than.mask(memory)


@dataclass(frozen=True, eq=False)
class Grown(Selection):
    """A selection that was grown or shrunk; see ``Selection.grown``."""

    of: Selection
    distance: float

    def mask(self, memory: SpatialMemory) -> Bool[Tensor, " n"]:
        chosen, means = self.of.mask(memory), memory.gaussians.means.cpu()
        if self.distance >= 0:
            return chosen | _near(means, chosen, self.distance)
        return chosen & ~_near(means, ~chosen, -self.distance)


KINDS: dict[str, type[Selection]] = {
    kind.__name__.lower(): kind for kind in (Box, Sphere, HalfSpace, Region, Stroke, Thing, Both, Either, Other, Grown)
}


def selection_of_json(values: dict[str, Any]) -> Selection:
    """The selection that ``Selection.to_json`` has written.

    Raises:
        ValueError: these are no values of a selection.
    """
    try:
        kind = KINDS[values["kind"]]
        arguments: dict[str, Any] = {}
        for name, value in values.items():
            if name == "kind":
                continue
            if isinstance(value, dict) and "kind" in value:
                value = selection_of_json(value)
            elif isinstance(value, dict):
                pose, intrinsics = torch.tensor([value["world_to_cam"]]), torch.tensor([value["intrinsics"]])
                value = Cameras(pose, intrinsics, *value["size"])
            arguments[name] = value
        return kind(**arguments)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"expected the values of a selection, got {values!r:.100}") from error


def _near(points: Float[Tensor, "n 3"], chosen: Bool[Tensor, " n"], distance: float) -> Bool[Tensor, " n"]:
    """Which of the points lie within a distance of a chosen one."""
    if not chosen.any() or chosen.all():
        return chosen
    from scipy.spatial import KDTree

    some = points[chosen].numpy()
    low, high = points[chosen].amin(0) - distance, points[chosen].amax(0) + distance
    candidates = torch.nonzero(((points >= low) & (points <= high)).all(-1) & ~chosen)[:, 0]
    found = chosen.clone()
    if len(candidates):
        nearest, _ = KDTree(some).query(points[candidates].numpy(), distance_upper_bound=distance)
        found[candidates] = torch.from_numpy(nearest) < torch.inf
    return found


def _inside_polygon(points: Float[Tensor, "n 2"], corners: Sequence[Sequence[float]]) -> Bool[Tensor, " n"]:
    """Even-odd rule; two corners are those of a rectangle."""
    x, y = points.unbind(-1)
    if len(corners) == 2:
        (left, right), (top, bottom) = (sorted(pair) for pair in zip(*corners, strict=True))
        return (x >= left) & (x <= right) & (y >= top) & (y <= bottom)
    if len(corners) < 2:
        raise ValueError(f"a region has two corners of a rectangle, or three or more of a polygon, got {len(corners)}")
    inside = torch.zeros(len(points), dtype=torch.bool)
    for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], corners[0]], strict=True):
        if y0 != y1:
            crosses = (y >= min(y0, y1)) & (y < max(y0, y1))
            inside ^= crosses & (x < x0 + (y - y0) / (y1 - y0) * (x1 - x0))
    return inside


def _near_line(points: Float[Tensor, "n 2"], line: Sequence[Sequence[float]], distance: float) -> Bool[Tensor, " n"]:
    """Which points lie within a distance of a line through pixels."""
    if not line:
        raise ValueError("a stroke has a pixel x, y or more")
    ends = points.new_tensor([list(end) for end in line])
    near = torch.zeros(len(points), dtype=torch.bool)
    candidates = ((points >= ends.amin(0) - distance) & (points <= ends.amax(0) + distance)).all(-1).nonzero()[:, 0]
    some = points[candidates]
    for start, end in pairwise([ends[0], *ends]):
        along = end - start
        share = ((some - start) @ along / (along @ along).clamp_min(1e-30)).clamp(0, 1)
        near[candidates[(some - start - share[:, None] * along).norm(dim=-1) <= distance]] = True
    return near


class Parts(TypedDict, total=False):
    """Descriptions of parts of a scene, by any of these.

    Attributes:
        box: two corners in the memory's world.
        sphere: middle and radius.
        half_space: ``(normal, offset)``: all x with ``normal . x >= offset``.
        at: the thing at a pixel x, y of a camera; with more pixels, one after the other, those at each of them.
        region: what the camera shows inside a polygon of pixels; two are the corners of a rectangle.
        through: with what lies behind the visible surface of the region.
        named: one that was saved.
        all_of: what all of these mean together, instead of what any of them means.
    """

    box: tuple[Sequence[float], Sequence[float]] | None
    sphere: tuple[Sequence[float], float] | None
    half_space: tuple[Sequence[float], float] | None
    at: Sequence[float] | None
    region: Sequence[Sequence[float]] | None
    through: bool
    named: str | None
    all_of: bool


def described_part(saved: dict[str, dict[str, Any]], camera: Cameras, described: Parts) -> Selection:
    """The parts that are described, together; or what they have in common, where ``all_of`` asks for that.

    Args:
        saved: selections by name, as JSON values.
        camera: of ``at`` and ``region``.
        described: which parts.

    Raises:
        ValueError: nothing is described, or no selection has that name.
    """
    parts: list[Selection] = []
    box, sphere, half_space = described.get("box"), described.get("sphere"), described.get("half_space")
    at, region, named = described.get("at"), described.get("region"), described.get("named")
    if box is not None:
        parts.append(Box(*(tuple(map(float, corner)) for corner in box)))
    if sphere is not None:
        parts.append(Sphere(tuple(map(float, sphere[0])), float(sphere[1])))
    if half_space is not None:
        parts.append(HalfSpace(tuple(map(float, half_space[0])), float(half_space[1])))
    if at is not None:
        if len(at) < 2 or len(at) % 2:
            raise ValueError(f"a thing is at a pixel x, y, or at several, one after the other; got {len(at)} numbers")
        parts += [Thing(camera, (float(at[i]), float(at[i + 1]))) for i in range(0, len(at), 2)]
    if region is not None:
        parts.append(Region(camera, [list(map(float, corner)) for corner in region], described.get("through", False)))
    if named is not None:
        if named not in saved:
            raise ValueError(f"there is no selection {named!r}; saved are: {', '.join(saved) or 'none'}")
        parts.append(selection_of_json(saved[named]))
    if not parts:
        raise ValueError("say which part: box, sphere, half_space, at, region or named")
    chosen = parts[0]
    for part in parts[1:]:
        chosen = chosen & part if described.get("all_of", False) else chosen | part
    return chosen
