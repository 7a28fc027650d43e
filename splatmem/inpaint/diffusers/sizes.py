"""Frames of any size through models that take certain sizes only: scaled, then padded, and back."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.geometry.cameras import Cameras

MOST_ROUNDINGS = 16


@dataclass(frozen=True)
class WorkingSize:
    """How frames of ``frame`` (height, width) are shown to a model: scaled to ``content``, then padded to ``padded``.

    The padding lies right and below. Nothing is scaled where the frame's own size will do; then its pixels reach the model as
    they are.
    """

    frame: tuple[int, int]
    content: tuple[int, int]
    padded: tuple[int, int]

    @staticmethod
    def of(
        height: int, width: int, multiple: int, *, min_pixels: int | None = None, max_pixels: int | None = None
    ) -> WorkingSize:
        """The size nearest to the frame's with sides that are multiples, and about as many pixels as are wanted."""
        scale = 1.0
        if min_pixels is not None and max_pixels is not None:
            min_pixels = min(min_pixels, max_pixels)
        if max_pixels is not None and height * width > max_pixels:
            scale = math.sqrt(max_pixels / (height * width))
        elif min_pixels is not None and height * width < min_pixels:
            scale = math.sqrt(min_pixels / (height * width))
        content = (height, width)
        if scale != 1.0:
            # A frame that is scaled anyway is scaled onto multiples, so that nothing needs to be padded.
            at_most = scale < 1 or min_pixels == max_pixels
            rounded = math.floor if at_most else math.ceil
            content = tuple(max(multiple, rounded(side * scale / multiple) * multiple) for side in content)
        padded = tuple(math.ceil(side / multiple) * multiple for side in content)
        return WorkingSize((height, width), (content[0], content[1]), (padded[0], padded[1]))

    @staticmethod
    def fixed(height: int, width: int, sides: Callable[[float], tuple[int, int]]) -> WorkingSize:
        """The size of a model that has one for each shape.

        Args:
            sides: width and height for a ratio of width to height.
        """
        columns, rows = width, height
        for _ in range(MOST_ROUNDINGS):  # rounded sides have a ratio of their own, and are given what belongs to that
            given = sides(columns / rows)
            if given == (columns, rows):
                break
            columns, rows = given
        return WorkingSize((height, width), (rows, columns), (rows, columns))

    def shrink_rgb(self, rgb: Float[Tensor, "t h w 3"]) -> Float[Tensor, "t H W 3"]:
        """Frames at the working size; the padding repeats their border."""
        pictures = rgb.permute(0, 3, 1, 2)
        if self.content != self.frame:
            pictures = F.interpolate(pictures, size=self.content, mode="bilinear", antialias=True, align_corners=False)
        return F.pad(pictures, self._padding, mode="replicate").permute(0, 2, 3, 1)

    def shrink_values(self, values: Float[Tensor, "t h w"]) -> Float[Tensor, "t H W"]:
        """Values at the working size: the smallest of those under each working pixel."""
        maps = values[:, None]
        if self.content != self.frame:
            larger = all(c >= f for c, f in zip(self.content, self.frame, strict=True))
            maps = (
                F.interpolate(maps, size=self.content, mode="nearest-exact")
                if larger
                else -F.adaptive_max_pool2d(-maps, self.content)
            )
        return F.pad(maps, self._padding, mode="replicate")[:, 0]

    def shrink_mask(self, mask: Bool[Tensor, "t h w"]) -> Bool[Tensor, "t H W"]:
        """True where the mask is true in all frame pixels under a working pixel."""
        return self.shrink_values(mask.float()) > 0.5

    def enlarge_rgb(self, rgb: Float[Tensor, "t H W 3"]) -> Float[Tensor, "t h w 3"]:
        """Working frames without their padding, scaled back to the size of the frames."""
        height, width = self.content
        pictures = rgb[:, :height, :width].permute(0, 3, 1, 2)
        if self.content != self.frame:
            pictures = F.interpolate(pictures, size=self.frame, mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)
        return pictures.permute(0, 2, 3, 1)

    def cell_cameras(self, cameras: Cameras, cell: int) -> Cameras:
        """The cameras of frames with one pixel for each cell of ``cell`` working pixels a side, the padding included."""
        (rows, columns), (height, width) = self.content, self.padded
        content = cameras.resized(columns, rows)
        scale = content.intrinsics.new_tensor([[1 / cell], [1 / cell], [1.0]])
        return Cameras(content.world_to_cam, content.intrinsics * scale, width // cell, height // cell)

    @property
    def _padding(self) -> tuple[int, int, int, int]:
        return (0, self.padded[1] - self.content[1], 0, self.padded[0] - self.content[0])


def whole_cells(mask: Bool[Tensor, "g h w"], cell: int) -> Bool[Tensor, "g H W"]:
    """True where the mask is true in all ``cell`` by ``cell`` pixels of a cell."""
    return -F.max_pool2d(-mask[:, None].float(), cell)[:, 0] > 0.5


def over_cells(cells: Bool[Tensor, "g H W"], cell: int) -> Bool[Tensor, "g h w"]:
    """The mask of cells enlarged so that each of their ``cell`` by ``cell`` pixels has its cell's value."""
    return cells.repeat_interleave(cell, 1).repeat_interleave(cell, 2)
