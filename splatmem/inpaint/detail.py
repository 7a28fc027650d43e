"""Fine detail for coarse pictures, copied from pictures of the same scene.

The coarse picture decides what is where; for each of its patches the most similar patch among the exemplars, blurred to
the same degree, is found, and what the blur took from that exemplar is added (example-based super-resolution, Freeman et
al. 2002; image analogies, Hertzmann et al. 2001). Overlapping patches are blended so that the contrast is kept (Heitz &
Neyret 2018).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

PATCH_CELLS = 4  # side of a copied patch in coarse pixels; the stride is half of it
CONTEXT_WEIGHT = 0.5  # weight of colour against structure when patches are compared


def add_detail(
    rgb: Float[Tensor, "t h w 3"],
    exemplars: Float[Tensor, "e h w 3"],
    exemplar_known: Bool[Tensor, "e h w"],
    coarse_size: tuple[int, int],
    strength: float = 1.0,
) -> Float[Tensor, "t h w 3"]:
    """Adds to ``rgb`` the detail that it lacks.

    Args:
        rgb: pictures without detail finer than ``coarse_size``, 0..1.
        exemplars: sharp pictures of the same scene and size.
        exemplar_known: their usable pixels; patches that touch others are not copied.
        coarse_size: (height, width) of the grid that ``rgb`` was made on.
        strength: share of the detail that is added.
    """
    height, width = rgb.shape[1:3]
    sharp = exemplars.permute(0, 3, 1, 2)
    coarse = F.interpolate(sharp, size=coarse_size, mode="area")
    blurred = F.interpolate(coarse, size=(height, width), mode="bicubic", align_corners=False)
    usable = F.interpolate(exemplar_known[:, None].float(), size=coarse_size, mode="area") > 0.99
    sources, source_places = _patch_features(coarse, usable, stride=1)
    if not len(sources):
        return rgb
    queries, query_places = _patch_features(
        F.interpolate(rgb.permute(0, 3, 1, 2), size=coarse_size, mode="area"), None, stride=PATCH_CELLS // 2
    )
    nearest = torch.cat([torch.cdist(q, sources).argmin(dim=1) for q in queries.split(1024)])
    residual = _copy_patches(sharp - blurred, source_places[nearest], query_places, rgb.shape, coarse_size)
    return (rgb + strength * residual.permute(0, 2, 3, 1)).clamp(0, 1)


def _patch_features(
    coarse: Float[Tensor, "n 3 h w"], usable: Bool[Tensor, "n 1 h w"] | None, stride: int
) -> tuple[Float[Tensor, "p f"], Float[Tensor, "p 3"]]:
    """Descriptors of all patches: mean colour, and the pattern around it; with their places (picture, row, column)."""
    count, _, height, width = coarse.shape
    side = PATCH_CELLS
    patches = F.unfold(coarse, side, stride=stride).transpose(1, 2).unflatten(-1, (3, side * side))
    mean = patches.mean(-1, keepdim=True)
    pattern = (patches - mean).flatten(2) / side
    features = torch.cat([CONTEXT_WEIGHT * mean[..., 0], pattern], dim=-1)
    rows = torch.arange(0, height - side + 1, stride)
    columns = torch.arange(0, width - side + 1, stride)
    grid = torch.stack(torch.meshgrid(torch.arange(count), rows, columns, indexing="ij"), dim=-1).flatten(1, 2)
    if usable is None:
        return features.flatten(0, 1), grid.flatten(0, 1)
    whole = F.unfold(usable.float(), side, stride=stride).amin(1) > 0.5
    return features[whole], grid[whole]


def _copy_patches(
    detail: Float[Tensor, "e 3 h w"],
    sources: Tensor,
    targets: Tensor,
    shape: torch.Size,
    coarse_size: tuple[int, int],
) -> Float[Tensor, "t 3 h w"]:
    """Overlap-adds windowed patches of ``detail``, scaled so that uncorrelated patches keep their variance."""
    frames, height, width = shape[:3]
    cell_y, cell_x = height / coarse_size[0], width / coarse_size[1]
    side_y, side_x = round(PATCH_CELLS * cell_y), round(PATCH_CELLS * cell_x)
    window = torch.hann_window(side_y, periodic=False)[:, None] * torch.hann_window(side_x, periodic=False) + 1e-3
    offset = (torch.arange(side_y)[:, None] * width + torch.arange(side_x)).flatten()

    def corners(places: Tensor) -> tuple[Tensor, Tensor]:
        row = (places[:, 1] * cell_y).round().long().clamp(max=height - side_y)
        column = (places[:, 2] * cell_x).round().long().clamp(max=width - side_x)
        return places[:, 0], row * width + column

    source_frame, source_corner = corners(sources)
    target_frame, target_corner = corners(targets)
    flat = detail.flatten(2)
    total = torch.zeros(frames, 3, height * width)
    power = torch.zeros(frames, height * width)
    for frame in range(frames):
        chosen = target_frame == frame
        patches = flat[source_frame[chosen, None], :, source_corner[chosen, None] + offset] * window.flatten()[:, None]
        place = (target_corner[chosen, None] + offset).flatten()
        total[frame].index_add_(1, place, patches.flatten(0, 1).T)
        power[frame].index_add_(0, place, (window.flatten() ** 2).repeat(int(chosen.sum())))
    blended = total / power.clamp_min(1e-6).sqrt()[:, None]
    return blended.view(frames, 3, height, width)
