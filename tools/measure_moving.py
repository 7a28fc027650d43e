"""How much of what moves between posed pictures is found, and how much of what stands still is taken for moving.

In each rendered scene the first thing goes on by a step from picture to picture, while the camera goes aside. Depth is the
truth, or the embedded model's, in the cameras' unit by parallax as in a run.

    python tools/measure_moving.py --size 256x144 --out out/moving
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import tyro
from jaxtyping import Bool, Float
from PIL import Image
from splatmem.depth import load_depth_estimator
from splatmem.depth.motion import moved
from splatmem.depth.parallax import depth_from_parallax
from splatmem.geometry.cameras import Cameras
from splatmem.jobs.option_types import Size
from splatmem.report.sheet import moving_sheet
from torch import Tensor

from solid_scenes import SCENES, SolidScene


@dataclass
class Options:
    """What to measure."""

    size: Size = (256, 144)
    """Of the pictures."""
    pictures: int = 8
    """Of each scene."""
    step: float = 0.35
    """How far the thing goes from one picture to the next, in metres."""
    aside: float = 0.6
    """How far the camera goes in all, in metres."""
    out: Path | None = None
    """Folder for the pictures with what was found."""


def rendered(
    scene: SolidScene, cameras: Cameras, step: float
) -> tuple[Float[Tensor, "n h w 3"], Float[Tensor, "n h w"], Bool[Tensor, "n h w"]]:
    """Pictures, z-depth, and the pixels of the thing that moves."""
    found = []
    for index in range(len(cameras)):
        first, *others = scene.solids
        x, y, z = first.centre
        moved_on = replace(first, centre=(x + step * (index - (len(cameras) - 1) / 2), y, z))
        rgb, depth, classes = replace(scene, solids=(moved_on, *others)).view(cameras[index])
        found.append((rgb, depth, classes.things == 1))
    rgb, depth, thing = zip(*found, strict=True)
    return torch.stack(rgb), torch.stack(depth), torch.stack(thing)


def main(options: Options) -> None:
    width, height = options.size
    poses = torch.eye(4).repeat(options.pictures, 1, 1)
    poses[:, 0, 3] = torch.linspace(-options.aside / 2, options.aside / 2, options.pictures)
    cameras = Cameras.from_fov(poses, 60.0, width, height)
    estimate = load_depth_estimator("embedded")
    print("| scene | depth | of what moves found, % | of what stands still lost, % |\n|---|---|---|---|")
    for scene in SCENES:
        rgb, true_depth, thing = rendered(scene, cameras, options.step)
        told, _ = depth_from_parallax(rgb, torch.cat([estimate(r[None], fov_x_degrees=60.0).depth for r in rgb]), cameras)
        for name, depth in (("true", true_depth), ("embedded", told)):
            found = moved(rgb, depth, cameras)
            caught, lost = (found & thing).sum() / thing.sum(), (found & ~thing).sum() / (~thing).sum()
            print(f"| {scene.name} | {name} | {100 * caught:.1f} | {100 * lost:.1f} |", flush=True)
            if options.out is not None and math.isfinite(caught):
                options.out.mkdir(parents=True, exist_ok=True)
                sheet: Image.Image = moving_sheet(rgb, found)
                sheet.save(options.out / f"{scene.name.replace(' ', '_')}_{name}.png")


if __name__ == "__main__":
    main(tyro.cli(Options))
