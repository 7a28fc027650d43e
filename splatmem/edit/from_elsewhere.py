"""A memory of Gaussians that something else has made."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from splatmem.gaussians import Gaussians
from splatmem.gaussians.facing import best_seen_by, facing, thin_axis_last
from splatmem.gaussians.transform import transformed
from splatmem.geometry.cameras import Cameras, identity_camera
from splatmem.geometry.sampling import evenly_spread
from splatmem.geometry.similarity import Similarity
from splatmem.geometry.world import World
from splatmem.memory import PlainPictures, SpatialMemory, StoredView
from splatmem.memory.spatial_memory import FAR_DEPTH_SHARE, FAR_SHELL
from splatmem.pixels import to_uint8

MOST_VIEWS = 24  # of the cameras that were given
LOOK_WIDTH = 128  # pixels of the pictures by which sides and places are found
ENOUGH_KNOWN = 0.5  # share of the picture that the camera at the origin must show to be taken
OUTSIDE = 1.6  # distance from the middle, in units of the scene's reach, of cameras that look at it from around
NEAR_QUANTILE = 0.1
SAMPLED = 100_000  # Gaussians that tell the scene's reach
COMMENT = "the file does not say from where it was seen: {}"


def memory_of_gaussians(
    gaussians: Gaussians,
    size: tuple[int, int],
    fov_x_degrees: float,
    cameras: Cameras | None = None,
    normals: Float[Tensor, "n 3"] | None = None,
    device: str = "cpu",
) -> tuple[SpatialMemory, list[str]]:
    """A memory that can be explored and edited, and what a reader should know about it.

    A Gaussian's front is where its normal points, or where the camera is that sees it best. What is known of a view then
    follows from alpha and from the fronts, as in any memory.

    Args:
        size: width and height of the memory's views.
        fov_x_degrees: of the view that is chosen where no cameras are given.
        cameras: that saw the Gaussians, in their world.
        normals: of the Gaussians, unit vectors.

    Raises:
        ValueError: there are no Gaussians.
    """
    if not len(gaussians):
        raise ValueError("the scene holds no Gaussians")
    notes: list[str] = []
    world = World() if cameras is None else World.of_first(cameras)
    placed = thin_axis_last(gaussians.detach().to("cpu"))
    if cameras is not None:
        cameras = world.to_memory(cameras).resized(*size)
        placed = transformed(placed, _into_memory(world))
    around = _around(placed, fov_x_degrees, size) if cameras is None else cameras[evenly_spread(len(cameras), MOST_VIEWS)]
    if normals is not None:
        front = normals @ world.world_from_memory[:3, :3].float() / world.unit
    else:
        best = best_seen_by(placed.to(device), around.coarse(LOOK_WIDTH)).cpu()
        front = around.centers[best] - placed.means
    placed = facing(placed, front).to(device)
    memory = SpatialMemory(placed, [], world=world)
    if cameras is None:
        views, told = _first_view(memory, around, fov_x_degrees, size)
        notes.append(COMMENT.format(told))
    else:
        views = around
    for index in range(len(views)):
        _remember(memory, views[index])
    memory.num_given_views = len(memory.views)
    return memory, notes


def memory_of_lifted(
    photo: Float[Tensor, "h w 3"], camera: Cameras, gaussians: Gaussians, metric: bool = False, device: str = "cpu"
) -> SpatialMemory:
    """A memory of the Gaussians that something else has made of a photo, whose first view is the photo.

    What of the photo no Gaussian shows is not known, and may be made; colours are not fitted yet.

    Args:
        photo: sRGB in 0..1.
        camera: one camera, that took it.
        gaussians: in its world.
        metric: whether their unit is the metre.

    Raises:
        ValueError: there are no Gaussians, or the camera sees none of them.
    """
    memory, _ = memory_of_gaussians(gaussians, (camera.width, camera.height), camera.fov_x_degrees, camera, device=device)
    view = memory.views[0]
    if not view.written.any():
        raise ValueError("the camera of the photo sees none of the Gaussians that were made of it")
    pictures = PlainPictures(torch.from_numpy(to_uint8(photo)), view.depth, view.written)
    memory.views = [replace(view, pictures=pictures)]
    memory.metric = metric
    memory.__post_init__()  # the direction of gravity follows from the first view
    return memory


def _into_memory(world: World) -> Similarity:
    inverse = torch.linalg.inv(world.world_from_memory)
    return Similarity((inverse[:3, :3] * world.unit).float(), 1 / world.unit, inverse[:3, 3].float())


def _around(gaussians: Gaussians, fov_x_degrees: float, size: tuple[int, int]) -> Cameras:
    """Cameras in the middle of a scene that look all around, and others outside that look at it."""
    middle = gaussians.means.median(dim=0).values
    some = gaussians.means[evenly_spread(len(gaussians), SAMPLED)]
    reach = float((some - middle).norm(dim=-1).quantile(0.8)) or 1.0
    angles = torch.arange(8) * torch.pi / 4
    level = torch.stack([angles.sin(), torch.zeros(8), angles.cos()], dim=-1)
    up, aslant = torch.tensor([0.0, -0.7, 0.0]), 0.7 * level[::2]
    outside = torch.cat([level, aslant + up, aslant - up])
    inner = Cameras.look_at(middle.expand(8, 3), middle + level, fov_x_degrees, *size)
    outer = Cameras.look_at(middle + OUTSIDE * reach * outside, middle.expand(len(outside), 3), fov_x_degrees, *size)
    return Cameras.cat([identity_camera(fov_x_degrees, *size), inner, outer])


def _first_view(memory: SpatialMemory, around: Cameras, fov_x_degrees: float, size: tuple[int, int]) -> tuple[Cameras, str]:
    """The camera at the origin, or one of those around that shows most."""
    known = memory.read(around.coarse(LOOK_WIDTH)).known.flatten(1).float().mean(1)
    if known[0] >= ENOUGH_KNOWN:
        return around[0], "the first view is taken at its origin, along z"
    best = int(known.argmax())
    place = ", ".join(f"{value:.2f}" for value in around.centers[best].tolist())
    return around[best], f"the first view is taken at {place}, where most of it shows; --poses gives others"


def _remember(memory: SpatialMemory, camera: Cameras) -> None:
    """Stores what a camera sees as a view that was given."""
    if not memory.views:
        memory.scale = _median_depth(memory, camera)
    now = memory.read(camera)
    depth = now.depth[0]
    count = len(memory.gaussians)
    first = 0 if not memory.views else count
    shown = torch.where(torch.isfinite(depth) & (depth > 0), depth, torch.inf)
    pictures = PlainPictures(torch.from_numpy(to_uint8(now.rgb[0])), shown, now.known[0])
    view = StoredView(camera, pictures, (first, count))
    memory.views = [*memory.views, view]
    memory.__post_init__()  # the direction of gravity follows from the first view


def _median_depth(memory: SpatialMemory, camera: Cameras) -> float:
    """Median depth of what a camera sees, but for what is far beyond most of it, as a sky is; 1 if it sees nothing."""
    now = replace(memory, scale=math.inf).read(camera)  # a memory whose scale is not known yet reports nothing as sky
    depth = now.depth[torch.isfinite(now.depth) & now.known]
    near = depth[depth <= FAR_DEPTH_SHARE * FAR_SHELL * depth.quantile(NEAR_QUANTILE)] if len(depth) else depth
    return float(near.median()) if len(near) else 1.0
