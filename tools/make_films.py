"""Films of the same beginnings by several methods, as folders for ``splatmem judge`` and tools/measure_clips.py.

    python tools/make_films.py PHOTO... --paths arc orbit --methods ours,telea,push_pull,no_memory --out out/films
    python tools/make_films.py out/validation/panoramas/* --out out/films       # along the scenes' own cameras
    splatmem judge out/films/*/* --out out/cameras.json

OUT/METHOD/NAME holds video.mp4 and cameras.json; NAME is the photo's with the path's, or the scene's. Of a scene whose truth
is known (a folder with transforms.json, see docs/evaluation.md) a film of that is made too, as the method ``truth``. All
methods of a beginning start from the same lifted photo and the same seed. A film that is there is not made again, so the same
command goes on where it was stopped.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import splatmem as sm
import tyro
from splatmem.config import load_preset
from splatmem.depth import load_depth_estimator
from splatmem.evaluation.film import Begun, ScaledToTruth, begin
from splatmem.evaluation.inputs import open_scene
from splatmem.evaluation.methods import load_methods
from splatmem.evaluation.names import ALL
from splatmem.evaluation.options import Methods
from splatmem.explore.loop import ExploreSettings
from splatmem.geometry.cameras import Cameras
from splatmem.io.transforms_json import save_transforms_json
from splatmem.io.video import write_video
from splatmem.jobs.option_types import Size
from torch import Tensor

FPS = 24.0
TRUTH = "truth"


@dataclass
class Options:
    """What to film."""

    sources: tyro.conf.Positional[tuple[Path, ...]]
    """Photos, or scenes whose truth is known."""
    out: Path
    """Folder for the films."""
    paths: tuple[str, ...] = ("arc",)
    """Presets along which each photo is filmed; scenes have their own cameras."""
    methods: Methods = ALL
    """As in ``splatmem evaluate``."""
    frames: int = 24
    """Of each film."""
    size: Size = (256, 144)
    """Of the films."""
    preset: str = "embedded"
    """Whose models are used."""
    seed: int = 0
    """Of all that is made."""


def write_film(frames: Tensor, cameras: Cameras, folder: Path) -> None:
    """The cameras, and then the film: where that is, both are whole."""
    folder.mkdir(parents=True, exist_ok=True)
    save_transforms_json(cameras, folder / "cameras.json")
    write_video(folder / "video.mp4", frames, FPS)


def main(options: Options) -> None:
    config, settings = load_preset(options.preset, ()), ExploreSettings()
    methods = load_methods(options.methods, config, "cpu")
    estimate_depth = load_depth_estimator(config.depth.model, hardware=config.hardware)

    def missing(name: str) -> list[str]:
        return [method for method in methods if not (options.out / method / name / "video.mp4").is_file()]

    def film(name: str, begun: Begun, path: Cameras) -> None:
        for method in missing(name):
            make, inpainter = methods[method]
            before = time.process_time()
            made = make(begun, path, inpainter, estimate_depth, options.seed, settings)
            write_film(made.rgb, path, options.out / method / name)
            print(f"{method}/{name}: {time.process_time() - before:.1f} CPU seconds", flush=True)

    for source in options.sources:
        if source.is_dir():
            if missing(source.name):
                scene = open_scene(source, frames=options.frames, size=options.size)
                write_film(scene.truth.rgb, scene.truth.cameras, options.out / TRUTH / source.name)
                film(source.name, begin(scene, ScaledToTruth(estimate_depth, scene), settings), scene.path)
            continue
        names = {f"{source.stem}_{path}": path for path in options.paths}
        if any(missing(name) for name in names):
            begun = sm.Scene.from_photo(source, size=options.size, preset=options.preset, seed=options.seed).memory
            for name, path in names.items():
                film(name, Begun(begun, {}), sm.Trajectory.preset(path, begun, frames=options.frames).cameras)


if __name__ == "__main__":
    main(tyro.cli(Options))
