"""Scales the depth of posed pictures to the unit of their cameras, by the parallax between the pictures.

A depth model gives the depth of one picture up to a scale, or in metres while the cameras have another unit, and its error
varies over the picture. The right factor is the one at which a picture's points, projected into its neighbours, have the
colours that these show there. First one factor is found for the whole picture (a plane sweep, Collins 1996, over one number),
then a smooth map of local corrections. Depth edges remain those of the estimate.

Where a pattern comes again and again, colours agree at a wrong factor as well. So the pictures are held against each other: one
whose depth most others contradict by much looks for its factor again, near the one that they tell.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.geometry.cameras import Cameras
from splatmem.geometry.sampling import evenly_spread

MATCHING_WIDTH = 128  # pictures are compared at this width
PARTNERS = 4  # other pictures that each is compared with
MIN_COSINE = 0.75  # of the angle between the viewing directions of two pictures that are compared
# Median depths that are tried, in units of the distance between the cameras.
MIN_SCENE_DEPTH, MAX_SCENE_DEPTH, SCALE_TRIALS = 0.7, 150.0, 48
FINE_REACH, FINE_TRIALS = 0.15, 25  # then factors up to this share above and below the best of them
LOCAL_REACH, LOCAL_TRIALS = 0.6, 25  # then local factors from exp(-0.6) to exp(0.6)
LOCAL_WINDOW = 0.2  # share of the picture's width over which colours are compared for a local factor
LOCAL_SUPPORT = 0.3  # share of a window that the other pictures must see
PRIOR_WEIGHT = 0.05  # weight of a local factor of 1, relative to a window in which all pixels agree
OUTLIER = 0.15  # differences of colour, 0..1, are clamped to this
MIN_SHARED, MIN_OTHERS = 0.1, 3  # share of a picture that must see it for another's depth to count; how many must
WITNESSES = 12  # other pictures at most whose depth a picture's is held against ...
AGREEING = 0.7  # ... and the share of them that must tell about the same
CONTRADICTED = 1.2  # times as near or as far as most others tell: the picture's factor is looked for again
MIN_CONTRAST = 0.08  # share of the mean difference over all trials by which the best trial must be better


def depth_from_parallax(
    rgb: Float[Tensor, "n h w 3"], depth: Float[Tensor, "n h w"], cameras: Cameras
) -> tuple[Float[Tensor, "n h w"], Bool[Tensor, " n"]]:
    """Scales depth maps to the unit of the cameras.

    Pictures for which no factor is found take the median factor of the others. If none is found at all (the pictures show
    nothing in common, or were taken from one place), depth comes back as it was.

    Args:
        rgb: sRGB in 0..1.
        depth: z-depth, each map up to a scale; ``inf`` for sky, which is left as it is.
        cameras: of the pictures, at their size.

    Returns:
        Depth in the cameras' unit, and for which pictures a factor was found.
    """
    height = max(8, round(MATCHING_WIDTH * cameras.height / cameras.width))
    small = cameras.resized(MATCHING_WIDTH, height)
    pictures = F.interpolate(rgb.permute(0, 3, 1, 2), size=(height, MATCHING_WIDTH), mode="area")
    maps = F.interpolate(depth[:, None], size=(height, MATCHING_WIDTH), mode="nearest-exact")[:, 0]
    scales, corrections = torch.full((len(rgb),), torch.nan), torch.zeros(len(rgb), height, MATCHING_WIDTH)
    sweeps: dict[int, _Sweep] = {}
    for index in range(len(rgb)):
        partners = _partners(index, cameras)
        near = torch.isfinite(maps[index]) & (maps[index] > 0)
        if not partners or not near.any():
            continue
        sweep = _Sweep(pictures, maps[index], near, small, index, partners)
        scales[index] = sweep.scale()
        if scales[index].isfinite():
            sweeps[index], corrections[index] = sweep, sweep.corrections(float(scales[index]))
    scaled = {index: maps[index] * scales[index] * corrections[index].exp() for index in sweeps}
    for index, sweep in sweeps.items():
        factor = _told_by_others(index, scaled, small)
        if max(factor, 1 / factor) > CONTRADICTED:
            scales[index] = sweep.finer(factor * scales[index])
            corrections[index] = sweep.corrections(float(scales[index]))
    told = scales.isfinite()
    if not told.any():
        return depth, told
    factors = torch.where(told, scales, scales[told].median())[:, None, None] * corrections.exp()
    full = F.interpolate(factors[:, None], size=depth.shape[1:], mode="bilinear", align_corners=False)[:, 0]
    return depth * full, told


def _partners(index: int, cameras: Cameras, count: int = PARTNERS) -> list[int]:
    """Indices of at most so many pictures that look into about the same direction from other places, near ones first."""
    distance = (cameras.centers - cameras.centers[index]).norm(dim=-1)
    alike = cameras.forward @ cameras.forward[index] > MIN_COSINE
    apart = distance > 1e-3 * distance.max().clamp_min(1e-9)
    usable = torch.nonzero(alike & apart)[:, 0]
    ordered = usable[distance[usable].argsort()].tolist()
    # Near cameras share most of the view, far ones show more parallax: some of each.
    return [ordered[position] for position in evenly_spread(len(ordered), count)]


def _told_by_others(index: int, depth: dict[int, Float[Tensor, "h w"]], cameras: Cameras) -> float:
    """By what factor the depth of most other pictures says that a picture's is to be multiplied; 1 where they do not agree."""
    factors = []
    for other in _partners(index, cameras, WITNESSES):
        if other not in depth:
            continue
        near = torch.isfinite(depth[other]) & (depth[other] > 0)
        points = cameras.centers[other] + cameras[other].world_rays()[0][near] * depth[other][near][:, None]
        pixels, there = cameras[index].project(points)
        inside = cameras[index].in_picture(pixels, there)[0]
        column, row = pixels[0, inside].long().unbind(-1)
        ratio = there[0, inside] / depth[index][row, column]
        ratio = ratio[torch.isfinite(ratio) & (ratio > 0)]
        if len(ratio) > MIN_SHARED * near.numel():
            factors.append(float(ratio.median()))
    if len(factors) < MIN_OTHERS:
        return 1.0
    told = torch.tensor(factors)
    agree = (told / told.median()).log().abs() < math.log(CONTRADICTED)
    return float(told.median()) if agree.float().mean() >= AGREEING else 1.0


class _Sweep:
    """Compares one picture with its partners, with the picture's depth multiplied by any factors."""

    def __init__(
        self,
        pictures: Float[Tensor, "n 3 h w"],
        depth: Float[Tensor, "h w"],
        near: Bool[Tensor, "h w"],
        cameras: Cameras,
        index: int,
        partners: list[int],
    ) -> None:
        self.near = near
        self.center = cameras.centers[index]
        self.rays = cameras[index].world_rays()[0][near] * depth[near][:, None]
        self.colours = pictures[index][:, near]
        self.partners = [(pictures[other], cameras[other]) for other in partners]
        apart = (cameras.centers[partners] - self.center).norm(dim=-1).median()
        self.unit = float(apart / depth[near].median())

    def differences(self, factors: Float[Tensor, " s"]) -> tuple[Float[Tensor, "o s p"], Bool[Tensor, "o s p"]]:
        """Differences of colour between the picture's points and each partner, for each factor, and whether the partner sees
        the point; for ``o`` partners, ``s`` factors and ``p`` points."""
        points = self.center + factors[:, None, None] * self.rays
        found = [_difference(picture, self.colours, points, camera) for picture, camera in self.partners]
        difference, inside = zip(*found, strict=True)
        return torch.stack(difference), torch.stack(inside)

    def scale(self) -> float:
        """The factor for the whole picture; NaN if none is distinctly better than the others."""
        coarse = torch.logspace(0, 1, SCALE_TRIALS, base=MAX_SCENE_DEPTH / MIN_SCENE_DEPTH) * MIN_SCENE_DEPTH * self.unit
        difference, inside = self.differences(coarse)
        cost = torch.where(inside, difference, OUTLIER).mean((0, 2))
        best = int(cost.argmin())
        if cost[best] > (1 - MIN_CONTRAST) * cost.mean() or best in (0, SCALE_TRIALS - 1):
            return torch.nan
        return self.finer(coarse[best])

    def finer(self, scale: Tensor) -> float:
        """The best factor near one."""
        # Points outside of a partner's picture are left out: counted as outliers, they would favour factors that move few out.
        fine = scale * torch.linspace(1 - FINE_REACH, 1 + FINE_REACH, FINE_TRIALS)
        difference, inside = self.differences(fine)
        return float(fine[((difference * inside).sum((0, 2)) / inside.sum((0, 2)).clamp_min(1)).argmin()])

    def corrections(self, scale: float) -> Float[Tensor, "h w"]:
        """Natural logarithms of local factors, smooth; 0 where no factor is distinctly better than the others."""
        steps = torch.linspace(-LOCAL_REACH, LOCAL_REACH, LOCAL_TRIALS)
        difference, inside = self.differences(scale * steps.exp())
        sums, counts = torch.zeros(2, LOCAL_TRIALS, *self.near.shape)
        sums[:, self.near], counts[:, self.near] = (difference * inside).sum(0), inside.float().sum(0)
        window = 2 * round(0.5 * LOCAL_WINDOW * MATCHING_WIDTH) + 1

        def around(maps: Float[Tensor, "s h w"]) -> Float[Tensor, "s h w"]:
            # A window is the product of its rows and its columns: two passes are ten times as fast as one.
            along = {"stride": 1, "count_include_pad": False}
            rows = F.avg_pool2d(maps[None], (1, window), padding=(0, window // 2), **along)
            return F.avg_pool2d(rows, (window, 1), padding=(window // 2, 0), **along)[0]

        support = around(counts)
        cost = around(sums) / support.clamp_min(1e-6)
        lowest, best = cost.min(0)
        told = (lowest < (1 - MIN_CONTRAST) * cost.mean(0)) & (best > 0) & (best < LOCAL_TRIALS - 1)
        told &= support.amin(0) > LOCAL_SUPPORT
        weight = told.float()
        return around((steps[best] * weight)[None])[0] / (around(weight[None])[0] + PRIOR_WEIGHT)


def _difference(
    picture: Float[Tensor, "3 h w"], colours: Float[Tensor, "3 p"], points: Float[Tensor, "s p 3"], camera: Cameras
) -> tuple[Float[Tensor, "s p"], Bool[Tensor, "s p"]]:
    """Differences between colours of points and a picture at their projections, and whether these lie inside the picture."""
    pixels, depth = (value[0] for value in camera.project(points))
    grid = 2 * pixels / torch.tensor([camera.width, camera.height]) - 1
    shown = F.grid_sample(picture[None], grid[None], mode="bilinear", padding_mode="border", align_corners=False)[0]
    difference = (shown - colours[:, None]).abs().mean(0).clamp(max=OUTLIER)
    return difference, camera.in_picture(pixels[None], depth[None])[0]
