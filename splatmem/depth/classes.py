"""What each pixel of a picture shows, and which pixels belong to one thing.

Where the depth model tells classes, its coarse map is brought to the picture's edges: probabilities are averaged along ways on
which neither colour nor depth changes (the domain transform's recursive filter, Gastal & Oliveira 2011). Other models' depth
maps tell floors, ceilings and walls by their normals, and things by what lies behind them.

A thing is a connected surface: pixels of the class that no step of depth parts. What stands on top of another thing, such as a
bottle on a table, is one of its own: level surfaces part what they carry from what carries them.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int16, UInt8
from scipy import ndimage
from torch import Tensor

from splatmem.classes import PixelClass, PixelClasses
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.filters import domain_filter
from splatmem.geometry.normals import surface_normals
from splatmem.threads import both

REACH = 0.06
"""Over how much of the picture's shorter side probabilities are averaged where nothing changes (a standard deviation): about
one and a half cells of the depth model's map of classes."""
COLOUR_STEP = 0.12
"""Difference of colours, summed over the channels, that counts as ``REACH`` of way."""
DEPTH_STEP = 0.06
"""Relative change of depth from pixel to pixel that counts as ``REACH`` of way."""
GAP = 0.04
"""Relative change of depth from pixel to pixel, beyond that of a slanted surface, that parts two things."""
LEVEL = 0.85
"""Cosine of a normal and the vertical from which on a surface is level."""
UPRIGHT = 0.35
"""The same up to which it is upright."""
SMALLEST_THING = 0.0006
"""Share of the picture that a thing covers at least."""
BEFORE = 0.12
"""How much nearer a thing is than what shows beside it, as a share: the fallback's only sign of things."""
BESIDE = 0.15
"""How far beside it, as a share of the shorter side."""


def classify(
    rgb: Float[Tensor, "h w 3"],
    depth: Float[Tensor, "h w"],
    camera: Cameras,
    down: Float[Tensor, "3"],
    class_logits: Float[Tensor, "k p q"] | None = None,
    of_things: Bool[Tensor, "h w"] | None = None,
    indoors: bool | None = None,
) -> PixelClasses:
    """The classes of a picture's pixels, and its things.

    Args:
        rgb: sRGB in 0..1.
        depth: its z-depth, ``inf`` for sky, which is taken as given.
        camera: the one camera that took it.
        down: unit vector of gravity in the world.
        class_logits: as a ``DepthPrediction`` has them for one picture; None: depth alone tells.
        of_things: pixels that are known to show things.
        indoors: whether the picture was taken in a room, where that is known.
    """
    sky = ~torch.isfinite(depth)

    def own_levelness() -> Float[Tensor, "h w"]:
        return levelness(depth, camera, down)

    if class_logits is None:
        level = own_levelness()
        labels = _by_geometry(depth, level, camera, down)
    else:
        level, labels = both(own_levelness, lambda: _by_model(class_logits, rgb, depth, sky))
    if of_things is not None:
        labels = labels.masked_fill(of_things, int(PixelClass.THING))
    return PixelClasses(labels, _things(labels == PixelClass.THING, depth, level < -LEVEL), indoors)


def levelness(depth: Float[Tensor, "h w"], camera: Cameras, down: Float[Tensor, "3"]) -> Float[Tensor, "h w"]:
    """Cosine of each pixel's normal, averaged over its neighbours, and the direction of gravity: -1 where a surface is level
    and faces up.

    Args:
        depth: z-depth, ``inf`` for sky.
        camera: the one camera that took the picture.
        down: unit vector of gravity in the world.
    """
    return _smoothed(surface_normals(depth[None], camera)[0], ~torch.isfinite(depth)) @ down


def _by_model(
    class_logits: Float[Tensor, "k p q"], rgb: Float[Tensor, "h w 3"], depth: Float[Tensor, "h w"], sky: Bool[Tensor, "h w"]
) -> UInt8[Tensor, "h w"]:
    """Classes by a model's estimate, brought to the picture's edges."""
    logits = class_logits.clone()
    logits[PixelClass.UNKNOWN] = -torch.inf  # never trained
    shares = F.interpolate(logits.softmax(0)[None], size=depth.shape, mode="bilinear", align_corners=False)[0]
    filtered = _along_surfaces(shares, rgb, depth)
    # Sky is the depth's to tell. What the head sees as sky without it being so is the next best.
    filtered[PixelClass.SKY] = torch.where(sky, 2.0, -1.0)
    return filtered.argmax(0).to(torch.uint8)


def _along_surfaces(
    shares: Float[Tensor, "k h w"], rgb: Float[Tensor, "h w 3"], depth: Float[Tensor, "h w"]
) -> Float[Tensor, "k h w"]:
    inverse = torch.where(torch.isfinite(depth), depth, torch.inf).reciprocal()
    log_depth = inverse.clamp_min(float(inverse[inverse > 0].min()) / 4 if (inverse > 0).any() else 1e-6).log()

    def steps(colours: Tensor, values: Tensor) -> Tensor:
        return colours.diff(dim=1).abs().sum(-1) / COLOUR_STEP + values.diff(dim=1).abs() / DEPTH_STEP

    sigma = REACH * min(depth.shape)
    across = 1 + sigma * steps(rgb, log_depth)
    down = 1 + sigma * steps(rgb.transpose(0, 1), log_depth.T)
    return domain_filter(shares, across, down, sigma)


def _smoothed(normals: Float[Tensor, "h w 3"], sky: Bool[Tensor, "h w"]) -> Float[Tensor, "h w 3"]:
    """Normals averaged over 5x5 pixels of what is no sky."""
    there = (~sky)[..., None].float()
    maps = torch.cat([normals * there, there], dim=-1).permute(2, 0, 1)[None]
    mean = F.avg_pool2d(maps, 5, 1, 2, count_include_pad=False)[0].permute(1, 2, 0)
    return F.normalize(mean[..., :3], dim=-1)


def _by_geometry(
    depth: Float[Tensor, "h w"], level: Float[Tensor, "h w"], camera: Cameras, down: Float[Tensor, "3"]
) -> UInt8[Tensor, "h w"]:
    """Classes by normals and by what lies before what.

    Args:
        level: cosines of the normals and the direction of gravity.
    """
    rays = camera.world_rays()[0]
    below = rays @ down > 0
    labels = torch.full(depth.shape, int(PixelClass.WALL), dtype=torch.uint8)
    labels[(level < -LEVEL) & below] = PixelClass.FLOOR
    labels[(level > LEVEL) & ~below] = PixelClass.CEILING
    measured = torch.isfinite(depth)
    if not measured.any():
        return torch.full_like(labels, int(PixelClass.SKY))
    finite = torch.where(measured, depth, depth[measured].max() * 4).log().numpy()
    size = 2 * max(1, round(BESIDE * min(depth.shape))) + 1
    # A level surface goes on behind what stands on it: it is compared with what lies beside it, along the row.
    beside = -ndimage.grey_closing(-finite, (1, size))
    behind = ndimage.grey_closing(finite, (1, size))
    before = torch.from_numpy((behind - finite > BEFORE) & (beside >= finite - BEFORE))
    labels[before & (level.abs() < LEVEL)] = PixelClass.THING
    labels[~torch.isfinite(depth)] = PixelClass.SKY
    return labels


def _things(thing: Bool[Tensor, "h w"], depth: Float[Tensor, "h w"], top: Bool[Tensor, "h w"]) -> Int16[Tensor, "h w"]:
    """Numbers of the things that pixels belong to, by size; 0 where there is none.

    Args:
        thing: pixels of things.
        depth: z-depth.
        top: pixels of level surfaces that face up.
    """
    height, width = depth.shape
    smallest = max(4, SMALLEST_THING * height * width)
    there = thing & torch.isfinite(depth)
    tops = _opened(there & top, max(1, round(0.004 * min(height, width))))
    bodies = connected_surfaces(there & ~tops, depth, smallest)
    carried = connected_surfaces(tops, depth, 1)
    numbers = _with_tops(bodies.numpy(), carried.numpy(), smallest)
    numbers = _nearest_filled(numbers, there.numpy(), depth.numpy())
    sizes = np.bincount(numbers.ravel())
    sizes[0] = 0
    order = np.argsort(-sizes, kind="stable")
    ranks = np.zeros(len(sizes), np.int16)
    kept = [number for number in order if sizes[number] >= smallest]
    ranks[kept] = np.arange(1, len(kept) + 1)
    return torch.from_numpy(ranks[numbers])


def _opened(mask: Bool[Tensor, "h w"], radius: int) -> Bool[Tensor, "h w"]:
    return torch.from_numpy(ndimage.binary_opening(mask.numpy(), np.ones((2 * radius + 1,) * 2, bool)))


def connected_surfaces(mask: Bool[Tensor, "h w"], depth: Float[Tensor, "h w"], smallest: float) -> Int16[Tensor, "h w"]:
    """Connected parts of a mask, which gaps of depth part; those of fewer pixels are left out."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    height, width = depth.shape
    values = torch.where(mask, depth, 1.0).log()
    number = torch.arange(height * width).view(height, width)
    starts, ends = [], []
    for axis in (0, 1):
        length = depth.shape[axis]
        step = values.diff(dim=axis)
        # On a slanted surface neighbouring steps are alike: the smallest difference to a neighbouring step counts.
        before = torch.cat([step.narrow(axis, 0, 1), step.narrow(axis, 0, length - 2)], dim=axis)
        after = torch.cat([step.narrow(axis, 1, length - 2), step.narrow(axis, length - 2, 1)], dim=axis)
        beyond = torch.minimum(step.abs(), torch.maximum((step - before).abs(), (step - after).abs()))
        first, second = (mask.narrow(axis, start, length - 1) for start in (0, 1))
        joined = first & second & (beyond < GAP)
        starts.append(number.narrow(axis, 0, length - 1)[joined])
        ends.append(number.narrow(axis, 1, length - 1)[joined])
    start, end = torch.cat(starts).numpy(), torch.cat(ends).numpy()
    graph = coo_matrix((np.ones(len(start), bool), (start, end)), shape=(height * width, height * width))
    parts = connected_components(graph, directed=False)[1].reshape(height, width)
    sizes = np.bincount(parts.ravel())
    large = mask.numpy() & (sizes[parts] >= smallest)
    numbers = np.zeros((height, width), np.int16)
    numbers[large] = 1 + np.unique(parts[large], return_inverse=True)[1]
    return torch.from_numpy(numbers)


def _with_tops(bodies: np.ndarray, tops: np.ndarray, smallest: float) -> np.ndarray:
    """Each level surface joined with the body that it lies on: the one that it touches most from above."""
    numbers, fresh = bodies.astype(np.int32), int(bodies.max(initial=0))
    for top in range(1, int(tops.max(initial=0)) + 1):
        where = tops == top
        below = np.zeros_like(where)
        below[2:] = where[:-2]
        touched = np.bincount(numbers[below & ~where], minlength=1)
        touched[0] = 0
        if touched.any():
            numbers[where] = int(touched.argmax())
        elif where.sum() >= smallest:
            fresh += 1
            numbers[where] = fresh
    return numbers


def _nearest_filled(numbers: np.ndarray, there: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Pixels of things that are too few to be one join the nearest thing of about their depth."""
    if not numbers.any():
        return numbers
    row, column = np.asarray(ndimage.distance_transform_edt(numbers == 0, return_distances=False, return_indices=True))
    nearest = numbers[row, column]
    away = np.hypot(*(index - own for index, own in zip((row, column), np.indices(numbers.shape), strict=True)))
    alike = np.abs(np.log(np.where(there, depth, 1.0) / depth[row, column])) < 3 * GAP
    joins = there & (numbers == 0) & alike & (away < 0.02 * min(numbers.shape))
    return np.where(joins, nearest, numbers)
