"""Blur and morphology of small pictures and masks in a few lines of torch.

kornia has both, but loading it takes longer than all that is blurred here, and its morphology is some hundred times slower on
boolean masks (135 ms against 0.4 ms for four masks of 512x288, closed by three pixels).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor


def gaussian_kernel(sigma: float, radius: int) -> Float[Tensor, " k"]:
    """Weights of a Gaussian of standard deviation ``sigma`` at ``-radius .. radius``; their sum is 1."""
    kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / sigma).square())
    return kernel / kernel.sum()


def gaussian_blur(image: Float[Tensor, "h w"], sigma: float) -> Float[Tensor, "h w"]:
    """A picture blurred by a Gaussian of ``sigma`` pixels, cut off at four of them; beyond its edges it is as at them."""
    radius = round(4 * sigma)
    kernel = gaussian_kernel(sigma, radius).view(1, 1, -1)
    for _ in range(2):  # one axis after the other
        padded = F.pad(image[:, None], (radius, radius), mode="replicate")
        image = F.conv1d(padded, kernel)[:, 0].T
    return image


def dilate(mask: Bool[Tensor, "v h w"], radius: int) -> Bool[Tensor, "v h w"]:
    """Masks grown by a square of ``2 radius + 1`` pixels."""
    for axis in (1, 2):
        grown, length = mask.clone(), mask.shape[axis]
        for step in range(1, min(radius, length - 1) + 1):
            near, far = (0, length - step), (step, length - step)
            grown.narrow(axis, *far).logical_or_(mask.narrow(axis, *near))
            grown.narrow(axis, *near).logical_or_(mask.narrow(axis, *far))
        mask = grown
    return mask


def close_gaps(mask: Bool[Tensor, "v h w"], width: int) -> Bool[Tensor, "v h w"]:
    """Morphological closing: fills gaps up to ``width`` (odd) pixels across. What lies outside counts as set."""
    radius = width // 2
    return ~dilate(~dilate(mask, radius), radius)


def remove_specks(mask: Bool[Tensor, "v h w"], radius: int) -> Bool[Tensor, "v h w"]:
    """Morphological opening: drops what is thinner than ``2 radius + 1`` pixels. What lies outside counts as set."""
    return dilate(~dilate(~mask, radius), radius)
