"""Compares a scene that is made live, camera by camera with no path known, with one that is planned, for the same turn; and
measures what a random walk keeps.

    python tools/bench_live.py --size 256x144 --frames 48 --out out/live.json
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import splatmem as sm
import torch
import tyro
from splatmem import assets
from splatmem.jobs.option_types import Size
from splatmem.metrics import psnr
from splatmem.timing import StageClock


@dataclass
class Options:
    """What to measure."""

    photo: Path = Path(str(assets.path("photos/interior_table.jpg")))
    """Where the scene begins."""
    size: Size = (256, 144)
    """Of the pictures."""
    frames: int = 48
    """Of the turn."""
    steps: int = 120
    """Cameras of the random walk, half of them on the way back."""
    seed: int = 0
    """Of the scene and of the walk."""
    out: Path | None = None
    """Where the figures go, as JSON."""


@dataclass(frozen=True)
class Figures:
    """Of one way to make a scene.

    Attributes:
        seconds: of the processor that making took, without the photo.
        generated_frames: frames that were made.
        gaussians: of the scene.
        retention_min: lowest PSNR, in dB, of what was known against what is shown of it at the end.
        loop: PSNR, in dB, of the views as they were shown when they were first passed against those at the end; the lowest.
        unknown: share of the turn that is unknown at the end.
        stages: seconds of the processor by stage.
    """

    seconds: float
    generated_frames: int
    gaussians: int
    retention_min: float
    loop: float
    unknown: float
    stages: dict[str, float]


def begin(options: Options) -> sm.Scene:
    """The scene of the photo, its models loaded, with a clock for what is made from now on."""
    scene = sm.Scene.from_photo(options.photo, options.size, seed=options.seed)
    _ = scene.models.inpainter, scene.models.depth
    scene.clock = StageClock(now=time.process_time)
    return scene


def figures(scene: sm.Scene, cameras: sm.Cameras, shown: list[torch.Tensor], seconds: float, made: int) -> Figures:
    last, known = scene.memory.film(cameras)
    loops = [psnr(last[i], before) for i, before in enumerate(shown)]
    retention = scene.memory.retention_psnr()
    unknown = 1 - known.float().mean().item()
    least, stages = min(retention, default=99.0), dict(scene.clock.seconds)
    return Figures(seconds, made, len(scene.memory.gaussians), least, min(loops), unknown, stages)


def live(scene: sm.Scene, cameras: sm.Cameras) -> Figures:
    """Camera by camera: what a viewer shows is what the memory knew when it was there."""
    shown, made, seconds = [], 0, 0.0
    for index in range(len(cameras)):
        start = time.process_time()
        made += scene.look(cameras[index]).generated_frames
        seconds += time.process_time() - start
        shown.append(scene.memory.film(cameras[index])[0][0])
    return figures(scene, cameras, shown, seconds, made)


def planned(scene: sm.Scene, cameras: sm.Cameras) -> Figures:
    start = time.process_time()
    state = scene.explore(cameras)
    seconds = time.process_time() - start
    shown = list(scene.memory.film(cameras)[0])
    return figures(scene, cameras, shown, seconds, state.generated_frames)


def random_walk(scene: sm.Scene, steps: int, seed: int) -> sm.Cameras:
    """Cameras that turn and step about at random within free space, and come back to the first one."""
    generator = torch.Generator().manual_seed(seed)
    cameras = [scene.memory.views[0].camera]
    limit = 0.3 * scene.memory.scale
    while len(cameras) < steps // 2:
        turn, ahead = (torch.rand(2, generator=generator) * 2 - 0.8).tolist()
        following = cameras[-1].turned(30.0 * turn).moved(ahead=0.12 * ahead * scene.memory.scale)
        if following.centers[0].norm() <= limit:
            cameras.append(following)
    return sm.Cameras.cat([*cameras, *cameras[::-1]])


def main(options: Options) -> None:
    results = {}
    turn = sm.Trajectory.preset("turn", begin(options), options.frames).cameras
    results["planned"] = planned(begin(options), turn)
    results["live"] = live(begin(options), turn)
    walker = begin(options)
    results["random walk, live"] = live(walker, random_walk(walker, options.steps, options.seed))
    for name, value in results.items():
        print(
            f"{name}: {value.seconds:.1f} CPU s, {value.generated_frames} frames made, {value.gaussians} Gaussians, retention "
            f"{value.retention_min:.1f} dB at least, loop {value.loop:.1f} dB at least, {100 * value.unknown:.2f} % unknown; "
            + ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in value.stages.items())
        )
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps({name: vars(value) for name, value in results.items()}, indent=1))


if __name__ == "__main__":
    try:
        main(tyro.cli(Options, description=__doc__))
    except (ValueError, OSError) as error:
        sys.exit(f"bench_live: {error}")
