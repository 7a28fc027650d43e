"""Times the CPU rasterizer on the scenes that the package meets, against its prototype and against what else runs on a CPU.

    python tools/bench_rasterizer.py                                    # the table, on the terminal
    python tools/bench_rasterizer.py --prototype FOLDER --peers --docs  # all of it, into docs/rasterizer.md

The contenders take turns in every round, so that a ratio within one run holds on a machine that others use too; look at the
fastest and at the median. It starts itself again with OMP_WAIT_POLICY=passive: torch's idle threads would else spin on the
cores that the kernels want.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

if __name__ == "__main__" and "OMP_WAIT_POLICY" not in os.environ:
    os.environ["OMP_WAIT_POLICY"] = "passive"
    os.execv(sys.executable, [sys.executable, *sys.argv])

import torch
import tyro
from splatmem.cameras import Cameras
from splatmem.gaussians import rgb_to_sh
from splatmem.render.extension import load_kernels
from splatmem.render.rasterization import render_views

from rasterizer_bench import report, roofs
from rasterizer_bench.contenders import Contender, Losses, Prototype, Splatmem, TorchTiles, open3d_seconds
from rasterizer_bench.report import Case, mean_of_views
from rasterizer_bench.scenes import Scene, cameras, lifted_or_trained, walk

ROOT = Path(__file__).resolve().parent.parent
VIEWS = 3
CHANNELS = 4


@dataclass
class Options:
    """What to time."""

    scenes: tuple[str, ...] = ("lifted-150k", "lifted-500k", "lifted-1.5M", "trained-200k")
    """Scenes: "lifted" or "trained", and the number of Gaussians."""
    sizes: tuple[str, ...] = ("512x288", "960x544")
    """Image sizes."""
    threads: tuple[int, ...] = (2,)
    """Numbers of threads."""
    film: int = 96
    """Frames of a film that is drawn too; 0 for none."""
    rounds: int = 15
    """Rounds in which the contenders take turns."""
    clock: Literal["wall", "cpu"] = "wall"
    """"cpu" counts the processor time of all threads, which a busy machine changes less: for ratios with one thread."""
    instruction_set: str | None = None
    """One of those that this processor has, instead of the best."""
    prototype: Path | None = None
    """Folder of the prototype (cpp/raster.cpp, crast.py), to be compiled and timed too."""
    peers: bool = False
    """Also time Open3D's splat renderer and a loop over tiles in plain torch (minutes)."""
    docs: bool = False
    """Write the tables into docs/rasterizer.md and the plot into docs/images."""
    plot: Path | None = None
    """Write the plot here."""


CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def take_turns(contenders: list[Contender], rounds: int, clock: str, case: Case) -> None:
    """Times all contenders, forward and with backward, view by view; the first round warms up and does not count."""
    forward = {c.name: [[] for _ in range(VIEWS)] for c in contenders}
    both = {c.name: [[] for _ in range(VIEWS)] for c in contenders}
    for i in range(rounds + 1):
        for view in range(VIEWS):
            for contender in contenders if i % 2 else reversed(contenders):
                for times, draw in ((forward, contender.forward), (both, contender.forward_and_backward)):
                    start = CLOCKS[clock]()
                    draw(view)
                    if i > 0:
                        times[contender.name][view].append(CLOCKS[clock]() - start)
    case.forward |= {name: mean_of_views(times) for name, times in forward.items()}
    case.both |= {name: mean_of_views(times) for name, times in both.items()}


def time_stages(kernels: Splatmem, rounds: int, case: Case) -> None:
    """The fastest of each stage, averaged over the views."""
    rows = [[kernels.statistics(view) for _ in range(rounds)] for view in range(VIEWS)]
    case.stages = {s: sum(min(row[s] for row in view) for view in rows) / VIEWS for s in report.STAGES}


@torch.no_grad()
def time_film(scene: Scene, views: Cameras, case: Case) -> None:
    """The faster of two drawings of all views in one call; the first call of all warms up."""
    means, quats, scales, opacities, colors = scene.tensors()
    cameras = (views.world_to_cam, views.intrinsics, views.width, views.height)
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        render_views(means, quats, scales, opacities, rgb_to_sh(colors), None, *cameras, render_mode="RGB+D")
        seconds.append(time.perf_counter() - start)
    case.film = min(seconds[1:])


def compare_with_roofs(scene: Scene, views: Cameras, machine: roofs.Roofs, case: Case) -> None:
    works = [roofs.count_work(scene, views, view, machine.threads) for view in range(VIEWS)]
    case.work = roofs.Work(*(round(sum(values) / VIEWS) for values in zip(*(vars(w).values() for w in works), strict=True)))
    case.least = roofs.least_seconds(case.work, CHANNELS, views.width * views.height, machine)


def time_peers(scene: Scene, views: Cameras, losses: Losses, case: Case) -> None:
    take_turns([TorchTiles(scene, views, losses)], 1, "wall", case)
    try:
        drawn = open3d_seconds(scene, views, rounds=3, timeout=600)
    except RuntimeError as error:
        print(f"Open3D is left out: {error}", file=sys.stderr)
        return
    case.forward["Open3D"] = mean_of_views([drawn[view::VIEWS] for view in range(VIEWS)])


def time_case(scene: Scene, size: str, machine: roofs.Roofs, options: Options) -> Case:
    width, height = (int(side) for side in size.split("x"))
    threads = machine.threads
    torch.set_num_threads(threads)
    case = Case(scene.name, size, threads)
    views = cameras(VIEWS, width, height)
    losses = Losses(views)
    contenders: list[Contender] = [Splatmem(scene, views, losses)]
    if options.prototype is not None:
        contenders.append(Prototype(options.prototype, load_kernels().instruction_set(), threads, scene, views, losses))
        agree(contenders)
    take_turns(contenders, options.rounds, options.clock, case)
    time_stages(Splatmem(scene, views, losses), options.rounds, case)
    compare_with_roofs(scene, views, machine, case)
    if options.film:
        time_film(scene, walk(options.film, width, height), case)
    if options.peers and threads == max(options.threads):
        time_peers(scene, views, losses, case)
    return case


def agree(contenders: list[Contender]) -> None:
    """Raises unless all draw the same picture: times of different work cannot be compared."""
    image = torch.as_tensor(contenders[0].forward(0)[0])
    for other in contenders[1:]:
        error = (torch.as_tensor(other.forward(0)[0]) - image).abs().mean().item()
        if not error < 1e-3:
            raise RuntimeError(f"{other.name} draws another picture than {contenders[0].name}: {error:.1e} on average")


def main(options: Options) -> None:
    kernels = load_kernels()
    if options.instruction_set is not None:
        kernels.use_instruction_set(options.instruction_set)
    machines = [roofs.measure(threads) for threads in options.threads]
    cases = []
    for name in options.scenes:
        scene = lifted_or_trained(name)
        for size in options.sizes:
            for machine in machines:
                cases.append(time_case(scene, size, machine, options))
                print(report.times_table(cases[-1:]).splitlines()[-1], flush=True)
    text = report.text(cases, machines, kernels.instruction_set(), options.rounds, options.film)
    print(f"\n{text}")
    if options.docs:
        report.write_into(ROOT / "docs" / "rasterizer.md", text)
        options.plot = ROOT / "docs" / "images" / "rasterizer_speed.png"
    if options.plot is not None:
        report.plot(cases, options.plot)


if __name__ == "__main__":
    main(tyro.cli(Options))
