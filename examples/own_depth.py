"""A depth estimator of one's own: here the embedded one, looking at the picture and at its mirror image.

python examples/own_depth.py assets/photos/interior_table.jpg --out out/room
"""

from __future__ import annotations

import splatmem as sm
import torch
import tyro
from torch import Tensor


class BothWays:
    """The geometric mean of two estimates, of the picture and of its mirror image."""

    name = "both ways"

    def __init__(self) -> None:
        self.estimate = sm.load_depth_estimator("embedded")

    def __call__(self, images: Tensor, *, fov_x_degrees: float | None = None) -> sm.DepthPrediction:
        straight, mirrored = self.estimate(images).depth, self.estimate(images.flip(2)).depth.flip(2)
        return sm.DepthPrediction(torch.sqrt(straight * mirrored), metric=True)


def main(photo: tyro.conf.Positional[str], out: str, size: tuple[int, int] = (512, 288)) -> None:
    scene = sm.Scene.from_photo(photo, size, depth=BothWays())
    scene.save(out, overwrite=True)
    print(scene)


if __name__ == "__main__":
    tyro.cli(main)
