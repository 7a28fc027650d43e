"""Measures what the package's models and kernels take on a GPU, stage by stage, each in its own time.

    python tools/measure_gpu.py --out out/gpu                       # all stages, in the order of their worth
    python tools/measure_gpu.py --out out/gpu --stages parity film  # some
    python tools/measure_gpu.py --out out/gpu --resume              # those that are not done
    python tools/measure_gpu.py --out out/gpu --device cpu --tiny   # tries the stages themselves, in seconds

Figures gather in ``results.json``, which is complete after every row, and ``results.md``. A stage that fails leaves its error
there and the next one begins; one that outlasts its time is ended, if need be with the process, and the next ones go on in
another. The exit status is 1 if any stage is not done.

The big models have random weights: nothing is loaded. They take the time and the memory of trained ones, and their pictures
mean nothing.
"""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import tyro

from gpu_bench.results import DONE, Results

# Name: where it is. In the order of their worth: first what no card has shown yet (docs/gpu.md), the longest of it last of all.
STAGES = {
    "prepare": "gpu_bench.prepare:run",
    "wan-1.3b-low-vram": "splatmem.bench.windows:wan_small_low_vram",
    "wan-1.3b-8gb": "splatmem.bench.windows:wan_small_8gb",
    "wan-1.3b-quantised": "splatmem.bench.windows:wan_small_quantised",
    "sdxl-low-vram": "splatmem.bench.windows:sdxl_low_vram",
    "embedded": "gpu_bench.embedded:run",
    "film": "gpu_bench.film:run",
    "parity": "gpu_bench.parity:run",
    "sdxl-depth": "splatmem.bench.windows:sdxl_depth",
    "wan-1.3b-few-steps": "splatmem.bench.windows:wan_small_few_steps",
    "wan-1.3b-faster": "splatmem.bench.windows:wan_small_faster",
    "wan-1.3b": "splatmem.bench.windows:wan_small",
    "depth": "splatmem.bench.windows:depth",
    "sdxl": "splatmem.bench.windows:sdxl",
    "flux": "splatmem.bench.windows:flux",
    "wan-14b": "splatmem.bench.windows:wan_large",
    "embedded-cpu": "gpu_bench.embedded:run_on_cpu",
    "wan-1.3b-expander": "splatmem.bench.windows:wan_small_expander",
    "ltx-2": "splatmem.bench.windows:ltx2",
    "wan-2.2": "splatmem.bench.windows:wan22",
    "wan-14b-720p": "splatmem.bench.windows:wan_large_720p",
}
BROKEN_DEVICE = 3  # exit status of a worker whose CUDA context cannot be used any more
GRACE = 15.0  # seconds after the end of its time that a stage has to notice


@dataclass
class Options:
    """What to measure."""

    out: Path
    """Folder for the figures; those of other stages that are there already stay."""
    stages: tuple[str, ...] = tuple(STAGES)
    """Which, in this order."""
    device: str = "cuda"
    """Or "cpu", to try the stages."""
    tiny: bool = False
    """Tiny models, scenes and pictures."""
    seconds_per_stage: float = 90.0
    """Each stage is ended after that many."""
    budget: float = 600.0
    """Seconds for all of them together; what cannot begin any more is skipped."""
    resume: bool = False
    """Leave out what is done already."""
    work: Path | None = None
    """Folder for what stages leave for each other, such as the demo's memory; by default one in ``out``."""
    name: str = "results"
    """Of the files in ``out``."""
    worker: bool = False
    """Used by the script itself."""
    ends: float = 0.0
    """Used by the script itself."""


def main(options: Options) -> int:
    unknown = [name for name in options.stages if name not in STAGES]
    if unknown:
        raise SystemExit(f"no stages {', '.join(unknown)}: there are {', '.join(STAGES)}")
    if options.worker:
        return work(options)
    options.ends = time.monotonic() + options.budget
    results = Results.load(options.out / f"{options.name}.json")
    remaining = [name for name in options.stages if not (options.resume and results.status(name) == DONE)]
    for name in remaining:
        results.content["stages"].pop(name, None)
    results.save()
    while remaining:
        code = _worker(options, remaining)
        results = Results.load(results.file)
        reached = [name for name in remaining if results.status(name) != "not run"]
        if reached and results.status(reached[-1]) == "running":
            results.end(reached[-1], "ended", f"the process ended with status {code}")
        elif not reached:
            reached = remaining[:1]
            results.begin(reached[0])
            results.end(reached[0], "ended", f"the process ended with status {code} before it began")
        remaining = remaining[len(reached) :]
    results.file.with_suffix(".md").write_text(results.table(), encoding="utf-8")
    print(results.table())
    return int(any(results.status(name) != DONE for name in options.stages))


def _worker(options: Options, stages: list[str]) -> int:
    """Runs stages in a process of their own, which is killed if a stage does not end; its exit status."""
    command = [
        sys.executable, __file__, "--worker", "--out", str(options.out), "--device", options.device, "--name", options.name,
        "--tiny" if options.tiny else "--no-tiny", "--seconds-per-stage", str(options.seconds_per_stage),
        "--ends", str(options.ends), "--stages", *stages,
    ]  # fmt: skip
    command += [] if options.work is None else ["--work", str(options.work)]
    process = subprocess.Popen(command)
    file = options.out / f"{options.name}.json"
    while process.poll() is None:
        time.sleep(0.2)
        running = [s for s in Results.load(file).content["stages"].values() if s["status"] == "running"]
        late = any(time.time() - stage["began"] > options.seconds_per_stage + GRACE for stage in running)
        if late or time.monotonic() > options.ends + GRACE:
            process.kill()
    return process.wait()


def work(options: Options) -> int:
    """Runs stages one after the other in this process."""
    results = Results.load(options.out / f"{options.name}.json")
    folder = options.work or options.out / "work"
    folder.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGALRM, _out_of_time)
    for stage in options.stages:
        left = options.ends - time.monotonic()
        if left <= 1:
            results.begin(stage)
            results.end(stage, "skipped", "no time was left")
            continue
        seconds = min(left, options.seconds_per_stage)
        results.begin(stage)
        print(f"{stage}: at most {seconds:.0f} s", flush=True)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            _run(stage, options, results, folder, time.monotonic() + seconds)
            signal.setitimer(signal.ITIMER_REAL, 0)
            results.end(stage, DONE)
        except Exception as error:  # whatever it is, the next stage is worth a try
            signal.setitimer(signal.ITIMER_REAL, 0)
            results.end(stage, "out of time" if isinstance(error, TimeoutError) else "failed", traceback.format_exc())
        print(f"{stage}: {results.status(stage)}", flush=True)
        if not _usable(options.device):
            return BROKEN_DEVICE
    return 0


def _run(stage: str, options: Options, results: Results, folder: Path, ends: float) -> None:
    from splatmem.bench.context import Context, forget, machine

    results.content["machine"] = machine(options.device)
    module, function = STAGES[stage].split(":")
    context = Context(options.device, options.tiny, folder, lambda row: results.add(stage, row), ends)
    try:
        getattr(importlib.import_module(module), function)(context)
    finally:
        if _usable(options.device):
            forget(options.device)


def _usable(device: str) -> bool:
    """Whether the device still computes: an illegal access makes every later call of a process fail."""
    import torch

    if device != "cuda":
        return True
    try:
        torch.ones(1, device=device).sum().item()
    except RuntimeError:
        return False
    return True


def _out_of_time(number: int, frame: FrameType | None) -> Any:
    raise TimeoutError("the stage's time is over")


if __name__ == "__main__":
    os.environ.setdefault("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the command line: see docs/gpu.md
    sys.exit(main(tyro.cli(Options)))
