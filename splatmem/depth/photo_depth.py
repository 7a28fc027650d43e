"""The depth that a photo is lifted with: a model's, with what the picture itself tells of it."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.classes import LEVEL_CLASSES, PixelClasses
from splatmem.depth.classes import classify
from splatmem.depth.focus import sharp_before_blurred
from splatmem.depth.fringes import with_fringes
from splatmem.depth.perched import perch
from splatmem.depth.protocol import DepthEstimator, DepthPrediction
from splatmem.depth.silhouettes import with_rims
from splatmem.depth.sky import plausible_sky
from splatmem.depth.straight_lines import straighten
from splatmem.depth.thin import with_thin_things
from splatmem.depth.upright import stand_upright
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.gravity import down_in_world
from splatmem.pixels import from_uint8, to_uint8
from splatmem.threads import torch_alone


@dataclass(frozen=True)
class PhotoDepth:
    """What is told of a photo's geometry.

    Attributes:
        depth: z-depth, ``inf`` for sky, ``[h, w]``.
        classes: what the pixels show.
        down: unit vector of gravity in the world.
        metric: whether the unit is the metre.
    """

    depth: Float[Tensor, "h w"]
    classes: PixelClasses
    down: Float[Tensor, "3"]
    metric: bool


def photo_depth(rgb: Float[Tensor, "h w 3"], camera: Cameras, estimate_depth: DepthEstimator) -> PhotoDepth:
    """A model's depth of a photo: its sky and what is thin before it whole, sharp things before what is blurred, rims of things
    on the things, straight lines straight, slender things upright, small things before the sky on what carries them.

    Args:
        rgb: the photo, 0..1.
        camera: the one camera that took it.
        estimate_depth: the model.
    """
    estimate = estimate_depth(rgb[None], fov_x_degrees=camera.fov_x_degrees)
    with torch_alone(camera.width * camera.height):
        down = gravity_of(rgb, camera)
        depth = plausible_sky(estimate.depth[0], camera, down, rgb, estimate.first_class_logits)
        depth = sharp_before_blurred(depth, rgb)
        depth, thin = with_thin_things(depth, rgb)
        depth = with_fringes(depth, rgb)
        classes = classes_of(rgb, depth, camera, down, estimate, thin)
        # Before lines are straightened: rims lie along them, and would bend them again.
        depth, classes = with_rims(depth, classes, rgb)
        # Before lines are straightened, so that those along a thing agree with it; and after it, since they move parts of it.
        depth = stand_upright(depth, rgb, camera, down)
        depth = straighten(depth, rgb, camera, down, classes.where(*LEVEL_CLASSES))
        depth = perch(stand_upright(depth, rgb, camera, down))
    return PhotoDepth(depth, classes, down, estimate.metric)


def classes_of(
    rgb: Float[Tensor, "h w 3"],
    depth: Float[Tensor, "h w"],
    camera: Cameras,
    down: Float[Tensor, "3"],
    estimate: DepthPrediction,
    of_things: Bool[Tensor, "h w"] | None = None,
) -> PixelClasses:
    """What the pixels of a picture show: by the model's estimate, which begins with this picture, or by depth if it does not
    tell; ``of_things``: pixels of which it is known."""
    return classify(rgb, depth, camera, down, estimate.first_class_logits, of_things, estimate.first_indoors)


def gravity_of(rgb: Float[Tensor, "h w 3"], camera: Cameras) -> Float[Tensor, "3"]:
    """Direction of gravity in the world by a picture as the memory keeps it, so that a session read back has the same."""
    return down_in_world(from_uint8(to_uint8(rgb)), camera)
