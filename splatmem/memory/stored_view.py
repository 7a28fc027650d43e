"""Frames that a memory has stored: their cameras, and their pictures, plain or packed."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from splatmem.classes import PixelClasses
from splatmem.geometry.cameras import Cameras
from splatmem.memory.packing import packed, unpacked
from splatmem.pixels import from_uint8

CLASS_TENSORS = {"labels": torch.uint8, "things": torch.int16}  # of the views that have them, [h, w]
INDOORS = "indoors"  # of those of which that is known, one number: 1 if the view was taken in a room, else 0


@dataclass(frozen=True)
class PlainPictures:
    """The pictures of a view as they are. Nothing in them changes any more.

    Attributes:
        rgb: the whole frame as it was written: what was known read as this then, ``[h, w, 3]``.
        depth: z-depth aligned with the memory, ``inf`` for sky, ``[h, w]``.
        written: pixels that were not known before, whether or not there was a place for them; of the first view those that were
            written, ``[h, w]``.
        classes: what its pixels show, where that was told.
    """

    rgb: UInt8[Tensor, "h w 3"]
    depth: Float[Tensor, "h w"]
    written: Bool[Tensor, "h w"]
    classes: PixelClasses | None = None

    @staticmethod
    def of(tensors: dict[str, Tensor]) -> PlainPictures:
        """The pictures that tensors hold, by their names; see ``picture_tensors``."""
        return PlainPictures(tensors["rgb"], tensors["depth"], tensors["written"], _classes(tensors, tensors.__getitem__))

    @property
    def nbytes(self) -> int:
        """Bytes in main memory."""
        return sum(value.nbytes for value in picture_tensors(self).values())


@dataclass(frozen=True, eq=False)
class PackedPictures:
    """``PlainPictures`` packed without loss: each is unpacked whenever it is asked for, which takes milliseconds.

    Attributes:
        content: by the tensors' names, their bytes and what ``splatmem.memory.packing`` needs to unpack them.
    """

    content: dict[str, tuple[Tensor, Any]]

    @staticmethod
    def of(pictures: PlainPictures) -> PackedPictures:
        return PackedPictures({name: packed(value.contiguous()) for name, value in picture_tensors(pictures).items()})

    @property
    def rgb(self) -> UInt8[Tensor, "h w 3"]:
        return self._unpacked("rgb")

    @property
    def depth(self) -> Float[Tensor, "h w"]:
        return self._unpacked("depth")

    @property
    def written(self) -> Bool[Tensor, "h w"]:
        return self._unpacked("written")

    @property
    def classes(self) -> PixelClasses | None:
        return _classes(self.content, self._unpacked)

    @property
    def nbytes(self) -> int:
        """Bytes in main memory."""
        return sum(content.nbytes for content, _ in self.content.values())

    def _unpacked(self, name: str) -> Tensor:
        return unpacked(*self.content[name])


Pictures: TypeAlias = PlainPictures | PackedPictures


def _classes(names: Container[str], tensor: Callable[[str], Tensor]) -> PixelClasses | None:
    """The classes among tensors of which the names are known, if they are there."""
    if not all(name in names for name in CLASS_TENSORS):
        return None
    indoors = bool(tensor(INDOORS)[0]) if INDOORS in names else None
    return PixelClasses(tensor("labels"), tensor("things"), indoors)


def picture_tensors(pictures: Pictures) -> dict[str, Tensor]:
    """The pictures by the names ``rgb``, ``depth`` and ``written``, and ``labels`` and ``things`` of those with classes, and
    ``indoors`` where that is known."""
    classes = pictures.classes
    own = {} if classes is None else {name: getattr(classes, name) for name in CLASS_TENSORS}
    if classes is not None and classes.indoors is not None:
        own[INDOORS] = torch.tensor([classes.indoors], dtype=torch.uint8)
    return {"rgb": pictures.rgb, "depth": pictures.depth, "written": pictures.written, **own}


@dataclass(frozen=True)
class StoredView:
    """A frame that was written. Nothing in it changes any more, in place neither: another frame is another view.

    Attributes:
        camera: one camera.
        pictures: what was written; ``rgb``, ``depth``, ``written`` and ``classes`` name them.
        gaussians: range of the Gaussians that it added.
    """

    camera: Cameras
    pictures: Pictures
    gaussians: tuple[int, int]

    @property
    def rgb(self) -> UInt8[Tensor, "h w 3"]:
        """The whole frame, ``[h, w, 3]``; see ``PlainPictures``."""
        return self.pictures.rgb

    @property
    def depth(self) -> Float[Tensor, "h w"]:
        """Its z-depth, ``inf`` for sky, ``[h, w]``."""
        return self.pictures.depth

    @property
    def written(self) -> Bool[Tensor, "h w"]:
        """Pixels that were not known before, ``[h, w]``."""
        return self.pictures.written

    @property
    def classes(self) -> PixelClasses | None:
        """What its pixels show, where that was told."""
        return self.pictures.classes

    @property
    def fov_x_degrees(self) -> float:
        """Horizontal field of view."""
        return self.camera.fov_x_degrees

    def at(self, width: int, height: int) -> tuple[Float[Tensor, "h w 3"], Float[Tensor, "h w"]]:
        """Colour (averaged) and depth (sampled) at another size."""
        rgb = F.interpolate(from_uint8(self.rgb).permute(2, 0, 1)[None], size=(height, width), mode="area")
        return rgb[0].permute(1, 2, 0), self.depth_at(width, height)

    def depth_at(self, width: int, height: int) -> Float[Tensor, "height width"]:
        """Depth at another size, sampled."""
        return F.interpolate(self.depth[None, None], size=(height, width), mode="nearest-exact")[0, 0]
