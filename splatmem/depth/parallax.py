"""Depth of posed pictures, brought into their cameras' unit by how they move against each other.

Depth of one picture is known up to a scale, or in metres while the cameras' unit is another one, and one side of a room may
be off by other factors than the other. The right factor is the one at which what a picture shows, put into the world and seen
by its neighbours' cameras, looks like what these show: first one for the whole picture (a plane sweep, Collins 1996, over one
number), then smooth local corrections of it. The edges remain those of the estimate.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.geometry.cameras import Cameras

WIDTH = 128  # pictures are compared at this width
PARTNERS = 4  # other pictures that each is compared with
TURNED = 0.75  # cosine between viewing directions beyond which two pictures are not compared
NEAREST, FARTHEST, TRIALS = 0.7, 150.0, 48  # median depths that are tried, in units of the distance between the cameras
FINE_REACH, FINE_TRIALS = 0.15, 25  # then these around the best of them, as a share of it
LOCAL_REACH, LOCAL_TRIALS = 0.6, 25  # then, place by place, factors up to exp(0.6) more or less
LOCAL_WINDOW = 0.2  # share of the picture's width over which a place is compared
LOCAL_SUPPORT = 0.3  # share of a window that the other pictures must see
UNCORRECTED = 0.05  # weight of no correction against what a place tells
OUTLIER = 0.15  # difference of colour, 0..1, from which on it does not matter how large it is
DISTINCT = 0.08  # how much lower the least difference must lie than the mean over all trials, as a share of it


def depth_from_parallax(
    rgb: Float[Tensor, "n h w 3"], depth: Float[Tensor, "n h w"], cameras: Cameras
) -> tuple[Float[Tensor, "n h w"], Bool[Tensor, " n"]]:
    """Depth in the cameras' unit, and which pictures told theirs; the others are scaled by what is typical of those.

    If none tells anything (they show nothing in common, or are taken from one spot), depth comes back as it was.

    Args:
        rgb: sRGB in 0..1.
        depth: z-depth, each map up to a scale; ``inf`` for sky, which is left as it is.
        cameras: of the pictures, at their size.
    """
    height = max(8, round(WIDTH * cameras.height / cameras.width))
    small = cameras.resized(WIDTH, height)
    pictures = F.interpolate(rgb.permute(0, 3, 1, 2), size=(height, WIDTH), mode="area")
    maps = F.interpolate(depth[:, None], size=(height, WIDTH), mode="nearest-exact")[:, 0]
    scales, corrections = torch.full((len(rgb),), torch.nan), torch.zeros(len(rgb), height, WIDTH)
    for index in range(len(rgb)):
        partners = _partners(index, cameras)
        near = torch.isfinite(maps[index]) & (maps[index] > 0)
        if not partners or not near.any():
            continue
        sweep = _Sweep(pictures, maps[index], near, small, index, partners)
        scales[index] = sweep.scale()
        if scales[index].isfinite():
            corrections[index] = sweep.corrections(float(scales[index]))
    told = scales.isfinite()
    if not told.any():
        return depth, told
    factors = torch.where(told, scales, scales[told].median())[:, None, None] * corrections.exp()
    full = F.interpolate(factors[:, None], size=depth.shape[1:], mode="bilinear", align_corners=False)[:, 0]
    return depth * full, told


def _partners(index: int, cameras: Cameras) -> list[int]:
    """Pictures that look into about the same direction from elsewhere, from near to far."""
    distance = (cameras.centers - cameras.centers[index]).norm(dim=-1)
    alike = cameras.forward @ cameras.forward[index] > TURNED
    apart = distance > 1e-3 * distance.max().clamp_min(1e-9)
    usable = torch.nonzero(alike & apart)[:, 0]
    ordered = usable[distance[usable].argsort()].tolist()
    # Near ones overlap most, far ones tell more: some of each.
    return [ordered[round(i * (len(ordered) - 1) / (PARTNERS - 1))] for i in range(PARTNERS)] if ordered else []


class _Sweep:
    """One picture, seen by its partners at any depth."""

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
        """How much the colour of each point differs, up to ``OUTLIER``, in each partner, and whether that sees it, with the
        depth multiplied by each factor."""
        points = self.center + factors[:, None, None] * self.rays
        found = [_difference(picture, self.colours, points, camera) for picture, camera in self.partners]
        difference, inside = zip(*found, strict=True)
        return torch.stack(difference), torch.stack(inside)

    def scale(self) -> float:
        """The factor for the whole picture; NaN if none is distinctly better than the others."""
        coarse = torch.logspace(0, 1, TRIALS, base=FARTHEST / NEAREST) * NEAREST * self.unit
        difference, inside = self.differences(coarse)
        cost = torch.where(inside, difference, OUTLIER).mean((0, 2))
        best = int(cost.argmin())
        if cost[best] > (1 - DISTINCT) * cost.mean() or best in (0, TRIALS - 1):
            return torch.nan
        # Near the best, what falls beside a picture says nothing: counted, it would favour factors that move little out of it.
        fine = coarse[best] * torch.linspace(1 - FINE_REACH, 1 + FINE_REACH, FINE_TRIALS)
        difference, inside = self.differences(fine)
        return float(fine[((difference * inside).sum((0, 2)) / inside.sum((0, 2)).clamp_min(1)).argmin()])

    def corrections(self, scale: float) -> Float[Tensor, "h w"]:
        """Natural logarithms of local factors, smooth; 0 where no factor is distinctly better than the others."""
        steps = torch.linspace(-LOCAL_REACH, LOCAL_REACH, LOCAL_TRIALS)
        difference, inside = self.differences(scale * steps.exp())
        sums, counts = torch.zeros(2, LOCAL_TRIALS, *self.near.shape)
        sums[:, self.near], counts[:, self.near] = (difference * inside).sum(0), inside.float().sum(0)
        window = 2 * round(0.5 * LOCAL_WINDOW * WIDTH) + 1

        def around(maps: Float[Tensor, "s h w"]) -> Float[Tensor, "s h w"]:
            # A window is the product of its rows and its columns: two passes are ten times as fast as one.
            along = {"stride": 1, "count_include_pad": False}
            rows = F.avg_pool2d(maps[None], (1, window), padding=(0, window // 2), **along)
            return F.avg_pool2d(rows, (window, 1), padding=(window // 2, 0), **along)[0]

        support = around(counts)
        cost = around(sums) / support.clamp_min(1e-6)
        least, best = cost.min(0)
        told = (least < (1 - DISTINCT) * cost.mean(0)) & (best > 0) & (best < LOCAL_TRIALS - 1)
        told &= support.amin(0) > LOCAL_SUPPORT
        weight = told.float()
        return around((steps[best] * weight)[None])[0] / (around(weight[None])[0] + UNCORRECTED)


def _difference(
    picture: Float[Tensor, "3 h w"], colours: Float[Tensor, "3 p"], points: Float[Tensor, "s p 3"], camera: Cameras
) -> tuple[Float[Tensor, "s p"], Bool[Tensor, "s p"]]:
    """Between points' colours and what a picture shows at their place; and whether that lies inside the picture."""
    pixels, depth = (value[0] for value in camera.project(points))
    grid = 2 * pixels / torch.tensor([camera.width, camera.height]) - 1
    shown = F.grid_sample(picture[None], grid[None], mode="bilinear", padding_mode="border", align_corners=False)[0]
    difference = (shown - colours[:, None]).abs().mean(0).clamp(max=OUTLIER)
    return difference, (depth > 0) & (grid.abs() <= 1).all(-1)
