"""The thing at a pixel of a view: a connected surface, told from its surroundings by depth, normals and colour.

The way from the pixel to every other one costs more the more depth, normal and colour change on it. What is nearer to the
pixel, by that cost, than to the picture's border and to what lies clearly before or behind, is the thing (geodesic
segmentation, Bai & Sapiro 2007); a graph cut on its colours (GrabCut, Rother et al. 2004) then settles its outline. Where a
view has classes, walls, floors and the sky are no part of a thing. At last both sides of the outline are followed down to where
the thing stands, since its foot may have another colour.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int16
from torch import Tensor

from splatmem.classes import PixelClass, PixelClasses
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.filters import dilate
from splatmem.geometry.normals import surface_normals
from splatmem.memory import MemoryReading, SpatialMemory

WIDTH = 256  # pixels; the thing is found in the view reduced to this width
STEP = 0.004  # cost of a step on which nothing changes
COLOUR_COST = 0.4
DEPTH_COST, SMOOTH_DEPTH = 6.0, 0.01  # of a relative change of depth beyond that of a slanted surface
NORMAL_COST = 0.06
CLASS_COST = 0.1  # of the way from what stands to what is around it, or back
BORDER = 2  # pixels of the picture's border that are no thing ...
BESIDE = 1.15  # ... unless their depth is that of the pixel up to this factor: then it may reach beyond the picture
ELSEWHERE = 1.8  # what is this many times farther than the pixel's own surface is no part of it
LEVEL = 0.8  # cosine between a surface's normal and the vertical from which on it is a floor or a table
AGREEMENT = 0.7  # overlap with the connected surface from which on the graph cut is believed
SURE = 4  # pixels from the border of a class within which it is not believed: outlines of classes are coarse
STANDS = (PixelClass.THING, PixelClass.VEGETATION, PixelClass.UNKNOWN)  # what a thing may be; all else is around things
SIDE = 3  # pixels by which a side of an outline may move from one row to the next, on the way down
SIDE_COLOUR, SIDE_DEPTH = 0.25, 0.02  # differences of colour or of relative depth over two pixels that make a side
WIDER = 0.1  # share of a thing's width by which its foot may be wider, on each side
OUTLINE_COLOUR, OUTLINE_SHARE = 0.08, 0.8  # difference of colour over three pixels, and share of an outline that has it
MOSTLY = 0.6  # share of one in the other from which on what was found and what pixels show are one thing
NARROWEST, WIDEST = 0.5, 1.25  # widths of a row to go down from, relative to the median of an outline's rows
FRONT, BACK = 0.06, 0.05  # shares of its depth that a Gaussian may lie before or behind the surface that the view shows
SAME_POSE = 2e-5  # difference of rotations, and of places in units of the memory's scale, up to which poses are the same
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
    outline = thing_in_view(reading, camera, pixel, memory.down, classes_of(memory, camera))
    return gaussians_in_outline(memory, camera, reading.depth[0], outline)


def classes_of(memory: SpatialMemory, camera: Cameras) -> PixelClasses | None:
    """What the pixels of a view show, where a stored view of the same pose and angle was given classes."""
    for view in memory.views:
        if view.classes is None:
            continue
        resized = view.camera.resized(camera.width, camera.height)
        off = (resized.world_to_cam.cpu() - camera.world_to_cam.cpu()).abs()
        same_pose = bool((off[:, :3, :3] < SAME_POSE).all() and (off[:, :3, 3] < SAME_POSE * memory.scale).all())
        if same_pose and torch.allclose(resized.intrinsics.cpu(), camera.intrinsics.cpu(), atol=0.5):
            return view.classes
    return None


def thing_in_view(
    reading: MemoryReading,
    camera: Cameras,
    pixel: tuple[float, float],
    down: Float[Tensor, "3"] | None = None,
    classes: PixelClasses | None = None,
) -> Bool[Tensor, "h w"]:
    """The pixels of one view that show the thing at a pixel.

    Args:
        reading: of the view.
        camera: of it.
        pixel: x, y.
        down: direction of gravity; then what lies level is told from the things that stand on it.
        classes: what the view's pixels show, at any size.
    """
    small = camera.coarse(min(WIDTH, camera.width))
    scale = small.width / camera.width
    size = (small.height, small.width)
    rgb = F.interpolate(reading.rgb.permute(0, 3, 1, 2), size=size, mode="area")[0].permute(1, 2, 0)
    depth = F.interpolate(reading.depth[:, None], size=size, mode="nearest-exact")[0, 0]
    seed = (min(int(pixel[1] * scale), size[0] - 1), min(int(pixel[0] * scale), size[1] - 1))
    normals = surface_normals(depth[None], small)[0]
    level = _level(normals, down) if down is not None else torch.zeros(size, dtype=torch.bool)
    inner_level = ~dilate(~level[None], 2)[0]
    around = torch.zeros_like(level) if dilate(inner_level[None], 4)[0][seed] else inner_level
    if classes is not None:
        classes = classes.at(*size[::-1])
        around = around | _around(classes, seed)
    connected = _nearer_to_seed(rgb, depth, normals, seed, around, classes)
    cut = _cut(rgb, connected, seed)
    both = (cut & connected).sum() / (cut | connected).sum().clamp_min(1)
    found = _with_seed(cut if both > AGREEMENT else connected, seed)
    if classes is not None:
        found |= _most_of_one(found, classes.things)
    if down is not None and not inner_level[seed]:
        found |= _foot(found, rgb, depth, level)
    return F.interpolate(found[None, None].float(), size=(camera.height, camera.width), mode="bilinear")[0, 0] > 0.5


def _most_of_one(found: Bool[Tensor, "h w"], things: Int16[Tensor, "h w"]) -> Bool[Tensor, "h w"]:
    """All of the thing, by what pixels show, of which most was found; nothing where that is of none."""
    numbers, counts = things[found & (things > 0)].unique(return_counts=True)
    if not len(numbers) or int(counts.max()) < MOSTLY * int(found.sum()):
        return torch.zeros_like(found)
    whole = things == numbers[counts.argmax()]
    return whole if int(counts.max()) > MOSTLY * int(whole.sum()) else torch.zeros_like(found)


def _level(normals: Float[Tensor, "h w 3"], down: Float[Tensor, "3"]) -> Bool[Tensor, "h w"]:
    """Where a surface is a floor or a table's top."""
    mean = F.avg_pool2d(normals.permute(2, 0, 1)[None], 5, 1, 2, count_include_pad=False)[0].permute(1, 2, 0)
    return F.normalize(mean, dim=-1) @ down < -LEVEL


def _around(classes: PixelClasses, seed: tuple[int, int]) -> Bool[Tensor, "h w"]:
    """What is surely no part of the thing at the seed, by what it is; nothing where the seed itself is on no thing."""
    stands = classes.where(*STANDS)
    if not dilate(stands[None], SURE)[0][seed]:
        return torch.zeros_like(stands)
    return ~dilate(stands[None], SURE)[0]


def _foot(
    found: Bool[Tensor, "h w"], rgb: Float[Tensor, "h w 3"], depth: Float[Tensor, "h w"], level: Bool[Tensor, "h w"]
) -> Bool[Tensor, "h w"]:
    """What a thing stands on of its own: rows below its outline, as long as both of its sides go on there as edges.

    A picture on a wall has nothing below it, since the wall has no sides there.
    """
    height = len(found)
    foot = torch.zeros_like(found)
    rows = torch.nonzero(found.any(dim=1))[:, 0]
    top, bottom = int(rows[0]), int(rows[-1])
    widths = found[top : bottom + 1].sum(dim=1)
    median = float(widths.float().median())
    row = top + int(torch.nonzero((widths >= NARROWEST * median) & (widths <= WIDEST * median))[-1])
    columns = torch.nonzero(found[row])[:, 0]
    left, right = int(columns[0]), int(columns[-1])
    wider = max(1, round(WIDER * (right - left)))
    farthest = left - wider, right + wider
    log_depth = depth.clamp_max(1e6).log()
    while row + 1 < height:
        row += 1
        if level[row, left : right + 1].float().mean() > 0.5:
            break
        sides = _edge(rgb[row], log_depth[row], left), _edge(rgb[row], log_depth[row], right + 1)
        if sides[0] is None or sides[1] is None or sides[1] - sides[0] < 2:
            break
        left, right = max(sides[0], farthest[0]), min(sides[1] - 1, farthest[1])
        foot[row, left : right + 1] = True
    return foot


def _edge(rgb: Float[Tensor, "w 3"], log_depth: Float[Tensor, " w"], near: int) -> int | None:
    """The pixel of a row before which the strongest edge close to ``near`` lies; None where there is none."""
    places = range(max(1, near - SIDE), min(len(rgb) - 1, near + SIDE) + 1)
    strengths = {
        x: max(
            float((rgb[min(x + 1, len(rgb) - 1)] - rgb[x - 1]).norm()) / SIDE_COLOUR,
            float((log_depth[x] - log_depth[x - 1]).abs()) / SIDE_DEPTH,
        )
        for x in places
    }
    if not strengths:
        return None
    best = max(strengths, key=lambda x: strengths[x] - 0.05 * abs(x - near))
    return best if strengths[best] > 1 else None


def _nearer_to_seed(
    rgb: Float[Tensor, "h w 3"],
    depth: Float[Tensor, "h w"],
    normals: Float[Tensor, "h w 3"],
    seed: tuple[int, int],
    around: Bool[Tensor, "h w"],
    classes: PixelClasses | None,
) -> Bool[Tensor, "h w"]:
    """Pixels that are nearer to the seed than to what is no part of its thing; ``around``: what is known to be none."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import dijkstra

    height, width = depth.shape
    far = depth[torch.isfinite(depth)].amax() * 4 if torch.isfinite(depth).any() else torch.tensor(1.0)
    log_depth = torch.where(torch.isfinite(depth), depth, far).log()
    stands = None if classes is None else classes.where(*STANDS)
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
        if stands is not None:
            cost = cost + CLASS_COST * (stands[here] != stands[shifted])
        starts.append(number[here].flatten())
        ends.append(number[shifted].flatten())
        costs.append(cost.flatten())
    start, end, cost = (torch.cat(parts).numpy() for parts in (starts, ends, costs))
    graph = coo_matrix((cost, (start, end)), shape=(height * width, height * width)).tocsr()
    border = torch.zeros(height, width, dtype=torch.bool)
    border[:BORDER] = border[-BORDER:] = border[:, :BORDER] = border[:, -BORDER:] = True
    outside = (log_depth > log_depth[seed] + np.log(ELSEWHERE)) | around
    reach = max(4, width // 32)
    apart = torch.ones_like(outside)
    apart[max(0, seed[0] - reach) : seed[0] + reach + 1, max(0, seed[1] - reach) : seed[1] + reach + 1] = False
    near = dijkstra(graph, directed=False, indices=int(number[seed]))

    def nearer_than(outside: Bool[Tensor, "h w"]) -> Bool[Tensor, "h w"]:
        away = dijkstra(graph, directed=False, indices=number[outside].numpy(), min_only=True)
        return torch.from_numpy(np.asarray(near < away)).view(height, width)

    # Most things lie within the picture, and what is before its border is then around them. A thing that reaches beyond the
    # border would be cut in two in the middle, where there is no edge.
    within = nearer_than((outside & apart) | border)
    if _has_outline(within, rgb, log_depth):
        return within
    outside = (outside | (border & ((log_depth - log_depth[seed]).abs() > np.log(BESIDE)))) & apart
    return nearer_than(outside if outside.any() else border)


def _has_outline(mask: Bool[Tensor, "h w"], rgb: Float[Tensor, "h w 3"], log_depth: Float[Tensor, "h w"]) -> Bool[Tensor, ""]:
    """Whether a mask ends at edges of colour or depth nearly all around."""
    total, edges = torch.tensor(0), torch.tensor(0)
    for axis, far in ((0, 2), (1, 2)):
        length = mask.shape[axis]
        inner, outer = mask.narrow(axis, 1, length - 2), mask.narrow(axis, 0, length - 2)
        changes = inner != outer
        # Over three pixels, for an edge may be soft, or lie one beside the mask's.
        spread = [p.narrow(axis, far, length - far) - p.narrow(axis, 0, length - far) for p in (rgb, log_depth)]
        edge = (spread[0].norm(dim=-1) > OUTLINE_COLOUR) | (spread[1].abs() > SIDE_DEPTH)
        total, edges = total + changes.sum(), edges + (changes & edge).sum()
    return edges > OUTLINE_SHARE * total


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
