"""Crops of frames for training the depth model, damaged as photographs are."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8, UInt16
from numpy import ndarray
from PIL import Image
from torch import Tensor

from depth_frames import Frames

KIND_SHARES = {"near": 0.36, "room": 0.42, "open": 0.12, "stairs": 0.1}
"""How often each kind of scene is shown; what is missing leaves its share to the others."""
OTHER_SHARE = 0.2


@dataclass(frozen=True)
class Look:
    """A way to crop.

    Attributes:
        sizes: heights and widths that crops are brought to; one of them for each batch.
        share: smallest and largest height of a crop before that, relative to the picture's.
    """

    sizes: tuple[tuple[int, int], ...]
    share: tuple[float, float]


WHOLE = Look(((144, 216), (160, 208), (144, 256), (208, 144)), (0.7, 1.0))
"""At these sizes a picture's structure is learnt: most of the picture, reduced."""
DETAIL = Look(((192, 288),), (0.55, 0.85))
"""And here its detail: a part of the picture at about its own size."""


def batches(
    frames: Frames, look: Look, size: int, rng: np.random.Generator
) -> Iterator[tuple[Float[Tensor, "b 3 h w"], Float[Tensor, "b h w"]]]:
    """Endless random batches: rgb -1..1, depth in metres with 0 = sky. Frames that are added meanwhile take part."""
    while True:
        height_width = look.sizes[int(rng.integers(len(look.sizes)))]
        yield batch(frames, size, rng, height_width, look.share)


def batch(
    frames: Frames, size: int, rng: np.random.Generator, crop: tuple[int, int], share: tuple[float, float]
) -> tuple[Float[Tensor, "b 3 h w"], Float[Tensor, "b h w"]]:
    """One batch; see ``Look`` for ``crop`` and ``share``."""
    kinds = sorted(frames.by_kind)
    weights = np.array([KIND_SHARES.get(kind, OTHER_SHARE) for kind in kinds])
    pictures, depths = [], []
    for kind in rng.choice(kinds, size=size, p=weights / weights.sum()):
        picture, depth = cropped(*frames.pick(rng, str(kind)), rng, crop, share)
        pictures.append(torch.from_numpy(picture).permute(2, 0, 1).float() / 255)
        depths.append(torch.from_numpy(depth.astype(np.int32)).float() / 1000)
    x, depth = torch.stack(pictures), torch.stack(depths)
    if rng.random() < 0.5:
        x, depth = x.flip(-1), depth.flip(-1)
    return damaged(x, rng) * 2 - 1, depth


def cropped(
    rgb: UInt8[ndarray, "H W 3"], depth_mm: UInt16[ndarray, "H W"], rng: np.random.Generator, crop: tuple[int, int],
    share: tuple[float, float],
) -> tuple[UInt8[ndarray, "h w 3"], UInt16[ndarray, "h w"]]:  # fmt: skip
    """A random part of a frame, of the crop's shape give or take a little; now and then compressed as JPEG."""
    height, width = depth_mm.shape
    aspect = crop[1] / crop[0] * rng.uniform(0.93, 1.07)
    crop_height = min(height * rng.uniform(*share), width / aspect)
    crop_width = min(width, round(crop_height * aspect))
    crop_height = round(crop_height)
    top, left = int(rng.integers(height - crop_height + 1)), int(rng.integers(width - crop_width + 1))
    picture = Image.fromarray(rgb[top : top + crop_height, left : left + crop_width])
    picture = picture.resize(crop[::-1], Image.Resampling.BICUBIC)
    if rng.random() < 0.4:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=int(rng.integers(30, 92)))
        picture = Image.open(buffer, formats=["JPEG"])
    rows = top + ((np.arange(crop[0]) + 0.5) * crop_height / crop[0]).astype(int)
    columns = left + ((np.arange(crop[1]) + 0.5) * crop_width / crop[1]).astype(int)
    return np.array(picture), depth_mm[rows[:, None], columns]


def damaged(x: Float[Tensor, "b 3 h w"], rng: np.random.Generator) -> Float[Tensor, "b 3 h w"]:
    """Exposure, contrast, white balance, saturation down to grey, vignette, blur and noise, for display values 0..1."""
    count = len(x)

    def each(low: float, high: float, channels: int = 1) -> Tensor:
        return torch.from_numpy(rng.uniform(low, high, (count, channels, 1, 1)).astype(np.float32)).to(x.device)

    x = x ** each(0.55, 1.8)
    x = x * each(0.7, 1.25) * each(0.85, 1.15, 3)
    x = 0.5 + (x - 0.5) * each(0.7, 1.25)
    grey = x.mean(1, keepdim=True)
    saturation = each(0.2, 1.6) * (each(0.0, 1.0) > 0.3).float()
    x = grey + (x - grey) * saturation
    if rng.random() < 0.4:
        height, width = x.shape[-2:]
        y, z = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
        x = x * (1 - each(0.0, 0.45) * ((y.square() + z.square()) / 2).to(x.device))
    if rng.random() < 0.35:
        x = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
    x = x + torch.randn_like(x) * float(rng.uniform(0, 0.05))
    return x.clamp(0, 1)
