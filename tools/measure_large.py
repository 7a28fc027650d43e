"""What a large scene costs: seconds of a processor and peak memory to film, save, open and extend memories of several sizes.

    python tools/measure_large.py --rooms 8 24 80 --size 512x288 --out out/large.json

A large scene is as many copies of one photo's room as asked for, twenty metres apart, each with the view that it was made
from, as a scene of many posed pictures is. All is done in the first room, so that what grows with the scene is what every
operation pays for what it does not touch. Each size has a process of its own, whose peak memory is told.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import splatmem as sm
import torch
import tyro
from splatmem import assets
from splatmem.gaussians import Gaussians
from splatmem.jobs.option_types import Size
from splatmem.memory import SpatialMemory

APART = 20.0  # of the memory's scale, between two rooms


@dataclass
class Options:
    """What to measure."""

    rooms: tuple[int, ...] = (8, 24, 80)
    """How many copies of the room, size by size."""
    size: Size = (512, 288)
    """Of the pictures: a room has about as many Gaussians as a picture has pixels."""
    frames: int = 12
    """Of the film, and of the path along which the scene is extended."""
    out: Path | None = None
    """Where the figures go, as JSON."""
    alone: bool = False
    """Measure one size in this process; used by the tool itself."""


def copies(memory: SpatialMemory, count: int) -> SpatialMemory:
    """The same room again and again, side by side."""
    base, gaussians, views = memory.gaussians, [], []
    for number in range(count):
        offset = torch.tensor([APART * memory.scale * number, 0.0, 0.0])
        first = number * len(base)
        gaussians.append(replace(base, means=base.means + offset))
        for view in memory.views:
            world_to_cam = view.camera.world_to_cam.clone()
            world_to_cam[:, :3, 3] -= world_to_cam[:, :3, :3] @ offset
            span = (first + view.gaussians[0], first + view.gaussians[1])
            views.append(replace(view, camera=replace(view.camera, world_to_cam=world_to_cam), gaussians=span))
    return replace(memory, gaussians=Gaussians.cat(gaussians), views=views, num_given_views=len(views))


def measured(options: Options) -> dict[str, float]:
    """The figures of one size."""
    scene = sm.Scene.from_photo(assets.path("photos/interior_table.jpg"), size=options.size)
    scene.memory = copies(scene.memory, options.rooms[0])
    path = sm.Trajectory.preset("arc", scene, frames=options.frames)
    figures: dict[str, float] = {"gaussians": len(scene.memory.gaussians), "memory_bytes": scene.memory.nbytes}

    def take(name: str, work: Callable[[], object]) -> None:
        before = time.process_time()
        work()
        figures[name] = time.process_time() - before
        figures[f"{name}_peak_bytes"] = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "scene"
        take("begin", lambda: None)
        take("film_first", lambda: scene.film(path, Path(folder) / "one.mp4"))
        take("film", lambda: scene.film(path, Path(folder) / "two.mp4"))
        take("save", lambda: scene.save(place))
        take("extend", lambda: scene.extend(path))
        take("save_again", lambda: scene.save())
        scene.memory = SpatialMemory()
        take("open", lambda: sm.Scene.open(place))
    return figures


def main(options: Options) -> None:
    if options.alone:
        print(json.dumps(measured(options)))
        return
    rows = []
    stages = ("film_first", "film", "save", "open", "extend", "save_again")
    print("| Gaussians | in memory, MB | peak, GB | " + " | ".join(s.replace("_", " ") for s in stages) + " |")
    print("|---" * (3 + len(stages)) + "|")
    for rooms in options.rooms:
        size = f"{options.size[0]}x{options.size[1]}"
        command = [sys.executable, __file__, "--alone", "--rooms", str(rooms), "--size", size, "--frames", str(options.frames)]
        told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        row = json.loads(told.splitlines()[-1])
        rows.append(row)
        peak = max(row[f"{stage}_peak_bytes"] for stage in stages)
        cells = [f"{row['gaussians']:,}", f"{row['memory_bytes'] / 1e6:.0f}", f"{peak / 1e9:.2f}"]
        print("| " + " | ".join([*cells, *(f"{row[stage]:.2f}" for stage in stages)]) + " |", flush=True)
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main(tyro.cli(Options))
