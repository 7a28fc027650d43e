"""Blur and morphology of small pictures and masks in a few lines of torch.

kornia has both, but loading it takes longer than all that is blurred here, and its morphology is some hundred times slower on
boolean masks (135 ms against 0.4 ms for four masks of 512x288, closed by three pixels).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Shaped
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


def maximum(image: Shaped[Tensor, "*c h w"], size: int) -> Shaped[Tensor, "*c h w"]:
    """The largest value in each pixel's square of ``size`` pixels along a side, an odd number.

    Rows and columns one after the other, by shifted pictures: pooling compares all pixels of each square one by one.
    """
    for axis in (-2, -1):
        length, largest = image.shape[axis], image.clone()
        for step in range(1, min(size // 2, length - 1) + 1):
            near, far = (0, length - step), (step, length - step)
            for to, of in ((near, far), (far, near)):
                part = largest.narrow(axis, *to)
                torch.maximum(part, image.narrow(axis, *of), out=part)
        image = largest
    return image


def dilate(mask: Bool[Tensor, "v h w"], radius: int) -> Bool[Tensor, "v h w"]:
    """Masks grown by a square of ``2 radius + 1`` pixels."""
    return maximum(mask, 2 * radius + 1)


def close_gaps(mask: Bool[Tensor, "v h w"], width: int) -> Bool[Tensor, "v h w"]:
    """Morphological closing: fills gaps up to ``width`` (odd) pixels across. What lies outside counts as set."""
    radius = width // 2
    return ~dilate(~dilate(mask, radius), radius)


def remove_specks(mask: Bool[Tensor, "v h w"], radius: int) -> Bool[Tensor, "v h w"]:
    """Morphological opening: drops what is thinner than ``2 radius + 1`` pixels. What lies outside counts as set."""
    return dilate(~dilate(~mask, radius), radius)


DOMAIN_PASSES = 3


def domain_filter(
    maps: Float[Tensor, "k h w"], across: Float[Tensor, "h n"], down: Float[Tensor, "w m"], sigma: float
) -> Float[Tensor, "k h w"]:
    """The domain transform's recursive filter (Gastal & Oliveira 2011): an average over ways without steps.

    Args:
        maps: what is filtered.
        across: length of the way from each pixel to its right neighbour: 1 where nothing changes, ``n`` is ``w - 1``.
        down: the same to the neighbour below, transposed, ``m`` is ``h - 1``.
        sigma: standard deviation of the filter, in the unit of the lengths.
    """
    for index in range(DOMAIN_PASSES):
        reach = sigma * math.sqrt(3) * 2 ** (DOMAIN_PASSES - index - 1) / math.sqrt(4**DOMAIN_PASSES - 1)
        feedback = math.exp(-math.sqrt(2) / reach)
        maps = _filtered_rows(maps, feedback**across)
        maps = _filtered_rows(maps.transpose(1, 2), feedback**down).transpose(1, 2)
    return maps


def _filtered_rows(maps: Float[Tensor, "k h w"], links: Float[Tensor, "h n"]) -> Float[Tensor, "k h w"]:
    """A recursive filter along rows, to the right and back; ``links``: share that each pixel takes of its left neighbour."""
    columns = list(maps.movedim(2, 0).contiguous())
    shares = links.T.contiguous().unbind(0)
    for index in range(1, len(columns)):
        columns[index] = torch.lerp(columns[index], columns[index - 1], shares[index - 1])
    for index in range(len(columns) - 2, -1, -1):
        columns[index] = torch.lerp(columns[index], columns[index + 1], shares[index])
    return torch.stack(columns).movedim(0, 2)
