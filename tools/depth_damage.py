"""Damages rendered pictures as cameras and files damage photographs, on the device that they lie on."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

# The luminance table of the JPEG standard (ITU-T T.81, annex K).
QUANTISATION = (
    (16, 11, 10, 16, 24, 40, 51, 61), (12, 12, 14, 19, 26, 58, 60, 55), (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62), (18, 22, 37, 56, 68, 109, 103, 77), (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101), (72, 92, 95, 98, 112, 100, 103, 99),
)  # fmt: skip


def damaged(x: Float[Tensor, "b 3 h w"], rng: np.random.Generator) -> Float[Tensor, "b 3 h w"]:
    """Exposure, contrast, white balance, saturation down to grey, vignette, blur, noise and blocks, for display values 0..1."""
    count, device = len(x), x.device

    def each(low: float, high: float, channels: int = 1) -> Tensor:
        return torch.from_numpy(rng.uniform(low, high, (count, channels, 1, 1)).astype(np.float32)).to(device)

    x = x.clamp(0, 1) ** each(0.55, 1.8)
    x = x * each(0.7, 1.25) * each(0.85, 1.15, 3)
    x = 0.5 + (x - 0.5) * each(0.7, 1.25)
    grey = x.mean(1, keepdim=True)
    saturation = each(0.2, 1.6) * (each(0.0, 1.0) > 0.25).float()
    x = grey + (x - grey) * saturation
    if rng.random() < 0.4:
        y, z = torch.meshgrid(
            *(torch.linspace(-1, 1, side, device=device) for side in x.shape[-2:]), indexing="ij"
        )  # fmt: skip
        x = x * (1 - each(0.0, 0.45) * ((y.square() + z.square()) / 2))
    if rng.random() < 0.35:
        x = blurred(x, float(rng.uniform(0.4, 1.6)))
    if rng.random() < 0.2:
        small = F.interpolate(x, scale_factor=float(rng.uniform(0.4, 0.8)), mode="bilinear", antialias=True)
        x = F.interpolate(small, size=x.shape[-2:], mode="bicubic")
    x = x + torch.randn_like(x) * each(0.0, 0.04) * float(rng.random() < 0.7)
    if rng.random() < 0.4:
        x = blocked(x.clamp(0, 1), float(rng.uniform(25, 90)))
    return x.clamp(0, 1)


def blurred(x: Float[Tensor, "b 3 h w"], sigma: float) -> Float[Tensor, "b 3 h w"]:
    """Convolved with a Gaussian."""
    radius = math.ceil(2.5 * sigma)
    taps = torch.exp(-0.5 * (torch.arange(-radius, radius + 1, device=x.device) / sigma) ** 2)
    taps = (taps / taps.sum()).view(1, 1, 1, -1).expand(x.shape[1], 1, 1, -1)
    for kernel, padding in ((taps, (radius, radius, 0, 0)), (taps.transpose(2, 3), (0, 0, radius, radius))):
        x = F.conv2d(F.pad(x, padding, mode="replicate"), kernel, groups=x.shape[1])
    return x


def blocked(x: Float[Tensor, "b 3 h w"], quality: float) -> Float[Tensor, "b 3 h w"]:
    """What JPEG of this quality leaves of the colours, with luminance's table for all channels; sides: multiples of 8."""
    scale = (5000 / quality if quality < 50 else 200 - 2 * quality) / 100
    table = (torch.tensor(QUANTISATION, device=x.device, dtype=torch.float32) * scale).clamp(1, 255)
    frequency, place = torch.arange(8, device=x.device)[:, None], torch.arange(8, device=x.device)[None]
    basis = torch.cos(math.pi / 8 * (place + 0.5) * frequency) * 0.5
    basis[0] *= math.sqrt(0.5)
    luminance = x.mean(1, keepdim=True)
    channels = torch.cat([luminance, x - luminance], dim=1) * 255
    blocks = channels.unflatten(2, (-1, 8)).unflatten(4, (-1, 8)).transpose(3, 4)  # [b, c, rows, columns, 8, 8]
    coefficients = basis @ blocks @ basis.T
    coefficients = (coefficients / table).round() * table
    channels = (basis.T @ coefficients @ basis).transpose(3, 4).flatten(4).flatten(2, 3) / 255
    return channels[:, :1] + channels[:, 1:]
