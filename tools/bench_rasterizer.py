"""Times the CPU rasterizer on the scenes that the package meets, against its prototype and against what else runs on a CPU.

    python tools/bench_rasterizer.py                                    # the tables, on the terminal
    python tools/bench_rasterizer.py --prototype FOLDER --peers --docs  # all of it, into docs/rasterizer.md

Runs with --docs (or --results FILE) gather their figures in a file, where those of a later run replace the same ones of an
earlier run: the whole may be measured scene by scene, and the tables and the plot are always made of all that is there.

    python tools/bench_rasterizer.py --prototype FOLDER --instruction-set avx2 --film 0 --docs
    python tools/bench_rasterizer.py --rounds 0 --film 0 --peers --scenes lifted-1.5M --docs    # the peers alone, of one scene
    python tools/bench_rasterizer.py --scenes rooms-10M scattered-10M --sizes 960x544 --docs

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
from splatmem.gaussians.container import rgb_to_sh
from splatmem.geometry.cameras import Cameras
from splatmem.render.extension import load_kernels
from splatmem.render.rasterization import render_views

from rasterizer_bench import machine, report, results, roofs
from rasterizer_bench.contenders import Contender, Losses, Prototype, Splatmem, TorchTiles, open3d_seconds
from rasterizer_bench.results import Case, Results, Times
from rasterizer_bench.scenes import Scene, cameras, lifted_or_trained, walk

DOCS = Path(__file__).resolve().parent.parent / "docs"
VIEWS = 3
OPEN3D_ROUNDS = 3  # after one that warms up
MOST_MEMORY = 0.8 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@dataclass
class Options:
    """What to time."""

    scenes: tuple[str, ...] = ("lifted-150k", "lifted-500k", "lifted-1.5M", "trained-200k")
    """Scenes, of a kind and a number of Gaussians: "lifted", "trained", "rooms" (a tenth is in view) or "scattered" (the same
    in random order)."""
    sizes: tuple[str, ...] = ("512x288", "960x544")
    """Image sizes."""
    threads: tuple[int, ...] = (2,)
    """Numbers of threads."""
    film: int = 96
    """Frames of a film that is drawn too; 0 for none."""
    rounds: int = 15
    """Rounds in which the contenders take turns; 0 to time the film or the peers alone."""
    clock: Literal["wall", "cpu"] = "wall"
    """"cpu" counts the processor time of all threads, which a busy machine changes less: for ratios with one thread."""
    instruction_set: str | None = None
    """One of those that this processor has, instead of the best."""
    prototype: Path | None = None
    """Folder of the prototype (cpp/raster.cpp, crast.py), to be compiled and timed too."""
    peers: bool = False
    """Also time Open3D's splat renderer and a loop over tiles in plain torch (minutes)."""
    results: Path | None = None
    """File in which the figures of several runs gather."""
    docs: bool = False
    """Gather them in docs/rasterizer_speed.json, and write the tables into docs/rasterizer.md and the plot into docs/images."""
    plot: Path | None = None
    """Write the plot here."""


CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def take_turns(contenders: list[Contender], rounds: int, clock: str, case: Case) -> None:
    """Times all contenders, forward and with backward, view by view; the first round warms up and does not count."""
    forward = {c.name: [[] for _ in range(VIEWS)] for c in contenders}
    both = {c.name: [[] for _ in range(VIEWS)] for c in contenders}
    for i in range(rounds + 1):
        for view in range(VIEWS if i > 0 else 1):
            for contender in contenders if i % 2 else reversed(contenders):
                for times, draw in ((forward, contender.forward), (both, contender.forward_and_backward)):
                    start = CLOCKS[clock]()
                    draw(view)
                    if i > 0:
                        times[contender.name][view].append(CLOCKS[clock]() - start)
    case.forward |= {name: Times.of(views) for name, views in forward.items()}
    case.both |= {name: Times.of(views) for name, views in both.items()}


def time_stages(kernels: Splatmem, rounds: int, case: Case) -> None:
    """The fastest of each stage, averaged over the views."""
    rows = [[kernels.statistics(view) for _ in range(rounds)] for view in range(VIEWS)]
    case.stages = {s: sum(min(row[s] for row in view) for view in rows) / VIEWS for s in roofs.STAGES}


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
    case.film = min(seconds[1:]) / len(views)


def mean_work(scene: Scene, views: Cameras, threads: int) -> roofs.Work:
    works = [roofs.count_work(scene, views, view, threads) for view in range(VIEWS)]
    return roofs.Work(*(round(sum(values) / VIEWS) for values in zip(*(vars(w).values() for w in works), strict=True)))


def time_torch_tiles(tiles: TorchTiles, pairs: int, case: Case) -> None:
    """The first view, once: it takes up to a minute. Without its way back where that does not fit into memory."""
    calls = [(case.forward, tiles.forward)]
    if tiles.bytes_for_backward(pairs) < MOST_MEMORY:
        calls.append((case.both, tiles.forward_and_backward))
    for times, draw in calls:
        start = time.perf_counter()
        draw(0)
        times[tiles.name] = Times.of([[time.perf_counter() - start]])


def time_peers(scene: Scene, views: Cameras, losses: Losses, pairs: int, case: Case) -> None:
    time_torch_tiles(TorchTiles(scene, views, losses), pairs, case)
    try:
        drawn = open3d_seconds(scene, views, OPEN3D_ROUNDS, timeout=600)
    except RuntimeError as error:
        print(f"Open3D is left out: {error}", file=sys.stderr)
        return
    case.forward[report.OPEN3D] = Times.of([drawn[view::VIEWS] for view in range(VIEWS)])


def time_case(scene: Scene, size: str, threads: int, options: Options) -> Case:
    width, height = (int(side) for side in size.split("x"))
    torch.set_num_threads(threads)
    case = Case(scene.name, size, threads, load_kernels().instruction_set())
    views = cameras(VIEWS, width, height)
    losses = Losses(views)
    work = mean_work(scene, views, threads)
    if options.rounds:
        contenders: list[Contender] = [Splatmem(scene, views, losses)]
        if options.prototype is not None:
            contenders.append(Prototype(options.prototype, case.instruction_set, threads, scene, views, losses))
            align(contenders)
        take_turns(contenders, options.rounds, options.clock, case)
        time_stages(Splatmem(scene, views, losses), options.rounds, case)
        case.work = work
    if options.film:
        time_film(scene, walk(options.film, width, height), case)
    if options.peers and threads == max(options.threads):
        time_peers(scene, views, losses, work.pairs, case)
    return case


def align(contenders: list[Contender]) -> None:
    """Raises unless all draw the same picture: times of different work cannot be compared."""
    image = torch.as_tensor(contenders[0].forward(0)[0])
    for other in contenders[1:]:
        error = (torch.as_tensor(other.forward(0)[0]) - image).abs().mean().item()
        if not error < 1e-3:
            raise RuntimeError(f"{other.name} draws another picture than {contenders[0].name}: {error:.1e} on average")


def measure(options: Options, gathered: Results) -> None:
    for threads in options.threads:
        gathered.raise_roofs(roofs.measure(threads))
    for name in options.scenes:
        scene = lifted_or_trained(name)
        for size in options.sizes:
            for threads in options.threads:
                case = time_case(scene, size, threads, options)
                gathered.add(case)
                if "splatmem" in case.both:
                    print(report.times_table([case]).splitlines()[-1], flush=True)


def main(options: Options) -> None:
    kernels = load_kernels()
    if options.instruction_set is not None:
        kernels.use_instruction_set(options.instruction_set)
    if options.docs:
        options.results = options.results or DOCS / "rasterizer_speed.json"
        options.plot = options.plot or DOCS / "images" / "rasterizer_speed.png"
    here = machine.describe()
    gathered = Results(here) if options.results is None else results.load(options.results, here)
    if options.scenes:
        measure(options, gathered)
    sets = kernels.instruction_sets()
    text = report.text(gathered, sets, options.film or Options.film)
    print(f"\n{text}")
    if options.results is not None:
        gathered.save(options.results)
    if options.docs:
        report.write_into(DOCS / "rasterizer.md", text)
    if options.plot is not None:
        report.plot(gathered.of(sets[0]), options.plot)


if __name__ == "__main__":
    main(tyro.cli(Options))
