"""What lies behind something that was taken away: the surfaces around it go on.

Inverse depth is linear in the picture on a plane. Planes are fitted to the inverse depth of what surrounds the hole (RANSAC,
Fischler & Bolles 1981); each pixel of the hole goes on with the nearest of them, and where two planes meet in the hole as the
sides of a room do, the nearer one shows. Where no plane fits, inverse depth goes on smoothly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from splatmem.geometry.push_pull import push_pull

RIM = 0.05  # width of the rim, as a share of the picture's width
MOST_PLANES = 4
TRIALS = 150
TOLERANCE = 0.025  # relative difference of inverse depth up to which a pixel lies on a plane
SUPPORT = 0.08  # share of the rim that a plane must explain
OCCLUDER = 0.9  # what is nearer than this share of the thing's depth stood before it, and does not go on behind it
SKY_LABEL = 0
FADE = 0.25  # share of the hole's size over which differences at the rim fall off


@dataclass(frozen=True)
class Behind:
    """What goes on behind a hole.

    Attributes:
        depth: z-depth, ``inf`` for sky: the given one outside of the hole, ``[h, w]``.
        label: which surface a pixel belongs to: 0 for sky, 1.. for planes; -1 for pixels outside of the hole that lie on none
            of them, ``[h, w]``.
    """

    depth: Float[Tensor, "h w"]
    label: Int[Tensor, "h w"]


def continue_behind(
    depth: Float[Tensor, "h w"],
    known: Bool[Tensor, "h w"],
    hole: Bool[Tensor, "h w"],
    removed_depth: Float[Tensor, "h w"],
) -> Behind:
    """The surfaces around a hole, continued into it.

    Args:
        depth: z-depth where known, ``inf`` for sky.
        known: pixels whose depth is known.
        hole: pixels to be continued.
        removed_depth: z-depth of what was taken away, meaningful in the hole.
    """
    height, width = depth.shape
    away = torch.from_numpy(np.asarray(distance_transform_edt(~hole.numpy()))).float()
    nearest = np.asarray(distance_transform_edt(~hole.numpy(), return_distances=False, return_indices=True))
    thing = removed_depth[torch.from_numpy(nearest[0]).long(), torch.from_numpy(nearest[1]).long()]
    around = known & ~hole & (away <= max(6.0, RIM * width))
    rim = around & (depth > OCCLUDER * thing)
    if not rim.any():
        rim = around if around.any() else known & ~hole
    inverse = torch.where(torch.isfinite(depth), 1 / depth.clamp_min(1e-6), 0.0)
    v, u = torch.meshgrid(torch.arange(height) / width, torch.arange(width) / width, indexing="ij")
    place = torch.stack([u, v, torch.ones_like(u)], dim=-1)
    planes, label = _planes(place, inverse, rim)
    if len(planes) == 1 and not (label == SKY_LABEL).any():
        filled = push_pull(inverse[None, None], rim[None, None].float())[0, 0].clamp_min(1e-9)
        made = torch.where(hole, 1 / filled, depth)
        return Behind(made, torch.where(hole | rim, 1, -1))
    models = torch.stack([place @ plane for plane in planes])  # inverse depth by each plane; sky first
    chosen = _labels(models, label, hole)
    own = models.gather(0, chosen.clamp_min(0)[None])[0]
    # Differences at the rim go on into the hole, less and less.
    on_rim = rim & (label >= 0)
    difference = torch.where(on_rim, inverse - models.gather(0, label.clamp_min(0)[None])[0], 0.0)
    spread = push_pull(difference[None, None], on_rim[None, None].float())[0, 0]
    inward = torch.from_numpy(np.asarray(distance_transform_edt(hole.numpy()))).float()
    value = own + spread * torch.exp(-inward / (FADE * float(hole.sum()) ** 0.5))
    floor = 0.2 * inverse[rim & (inverse > 0)].min() if (inverse[rim] > 0).any() else torch.tensor(1e-6)
    made = torch.where(chosen == SKY_LABEL, torch.inf, 1 / value.clamp_min(float(floor)))
    # Nothing that goes on may stand before what was seen there.
    made = torch.maximum(made, torch.where(hole, removed_depth.nan_to_num(posinf=0.0), 0.0))
    flat = (inverse[None] - models).abs() <= TOLERANCE * models.clamp_min(1e-9)
    flat[SKY_LABEL] = ~torch.isfinite(depth)
    elsewhere = torch.where(known & flat.any(0), flat.int().argmax(0), -1)
    return Behind(torch.where(hole, made, depth), torch.where(hole, chosen, elsewhere))


def _planes(
    place: Float[Tensor, "h w 3"], inverse: Float[Tensor, "h w"], rim: Bool[Tensor, "h w"]
) -> tuple[list[Float[Tensor, "3"]], Int[Tensor, "h w"]]:
    """Planes of the rim (the first stands for the sky), and for its pixels which of them they lie on; -1 for none."""
    generator = torch.Generator().manual_seed(0)
    label = torch.full(rim.shape, -1, dtype=torch.int64)
    label[rim & (inverse <= 0)] = SKY_LABEL
    planes = [torch.zeros(3)]
    total = int(rim.sum())
    while len(planes) <= MOST_PLANES:
        row, column = torch.nonzero(rim & (label < 0), as_tuple=True)
        if len(row) < max(12, SUPPORT * total):
            break
        # In double precision: how a library rounds depends on where its memory lies, and a run is to be repeated exactly.
        points, values = place[row, column].double(), inverse[row, column].double()
        picks = torch.randint(len(row), (TRIALS, 3), generator=generator)
        sampled, wanted = points[picks], values[picks][..., None]
        good = torch.linalg.det(sampled).abs() > 1e-7
        if not good.any():
            break
        candidates = torch.linalg.solve(sampled[good], wanted[good])[..., 0]
        fits = ((points @ candidates.T - values[:, None]).abs() <= TOLERANCE * values[:, None]).float()
        best = int(fits.sum(0).argmax())
        inliers = fits[:, best] > 0
        for _ in range(2):
            if int(inliers.sum()) < 6:
                break
            normal_matrix, right = points[inliers].T @ points[inliers], points[inliers].T @ values[inliers]
            plane = torch.linalg.solve(normal_matrix + 1e-12 * torch.eye(3, dtype=torch.float64), right)
            inliers = (points @ plane - values).abs() <= TOLERANCE * values
        if int(inliers.sum()) < SUPPORT * total:
            break
        label[row[inliers], column[inliers]] = len(planes)
        planes.append(plane.float())
    return planes, label


def _labels(models: Float[Tensor, "k h w"], label: Int[Tensor, "h w"], hole: Bool[Tensor, "h w"]) -> Int[Tensor, "h w"]:
    """Which surface shows at each pixel of the hole."""
    present = [k for k in range(len(models)) if (label == k).any()]
    distances = torch.stack([torch.from_numpy(np.asarray(distance_transform_edt((label != k).numpy()))) for k in present])
    chosen = torch.tensor(present)[distances.argmin(0)]
    for index, first in enumerate(present):
        for second in present[index + 1 :]:
            ahead = models[first] - models[second]
            # As the sides of a room meet: each of the two is the nearer one where it was seen.
            if ahead[label == first].median() > 0 > ahead[label == second].median():
                either = (chosen == first) | (chosen == second)
                chosen = torch.where(either, torch.where(ahead > 0, first, second), chosen)
    behind_camera = models.gather(0, chosen[None])[0] <= 0
    if SKY_LABEL in present:
        chosen = torch.where(behind_camera, SKY_LABEL, chosen)
    return torch.where(hole, chosen, -1)
