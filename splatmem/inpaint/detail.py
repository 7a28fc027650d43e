"""Fine detail for coarse pictures, copied from pictures of the same scene.

The coarse picture decides what is where; for each of its patches a similar patch among the exemplars, blurred to the same
degree, is found, and what the blur took from that exemplar is added (example-based super-resolution, Freeman et al. 2002;
image analogies, Hertzmann et al. 2001). Overlapping patches are blended so that the contrast is kept (Heitz & Neyret 2018).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

PATCH_CELLS = 4  # side of a copied patch in coarse pixels; the stride is half of it
COLOUR_WEIGHT = 2.0  # of a patch's mean colour, against its pattern, when patches are compared
GUIDE_WEIGHT = 0.15  # of its guide
SOURCE_STRIDE = 2  # coarse pixels between the exemplars' patches: neighbours would be the same candidate
CANDIDATES = 12  # among this many most similar patches the calmest is taken


def add_detail(
    rgb: Float[Tensor, "t h w 3"],
    guide: Float[Tensor, "t h w g"],
    exemplar_rgb: Float[Tensor, "e h w 3"],
    exemplar_guide: Float[Tensor, "e h w g"],
    coarse_size: tuple[int, int],
) -> Float[Tensor, "t h w 3"]:
    """Adds to ``rgb`` the detail that it lacks.

    Args:
        rgb: pictures without detail finer than ``coarse_size``, 0..1.
        guide: further channels in which patches must be alike, of values around 1.
        exemplar_rgb: sharp pictures of the same scene and size.
        exemplar_guide: their guide channels.
        coarse_size: (height, width) of the grid that ``rgb`` was made on.
    """
    sharp = exemplar_rgb.permute(0, 3, 1, 2)
    coarse = F.interpolate(sharp, size=coarse_size, mode="area")
    residual = sharp - F.interpolate(coarse, size=sharp.shape[-2:], mode="bicubic", align_corners=False)
    energy = F.interpolate(residual.square().mean(1, keepdim=True), size=coarse_size, mode="area")
    sources, source_places = _patch_features(coarse, _area(exemplar_guide, coarse_size), stride=SOURCE_STRIDE)
    source_energy = F.unfold(energy, PATCH_CELLS, stride=SOURCE_STRIDE).mean(1).flatten()
    queries, query_places = _patch_features(_area(rgb, coarse_size), _area(guide, coarse_size), stride=PATCH_CELLS // 2)
    chosen = []
    for part in queries.split(1024):
        nearest = torch.cdist(part, sources).topk(min(CANDIDATES, len(sources)), largest=False).indices
        # A loud patch among calm ones of the same look shows a thing, not a texture: things are not to be repeated.
        calmest = source_energy[nearest].argmin(dim=1, keepdim=True)
        chosen.append(nearest.gather(1, calmest)[:, 0])
    detail = _copy_patches(residual, source_places[torch.cat(chosen)], query_places, rgb.shape, coarse_size)
    return (rgb + detail.permute(0, 2, 3, 1)).clamp(0, 1)


def _area(pictures: Float[Tensor, "n h w c"], size: tuple[int, int]) -> Float[Tensor, "n c H W"]:
    return F.interpolate(pictures.permute(0, 3, 1, 2), size=size, mode="area")


def _patch_features(
    coarse: Float[Tensor, "n 3 h w"], guide: Float[Tensor, "n g h w"], stride: int
) -> tuple[Float[Tensor, "p f"], Float[Tensor, "p 3"]]:
    """Descriptors of all patches: pattern, mean colour and mean guide; and their places (picture, row, column)."""
    side = PATCH_CELLS
    patches = F.unfold(coarse, side, stride=stride).transpose(1, 2).unflatten(-1, (3, side * side))
    mean = patches.mean(-1, keepdim=True)
    pattern = (patches - mean).flatten(2) / side
    guides = F.unfold(guide, side, stride=stride).transpose(1, 2).unflatten(-1, (-1, side * side)).mean(-1)
    features = torch.cat([pattern, COLOUR_WEIGHT * mean[..., 0], GUIDE_WEIGHT * guides], dim=-1)
    rows = torch.arange(0, coarse.shape[-2] - side + 1, stride)
    columns = torch.arange(0, coarse.shape[-1] - side + 1, stride)
    places = torch.cartesian_prod(torch.arange(len(coarse)), rows, columns)
    return features.flatten(0, 1), places


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
