"""How whole the things of a lifted photo are, and what a step aside uncovers, on scenes of solids whose every view is known.

A photo of each scene is lifted, with its true depth and classes, and looked at from aside on the circle about its subject. No
inpainter runs: the figures are those of the lift. ``photo`` is what the photo alone knows (holes smeared over from around),
``lift`` what is made behind it too:

- uncovered: PSNR, and share of depth within a factor of 1.25, over pixels that the photo does not show though they lie in the
  scene it looks at; unknown: share of these that nothing was made for.
- silhouette: overlap of the things' outline with the true one.
- floaters: share of pixels with something nearer than the truth by 10 % or more.
- photo PSNR, before and after what lies behind was added.
- orbit: range of directions and least radius of the preset.

    python tools/measure_things.py [--size 192x108] [--degrees 15 30]
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass

import torch
from splatmem.depth import DepthPrediction
from splatmem.explore.beginnings import begin_memory
from splatmem.explore.loop import ExploreSettings
from splatmem.gaussians.draw import rasterize_colours
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.poses import look_at
from splatmem.memory import SpatialMemory
from splatmem.metrics import psnr
from splatmem.timing import StageClock
from splatmem.trajectory.clear_space import ClearSpace
from splatmem.trajectory.trajectory import preset_trajectory

from solid_scenes import SCENES, SolidScene, labels_as_logits

CELL = 8  # pixels of a cell of the classes' map
SAME_SURFACE = 0.03  # relative difference of depth up to which the photo shows a point
NEARER = 0.9
SHOWS = 0.5


class TrueDepth:
    """An estimator that knows one picture's depth and classes."""

    name, estimates_fov = "truth", False

    def __init__(self, scene: SolidScene, camera: Cameras) -> None:
        _, depth, classes = scene.view(camera)
        self.prediction = DepthPrediction(depth[None], True, class_logits=labels_as_logits(classes.labels, CELL)[None])

    def __call__(self, images: torch.Tensor, *, fov_x_degrees: float | None = None) -> DepthPrediction:
        return self.prediction


@dataclass(frozen=True)
class Figures:
    """Of one memory, over the views from aside."""

    uncovered_psnr: float
    uncovered_delta1: float
    unknown: float
    silhouette: float
    floaters: float


def lifted(scene: SolidScene, camera: Cameras) -> SpatialMemory:
    rgb, _, _ = scene.view(camera)
    return begin_memory(rgb, camera, TrueDepth(scene, camera), ExploreSettings(), StageClock())


def views_aside(camera: Cameras, distance: float, degrees: list[float]) -> Cameras:
    angle = torch.deg2rad(torch.tensor([sign * d for d in degrees for sign in (-1, 1)], dtype=torch.float64))
    subject = torch.tensor([[0.0, 0.0, distance]]).double()
    outward = torch.stack([angle.sin(), torch.zeros_like(angle), -angle.cos()], dim=-1)
    poses = look_at(subject + distance * outward, subject.expand(len(angle), 3))
    return Cameras.from_fov(poses, camera.fov_x_degrees, camera.width, camera.height)


def uncovered(depth: torch.Tensor, camera: Cameras, photo_depth: torch.Tensor, photo: Cameras) -> torch.Tensor:
    """Pixels whose points fall into the photo but are hidden in it."""
    points = camera.unproject(depth.clamp_max(1e4)[None])[0].reshape(-1, 3)
    pixels, z = photo.project(points)
    inside = photo.in_picture(pixels, z)[0]
    column, row = (pixels[0, :, axis].long().clamp(0, limit - 1) for axis, limit in ((0, photo.width), (1, photo.height)))
    hidden = z[0] > (1 + SAME_SURFACE) * photo_depth[row, column]
    return (inside & hidden).view(depth.shape)


def figures(memory: SpatialMemory, scene: SolidScene, photo: Cameras, cameras: Cameras) -> Figures:
    _, photo_depth, classes = scene.view(photo)
    reading = memory.read(cameras)
    first = memory.views[0]
    thing = memory.gaussians.select(slice(*first.gaussians))
    pixels, z = photo.project(thing.means)
    column, row = (pixels[0, :, axis].long().clamp(0, limit - 1) for axis, limit in ((0, photo.width), (1, photo.height)))
    own = thing.select((classes.things[row, column] > 0) & (z[0] < 1.2 * photo_depth[row, column]))
    rows = []
    for index in range(len(cameras)):
        rgb, depth, true_classes = scene.view(cameras[index])
        new = uncovered(depth, cameras[index], photo_depth, photo)
        finite = new & torch.isfinite(depth)
        ratio = torch.maximum(reading.depth[index] / depth, depth / reading.depth[index])
        known = reading.known[index]
        right = (ratio < 1.25) | (torch.isinf(depth) & torch.isinf(reading.depth[index]))
        drawn = rasterize_colours(own, cameras[index])[1][0] > SHOWS
        true = true_classes.things > 0
        rows.append(
            (
                psnr(reading.rgb[index], rgb, new) if new.any() else math.nan,
                float((right & known)[new].float().mean()) if finite.any() else math.nan,
                float((~known)[new].float().mean()) if new.any() else math.nan,
                float((drawn & true).sum() / (drawn | true).sum().clamp_min(1)),
                float((known & (reading.depth[index] < NEARER * depth)).float().mean()),
            )
        )
    return Figures(*torch.tensor(rows).nanmean(0).tolist())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="192x108")
    parser.add_argument("--degrees", type=float, nargs="+", default=[15.0, 30.0])
    arguments = parser.parse_args()
    width, height = map(int, arguments.size.split("x"))
    photo = Cameras.from_fov(torch.eye(4)[None], 65.0, width, height)
    print(f"{'scene':24s} {'':6s} uncovered dB  delta1  unknown  silhouette  floaters  photo dB  orbit")
    for scene in SCENES:
        memory = lifted(scene, photo)
        cameras = views_aside(photo, ClearSpace(memory.as_given()).subject, arguments.degrees)
        extent = preset_trajectory("orbit", memory, 48).extent
        assert extent is not None
        for name, part in (("photo", memory.as_given()), ("lift", memory)):
            f = figures(part, scene, photo, cameras)
            orbit = f"{extent.degrees:.0f} degrees, radius {extent.min_radius:.2f}" if name == "lift" else ""
            print(
                f"{scene.name:24s} {name:6s} {f.uncovered_psnr:12.1f} {f.uncovered_delta1:7.3f} {f.unknown:8.3f} "
                f"{f.silhouette:11.3f} {f.floaters:9.4f} {part.photo_fidelity().psnr:9.2f}  {orbit}",
                flush=True,
            )


if __name__ == "__main__":
    main()
