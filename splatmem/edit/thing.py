"""The thing at a pixel of a view: a connected surface, told from its surroundings by depth, normals and colour.

The way from the pixel to every other one costs more the more depth, normal and colour change on it. What is nearer to the
pixel, by that cost, than to the picture's border and to what lies clearly before or behind, is the thing (geodesic
segmentation, Bai & Sapiro 2007); a graph cut on its colours (GrabCut, Rother et al. 2004) then settles its outline.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.geometry.cameras import Cameras
from splatmem.geometry.filters import dilate
from splatmem.geometry.normals import surface_normals
from splatmem.memory import MemoryReading, SpatialMemory

WIDTH = 256  # pixels; the thing is found in the view reduced to this width
STEP = 0.004  # cost of a step on which nothing changes
COLOUR_COST = 0.4
DEPTH_COST, SMOOTH_DEPTH = 6.0, 0.01  # of a relative change of depth beyond that of a slanted surface
NORMAL_COST = 0.06
BORDER = 2  # pixels of the picture's border that are no thing ...
BESIDE = 1.15  # ... unless their depth is that of the pixel up to this factor: then it may reach beyond the picture
ELSEWHERE = 1.8  # what is this many times farther than the pixel's own surface is no part of it
LEVEL = 0.8  # cosine between a surface's normal and the vertical from which on it is a floor or a table
AGREEMENT = 0.7  # overlap with the connected surface from which on the graph cut is believed
FRONT, BACK = 0.06, 0.05  # shares of its depth that a Gaussian may lie before or behind the surface that the view shows
THICKNESS = 0.5  # of a thing, relative to the smaller side of what shows of it


def thing_mask(memory: SpatialMemory, camera: Cameras, pixel: tuple[float, float]) -> Bool[Tensor, " n"]:
    """The Gaussians of the thing that ``camera`` sees at ``pixel`` (x, y), on the CPU; those on its other sides too.

    Raises:
        ValueError: the pixel is outside of the picture, or the memory knows nothing there.
    """
    x, y = pixel
    if not (0 <= x < camera.width and 0 <= y < camera.height):
        raise ValueError(f"the pixel {x:g},{y:g} is outside of the view of {camera.width}x{camera.height} pixels")
    reading = memory.read(camera)
    if not reading.known[0, int(y), int(x)]:
        raise ValueError(f"the memory knows nothing at the pixel {x:g},{y:g}: choose another one, or another view")
    outline = thing_in_view(reading, camera, pixel, memory.down)
    return gaussians_in_outline(memory, camera, reading.depth[0], outline)


def thing_in_view(
    reading: MemoryReading, camera: Cameras, pixel: tuple[float, float], down: Float[Tensor, "3"] | None = None
) -> Bool[Tensor, "h w"]:
    """The pixels of one view that show the thing at a pixel.

    Args:
        reading: of the view.
        camera: of it.
        pixel: x, y.
        down: direction of gravity; then what lies level is told from the things that stand on it.
    """
    small = camera.coarse(min(WIDTH, camera.width))
    scale = small.width / camera.width
    size = (small.height, small.width)
    rgb = F.interpolate(reading.rgb.permute(0, 3, 1, 2), size=size, mode="area")[0].permute(1, 2, 0)
    depth = F.interpolate(reading.depth[:, None], size=size, mode="nearest-exact")[0, 0]
    seed = (min(int(pixel[1] * scale), size[0] - 1), min(int(pixel[0] * scale), size[1] - 1))
    connected = _nearer_to_seed(rgb, depth, small, seed, down)
    cut = _cut(rgb, connected, seed)
    both = (cut & connected).sum() / (cut | connected).sum().clamp_min(1)
    found = _with_seed(cut if both > AGREEMENT else connected, seed)
    return F.interpolate(found[None, None].float(), size=(camera.height, camera.width), mode="bilinear")[0, 0] > 0.5


def _nearer_to_seed(
    rgb: Float[Tensor, "h w 3"],
    depth: Float[Tensor, "h w"],
    camera: Cameras,
    seed: tuple[int, int],
    down: Float[Tensor, "3"] | None,
) -> Bool[Tensor, "h w"]:
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import dijkstra

    height, width = depth.shape
    far = depth[torch.isfinite(depth)].amax() * 4 if torch.isfinite(depth).any() else torch.tensor(1.0)
    log_depth = torch.where(torch.isfinite(depth), depth, far).log()
    normals = surface_normals(depth[None], camera)[0]
    number = torch.arange(height * width).view(height, width)
    starts, ends, costs = [], [], []
    for below, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        rows, columns = slice(0, height - below), slice(max(0, -right), width - max(0, right))
        shifted = slice(below, height), slice(max(0, right), width + min(0, right))
        here = (rows, columns)
        colour = (rgb[here] - rgb[shifted]).norm(dim=-1)
        jump = ((log_depth[here] - log_depth[shifted]).abs() - SMOOTH_DEPTH).clamp_min(0)
        bend = 1 - (normals[here] * normals[shifted]).sum(-1).clamp(-1, 1)
        cost = (STEP + COLOUR_COST * colour + DEPTH_COST * jump + NORMAL_COST * bend) * (below + abs(right)) ** 0.5
        starts.append(number[here].flatten())
        ends.append(number[shifted].flatten())
        costs.append(cost.flatten())
    start, end, cost = (torch.cat(parts).numpy() for parts in (starts, ends, costs))
    graph = coo_matrix((cost, (start, end)), shape=(height * width, height * width)).tocsr()
    outside = torch.zeros(height, width, dtype=torch.bool)
    outside[:BORDER] = outside[-BORDER:] = outside[:, :BORDER] = outside[:, -BORDER:] = True
    outside &= (log_depth - log_depth[seed]).abs() > np.log(BESIDE)
    outside |= log_depth > log_depth[seed] + np.log(ELSEWHERE)
    if down is not None:
        blurred = torch.nn.functional.normalize(
            F.avg_pool2d(normals.permute(2, 0, 1)[None], 5, 1, 2, count_include_pad=False)[0].permute(1, 2, 0), dim=-1
        )
        level = ~dilate(~(blurred @ down < -LEVEL)[None], 2)[0]
        if not dilate(level[None], 4)[0][seed]:
            outside |= level
    reach = max(4, width // 32)
    outside[max(0, seed[0] - reach) : seed[0] + reach + 1, max(0, seed[1] - reach) : seed[1] + reach + 1] = False
    if not outside.any():
        outside[0] = outside[-1] = outside[:, 0] = outside[:, -1] = True
    near = dijkstra(graph, directed=False, indices=int(number[seed]))
    away = dijkstra(graph, directed=False, indices=number[outside].numpy(), min_only=True)
    return torch.from_numpy(np.asarray(near < away)).view(height, width)


def _cut(rgb: Float[Tensor, "h w 3"], connected: Bool[Tensor, "h w"], seed: tuple[int, int]) -> Bool[Tensor, "h w"]:
    import cv2

    from splatmem.pixels import to_uint8

    reach = max(2, round(0.12 * float(connected.sum()) ** 0.5))
    around = dilate(connected[None], 3 * reach)[0]
    core = ~dilate(~connected[None], reach)[0]
    labels = np.full(connected.shape, cv2.GC_BGD, np.uint8)
    labels[around.numpy()] = cv2.GC_PR_BGD
    labels[connected.numpy()] = cv2.GC_PR_FGD
    labels[core.numpy()] = cv2.GC_FGD
    labels[seed] = cv2.GC_FGD
    if not (labels == cv2.GC_BGD).any():
        return connected
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)
    cv2.grabCut(to_uint8(rgb), labels, None, *models, 3, cv2.GC_INIT_WITH_MASK)  # type: ignore[call-overload]
    return torch.from_numpy((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD))


def _with_seed(mask: Bool[Tensor, "h w"], seed: tuple[int, int]) -> Bool[Tensor, "h w"]:
    """The connected part of a mask that the seed lies in, its holes closed."""
    from scipy.ndimage import binary_fill_holes, label

    parts, _ = label(mask.numpy())  # type: ignore[misc]
    own = parts == parts[seed] if parts[seed] else mask.numpy()
    return torch.from_numpy(np.asarray(binary_fill_holes(own)))


def gaussians_in_outline(
    memory: SpatialMemory, camera: Cameras, depth: Float[Tensor, "h w"], outline: Bool[Tensor, "h w"]
) -> Bool[Tensor, " n"]:
    """Gaussians that an outline in a view encloses: on the surface that shows there, and behind it as deep as the thing is.

    Args:
        depth: z-depth that the view shows.
        outline: pixels of the thing.
    """
    means = memory.gaussians.means.cpu()
    pixels, z = camera.project(means)
    inside = camera.in_picture(pixels, z)[0]
    column = pixels[0, :, 0].floor().clamp(0, camera.width - 1).long()
    row = pixels[0, :, 1].floor().clamp(0, camera.height - 1).long()
    inside &= outline[row, column]
    near = depth[outline & torch.isfinite(depth)]
    if not len(near):
        return inside  # part of the sky
    rows, columns = torch.nonzero(outline, as_tuple=True)
    sides = torch.stack([rows.max() - rows.min(), columns.max() - columns.min()]).float() + 1
    across = float(sides.min() * near.median() / camera.focal.mean())
    front = depth[row, column]
    behind = z[0] - front
    own = (behind >= -FRONT * front) & (behind <= torch.maximum(BACK * front, torch.tensor(THICKNESS * across)))
    return inside & own
