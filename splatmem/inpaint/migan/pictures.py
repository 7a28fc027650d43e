"""Pictures of any size, filled by a network of fixed strides."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.inpaint.migan.network import FINE_STRIDE, MIGAN, STRIDE

MOST_PIXELS = 200_000
"""Pixels that the network is shown at most. It was trained on 512 x 512: the larger a picture is, the sharper is what it makes,
and the less it agrees as a whole. This is about a second's work on two cores."""
HALF = 0.5
LEAST_AROUND = 32
"""Pixels on each side of a hole that are shown at least."""

PictureFiller: TypeAlias = Callable[[Float[Tensor, "h w 3"], Bool[Tensor, "h w"]], Float[Tensor, "h w 3"]]
"""Makes a whole picture (0..1) of one of which some pixels are known."""


def picture_filler(folder: Path) -> PictureFiller:
    """The filler with the network of a folder; see ``MIGAN.from_folder``."""
    network = MIGAN.from_folder(folder)
    return lambda rgb, known: fill_picture(network, rgb, known)


@torch.inference_mode()
def fill_picture(network: MIGAN, rgb: Float[Tensor, "h w 3"], known: Bool[Tensor, "h w"]) -> Float[Tensor, "h w 3"]:
    """The picture with what is not known filled; the rest is as it was.

    Args:
        network: is shown the picture at ``shown_size``, in the middle of a multiple of its stride; just the picture if that is
            shown at its own size and its sides are multiples of the fine stride.
        rgb: 0..1, meaningless where not known.
    """
    height, width = known.shape
    size = shown_size(height, width)
    weights = known[None, None].float()
    covered = F.interpolate(weights, size=size, mode="area")
    colours = F.interpolate(rgb.permute(2, 0, 1)[None] * weights, size=size, mode="area") / covered.clamp_min(1e-4)
    fits = size == (height, width) and height % FINE_STRIDE == width % FINE_STRIDE == 0
    margins = [0 if fits else -side % STRIDE for side in size]
    top, left = margins[0] // 2, margins[1] // 2
    around = (left, margins[1] - left, top, margins[0] - top)
    shown = (F.pad(part, around).contiguous(memory_format=torch.channels_last) for part in (colours, (covered > HALF).float()))
    whole = network(*shown)[..., top : top + size[0], left : left + size[1]]
    whole = F.interpolate(whole, size=(height, width), mode="bicubic", align_corners=False).clamp(0, 1)
    return torch.where(known[..., None], rgb, whole[0].permute(1, 2, 0)).clone()


def fill_near(
    fill: PictureFiller, rgb: Float[Tensor, "h w 3"], known: Bool[Tensor, "h w"], around: float
) -> Float[Tensor, "h w 3"]:
    """A picture with what is not known filled by one who is shown no more of it than lies around that: the time is the hole's.

    Args:
        around: how much of the picture is shown on each side of the hole, in units of the square root of the area of the
            rectangle around it.
    """
    if known.all():
        return rgb.clone()
    spans = []
    for axis, length in ((1, known.shape[0]), (0, known.shape[1])):
        missing = torch.nonzero((~known).any(axis))[:, 0]
        spans.append((int(missing[0]), int(missing[-1]) + 1, length))
    margin = max(LEAST_AROUND, round(around * math.sqrt(math.prod(last - first for first, last, _ in spans))))
    part = tuple(slice(*_widened(first - margin, last + margin, length)) for first, last, length in spans)
    whole = rgb.clone()
    whole[part] = fill(rgb[part], known[part])
    return whole


def _widened(first: int, last: int, length: int) -> tuple[int, int]:
    """A span of a picture's side, within the picture, made as long as what the network is shown in any case."""
    first, last = max(0, first), min(length, last)
    size = min(length, max(STRIDE, FINE_STRIDE * math.ceil((last - first) / FINE_STRIDE)))
    first = min(max(0, first - (size - (last - first)) // 2), length - size)
    return first, first + size


def shown_size(height: int, width: int, most_pixels: int = MOST_PIXELS) -> tuple[int, int]:
    """The largest size, (height, width), at which a picture and the margins to the next multiples of the stride have so many
    pixels at most; never larger than it is."""
    cells = most_pixels // STRIDE**2
    pairs = [(rows, columns) for rows in range(1, cells + 1) for columns in range(1, cells // rows + 1)]
    share = min(1.0, max(min(STRIDE * rows / height, STRIDE * columns / width) for rows, columns in pairs))
    return max(1, int(share * height + 1e-6)), max(1, int(share * width + 1e-6))
