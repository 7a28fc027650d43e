"""The thing at a pixel of a view: a connected surface, told from its surroundings by depth, normals, colour and what it is.

A small network tells from geodesic distances, differences to the clicked pixel and tokens of a vision transformer which pixels
show the same thing (see ``splatmem.edit.click_features``); a graph cut on colours (GrabCut, Rother et al. 2004) then settles
the outline. The network learnt in rooms: in pictures of the open, what has tokens alike belongs to the thing too, and in
rooms the rest of such a region of which most was found.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Float32, UInt8
from numpy import ndarray
from torch import Tensor

from splatmem.classes import PixelClass, PixelClasses
from splatmem.edit.click_features import STANDS, click_features, click_maps, region_alike
from splatmem.edit.click_network import load_click_network
from splatmem.edit.foot import foot_of
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.filters import dilate
from splatmem.memory import MemoryReading, SpatialMemory
from splatmem.pixels import to_uint8

OUTLINE_WIDTH = 384  # pixels; the outline is settled in the view reduced to this width
SURELY, LIKELY, HARDLY = 0.9, 0.4, 0.1  # probabilities at which the graph cut begins
OUTDOORS = (PixelClass.SKY, PixelClass.GROUND, PixelClass.VEGETATION, PixelClass.BUILDING)
MOST = 0.5  # share of the connected pixels with tokens alike that must be likely for the others of them to be so as well ...
ALIKE = 0.6  # ... with this probability: a seat belongs to its chair, though it lies another way than the back
OPEN = 0.2  # share of a picture of these from which on it is one of the open
SURE = 1 / 64  # of the width: how far from its border a class is not believed, since outlines of classes are coarse
AROUND = 20  # pixels around the thing in which the graph cut learns the colours of what is around it
CUTS = 2  # rounds of the graph cut
FRONT, BACK = 0.06, 0.05  # shares of its depth that a Gaussian may lie before or behind the surface that the view shows
SAME_SURFACE = 0.05  # relative difference of depth up to which two views show one surface at a point
THICKNESS = 0.5  # of a thing, relative to the smaller side of what shows of it
OTHER_SIDE = 1.1  # the same for surfaces that face away from the view: what is seen from behind is no background


def thing_mask(memory: SpatialMemory, camera: Cameras, pixel: tuple[float, float]) -> Bool[Tensor, " n"]:
    """The Gaussians of the thing that ``camera`` sees at ``pixel`` (x, y), on the CPU; those on its other sides too.

    Raises:
        ValueError: the pixel is outside of the picture, the memory knows nothing there, or no thing was found.
    """
    x, y = pixel
    if not (0 <= x < camera.width and 0 <= y < camera.height):
        raise ValueError(f"the pixel {x:g},{y:g} is outside of the view of {camera.width}x{camera.height} pixels")
    reading = memory.read(camera)
    if not reading.known[0, int(y), int(x)]:
        raise ValueError(f"the memory knows nothing at the pixel {x:g},{y:g}: choose another one, or another view")
    depth = reading.depth[0].cpu()
    outline = thing_in_view(reading, camera, pixel, memory.down, classes_of(memory, camera, depth))
    found = gaussians_in_outline(memory, camera, depth, outline)
    if not found.any():
        raise ValueError(f"no thing was found at the pixel {x:g},{y:g}: choose one in its middle, or name a region")
    return found


def classes_of(memory: SpatialMemory, camera: Cameras, depth: Float[Tensor, "h w"]) -> PixelClasses | None:
    """What the pixels of a view show, as the stored views tell it of the surfaces there; None where none was given classes.

    Args:
        camera: of the view.
        depth: z-depth that it shows.
    """
    told = [view for view in memory.views if view.classes is not None]
    if not told:
        return None
    labels = torch.full(depth.shape, int(PixelClass.UNKNOWN), dtype=torch.uint8)
    things = torch.zeros(depth.shape, dtype=torch.int16)
    points = camera.unproject(depth.clamp_max(1e6)[None])[0]
    # The first view is the photo: what it tells counts most.
    for view in reversed(told):
        assert view.classes is not None
        pixels, z = view.camera.project(points)
        column = pixels[0, ..., 0].floor().clamp(0, view.camera.width - 1).long()
        row = pixels[0, ..., 1].floor().clamp(0, view.camera.height - 1).long()
        same = (z[0] / view.depth.clamp_max(1e6)[row, column] - 1).abs() < SAME_SURFACE
        same &= view.camera.in_picture(pixels, z)[0]
        classes = view.classes.at(view.camera.width, view.camera.height)
        numbers = classes.things[row, column]
        labels = torch.where(same, classes.labels[row, column], labels)
        things = torch.where(same, torch.where(numbers > 0, numbers + int(things.max()), 0).short(), things)
    return PixelClasses(labels, things)


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
        down: direction of gravity; None: the camera's own.
        classes: what the view's pixels show, at any size.
    """
    rgb, depth = reading.rgb[0].cpu(), reading.depth[0].cpu()
    down = camera.world_to_cam[0, 1, :3] if down is None else down
    maps = click_maps(rgb, depth, camera, down.cpu(), classes)
    place = _at(pixel, camera, maps.size)
    logits = load_click_network()(click_features(maps, *place)[None])[0]
    small = camera.coarse(min(OUTLINE_WIDTH, camera.width))
    size = (small.height, small.width)
    rgb = F.interpolate(rgb.permute(2, 0, 1)[None], size=size, mode="area")[0].permute(1, 2, 0)
    likely, alike = (
        F.interpolate(values[None, None], size=size, mode="bilinear")[0, 0]
        for values in (logits.sigmoid(), region_alike(maps, *place).float())
    )
    clicked = _at(pixel, camera, size)
    if classes is not None:
        classes = classes.at(small.width, small.height)
        if (likely[alike > 0.5] > LIKELY).float().mean() > MOST:  # without classes some of the wall would come along too
            likely = torch.maximum(likely, ALIKE * alike)
        likely = likely.masked_fill(_around(classes, clicked), 0.0)
        if classes.where(*OUTDOORS).float().mean() > OPEN:
            likely = torch.maximum(likely, alike)
    found = _cut(to_uint8(rgb), likely.numpy(), clicked)
    depth = F.interpolate(depth[None, None], size=size, mode="nearest-exact")[0, 0]
    found |= foot_of(found, rgb, depth, small, down.cpu(), clicked)
    return F.interpolate(found[None, None].float(), size=(camera.height, camera.width), mode="bilinear")[0, 0] > 0.5


def _around(classes: PixelClasses, clicked: tuple[int, int]) -> Bool[Tensor, "h w"]:
    """What is surely no part of the clicked thing, by what it is; nothing where no thing was clicked."""
    stands = dilate(classes.where(*STANDS)[None], round(SURE * classes.labels.shape[1]))[0]
    return ~stands if stands[clicked] else torch.zeros_like(stands)


def _at(pixel: tuple[float, float], camera: Cameras, size: tuple[int, int]) -> tuple[int, int]:
    """Row and column of a pixel x, y of a camera in its view at another size."""
    height, width = size
    return min(int(pixel[1] * height / camera.height), height - 1), min(int(pixel[0] * width / camera.width), width - 1)


def _cut(rgb: UInt8[ndarray, "h w 3"], likely: Float32[ndarray, "h w"], clicked: tuple[int, int]) -> Bool[Tensor, "h w"]:
    """The thing whose probabilities are given, its outline where colours change."""
    import cv2

    labels = np.select(
        [likely > SURELY, likely > LIKELY, likely > HARDLY], [cv2.GC_FGD, cv2.GC_PR_FGD, cv2.GC_PR_BGD], cv2.GC_BGD
    )
    labels = labels.astype(np.uint8)
    labels[clicked] = cv2.GC_FGD
    rows, columns = np.nonzero(labels != cv2.GC_BGD)
    part = tuple(slice(max(0, int(where.min()) - AROUND), int(where.max()) + AROUND) for where in (rows, columns))
    inner = labels[part].copy()
    if (inner == cv2.GC_BGD).any():
        models = np.zeros((1, 65)), np.zeros((1, 65))
        cv2.setRNGSeed(0)
        cv2.grabCut(np.ascontiguousarray(rgb[part]), inner, None, *models, CUTS, cv2.GC_INIT_WITH_MASK)  # type: ignore[call-overload]
    found = np.zeros(labels.shape, bool)
    found[part] = (inner == cv2.GC_FGD) | (inner == cv2.GC_PR_FGD)
    return _with_pixel(found, clicked)


def _with_pixel(mask: Bool[ndarray, "h w"], clicked: tuple[int, int]) -> Bool[Tensor, "h w"]:
    """The connected part of a mask that a pixel lies in, its holes closed."""
    from scipy.ndimage import binary_fill_holes, label

    parts, _ = label(mask)  # type: ignore[misc]
    return torch.from_numpy(np.asarray(binary_fill_holes(parts == parts[clicked])))


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
    faces_away = (memory.gaussians.normals.cpu() * (means - camera.centers[0])).sum(-1) > 0
    deep = torch.where(faces_away, OTHER_SIDE, THICKNESS) * across
    return inside & (behind >= -FRONT * front) & (behind <= torch.maximum(BACK * front, deep))
