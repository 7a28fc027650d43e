"""What a view shows, unrolled: pictures on the shell, in rows of height and columns along the wall.

Content is relief: horizontal distance relative to that of the shell. Rows are spaced like the inverse hyperbolic sine of the
height: evenly near the horizon, and logarithmically far below and above it, as a level plane is seen in polar coordinates
(conformally), so that a pattern on a floor keeps its shape wherever it is moved.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from splatmem.extrapolate.shell import Shell
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.push_pull import push_pull

EVEN_COLUMNS = 0.3  # share of the columns in which a strip that is reflected may show another class than at the edge
SAME_PLANE = 0.05  # log relief up to which a point lies on a plane


@dataclass(frozen=True)
class Grid:
    """Rows and columns of pictures on the shell.

    Attributes:
        heights: of the rows, at the wall, from the highest to the lowest, in world units below the camera.
        step: distance of columns, in world units along the wall.
        unit: height up to which rows are about evenly spaced.
    """

    heights: Float[Tensor, " h"]
    step: float
    unit: float

    @staticmethod
    def of(highest: float, lowest: float, step: float, unit: float) -> Grid:
        """A grid between two heights whose cells are square near the horizon."""
        ends = torch.tensor([highest, lowest], dtype=torch.float64) / unit
        top, bottom = ends.asinh().tolist()
        rows = max(2, round((bottom - top) * unit / step) + 1)
        return Grid((unit * torch.linspace(top, bottom, rows, dtype=torch.float64).sinh()).float(), step, unit)

    def row_at(self, height: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """Rows, with fractions, of heights."""
        top, bottom = ((self.heights[[0, -1]] / self.unit).asinh()).tolist()
        return ((height / self.unit).asinh() - top) / (bottom - top) * (len(self.heights) - 1)


@dataclass(frozen=True)
class Unrolled:
    """Pictures on the shell, ``[h, w]`` pixels.

    Attributes:
        rgb: 0..1, ``[h, w, 3]``.
        log_relief: natural logarithm of the horizontal distance relative to the shell's; 0 in the sky.
        sky: what is infinitely far.
        label: values of ``PixelClass``, or 0.
        prominent: pixels of what would be known again.
        thing: pixels that are to be taken away, or were.
        seen: pixels that the view shows.
    """

    rgb: Float[Tensor, "h w 3"]
    log_relief: Float[Tensor, "h w"]
    sky: Bool[Tensor, "h w"]
    label: Float[Tensor, "h w"]
    prominent: Bool[Tensor, "h w"]
    thing: Bool[Tensor, "h w"]
    seen: Bool[Tensor, "h w"]

    def take(self, rows: Tensor, columns: Tensor) -> Unrolled:
        """Pixels at rows and columns, broadcast against each other."""
        return replace(self, **{name: value[rows, columns] for name, value in vars(self).items()})

    def where(self, mask: Bool[Tensor, "h w"], other: Unrolled) -> Unrolled:
        """Pixels of this where the mask is set, of another elsewhere."""

        def chosen(name: str, value: Tensor) -> Tensor:
            return torch.where(mask[..., None] if value.ndim == 3 else mask, value, getattr(other, name))

        return replace(self, **{name: chosen(name, value) for name, value in vars(self).items()})


def extended(shown: Unrolled, planes: Float[Tensor, " h"], grid: Grid) -> Unrolled:
    """A view on the shell with the rows above and below what it shows filled.

    The strip beside its edge is reflected to and fro. Surfaces go on upright, and level ones level, down to the floor and up to
    the ceiling.

    Args:
        shown: what is seen of each column must be one run of rows.
        planes: logarithm of the relief of floor and ceiling in each row.
    """
    height, width = shown.seen.shape
    rows = torch.arange(height)[:, None]
    some = shown.seen.any(0)
    first = shown.seen.int().argmax(0)
    last = height - 1 - shown.seen.flip(0).int().argmax(0)
    first, last = (torch.where(some, edge, edge[some].float().median().long()) for edge in (first, last))
    within = rows.clamp(first, last)
    columns = torch.arange(width)[None].expand(height, width)
    edge = shown.take(within, columns)
    strips = [_even_rows(shown, ends, step) for ends, step in ((first, 1), (last, -1))]
    above, below = first - rows, rows - last
    source = torch.where(above > 0, first + _to_and_fro(above, strips[0]), last - _to_and_fro(below, strips[1]))
    source = torch.where((above > 0) | (below > 0), source, rows).clamp(first, last)
    beyond = shown.take(source, columns)
    outside = (rows < first) | (rows > last)
    # Upright surfaces keep their distance, level ones their height.
    level = (edge.log_relief < planes.expand(width, height).T[within, columns] + SAME_PLANE) & (edge.log_relief < -SAME_PLANE)
    ratio = (grid.heights[within] / grid.heights[:, None]).abs().clamp(1e-3, 1).log()
    relief = torch.minimum(edge.log_relief + torch.where(level, ratio, 0.0), planes[:, None])
    relief = torch.where(outside & ~edge.sky, relief, shown.log_relief)
    return replace(beyond.where(outside, shown), log_relief=relief, sky=edge.sky, seen=shown.seen)


def _to_and_fro(steps: Int[Tensor, "h w"], strip: int) -> Int[Tensor, "h w"]:
    """Rows inwards from the edge for steps outwards from it."""
    place = (steps - 1).clamp_min(0) % (2 * strip)
    return torch.where(place < strip, place, 2 * strip - 1 - place)


def _even_rows(shown: Unrolled, edge: Int[Tensor, " w"], step: int) -> int:
    """How many rows from the edge inwards most columns show one class."""
    height, width = shown.seen.shape
    rows = (edge + step * torch.arange(height)[:, None]).clamp(0, height - 1)
    columns = torch.arange(width)[None].expand(height, width)
    label = shown.label[rows, columns] + 100 * shown.sky[rows, columns]
    other = (label != label[0]) | ~shown.seen[rows, columns]
    run = torch.where(other.any(0), other.int().argmax(0), height)
    seen = int(shown.seen.sum(0).float().median())
    return max(2, min(seen // 2, int(run.float().quantile(EVEN_COLUMNS))))


def unroll(
    view: Cameras,
    rgb: Float[Tensor, "H W 3"],
    depth: Float[Tensor, "H W"],
    label: UInt8[Tensor, "H W"],
    prominent: Bool[Tensor, "H W"],
    thing: Bool[Tensor, "H W"],
    shell: Shell,
    grid: Grid,
) -> Unrolled:
    """One view on the shell: columns from its left end to its right end."""
    columns = max(2, round(shell.view_length / grid.step))
    azimuth = shell.azimuth_at((torch.arange(columns) + 0.5) / columns * shell.view_length)
    radius = shell.radius_at(azimuth)
    axes = shell.view_range.axes
    level = azimuth.sin()[:, None] * axes[0] + azimuth.cos()[:, None] * axes[2]
    points = radius[None, :, None] * level + grid.heights[:, None, None] * axes[1] + shell.view_range.center
    pixels, ahead = (value[0] for value in view.project(points))
    place = 2 * pixels / torch.tensor([view.width, view.height]) - 1
    seen = (ahead > 0) & (place.abs() <= 1).all(-1)
    near = torch.isfinite(depth)
    distance = shell.view_range.distance(view.unproject(torch.where(near, depth, 1.0)[None])[0])
    log_distance = push_pull(distance.clamp_min(1e-12).log()[None, None], near[None, None].float())[0]
    masks = torch.stack([near.float(), label.float(), prominent.float(), thing.float()])

    def sampled(values: Float[Tensor, "c H W"], mode: str) -> Float[Tensor, "c h w"]:
        return F.grid_sample(values[None], place[None], mode=mode, padding_mode="border", align_corners=False)[0]

    is_near, labels, known_again, gone = sampled(masks, "nearest")
    smooth = sampled(torch.cat([rgb.permute(2, 0, 1), log_distance]), "bilinear")
    sky = seen & (is_near < 0.5)
    relief = torch.where(seen & ~sky, (smooth[3] - radius.log()).clamp(-7, 7), 0.0)
    colours = smooth[:3].permute(1, 2, 0).contiguous()
    return Unrolled(colours, relief, sky, labels, (known_again > 0.5) & seen, (gone > 0.5) & seen, seen)
