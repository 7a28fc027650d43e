"""The other side of things: what stands out in a photo gets a back, its front mirrored about its outline.

A photo shows one side of a thing. Without another one a thing is a sheet of paper from aside, and not there at all from behind.
The back meets the front at the outline and is farthest behind it in the middle. How far is told by the outline alone, by
inflating it: the square of the depth has a constant Laplacian inside and is zero at the outline (as in Joshi & Carr 2008,
"Repoussé"), which makes an upright post a cylinder. The result is flattened, since most things are less deep than wide.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, Int16
from scipy import ndimage
from torch import Tensor

from splatmem.classes import LEVEL_CLASSES, PixelClass, PixelClasses
from splatmem.depth.classes import connected_surfaces
from splatmem.explore.reduced import Reduced
from splatmem.extrapolate.standing import before_both_sides
from splatmem.gaussians import Gaussians
from splatmem.gaussians.container import logit, rgb_to_sh
from splatmem.gaussians.lift import THICKNESS, LiftSettings
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.nearest import nearest_pixels
from splatmem.geometry.rotations import rotations_to_quats

FLATTENED = 0.75
"""Depth of a thing relative to its width: bottles and towers are as deep as wide, people half as deep."""
STEP = 0.04
"""Relative difference of depth that makes an outline; where a thing touches what it stands on there is none."""
STANDS_OUT = 0.1
"""Difference of log depth from what shows beside it, in the median over a thing, from which it has a back."""
OUTLINED = 0.3
"""Share of a thing's border that must be outline: what is mostly hidden, or mostly touches something, is not known whole."""
ROOM = 0.7
"""Share of the way to what shows beside a thing that its back may take up."""
SMALLEST = 0.0005
"""Share of the picture that a thing covers at least."""
FAR = 1e9
"""Depth of sky where differences are taken."""
WITHOUT = (*LEVEL_CLASSES, PixelClass.SKY)
"""What has no back."""
MOST_LEVELS = 64
"""Gaussians one behind the other at one pixel, at most, where a back is steep."""
SPREAD = 0.9
"""Standard deviation of a Gaussian in units of the distance to its neighbours: backs are not fitted to a picture, and must be
closed."""


@dataclass(frozen=True)
class _Back:
    """Depth of the backs of things on a picture's grid.

    Attributes:
        numbers: of things, from 1; 0 where there is no back, ``[h, w]``.
        front, depth: z-depth of the front and of the back, ``[h, w]``.
    """

    numbers: Int16[Tensor, "h w"]
    front: Float[Tensor, "h w"]
    depth: Float[Tensor, "h w"]


def backs_of_things(
    rgb: Float[Tensor, "h w 3"], depth: Float[Tensor, "h w"], classes: PixelClasses, camera: Cameras
) -> Gaussians:
    """Backs of all that stands out in a photo, with the colours of the fronts. They face away from the photo's camera, and are
    half as fine as the photo.

    Args:
        rgb: the photo, 0..1.
        depth: its z-depth, ``inf`` for sky.
        classes: what its pixels show.
        camera: of the photo.
    """
    small = Reduced.of(rgb, depth, classes, camera)
    back = _inflated(small)
    inner = back.numbers > 0
    if not inner.any():
        return Gaussians.empty()
    # A pixel at the outline shows some of what is behind it.
    inside = torch.from_numpy(ndimage.binary_erosion(inner.numpy(), border_value=1))
    rows, columns = nearest_pixels(inside if inside.any() else inner)
    return _surface(back, small.rgb[rows, columns], small.camera)


def _inflated(small: Reduced) -> _Back:
    """Things that stand out, and the depth of their backs."""
    before = before_both_sides(small.depth)
    out = (before > STEP) & torch.isfinite(small.depth) & ~small.classes.where(*WITHOUT)
    numbers = connected_surfaces(out, small.depth, max(6.0, SMALLEST * out.numel()))
    half = torch.zeros_like(small.depth)
    kept = torch.zeros_like(numbers)
    for number, place in enumerate(ndimage.find_objects(numbers.numpy()), start=1):
        own = numbers[place] == number
        if before[place][own].median() < STANDS_OUT:
            continue
        wide = tuple(slice(max(0, part.start - 1), part.stop + 1) for part in place)
        pixels = _half_depth(numbers[wide] == number, small.depth[wide])
        if pixels is None:
            continue
        most = 0.5 * FLATTENED * min(own.shape)
        half[wide] = torch.where(numbers[wide] == number, (FLATTENED * pixels).clamp_max(most), half[wide])
        kept[wide] = torch.where(numbers[wide] == number, numbers[wide], kept[wide])
    pixel = 1 / small.camera.focal.mean()
    room = ROOM * (before.exp() - 1)
    deep = torch.minimum(2 * half * pixel, room).clamp_min(0)
    return _Back(kept, small.depth, torch.where(kept > 0, small.depth * (1 + deep), small.depth))


def _half_depth(own: Bool[Tensor, "h w"], depth: Float[Tensor, "h w"]) -> Float[Tensor, "h w"] | None:
    """Half the depth of an inflated outline in pixels, 0 beside it; None where too little of its border is outline."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.linalg import spsolve

    count = int(own.sum())
    number = np.full(own.shape, -1)
    number[own.numpy()] = np.arange(count)
    log_depth = torch.where(torch.isfinite(depth), depth, FAR).log().numpy()
    diagonal, outline, border = np.zeros(count), 0, 0
    starts, ends = [], []
    for axis in (0, 1):
        for way in (1, -1):
            first = [slice(None)] * 2
            second = [slice(None)] * 2
            first[axis], second[axis] = (slice(0, -1), slice(1, None)) if way > 0 else (slice(1, None), slice(0, -1))
            here, there = number[tuple(first)], number[tuple(second)]
            joined = (here >= 0) & (there >= 0)
            edge = (here >= 0) & (there < 0)
            farther = edge & (log_depth[tuple(second)] - log_depth[tuple(first)] > STEP)
            starts.append(here[joined])
            ends.append(there[joined])
            np.add.at(diagonal, here[joined], 1.0)
            np.add.at(diagonal, here[farther], 1.0)
            outline, border = outline + int(farther.sum()), border + int(edge.sum())
    if outline < max(3, OUTLINED * border):
        return None
    start, end = np.concatenate(starts), np.concatenate(ends)
    matrix = coo_matrix((np.full(len(start), -1.0), (start, end)), shape=(count, count)).tocsc()
    matrix.setdiag(diagonal)
    squared = np.asarray(spsolve(matrix, np.full(count, 2.0)), float).reshape(count)
    half = np.zeros(own.shape, np.float32)
    half[own.numpy()] = np.sqrt(np.maximum(squared, 0))
    return torch.from_numpy(half)


def _surface(back: _Back, rgb: Float[Tensor, "h w 3"], camera: Cameras) -> Gaussians:
    """Gaussians on the backs, one behind the other where a back is steep, as at the outline."""
    inner = back.numbers > 0
    pixel = float(1 / camera.focal.mean())
    lowest, slopes = back.depth.clone(), []
    for axis in (0, 1):
        sides = []
        for way in (1, -1):
            beside = torch.roll(back.depth, way, axis)
            same = (torch.roll(back.numbers, way, axis) == back.numbers) & inner
            farther = torch.roll(back.front, way, axis) > (1 + STEP) * back.front
            beside = torch.where(same, beside, torch.where(farther, back.front, back.depth))
            beside.select(axis, 0 if way > 0 else -1).copy_(back.depth.select(axis, 0 if way > 0 else -1))
            lowest = torch.minimum(lowest, beside)
            sides.append(beside)
        slopes.append((sides[1] - sides[0]) / (2 * pixel * back.depth))
    inner &= torch.from_numpy(ndimage.binary_erosion(inner.numpy(), border_value=1))
    row, column = torch.nonzero(inner, as_tuple=True)
    depth, size = back.depth[row, column], pixel * back.depth[row, column]
    levels = ((depth - lowest[row, column]) / size).ceil().clamp(1, MOST_LEVELS).long()
    which = torch.arange(len(row)).repeat_interleave(levels)
    level = torch.arange(len(which)) - (levels.cumsum(0) - levels)[which]
    row, column, size = row[which], column[which], size[which]
    depth = torch.maximum(depth[which] - level * size, back.front[row, column])
    colour = rgb[_mirrored(inner, row, column, torch.minimum(level, levels[which] - 1 - level))]
    to_world = camera.world_to_cam[0, :3, :3]  # row vectors times this matrix turn from the camera into the world
    rays = camera.world_rays()[0][row, column]
    down, right = (slope[row, column] for slope in slopes)
    normal = F.normalize(torch.stack([-right, -down, torch.ones_like(down)], dim=-1) @ to_world, dim=-1)
    helper = torch.zeros_like(normal).scatter(-1, normal.abs().argmin(-1, keepdim=True), 1.0)
    first = F.normalize(torch.linalg.cross(helper, normal), dim=-1)
    rotations = torch.stack([first, torch.linalg.cross(normal, first), normal], dim=-1)
    scales = size[:, None] * torch.tensor([SPREAD, SPREAD, THICKNESS])
    return Gaussians(
        means=camera.centers[0] + depth[:, None] * rays,
        quats=rotations_to_quats(rotations),
        log_scales=scales.log(),
        opacity_logits=torch.full_like(size, float(logit(LiftSettings.opacity))),
        sh=rgb_to_sh(colour),
    )


def _mirrored(
    inner: Bool[Tensor, "h w"], row: Int[Tensor, " n"], column: Int[Tensor, " n"], away: Int[Tensor, " n"]
) -> tuple[Int[Tensor, " n"], Int[Tensor, " n"]]:
    """Pixels that lie inward from others by so many pixels: what goes round the edge of a thing looks like what is beside it,
    and is no streak of one pixel's colour."""
    away_from_edge = np.asarray(ndimage.distance_transform_edt(inner.numpy()))
    down_slope, right_slope = np.gradient(ndimage.gaussian_filter(away_from_edge, 1.0))
    inward = np.stack([down_slope, right_slope])
    inward = torch.from_numpy(inward / np.maximum(np.linalg.norm(inward, axis=0), 1e-6)).float()
    down, right = (away * direction[row, column] for direction in inward)
    height, width = inner.shape
    return (row + down).round().long().clamp(0, height - 1), (column + right).round().long().clamp(0, width - 1)
