"""Fits Gaussians to a picture by gradient, beginning with noise.

    python examples/fit_picture.py assets/photos/interior_table.jpg --out fitted.png

The picture that is written shows the noise, what it became, and the picture itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import tyro
from PIL import Image
from splatmem.gaussians import Gaussians
from splatmem.gaussians.draw import rasterize
from splatmem.geometry.cameras import identity_camera
from splatmem.io.photo import load_photo
from splatmem.metrics import psnr
from torch import Tensor

LEARNING_RATES = {"means": 4e-3, "quats": 1e-2, "log_scales": 1e-2, "opacity_logits": 3e-2, "sh": 2e-2}
FOV_X_DEGREES = 60.0


def noise(count: int, width: int, height: int, seed: int = 0) -> Gaussians:
    """Grey-coloured blobs at random places of a picture, one unit away, that overlap by some three layers."""
    generator = torch.Generator().manual_seed(seed)
    camera = identity_camera(FOV_X_DEGREES, width, height)
    pixels = torch.rand(count, 2, generator=generator) * torch.tensor([width, height])
    middle, focal = torch.tensor([width, height]) / 2, camera.focal[0]
    depth = 1 + 0.1 * torch.rand(count, 1, generator=generator)
    size = (width * height / count) ** 0.5 / focal[0]
    return Gaussians(
        torch.cat([(pixels - middle) / focal * depth, depth], dim=1),
        torch.randn(count, 4, generator=generator),
        size.log() + 0.3 * torch.randn(count, 3, generator=generator),
        torch.zeros(count),
        torch.randn(count, 1, 3, generator=generator),
    )


def fit(gaussians: Gaussians, picture: Tensor, steps: int) -> Gaussians:
    """All parameters by Adam, against the picture ``[h, w, 3]``; the rate falls to a tenth."""
    camera = identity_camera(FOV_X_DEGREES, picture.shape[1], picture.shape[0])
    free = {name: getattr(gaussians, name).clone().requires_grad_() for name in LEARNING_RATES}
    optimizer = torch.optim.Adam([{"params": [free[name]], "lr": rate} for name, rate in LEARNING_RATES.items()], eps=1e-15)
    decay = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.1 ** (1 / steps))
    for _ in range(steps):
        (rasterize(Gaussians(**free), camera).rgb[0] - picture).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
        decay.step()
    return Gaussians(**{name: value.detach() for name, value in free.items()})


@torch.no_grad()
def shown(gaussians: Gaussians, width: int, height: int) -> Tensor:
    return rasterize(gaussians, identity_camera(FOV_X_DEGREES, width, height)).rgb[0].clamp(0, 1)


def main(
    picture: Annotated[Path, tyro.conf.Positional], out: Path, count: int = 8000, steps: int = 400, width: int = 384
) -> None:
    """Fits ``count`` Gaussians in ``steps`` steps and writes before, after and the picture side by side."""
    with Image.open(picture) as image:
        height = round(width * image.height / image.width)
    truth = load_photo(picture, width, height).rgb
    before = noise(count, width, height)
    after = fit(before, truth, steps)
    pictures = [shown(gaussians, width, height) for gaussians in (before, after)]
    print(f"PSNR before {psnr(pictures[0], truth):.1f} dB, after {psnr(pictures[1], truth):.1f} dB")
    row = torch.cat([*pictures, truth], dim=1)
    Image.fromarray((row * 255).round().to(torch.uint8).numpy().astype(np.uint8)).save(out)


if __name__ == "__main__":
    tyro.cli(main)
