"""How well a removal fills what a thing hid, on rooms whose truth without the thing is known (tools/render_removals.py).

Each view becomes a memory with its true depth; the thing's own pixels are the selection. All methods fill the same hole through
the same loop and take the same depth; ``depth model`` compares that depth with what the depth estimator completes.

    python tools/measure_removal.py out/removals/*.npz --sheet out/removals.png
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from splatmem import assets
from splatmem.depth import DepthEstimator, completed_depth, load_depth_estimator
from splatmem.depth.alignment import align
from splatmem.depth.photo_depth import classes_of, gravity_of
from splatmem.edit.removal import fill_holes, settled, take_away
from splatmem.edit.thing import gaussians_in_outline
from splatmem.evaluation.features import PatchFeatures, feature_distance
from splatmem.explore.loop import ExploreSettings
from splatmem.geometry.cameras import Cameras, identity_camera
from splatmem.inpaint import EMBEDDED_FOLDER, VideoInpainter
from splatmem.inpaint.classical import ClassicalInpainter
from splatmem.inpaint.migan.inpainter import FrameByFrame
from splatmem.inpaint.migan.pictures import picture_filler
from splatmem.memory import SpatialMemory
from splatmem.metrics import psnr
from splatmem.pixels import to_uint8
from splatmem.scene.edits import AROUND_HOLES
from splatmem.timing import StageClock

METHODS = ("places", "surroundings", "telea", "push-pull", "patchmatch")


def read(file: Path) -> dict[str, torch.Tensor]:
    with np.load(file) as pair:
        values = {name: pair[name] for name in pair.files if name != "name"}
    rgb, bare = (torch.from_numpy(values[name].astype(np.float32) / 255) for name in ("rgb", "rgb_without"))
    depth, bare_depth = (torch.from_numpy(values[name].copy()) for name in ("depth", "depth_without"))
    thing = torch.from_numpy(values["thing"].copy())
    fov = torch.tensor(float(values["fov_x_degrees"]))
    return {"rgb": rgb, "bare": bare, "depth": depth, "bare_depth": bare_depth, "thing": thing, "fov": fov}


def begin(pair: dict[str, torch.Tensor], estimator: DepthEstimator) -> tuple[SpatialMemory, Cameras]:
    """The memory of a view: its true depth, and what the depth estimator says that its pixels show."""
    height, width = pair["depth"].shape
    camera = identity_camera(float(pair["fov"]), width, height)
    down = gravity_of(pair["rgb"], camera)
    estimate = estimator(pair["rgb"][None], fov_x_degrees=float(pair["fov"]))
    classes = classes_of(pair["rgb"], pair["depth"], camera, down, estimate)
    memory = SpatialMemory(metric=True, down=down)
    memory.write(pair["rgb"], pair["depth"], camera, torch.ones(height, width, dtype=torch.bool), classes=classes)
    memory.refine(ExploreSettings().photo_refine_steps)
    return memory, camera


def delta1(depth: torch.Tensor, truth: torch.Tensor, where: torch.Tensor) -> float:
    """Share of the pixels whose depth is right up to a factor of 1.25."""
    ratio = torch.maximum(depth / truth, truth / depth)[where]
    return float((ratio < 1.25).float().mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", nargs="+", type=Path)
    parser.add_argument("--sheet", type=Path, help="truth, hole, and what each method makes of it")
    arguments = parser.parse_args()
    features, estimator = PatchFeatures.pretrained(), load_depth_estimator("embedded")
    figures: dict[str, list[list[float]]] = {name: [] for name in METHODS}
    depths: dict[str, list[float]] = {"surroundings": [], "depth model": []}
    places = FrameByFrame(picture_filler(assets.path(EMBEDDED_FOLDER)), around=AROUND_HOLES)
    others = {name: ClassicalInpainter(name) for name in METHODS[2:]}
    fillers: dict[str, VideoInpainter | None] = {"places": places, "surroundings": None, **others}
    rows = []
    for file in arguments.pairs:
        pair = read(file)
        memory, camera = begin(pair, estimator)
        chosen = gaussians_in_outline(memory, camera, pair["depth"], pair["thing"])
        views = []
        for method in METHODS:
            start = time.process_time()
            removal = take_away(memory, chosen)
            hole = ~removal.memory.read(camera).known[0]
            inpainter = fillers[method]
            generator = torch.Generator().manual_seed(0)
            fill_holes(removal, estimator, ExploreSettings(), StageClock(), generator, inpainter)
            after = settled(removal, 1).read(camera)
            seconds = time.process_time() - start
            distance = feature_distance(features(after.rgb), features(pair["bare"][None]), hole[None])
            figures[method].append([psnr(after.rgb[0], pair["bare"], hole), float(distance), seconds])
            views.append(after.rgb[0])
            if method == "surroundings":
                depths["surroundings"].append(delta1(after.depth[0], pair["bare_depth"], hole))
                now = take_away(memory, chosen).memory.read(camera)
                model = completed_depth(estimator, after.rgb[0], now.depth[0], ~hole, float(pair["fov"]))
                modelled = align(model, now.depth[0], ~hole).depth
                depths["depth model"].append(delta1(modelled, pair["bare_depth"], hole))
        marked = torch.where(hole[..., None], torch.tensor([1.0, 0.0, 1.0]), pair["rgb"])
        rows.append(torch.cat([pair["rgb"], marked, pair["bare"], *views], dim=1))
        print(
            f"{file.name}: hole {100 * hole.float().mean():.0f} %, "
            + ", ".join(f"{m} {figures[m][-1][0]:.1f} dB" for m in METHODS)
        )
    print(f"\n{'method':14} PSNR in the hole  feature distance  CPU seconds")
    for method, values in figures.items():
        mean = np.mean(values, axis=0)
        print(f"{method:14} {mean[0]:16.2f}  {mean[1]:16.4f}  {mean[2]:11.2f}")
    for name, shares in depths.items():
        print(f"depth delta1 in the hole, {name}: {np.mean(shares):.3f}")
    if arguments.sheet is not None:
        Image.fromarray(to_uint8(torch.cat(rows))).save(arguments.sheet)


if __name__ == "__main__":
    main()
