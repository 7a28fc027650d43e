"""Finds what moved between posed pictures: it must not become part of a scene that stands still.

What stands still shows the same colours in every picture that sees it. Each pixel is put into the scene by its depth, and
looked up in other pictures: where one of them shows other colours there, and no surface before it that could hide it, that
speaks for motion; where it shows the same colours, for standing still. Depth is uncertain, so that places a little nearer and
farther along the ray are looked up as well, and the most similar counts (as in a plane sweep, Collins 1996).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from scipy.ndimage import binary_dilation, binary_fill_holes, binary_opening, binary_propagation, label
from torch import Tensor

from splatmem.geometry.cameras import Cameras
from splatmem.geometry.sampling import evenly_spread

WIDTH = 192  # pictures are compared at this width
PARTNERS = 6  # other pictures that each is compared with
MIN_OVERLAP = 0.2  # share of a picture that must fall into another for the two to be compared
DEPTH_DOUBT = 0.12  # places this share nearer and farther along a ray are looked up
DEPTH_TRIALS = 7
SAME = 0.06  # differences of colour, 0..1, below which two places show the same ...
OTHER = 0.12  # ... and above which they do not
AGAINST = 0.6  # share of the pictures that tell anything which must speak for motion ...
DOUBTED = 0.3  # ... and on a surface of which a part was found to move: what moves less than its width covers itself in places
MIN_REGION = 0.001  # share of a picture below which a region counts as an error of depth
EDGE = 0.1  # step of the logarithm of depth between neighbours on two surfaces
BLOCK = np.ones((3, 3), dtype=bool)
MARGIN = 1 / 96  # of the width, around what moved, is left out too: its blurred edge


@dataclass(frozen=True)
class _Votes:
    """How many of the other pictures tell that a pixel shows the same there, and that it shows something else."""

    same: Float[Tensor, "h w"]
    other: Float[Tensor, "h w"]


def moved(
    rgb: Float[Tensor, "n h w 3"],
    depth: Float[Tensor, "n h w"],
    cameras: Cameras,
    usable: Bool[Tensor, "n h w"] | None = None,
) -> Bool[Tensor, "n h w"]:
    """Pixels of posed pictures that show what stands elsewhere, or not at all, in others of them.

    Args:
        rgb: sRGB in 0..1.
        depth: z-depth in the cameras' unit; ``inf`` for sky, which counts as standing still.
        cameras: of the pictures, at their size.
        usable: pixels that show the scene; the others are not looked at. None: all of them.
    """
    if usable is not None:
        depth = torch.where(usable, depth, 0.0)  # a surface at the camera, which hides all that lies behind it
    width = min(WIDTH, cameras.width)
    height = max(8, round(width * cameras.height / cameras.width))
    small = cameras.resized(width, height)
    pictures = F.avg_pool2d(F.interpolate(rgb.permute(0, 3, 1, 2), size=(height, width), mode="area"), 3, 1, 1, False, False)
    maps = F.interpolate(depth[:, None], size=(height, width), mode="nearest-exact")[:, 0]
    masks = torch.zeros(len(rgb), height, width, dtype=torch.bool)
    for index, partners in enumerate(_partners(maps, small)):
        if partners:
            masks[index] = _regions(_votes(pictures, maps, small, index, partners), maps[index])
    full = F.interpolate(masks[:, None].float(), size=depth.shape[1:], mode="nearest-exact")[:, 0] > 0
    return full & torch.isfinite(depth) & (depth > 0)


def _partners(depth: Float[Tensor, "n h w"], cameras: Cameras) -> list[list[int]]:
    """For each picture at most ``PARTNERS`` others that see much of its surfaces, near ones and far ones in the given order."""
    found = []
    for index in range(len(cameras)):
        near = torch.isfinite(depth[index]) & (depth[index] > 0)
        points = cameras[index].unproject(torch.where(near, depth[index], 1.0)[None])[0][near][::37]
        shares = cameras.sees(points).float().mean(1) if len(points) else torch.zeros(len(cameras))
        others = [other for other in range(len(cameras)) if other != index and shares[other] >= MIN_OVERLAP]
        found.append([others[position] for position in evenly_spread(len(others), PARTNERS)])
    return found


def _votes(
    pictures: Float[Tensor, "n 3 h w"], depth: Float[Tensor, "n h w"], cameras: Cameras, index: int, partners: list[int]
) -> _Votes:
    own = depth[index]
    near = torch.isfinite(own) & (own > 0)
    rays = cameras[index].world_rays()[0]
    trials = torch.linspace(1 - DEPTH_DOUBT, 1 + DEPTH_DOUBT, DEPTH_TRIALS)
    points = cameras.centers[index] + (torch.where(near, own, 1.0) * trials[:, None, None])[..., None] * rays
    same, other = torch.zeros(own.shape), torch.zeros(own.shape)
    size = pictures.new_tensor([cameras.width, cameras.height])
    for partner in partners:
        pixels, there = cameras[partner].project(points)
        inside = cameras[partner].in_picture(pixels, there)[0]
        grid = (2 * pixels / size - 1).flatten(0, 1)
        # The farthest surface of a pixel and its neighbours: edges of depth are uncertain by a pixel.
        surfaces = torch.where(torch.isfinite(depth[partner]), depth[partner], 1e6)
        farthest = F.max_pool2d(surfaces[None, None], 3, 1, 1)
        shown = F.grid_sample(pictures[partner][None].expand(len(trials), -1, -1, -1), grid, align_corners=False)
        before = F.grid_sample(farthest.expand(len(trials), -1, -1, -1), grid, mode="nearest", align_corners=False)[:, 0]
        hidden = before < (1 - DEPTH_DOUBT) * there[0]
        gain = _gain(pictures[index], shown[DEPTH_TRIALS // 2], inside[DEPTH_TRIALS // 2] & near)
        difference = (shown * gain[:, None, None] - pictures[index]).abs().mean(1)
        difference = torch.where(inside, difference, torch.inf).amin(0)
        told = near & inside[DEPTH_TRIALS // 2] & ~hidden.any(0)
        same += near & (difference < SAME)
        other += told & (difference > OTHER)
    return _Votes(same, other)


def _gain(own: Float[Tensor, "3 h w"], shown: Float[Tensor, "3 h w"], where: Bool[Tensor, "h w"]) -> Float[Tensor, "3"]:
    """Factors that give one picture the other's exposure and white balance."""
    if not where.any():
        return torch.ones(3)
    ratio = own[:, where].clamp_min(0.02) / shown[:, where].clamp_min(0.02)
    return ratio.median(1).values.clamp(0.5, 2.0)


def _regions(votes: _Votes, depth: Float[Tensor, "h w"]) -> Bool[Tensor, "h w"]:
    """Connected regions of pixels against which most of the other pictures speak, with a margin. With the surface beside it go
    what no other picture sees, at the picture's edge, and what some of the others speak against."""
    told = votes.same + votes.other
    against = ((votes.other > 0) & (votes.other >= AGAINST * told)).numpy()
    # Only what holds a 3x3 block is a region; what is thinner is an edge whose depth is wrong.
    against = binary_dilation(binary_opening(against, BLOCK), BLOCK, iterations=2, mask=against)
    level = depth.log().nan_to_num(posinf=20.0, neginf=-20.0)[None]
    step = F.max_pool2d(level, 3, 1, 1) + F.max_pool2d(-level, 3, 1, 1)
    doubted = (votes.other >= DOUBTED * told) & (step[0] < EDGE)
    against = binary_propagation(against, BLOCK, mask=against | doubted.numpy())
    labels = np.empty(against.shape, np.int32)
    label(against, output=labels)
    sizes = np.bincount(labels.ravel())
    large = sizes >= MIN_REGION * against.size
    large[0] = False
    margin = math.ceil(MARGIN * depth.shape[1])
    return torch.from_numpy(binary_dilation(binary_fill_holes(large[labels]), BLOCK, iterations=margin))
