"""Image and depth metrics, each over the pixels of a mask."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

SSIM_WINDOW = 11
DELTA1 = 1.25


def psnr(
    picture: Float[Tensor, "*s h w 3"], truth: Float[Tensor, "*s h w 3"], where: Bool[Tensor, "*s h w"] | None = None
) -> float:
    """Peak signal-to-noise ratio in dB for values in 0..1, over the pixels of ``where`` (all by default).

    ``inf`` for equal pictures, ``nan`` where there is no pixel to compare.
    """
    error = (picture - truth).square()
    error = error if where is None else error[where]
    if error.numel() == 0:
        return math.nan
    mean = float(error.double().mean())
    return math.inf if mean == 0 else -10 * math.log10(mean)


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
