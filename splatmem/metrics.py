"""Image and depth metrics, each over the pixels of a mask."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

EQUAL_PSNR = 100.0  # stands for infinite in means: equal pictures
SSIM_WINDOW = 11
DELTA1 = 1.25
PATCH, PATCHES = 32, 9  # pixels along a patch, and how many patches of that size a picture's shorter side has at least
PATCH_COVERED = 0.25  # share of a patch that counts, at least


def psnr(
    picture: Float[Tensor, "*s h w 3"], truth: Float[Tensor, "*s h w 3"], where: Bool[Tensor, "*s h w"] | None = None
) -> float:
    """Peak signal-to-noise ratio in dB for values in 0..1, over the pixels of ``where`` (all by default).

    ``inf`` for equal pictures, ``nan`` where there is no pixel to compare.
    """
    error, count = (picture - truth).square(), picture.numel()
    if where is not None:  # zeros take a tenth of the time that picking out the others takes
        error, count = torch.where(where[..., None], error, 0.0), picture.shape[-1] * int(where.sum())
    if count == 0:
        return math.nan
    mean = float(error.double().sum()) / count
    return math.inf if mean == 0 else -10 * math.log10(mean)


@dataclass(frozen=True)
class Fidelity:
    """How well a picture shows what it should: in the mean, which hides what is small, and where it is worst.

    Attributes:
        psnr: in dB over all pixels that count.
        worst_patch: in dB over those of the worst square patch.
    """

    psnr: float
    worst_patch: float

    @staticmethod
    def of(picture: Float[Tensor, "h w 3"], truth: Float[Tensor, "h w 3"], where: Bool[Tensor, "h w"]) -> Fidelity:
        """Compares two pictures; see ``psnr`` and ``worst_patch_psnr``."""
        return Fidelity(psnr(picture, truth, where), worst_patch_psnr(picture, truth, where))


def worst_patch_psnr(picture: Float[Tensor, "h w 3"], truth: Float[Tensor, "h w 3"], where: Bool[Tensor, "h w"]) -> float:
    """PSNR in dB of the square patch in which it is lowest, over its pixels of ``where``.

    Patches are 32 pixels large, smaller in pictures less than 288 pixels high, and overlap by half. Those count of which
    ``where`` holds a quarter; where there is none, it is the PSNR of all pixels.
    """
    side = max(2, min(PATCH, min(picture.shape[:2]) // PATCHES))
    error = torch.where(where, (picture - truth).square().mean(-1), 0.0).double()
    sums, shares = (F.avg_pool2d(x[None, None], side, max(1, side // 2), ceil_mode=True) for x in (error, where.double()))
    counted = shares >= PATCH_COVERED
    if not counted.any():
        return psnr(picture, truth, where)
    worst = float((sums[counted] / shares[counted]).max())
    return math.inf if worst == 0 else -10 * math.log10(worst)


def ssim(picture: Float[Tensor, "v h w 3"], truth: Float[Tensor, "v h w 3"], where: Bool[Tensor, "v h w"]) -> float:
    """Structural similarity (Wang et al. 2004; 11x11 window), the mean of its map over the pixels of ``where``.

    Pixels outside ``where`` count as equal, so that a window at the rim sees no error but that of ``where``. ``nan`` where
    there is no pixel to compare.
    """
    if not where.any():
        return math.nan
    from kornia.metrics import ssim as ssim_map

    shown = torch.where(where[..., None], picture, truth)
    similarity = ssim_map(shown.permute(0, 3, 1, 2), truth.permute(0, 3, 1, 2), SSIM_WINDOW)
    return float(similarity.mean(1)[where].double().mean())


def depth_delta1(depth: Float[Tensor, "*s h w"], truth: Float[Tensor, "*s h w"], where: Bool[Tensor, "*s h w"]) -> float:
    """Share of the pixels of ``where`` whose depth is within a factor of 1.25 of the truth (Eigen et al. 2014).

    A depth that is infinite, or not a number, is wrong. ``nan`` where there is no pixel to compare.
    """
    if not where.any():
        return math.nan
    ratio = depth[where] / truth[where]
    return float(((ratio < DELTA1) & (ratio > 1 / DELTA1)).double().mean())


def depth_abs_rel(depth: Float[Tensor, "*s h w"], truth: Float[Tensor, "*s h w"], where: Bool[Tensor, "*s h w"]) -> float:
    """Mean over the pixels of ``where`` of the depth's relative error ``|d - t| / t``; a pixel without depth has the error 1.

    ``nan`` where there is no pixel to compare.
    """
    if not where.any():
        return math.nan
    error = (depth[where] - truth[where]).abs() / truth[where]
    return float(torch.where(torch.isfinite(error), error, 1.0).double().mean())


def depth_abs_rel_median(
    depth: Float[Tensor, "*s h w"], truth: Float[Tensor, "*s h w"], where: Bool[Tensor, "*s h w"]
) -> float:
    """Median over the pixels of ``where`` of the depth's relative error ``|d - t| / t``.

    ``inf`` where more than half of the pixels have no depth, ``nan`` where there is no pixel to compare.
    """
    if not where.any():
        return math.nan
    error = (depth[where] - truth[where]).abs() / truth[where]
    return float(error.nan_to_num(nan=math.inf, posinf=math.inf).median())
