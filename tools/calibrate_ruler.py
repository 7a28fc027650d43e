"""What the ruler's distances mean: the truth of scenes against altered truth.

    python tools/calibrate_ruler.py out/validation/rooms/*

Each row alters the true pictures of every scene in one way and prints the feature and the distribution distance, as
`splatmem evaluate` measures what was made: over pictures of which the first ones are taken as seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import torch.nn.functional as F
import tyro
from jaxtyping import Float
from kornia.filters import gaussian_blur2d
from rich.console import Console
from rich.table import Table
from splatmem.evaluation.features import PatchFeatures, distribution_distance, feature_distance
from splatmem.evaluation.scenes import load_scene
from torch import Tensor

SEEN = 4  # pictures at either end of a turn that the first one overlaps
Pictures = Float[Tensor, "v h w 3"]


@dataclass
class Options:
    """Which scenes."""

    scenes: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """At least two folders of the same number of pictures, so that one can be taken for another."""
    frames: int = 24
    """Of each scene."""
    size: tuple[int, int] = (256, 144)
    """Width and height that pictures are compared at."""


def blurred(sigma: float) -> Callable[[Pictures], Pictures]:
    size = int(6 * sigma) | 1
    return lambda rgb: gaussian_blur2d(rgb.permute(0, 3, 1, 2), (size, size), (sigma, sigma)).permute(0, 2, 3, 1)


def coarse(width: int, height: int) -> Callable[[Pictures], Pictures]:
    def alter(rgb: Pictures) -> Pictures:
        small = F.interpolate(rgb.permute(0, 3, 1, 2), (height, width), mode="area")
        return F.interpolate(small, rgb.shape[1:3], mode="bilinear").permute(0, 2, 3, 1)

    return alter


ALTERATIONS: dict[str, Callable[[Pictures], Pictures]] = {
    "blurred, sigma 2 pixels": blurred(2),
    "blurred, sigma 8 pixels": blurred(8),
    "moved by 1/32 of the width": lambda rgb: rgb.roll(rgb.shape[2] // 32, 2),
    "moved by 1/8 of the width": lambda rgb: rgb.roll(rgb.shape[2] // 8, 2),
    "known at 32x18 pixels only": coarse(32, 18),
    "known at 16x9 pixels only": coarse(16, 9),
    "each picture mirrored": lambda rgb: rgb.flip(2),
    "a quarter turn off": lambda rgb: rgb.roll(len(rgb) // 4, 0),
    "half a turn off": lambda rgb: rgb.roll(len(rgb) // 2, 0),
    "each picture's mean colour": lambda rgb: rgb.mean((1, 2), keepdim=True).expand_as(rgb).contiguous(),
}


def main(options: Options) -> None:
    if len(options.scenes) < 2:
        raise ValueError("expected two scenes or more: each is also taken for the next")
    pictures = [load_scene(folder, frames=options.frames, size=options.size).truth.rgb for folder in options.scenes]
    describe = PatchFeatures.pretrained()
    truths = [describe(rgb) for rgb in pictures]
    rows = {name: [describe(alter(rgb)) for rgb in pictures] for name, alter in ALTERATIONS.items()}
    rows["another scene"] = [*truths[1:], truths[0]]
    table = Table("the true pictures, but", "feature distance", "distribution distance")
    for name, altered in rows.items():
        figures = []
        for ours, theirs, rgb in zip(altered, truths, pictures, strict=True):
            made = torch.ones(rgb.shape[:3], dtype=torch.bool)
            made[:SEEN] = made[1 - SEEN :] = False
            figures.append([feature_distance(ours, theirs, made), distribution_distance(ours, theirs, made)])
        feature, distribution = torch.tensor(figures).mean(0).tolist()
        table.add_row(name, f"{feature:.3f}", f"{distribution:.3f}")
    Console().print(table)


if __name__ == "__main__":
    main(tyro.cli(Options))
