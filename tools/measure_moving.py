"""How much of what moves between posed pictures is found, and how much of it gets into the memory all the same; how much of
what stands still is lost with it.

In each rendered scene the first thing goes on by a step from picture to picture, while the camera goes aside. Depth is the
truth, or the embedded model's, in the cameras' unit by parallax as in a run. A pixel of the thing is written if a picture's
own Gaussians show it: what was not found may lie where another picture knew the scene already, and is not written then. A pixel
that stands still is lost if it was taken for moving; it is missing if no other picture shows the scene there either.

    python tools/measure_moving.py --size 256x144 --out out/moving

``--others N`` adds N scenes of random things and steps. The detector's constants were chosen on the six scenes and on the
numbers 100 to 115. The grain of a surface is that of its place, also where a thing moves: where it covers its own place it
looks the same again.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
import tyro
from jaxtyping import Bool, Float
from PIL import Image
from splatmem.depth import DepthEstimator, DepthPrediction, load_depth_estimator
from splatmem.explore.beginnings import PosedBeginning, begin_posed_memory
from splatmem.explore.loop import ExploreSettings
from splatmem.geometry.cameras import Cameras
from splatmem.jobs.option_types import Size
from splatmem.report.figures import write_json
from splatmem.report.sheet import moving_sheet
from splatmem.timing import StageClock
from torch import Tensor

from solid_scenes import ROOM, SCENES, SolidScene, standing


@dataclass
class Options:
    """What to measure."""

    size: Size = (256, 144)
    """Of the pictures."""
    pictures: int = 8
    """Of each scene."""
    step: float = 0.35
    """How far the thing goes from one picture to the next, in metres."""
    others: int = 0
    """How many scenes of random things beside, each with a step of its own."""
    first: int = 0
    """Number of the first of them."""
    aside: float = 0.6
    """How far the camera goes in all, in metres."""
    depths: tuple[Literal["true", "embedded"], ...] = ("true", "embedded")
    """Whose depth."""
    out: Path | None = None
    """Folder for the pictures with what was found, and moving.json with the figures, which is written after each scene."""


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


def random_scene(seed: int) -> tuple[SolidScene, float]:
    """One to three things in a room or in the open, and the step of the first of them in metres, to either side."""
    draw, inside = random.Random(seed), seed % 2 == 0
    solids = []
    for index in range(draw.choice((1, 2, 3))):
        kind, z = draw.choice(("box", "cylinder", "sphere")), draw.uniform(2.6, 4.2)
        x = draw.uniform(-0.8, 0.8) if index else draw.uniform(-0.3, 0.3)
        sizes = {
            "box": (draw.uniform(0.15, 0.5), draw.uniform(0.3, 0.9), draw.uniform(0.15, 0.4)),
            "cylinder": (draw.uniform(0.12, 0.4), draw.uniform(0.4, 1.0)),
            "sphere": (draw.uniform(0.25, 0.6),),
        }
        red, green, blue = (draw.uniform(0.1, 0.8) for _ in range(3))
        solids.append(standing(kind, x, z, sizes[kind], (red, green, blue)))
    step = draw.choice((0.2, 0.3, 0.5)) * draw.choice((-1, 1))
    place = "a room" if inside else "the open"
    name = f"{seed}: {solids[0].kind}, {len(solids)} things in {place}, {100 * step:.0f} cm"
    return SolidScene(name, tuple(solids), ROOM if inside else ()), step


class TrueDepth:
    """A depth estimator that knows each picture's depth."""

    estimates_fov = False

    def __init__(self, rgb: Float[Tensor, "n h w 3"], depth: Float[Tensor, "n h w"]) -> None:
        self.rgb, self.depth = rgb, depth

    def __call__(self, images: Float[Tensor, "v h w 3"], *, fov_x_degrees: float | None = None) -> DepthPrediction:
        nearest = [int((self.rgb - image).abs().flatten(1).mean(1).argmin()) for image in images]
        return DepthPrediction(self.depth[nearest], metric=True)


SHARES = ("found", "written", "still_lost", "still_missing")


def shares(begun: PosedBeginning, cameras: Cameras, thing: Bool[Tensor, "n h w"]) -> list[float]:
    """``SHARES``: of what moves, and of what stands still."""
    placed = begun.memory.world.to_memory(cameras)
    written = torch.zeros_like(thing)
    for view in begun.memory.views:
        index = int((placed.world_to_cam - view.camera.world_to_cam).abs().sum((1, 2)).argmin())
        written[index] = view.written & ~begun.moving[index]
    missing = ~begun.memory.coverage(placed)[0]
    of_thing = [(mask & thing).sum() / thing.sum() for mask in (begun.moving, written)]
    of_still = [(mask & ~thing).sum() / (~thing).sum() for mask in (begun.moving, missing)]
    return [float(share) for share in (*of_thing, *of_still)]


def main(options: Options) -> None:
    width, height = options.size
    poses = torch.eye(4).repeat(options.pictures, 1, 1)
    poses[:, 0, 3] = torch.linspace(-options.aside / 2, options.aside / 2, options.pictures)
    cameras = Cameras.from_fov(poses, 60.0, width, height)
    embedded = load_depth_estimator("embedded") if "embedded" in options.depths else None
    figures: list[dict[str, Any]] = []
    print("| scene | depth | found, % | written, % | still lost, % | still missing, % |\n|---|---|---|---|---|---|")
    for scene, step in [
        *((scene, options.step) for scene in SCENES),
        *map(random_scene, range(options.first, options.first + options.others)),
    ]:
        rgb, true_depth, thing = rendered(scene, cameras, step)
        for name in options.depths:
            estimate: DepthEstimator = TrueDepth(rgb, true_depth) if embedded is None or name == "true" else embedded
            begun = begin_posed_memory(rgb, cameras, estimate, ExploreSettings(), StageClock())
            found = shares(begun, cameras, thing)
            cells = " | ".join(f"{100 * share:.1f}" for share in found)
            print(f"| {scene.name} | {name} | {cells} |", flush=True)
            if options.out is not None:
                options.out.mkdir(parents=True, exist_ok=True)
                sheet: Image.Image = moving_sheet(rgb, begun.moving)
                sheet.save(options.out / f"{scene.name.replace(' ', '_').replace(':', '')}_{name}.png")
                figures.append({"scene": scene.name, "depth": name, **dict(zip(SHARES, found, strict=True))})
                write_json({"size": list(options.size), "scenes": figures}, options.out / "moving.json")


if __name__ == "__main__":
    main(tyro.cli(Options))
