"""Finds what moved between posed pictures: it must not become part of a scene that stands still.

What stands still shows the same colours in every picture that sees it. Each pixel is put into the scene by its depth, and
looked up in other pictures: where one of them shows other colours there, and no surface before it that could hide it, that
speaks for motion; where it shows the same colours, for standing still. Depth is uncertain, so that places a little nearer and
farther along the ray are looked up as well, and the most similar counts (as in a plane sweep, Collins 1996).

A wide thing that moves by less than its width covers its own place in the next pictures, where it shows the same colours again.
So what most pictures speak against is only where the search begins: it grows to the thing's outline by colours and contrasts
(GrabCut, Rother et al. 2004), with one model of colours for all pictures, since a thing keeps its own. It does not take what
certainly stands still: a pattern that several pictures show at one place, and none otherwise. What was found is not asked in
the next round, so that it cannot speak for its own standing still any more.

Where hardly any other picture is left to ask, at borders and behind things, nothing speaks against a thing either. There the
last round begins from the colours of what was found before as well (``splatmem.depth.moving_colours``): in earlier ones they
would spread to still things of which a part was taken for moving.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from scipy.ndimage import binary_dilation, binary_fill_holes, binary_opening, binary_propagation, label
from torch import Tensor

from splatmem.depth.moving_colours import like_what_moves
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.sampling import evenly_spread
from splatmem.pixels import to_uint8

WIDTH = 192  # pictures are compared at this width
PARTNERS = 6  # other pictures that each is compared with
MIN_OVERLAP = 0.2  # share of a picture that must fall into another for the two to be compared
DEPTH_DOUBT = 0.12  # places this share nearer and farther along a ray are looked up
DEPTH_TRIALS = 7
SAME = 0.06  # differences of colour, 0..1, below which two places show the same ...
OTHER = 0.12  # ... and above which they do not
AGAINST = 0.6  # share of the pictures that tell anything which must speak for motion
UNCONFIRMED = 0.2  # share of the other pictures, at most, that show the same where a picture's colours alone may tell motion
MIN_REGION = 0.001  # share of a picture below which a region counts as an error of depth
ROUNDS = 3  # of finding things, and asking the pictures again without them
REACH = 0.15  # of the width: a thing's outline is looked for as far from where pictures contradict each other
ITERATIONS = 2  # of GrabCut
SPOT = 9  # width and height of a pixel's surroundings ...
DISTINCT = (
    0.06  # ... whose colours must deviate by this much for their coming again to prove anything: what is plain covers itself
)
AROUND = 7  # width and height of the pixel's neighbourhood in which no picture may speak against anything
WITNESSES = 3  # other pictures that must show such colours again, and none other ones, for a pixel to stand still
BLOCK = np.ones((3, 3), dtype=bool)
MARGIN = 1 / 192  # of the width, around what moved, is left out too: its blurred edge


@dataclass(frozen=True)
class _Comparison:
    """What another picture shows where a picture's pixels stand.

    Attributes:
        partner: number of the other picture.
        same: it shows the same colours there.
        other: it shows other colours there, and no surface before them.
        places: where the pixels fall in it, rows and columns; the nearest place of it for what falls outside.
    """

    partner: int
    same: Bool[Tensor, "h w"]
    other: Bool[Tensor, "h w"]
    places: tuple[Int[Tensor, "h w"], Int[Tensor, "h w"]]


@dataclass(frozen=True)
class _Votes:
    """How many of the other pictures tell that a pixel shows the same there, and that it shows something else."""

    same: Int[Tensor, "h w"]
    other: Int[Tensor, "h w"]


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
    near = torch.isfinite(maps) & (maps > 0)
    masks = torch.zeros_like(near)
    distinct = _spread(pictures) > DISTINCT
    compared = [
        [_compared(pictures, maps, small, index, partner) for partner in partners]
        for index, partners in enumerate(_partners(maps, small))
    ]
    for turn in range(ROUNDS):
        unasked = _with_margin(masks)
        seeds, doubted, still = torch.zeros_like(masks), torch.zeros_like(masks), torch.zeros_like(masks)
        alike = like_what_moves(pictures, masks) & near & ~masks if turn == ROUNDS - 1 else torch.zeros_like(masks)
        for index, comparisons in enumerate(compared):
            if comparisons:
                votes = _votes(comparisons, unasked)
                unconfirmed = votes.same <= UNCONFIRMED * len(comparisons)
                seeds[index] = _seeds(votes, masks[index]) | _regions(alike[index] & unconfirmed)
                doubted[index] = votes.other > 0
                clear = F.max_pool2d(doubted[index][None].float(), AROUND, 1, AROUND // 2)[0] == 0
                still[index] = distinct[index] & (votes.same >= WITNESSES) & clear
        masks = _whole_things(pictures, seeds, doubted, near & ~still)
        if not masks.any():
            break
    masks = _with_margin(masks)
    full = F.interpolate(masks[:, None].float(), size=depth.shape[1:], mode="nearest-exact")[:, 0] > 0
    return full & torch.isfinite(depth) & (depth > 0)


def _spread(pictures: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n h w"]:
    """Standard deviation of the colours around each pixel."""
    mean, square = (F.avg_pool2d(one, SPOT, 1, SPOT // 2, False, False) for one in (pictures, pictures.square()))
    return (square - mean.square()).clamp_min(0).sqrt().mean(1)


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


def _compared(
    pictures: Float[Tensor, "n 3 h w"], depth: Float[Tensor, "n h w"], cameras: Cameras, index: int, partner: int
) -> _Comparison:
    own = depth[index]
    near = torch.isfinite(own) & (own > 0)
    rays = cameras[index].world_rays()[0]
    trials = torch.linspace(1 - DEPTH_DOUBT, 1 + DEPTH_DOUBT, DEPTH_TRIALS)
    points = cameras.centers[index] + (torch.where(near, own, 1.0) * trials[:, None, None])[..., None] * rays
    middle = DEPTH_TRIALS // 2
    pixels, there = cameras[partner].project(points)
    inside = cameras[partner].in_picture(pixels, there)[0]
    size = pictures.new_tensor([cameras.width, cameras.height])
    grid = (2 * pixels / size - 1).flatten(0, 1)
    # The farthest surface of a pixel and its neighbours: edges of depth are uncertain by a pixel.
    surfaces = torch.where(torch.isfinite(depth[partner]), depth[partner], 1e6)
    farthest = F.max_pool2d(surfaces[None, None], 3, 1, 1)
    shown = F.grid_sample(pictures[partner][None].expand(len(trials), -1, -1, -1), grid, align_corners=False)
    before = F.grid_sample(farthest.expand(len(trials), -1, -1, -1), grid, mode="nearest", align_corners=False)[:, 0]
    hidden = before < (1 - DEPTH_DOUBT) * there[0]
    gain = _gain(pictures[index], shown[middle], inside[middle] & near)
    difference = (shown * gain[:, None, None] - pictures[index]).abs().mean(1)
    difference = torch.where(inside, difference, torch.inf).amin(0)
    other = near & inside[middle] & ~hidden.any(0) & (difference > OTHER)
    column, row = (pixels[0, middle, ..., axis].clamp(0, end - 1).long() for axis, end in enumerate(size.tolist()))
    return _Comparison(partner, near & (difference < SAME), other, (row, column))


def _votes(comparisons: list[_Comparison], moving: Bool[Tensor, "n h w"]) -> _Votes:
    """Args:
    comparisons: of a picture.
    moving: pixels of all pictures that show what moves, and are not asked.
    """
    asked = torch.stack([~moving[one.partner][one.places] for one in comparisons])
    same, other = (torch.stack([one.same for one in comparisons]), torch.stack([one.other for one in comparisons]))
    return _Votes((same & asked).sum(0), (other & asked).sum(0))


def _gain(own: Float[Tensor, "3 h w"], shown: Float[Tensor, "3 h w"], where: Bool[Tensor, "h w"]) -> Float[Tensor, "3"]:
    """Factors that give one picture the other's exposure and white balance."""
    if not where.any():
        return torch.ones(3)
    ratio = own[:, where].clamp_min(0.02) / shown[:, where].clamp_min(0.02)
    return ratio.median(1).values.clamp(0.5, 2.0)


def _seeds(votes: _Votes, before: Bool[Tensor, "h w"]) -> Bool[Tensor, "h w"]:
    """Connected regions of pixels against which most of the other pictures speak.

    Args:
        votes: of the other pictures.
        before: what was found in the round before: it stays where no picture is left to ask.
    """
    told = votes.same + votes.other
    return _regions((votes.other > 0) & (votes.other >= AGAINST * told) | (before & (told == 0)))


def _regions(where: Bool[Tensor, "h w"]) -> Bool[Tensor, "h w"]:
    """Connected regions that are large enough and hold a 3x3 block, with their holes: what is thinner is an edge whose depth is
    wrong."""
    pixels = where.numpy()
    pixels = binary_dilation(binary_opening(pixels, BLOCK), BLOCK, iterations=2, mask=pixels)
    labels = np.empty(pixels.shape, np.int32)
    label(pixels, output=labels)
    sizes = np.bincount(labels.ravel())
    large = sizes >= MIN_REGION * pixels.size
    large[0] = False
    return torch.from_numpy(binary_fill_holes(large[labels]))


def _whole_things(
    pictures: Float[Tensor, "n 3 h w"],
    seeds: Bool[Tensor, "n h w"],
    doubted: Bool[Tensor, "n h w"],
    open_to: Bool[Tensor, "n h w"],
) -> Bool[Tensor, "n h w"]:
    """Regions, grown to the outlines of their things.

    Args:
        pictures: sRGB in 0..1.
        seeds: pixels that certainly show what moves.
        doubted: pixels that may.
        open_to: pixels that they may take.
    """
    chosen = seeds.flatten(1).any(1).nonzero()[:, 0]
    if not len(chosen) or seeds[chosen].all():
        return seeds
    reach = math.ceil(REACH * seeds.shape[2])
    certain = seeds[chosen].numpy()
    zone = open_to[chosen].numpy() & np.stack([binary_dilation(seed, BLOCK, iterations=reach) for seed in certain])
    labels = np.full(zone.shape, cv2.GC_BGD, np.uint8)
    labels[zone] = cv2.GC_PR_BGD
    labels[zone & doubted[chosen].numpy()] = cv2.GC_PR_FGD
    labels[certain] = cv2.GC_FGD
    # One above the other they are one picture, and have one model of colours.
    rows = labels.reshape(-1, seeds.shape[2])
    image = to_uint8(pictures[chosen].permute(0, 2, 3, 1)).reshape(*rows.shape, 3)
    cv2.setRNGSeed(0)  # of the first clusters of colours
    cv2.grabCut(image, rows, (0, 0, 0, 0), np.zeros((1, 65)), np.zeros((1, 65)), ITERATIONS, cv2.GC_INIT_WITH_MASK)
    whole = seeds.clone()
    for index, seed, found in zip(chosen.tolist(), certain, np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)), strict=True):
        whole[index] = torch.from_numpy(binary_fill_holes(binary_propagation(seed, mask=found)))
    return whole


def _with_margin(masks: Bool[Tensor, "n h w"]) -> Bool[Tensor, "n h w"]:
    """Masks, wider by ``MARGIN``."""
    reach = math.ceil(MARGIN * masks.shape[2])
    return F.max_pool2d(masks[:, None].float(), 2 * reach + 1, 1, reach)[:, 0] > 0
