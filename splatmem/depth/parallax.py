"""The unit of depth, found from how far posed pictures move against each other.

Depth of one picture is known up to a scale, or in metres while the cameras' unit is another one. The scale is the one at which
what one picture shows, put into the world and seen by its neighbours' cameras, looks like what these show (a plane sweep,
Collins 1996, over one number).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from splatmem.cameras import Cameras

WIDTH = 128  # pictures are compared at this width
PARTNERS = 4  # other pictures that each is compared with
TURNED = 0.75  # cosine between viewing directions beyond which two pictures are not compared
NEAREST, FARTHEST, TRIALS = 0.7, 150.0, 48  # median depths that are tried, in units of the distance between the cameras
FINE_REACH, FINE_TRIALS = 0.15, 25  # then these around the best of them, as a share of it
OUTLIER = 0.15  # difference of colour, 0..1, from which on it does not matter how large it is
DISTINCT = 0.08  # how much lower the least difference must lie than the mean over all trials, as a share of it


def scales_from_parallax(rgb: Float[Tensor, "n h w 3"], depth: Float[Tensor, "n h w"], cameras: Cameras) -> Float[Tensor, " n"]:
    """Factors that bring each picture's depth into the cameras' unit; NaN where the pictures do not tell.

    Args:
        rgb: sRGB in 0..1.
        depth: z-depth, each map up to a scale; ``inf`` for sky, which is left out.
        cameras: of the pictures, at their size.
    """
    height = max(8, round(WIDTH * cameras.height / cameras.width))
    small = cameras.resized(WIDTH, height)
    pictures = F.interpolate(rgb.permute(0, 3, 1, 2), size=(height, WIDTH), mode="area")
    maps = F.interpolate(depth[:, None], size=(height, WIDTH), mode="nearest-exact")[:, 0]
    scales = torch.full((len(rgb),), torch.nan)
    for index in range(len(rgb)):
        partners = _partners(index, cameras)
        near = torch.isfinite(maps[index]) & (maps[index] > 0)
        if partners and near.any():
            scales[index] = _scale(pictures, maps[index], near, small, index, partners)
    return scales


def _partners(index: int, cameras: Cameras) -> list[int]:
    """Pictures that look into about the same direction from elsewhere, from near to far."""
    distance = (cameras.centers - cameras.centers[index]).norm(dim=-1)
    alike = cameras.forward @ cameras.forward[index] > TURNED
    apart = distance > 1e-3 * distance.max().clamp_min(1e-9)
    usable = torch.nonzero(alike & apart)[:, 0]
    ordered = usable[distance[usable].argsort()].tolist()
    # Near ones overlap most, far ones tell more: some of each.
    return [ordered[round(i * (len(ordered) - 1) / (PARTNERS - 1))] for i in range(PARTNERS)] if ordered else []


def _scale(
    pictures: Float[Tensor, "n 3 h w"],
    depth: Float[Tensor, "h w"],
    near: Tensor,
    cameras: Cameras,
    index: int,
    partners: list[int],
) -> float:
    """The factor for one picture; NaN if none is distinctly better than the others."""
    centers = cameras.centers
    apart = (centers[partners] - centers[index]).norm(dim=-1)
    median = depth[near].median()
    rays = cameras[index].world_rays()[0][near] * depth[near][:, None]
    colours = pictures[index][:, near]

    def costs(trials: Float[Tensor, " s"], outside: float | None) -> Float[Tensor, " s"]:
        points = centers[index] + trials[:, None, None] * rays
        found = [_difference(pictures[other], colours, points, cameras[other], outside) for other in partners]
        return torch.stack(found).mean(0)

    coarse = torch.logspace(0, 1, TRIALS, base=FARTHEST / NEAREST) * NEAREST * apart.median() / median
    cost = costs(coarse, OUTLIER)
    best = int(cost.argmin())
    if cost[best] > (1 - DISTINCT) * cost.mean() or best in (0, TRIALS - 1):
        return torch.nan
    # Near the best, what falls beside a picture says nothing: counted, it would favour scales that move little out of it.
    fine = coarse[best] * torch.linspace(1 - FINE_REACH, 1 + FINE_REACH, FINE_TRIALS)
    return float(fine[costs(fine, None).argmin()])


def _difference(
    picture: Float[Tensor, "3 h w"],
    colours: Float[Tensor, "3 p"],
    points: Float[Tensor, "s p 3"],
    camera: Cameras,
    outside: float | None,
) -> Float[Tensor, " s"]:
    """Mean difference, up to ``OUTLIER``, between points' colours and what a picture shows at their place, for each trial;
    points that fall beside the picture count as ``outside``, or not at all."""
    pixels, depth = (value[0] for value in camera.project(points))
    grid = 2 * pixels / torch.tensor([camera.width, camera.height]) - 1
    shown = F.grid_sample(picture[None], grid[None], mode="bilinear", padding_mode="border", align_corners=False)[0]
    difference = (shown - colours[:, None]).abs().mean(0)
    inside = (depth > 0) & (grid.abs() <= 1).all(-1)
    difference = difference.clamp(max=OUTLIER)
    if outside is not None:
        return torch.where(inside, difference, outside).mean(-1)
    return torch.where(inside, difference, 0.0).sum(-1) / inside.sum(-1).clamp_min(1)
