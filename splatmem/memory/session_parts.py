"""The parts of a session: files that are written once, each with the views of one save and the Gaussians that came with them.

A part names the one before it and that one's checksum. Names in it: ``gaussians.*`` and ``features.*`` (the parameters of
``Gaussians``; the latter of those that carry features), ``0000.*`` (a view's pictures and camera), ``fixed.*`` (what does not
change between saves). Its header holds what was added to lists that grow with the memory.
"""

from __future__ import annotations

import hashlib
import json
import re
import weakref
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import chain
from operator import attrgetter, is_
from pathlib import Path
from typing import Any, TypeAlias

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from splatmem.gaussians import Gaussians
from splatmem.gaussians.lineage import Lineage
from splatmem.gaussians.quantised import QuantisedGaussians
from splatmem.geometry.cameras import Cameras
from splatmem.io.atomic import atomic_path
from splatmem.memory import SpatialMemory, StoredView
from splatmem.memory.content_hash import content_hash
from splatmem.memory.packing import packed, unpacked
from splatmem.memory.stored_view import CLASS_TENSORS, INDOORS, PackedPictures, PlainPictures, picture_tensors

BEFORE = "before"  # metadata: the link to the part before
PACKED = "packed"  # metadata: that link, and of packed tensors what ``splatmem.memory.packing`` needs to unpack them; and ...
LISTS = "lists"  # ... what was added to lists that grow, by their names
MAX_HEADER = 2**26
VIEW_TENSORS = {  # name: dtype, number of dimensions
    "rgb": (torch.uint8, 3), "depth": (torch.float32, 2), "written": (torch.bool, 2),
    "world_to_cam": (torch.float32, 3), "intrinsics": (torch.float32, 3), "gaussians": (torch.int64, 1),
}  # fmt: skip
Span: TypeAlias = tuple[int, int, int]
"""Range of Gaussians, and their content's hash."""
Lists: TypeAlias = Mapping[str, Sequence[Any]]
"""JSON values of lists that grow at their ends, by the lists' names."""
PARAMETERS = tuple(f.name for f in fields(Gaussians))
_NAME = re.compile(r"part-(\d{5,9})\.safetensors")


class DamagedSessionError(ValueError):
    """A file of a session is missing or not what was written."""


@dataclass(frozen=True)
class Link:
    """Which part, and what its file must be like."""

    number: int
    bytes: int
    sha256: str

    @staticmethod
    def of_json(value: Any) -> Link | None:
        """The part that a JSON value names; None for null.

        Raises:
            ValueError: it is no link.
        """
        if value is None:
            return None
        if not isinstance(value, list) or len(value) != 3 or type(value[0]) is not int or type(value[1]) is not int:
            raise ValueError("a part is named by a number, a size and a checksum")
        number, size, digest = value
        if not 0 <= number < 10**9 or size < 0 or not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{64}", digest):
            raise ValueError("a part is named by a number, a size and a checksum")
        return Link(number, size, digest)

    def to_json(self) -> list[Any]:
        return [self.number, self.bytes, self.sha256]


@dataclass(frozen=True)
class Part:
    """A part that is on disk, and how what it holds is recognised in a memory.

    Attributes:
        views: the memory's own objects, which never change.
        num_views: how many views the parts up to this one hold.
        gaussians: range of those it holds, and their content's hash.
        features: the same of the Gaussians that carry features.
        fixed: hash of the fixed tensors at that time, whether it holds them or an earlier part does.
        lists: what it adds to lists that grow, by their names.
        lengths: of those lists, with what it adds.
    """

    link: Link
    views: tuple[weakref.ref[StoredView], ...]
    num_views: int
    gaussians: Span
    features: Span
    fixed: str
    lists: Lists = field(default_factory=dict)
    lengths: dict[str, int] = field(default_factory=dict)


_VIEWS, _GAUSSIANS, _FEATURES = map(attrgetter, ("views", "gaussians", "features"))


def part_file(folder: Path, number: int) -> Path:
    return folder / f"part-{number:05d}.safetensors"


def part_numbers(folder: Path) -> set[int]:
    """Numbers of all parts in a folder, used or not."""
    return {int(match[1]) for entry in folder.iterdir() if (match := _NAME.fullmatch(entry.name))}


@dataclass(frozen=True)
class Chain:
    """The parts that hold a memory, where its Gaussians came from when it was saved or loaded, and the lists kept with it."""

    parts: list[Part] = field(default_factory=list)
    gaussians: Lineage = field(default_factory=Lineage)
    features: Lineage = field(default_factory=Lineage)
    lists: Lists = field(default_factory=dict)

    @staticmethod
    def of(parts: list[Part], memory: SpatialMemory, lists: Lists) -> Chain:
        features = memory.feature_gaussians
        lists = {name: list(values) for name, values in lists.items()}
        return Chain(parts, memory.gaussians.lineage, Lineage() if features is None else features.lineage, lists)

    def unchanged(self, memory: SpatialMemory, lists: Lists) -> list[Part]:
        """The parts, from the first on, that hold what the memory, and the lists if there are any, still begin with."""
        same = min(self._parts_of_same_views(memory.views), self._parts_of_same_lists(lists))
        features = Gaussians.empty() if memory.feature_gaussians is None else memory.feature_gaussians
        for scene, lineage, span in (
            (memory.gaussians, self.gaussians, _GAUSSIANS), (features, self.features, _FEATURES)
        ):  # fmt: skip
            same = _unchanged_ranges(scene, self.parts[:same], span, lineage.shared(scene.lineage))
        return self.parts[:same]

    def _parts_of_same_views(self, views: Sequence[StoredView]) -> int:
        """How many parts, from the first on, hold views that are there still, and in the same place."""
        # References to one object are one object. Usually all are the same: no loop of Python's goes over thousands.
        count = self.parts[-1].num_views if self.parts else 0
        found = list(map(weakref.ref, views[:count]))
        if len(found) == count and all(map(is_, chain.from_iterable(map(_VIEWS, self.parts)), found)):
            return len(self.parts)
        for index, part in enumerate(self.parts):
            own = found[part.num_views - len(part.views) : part.num_views]
            if len(own) < len(part.views) or not all(map(is_, part.views, own)):
                return index
        return len(self.parts)

    def _parts_of_same_lists(self, lists: Lists) -> int:
        """How many parts, from the first on, hold what lists still begin with; all of them where no list is kept any more."""
        lengths = self.parts[-1].lengths if self.parts else {}
        if not lists or all(
            len(lists.get(name, ())) >= length and self.lists.get(name, [])[:length] == list(lists[name][:length])
            for name, length in lengths.items()
        ):
            return len(self.parts)
        for index, part in enumerate(self.parts):
            for name, values in part.lists.items():
                last = part.lengths[name]
                if list(lists.get(name, ())[last - len(values) : last]) != list(values):
                    return index
        return len(self.parts)


def _unchanged_ranges(scene: Gaussians, parts: list[Part], span: Callable[[Part], Span], shared: int) -> int:
    """How many parts, from the first on, have Gaussians with the content that they had; the first ``shared`` ones do for
    certain."""

    def up_to(count: int) -> int:
        return bisect_right(parts, count, key=lambda part: span(part)[1])

    certain, fitting = up_to(min(shared, len(scene))), up_to(len(scene))
    asked = [span(part) for part in parts[certain:fitting]]
    if not asked:
        return fitting
    # The hash of a whole is the sum of those of its ranges: one pass where nothing has changed.
    if content_hash(scene, asked[0][0], asked[-1][1]) == sum(r[2] for r in asked) % 2**32:
        return fitting
    for index, (first, last, known) in enumerate(asked):
        if content_hash(scene, first, last) != known:
            return certain + index
    return fitting


def write_part(
    folder: Path,
    number: int,
    before: Sequence[Part],
    memory: SpatialMemory,
    fixed: dict[str, Tensor],
    packing: bool = False,
    lists: Lists | None = None,
) -> Part | None:
    """Writes what a memory and lists hold beyond the parts before; None if that is nothing. ``packing`` takes time and saves
    room.

    Raises:
        ValueError: a list holds what JSON does not know.
    """
    views = memory.views[before[-1].num_views if before else 0 :]
    tensors: dict[str, Tensor] = {}
    ranges = []
    for prefix, scene, start in (
        ("gaussians", memory.gaussians, before[-1].gaussians[1] if before else 0),
        ("features", memory.feature_gaussians, before[-1].features[1] if before else 0),
    ):
        if scene is None:
            ranges.append((start, start, 0))
            continue
        ranges.append((start, len(scene), content_hash(scene, start, len(scene))))
        if len(scene) > start or prefix == "gaussians":
            values = {name: getattr(scene, name) for name in PARAMETERS}
            tensors |= {f"{prefix}.{name}": value[start:] for name, value in values.items() if value is not None}
    lengths = before[-1].lengths if before else {}
    grown = {name: list(values[lengths.get(name, 0) :]) for name, values in (lists or {}).items()}
    grown = {name: values for name, values in grown.items() if values}
    digest = _digest(fixed)
    if digest != (before[-1].fixed if before else _digest({})):
        tensors |= {f"fixed.{name}": value for name, value in fixed.items()}
    elif not views and not grown and all(last == first for first, last, _ in ranges):
        return None
    told: dict[str, Any] = {}
    for index, view in enumerate(views):
        camera = {"world_to_cam": view.camera.world_to_cam, "intrinsics": view.camera.intrinsics}
        own = {**camera, "gaussians": torch.tensor(view.gaussians)}
        if isinstance(view.pictures, PackedPictures):
            own |= {name: content for name, (content, _) in view.pictures.content.items()}
            told |= {f"{index:04d}.{name}": values for name, (_, values) in view.pictures.content.items()}
        else:
            own |= picture_tensors(view.pictures)
        tensors |= {f"{index:04d}.{name}": value for name, value in own.items()}
    # Copies: what lies in one storage, such as cameras of one batch, would be refused.
    copies = {name: value.detach().cpu().clone(memory_format=torch.contiguous_format) for name, value in tensors.items()}
    link = json.dumps(before[-1].link.to_json() if before else None)
    if packing:
        for name in sorted(copies.keys() - told.keys()):
            copies[name], told[name] = packed(copies[name])
    # One entry: safetensors writes several in any order, and the same scene is to give the same bytes.
    metadata = {BEFORE: link}
    if told or grown:
        metadata = {PACKED: _json({BEFORE: link, PACKED: told} | ({LISTS: grown} if grown else {}))}
    content = save(copies, metadata)
    with atomic_path(part_file(folder, number)) as temporary:
        temporary.write_bytes(content)
    written = Link(number, len(content), hashlib.sha256(content).hexdigest())
    lengths = lengths | {name: lengths.get(name, 0) + len(values) for name, values in grown.items()}
    return Part(written, tuple(map(weakref.ref, views)), len(memory.views), ranges[0], ranges[1], digest, grown, lengths)


def _json(values: dict[str, Any]) -> str:
    try:
        return json.dumps(values, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"a session keeps JSON values of finite numbers: {error}") from error


def _digest(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(tensors.items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)};".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def links_up_to(folder: Path, last: Link | None) -> list[Link]:
    """The links from the first part to ``last``, as the parts' headers say.

    Raises:
        DamagedSessionError: a part is missing or cannot be read.
    """
    links: list[Link] = []
    while last is not None:
        links.append(last)
        last = _before(part_file(folder, last.number), last)
    return links[::-1]


def _metadata(header: bytes) -> dict[str, Any]:
    """What a safetensors header says beside its tensors."""
    told = json.loads(header)["__metadata__"]
    return json.loads(told[PACKED]) if PACKED in told else told


def _before(file: Path, link: Link) -> Link | None:
    """The link that a part's header holds; its number is smaller, so that a chain ends."""
    try:
        if file.is_symlink() or not file.is_file() or file.stat().st_size != link.bytes:
            raise ValueError(f"a file of {link.bytes} bytes was expected")
        with file.open("rb") as content:
            size = int.from_bytes(content.read(8), "little")
            if size > MAX_HEADER:
                raise ValueError("its header is too large")
            metadata = _metadata(content.read(size))
        before = Link.of_json(json.loads(metadata[BEFORE]))
        if before is not None and before.number >= link.number:
            raise ValueError("it names itself or a later part as the one before it")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedSessionError(
            f"the session is damaged: {file} is missing or was changed ({error}; scene.ply may still be whole)"
        ) from error
    return before


@dataclass
class LoadedParts:
    """What a chain of parts holds."""

    parts: list[Part]
    gaussians: Gaussians
    views: list[StoredView]
    feature_gaussians: Gaussians | None
    fixed: dict[str, Tensor]
    lists: dict[str, list[Any]]


def read_parts(folder: Path, last: Link | None) -> LoadedParts:
    """Reads and checks a chain.

    Raises:
        DamagedSessionError: a file is missing, is not what was written, or holds what no session holds.
    """
    parts: list[Part] = []
    views: list[StoredView] = []
    scenes: dict[str, list[dict[str, Tensor]]] = {"gaussians": [], "features": []}
    counts = {"gaussians": 0, "features": 0}
    packing = True
    fixed: dict[str, Tensor] = {}
    lists: dict[str, list[Any]] = {}
    for link in links_up_to(folder, last):
        file = part_file(folder, link.number)
        try:
            stored, told, grown = _checked(file, link)
            packing &= all(f"gaussians.{name}" in told for name in PARAMETERS if f"gaussians.{name}" in stored)
            tensors = stored | {name: unpacked(stored[name], values) for name, values in told.items()}
            groups: dict[str, dict[str, Tensor]] = {}
            for name, value in tensors.items():
                group, _, rest = name.partition(".")
                groups.setdefault(group, {})[rest] = value
            fixed = groups.pop("fixed", fixed)
            ranges = {}
            for name, found in scenes.items():
                first = counts[name]
                if name in groups:
                    scene = _gaussians(groups.pop(name), found[0] if found else None)
                    counts[name] += len(scene["means"])
                    found.append(scene)
                ranges[name] = (first, counts[name])
            own = []
            for name in (f"{index:04d}" for index in range(len(groups))):
                view = _view(groups.pop(name), counts["gaussians"])
                packs = {key: (f"{name}.{key}", told.get(f"{name}.{key}")) for key in picture_tensors(view.pictures)}
                if all(values is not None for _, values in packs.values()):  # copies: not of a piece of the whole file
                    content = {key: (stored[full].clone(), values) for key, (full, values) in packs.items()}
                    view = replace(view, pictures=PackedPictures(content))
                own.append(view)
        except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
            if isinstance(error, DamagedSessionError):
                raise
            raise DamagedSessionError(f"the session is damaged: {file} holds what no session holds ({error})") from error
        views += own
        for name, values in grown.items():
            lists.setdefault(name, []).extend(values)
        spans = ((*ranges["gaussians"], 0), (*ranges["features"], 0))
        lengths = {name: len(values) for name, values in lists.items()}
        parts.append(Part(link, tuple(map(weakref.ref, own)), len(views), *spans, _digest(fixed), grown, lengths))
    gaussians = _joined(scenes["gaussians"]) or Gaussians.empty()
    if packing:  # a compacted scene; what was added to it since may be of any values
        gaussians = QuantisedGaussians.exactly(gaussians) or gaussians
    features = _joined(scenes["features"])
    hashed = [
        replace(part, gaussians=_hashed(gaussians, part.gaussians), features=_hashed(features, part.features)) for part in parts
    ]
    return LoadedParts(hashed, gaussians, views, features, fixed, lists)


def _hashed(scene: Gaussians | None, span: Span) -> Span:
    return (*span[:2], 0 if scene is None else content_hash(scene, *span[:2]))


def _checked(file: Path, link: Link) -> tuple[dict[str, Tensor], dict[str, Any], dict[str, list[Any]]]:
    """The tensors of a part whose checksum is right, what is needed to unpack those that are packed, and what it adds to lists
    that grow."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DamagedSessionError(f"the session is damaged: {file} cannot be read ({error.strerror})") from error
    if hashlib.sha256(content).hexdigest() != link.sha256:
        raise DamagedSessionError(f"the session is damaged: {file} is missing or was changed (scene.ply may still be whole)")
    tensors = load(content)
    metadata = _metadata(content[8 : 8 + int.from_bytes(content[:8], "little")])
    grown = metadata.get(LISTS, {})
    if not isinstance(grown, dict) or not all(isinstance(values, list) for values in grown.values()):
        raise ValueError("lists must have names")
    return tensors, metadata.get(PACKED, {}), grown


def _gaussians(values: dict[str, Tensor], like: dict[str, Tensor] | None) -> dict[str, Tensor]:
    """Checked parameters, of the same kind as those of the parts before."""
    Gaussians(**values)  # checks names and shapes
    for name, value in values.items():
        if not value.is_floating_point() or not value.isfinite().all():
            raise ValueError(f"{name} are not all finite numbers")
        if like is not None and (
            name not in like or like[name].shape[1:] != value.shape[1:] or like[name].dtype != value.dtype
        ):
            raise ValueError(f"{name} differ in kind from those of the parts before")
    if like is not None and set(like) != set(values):
        raise ValueError("parameters differ from those of the parts before")
    return values


def _joined(scenes: list[dict[str, Tensor]]) -> Gaussians | None:
    if not scenes:
        return None
    return Gaussians(**{name: torch.cat([scene[name] for scene in scenes]) for name in scenes[0]})


def _view(tensors: dict[str, Tensor], count: int) -> StoredView:
    """A checked view, whose Gaussians are among the first ``count``."""
    classified = {name: tensors[name] for name in CLASS_TENSORS if name in tensors}
    optional = {*classified, INDOORS} if classified else set()
    if set(tensors) - optional != set(VIEW_TENSORS) or len(classified) not in (0, len(CLASS_TENSORS)):
        raise ValueError(f"a view has {', '.join(VIEW_TENSORS)}, this one has {', '.join(sorted(tensors))}")
    for name, (dtype, dimensions) in VIEW_TENSORS.items():
        if tensors[name].dtype != dtype or tensors[name].ndim != dimensions:
            raise ValueError(f"a view's {name} must be {dtype} with {dimensions} dimensions")
    height, width = tensors["depth"].shape
    expected = {"rgb": (height, width, 3), "written": (height, width), "gaussians": (2,)}
    expected |= {"world_to_cam": (1, 4, 4), "intrinsics": (1, 3, 3)}
    for name, shape in expected.items():
        if tuple(tensors[name].shape) != shape:
            raise ValueError(f"a view's {name} must have the shape {shape}, got {tuple(tensors[name].shape)}")
    for name, value in classified.items():
        if value.dtype != CLASS_TENSORS[name] or value.shape != tensors["depth"].shape:
            raise ValueError(f"a view's {name} must be {CLASS_TENSORS[name]} of its depth's shape")
    if INDOORS in tensors and (tensors[INDOORS].dtype != torch.uint8 or tensors[INDOORS].shape != (1,)):
        raise ValueError(f"a view's {INDOORS} must be one number, torch.uint8")
    camera = Cameras(tensors["world_to_cam"], tensors["intrinsics"], width, height)
    if not (camera.world_to_cam.isfinite().all() and camera.intrinsics.isfinite().all() and (camera.focal > 0).all()):
        raise ValueError("a view's camera must be of finite numbers, with a focal length above 0")
    if tensors["depth"].isnan().any():
        raise ValueError("a view's depth must be numbers")
    first, last = tensors["gaussians"].tolist()
    if not 0 <= first <= last <= count:
        raise ValueError(f"a view's Gaussians must be a range of the {count} that there are, got {first} to {last}")
    return StoredView(camera, PlainPictures.of(tensors), (first, last))
