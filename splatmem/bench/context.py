"""What every measurement is given, and how time and memory are read on a device that works asynchronously."""

from __future__ import annotations

import gc
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from splatmem.bench import Row

GIB = 2**30
CARDS_GB = (8, 12, 16, 24, 32, 48, 80)  # sizes of common cards
BESIDE_TENSORS = 1.0  # GiB of a card that its driver, libraries and fragmentation take


@dataclass(frozen=True)
class Context:
    """Where and how a stage measures.

    Attributes:
        device: ``cuda`` or ``cpu``.
        tiny: whether to take tiny models, scenes and pictures, to try the stages themselves.
        work: a folder for files that later stages read.
        record: keeps a row of figures, at once.
        ends: when the stage should be over, by ``time.monotonic``.
    """

    device: str
    tiny: bool
    work: Path
    record: Callable[[Row], None]
    ends: float

    @property
    def seconds_left(self) -> float:
        return self.ends - time.monotonic()


def synchronize(device: str) -> None:
    """Waits for all that the device was told to do."""
    if device == "cuda":
        torch.cuda.synchronize()


def now(device: str) -> float:
    """Seconds, when the device has finished."""
    synchronize(device)
    return time.perf_counter()


def seconds_of(work: Callable[[], object], device: str, repeats: int = 3) -> float:
    """The fastest of some runs, after one that warms up."""
    work()
    times = []
    for _ in range(repeats):
        start = now(device)
        work()
        times.append(now(device) - start)
    return min(times)


def forget(device: str) -> None:
    """Frees what is no longer referenced, and begins to watch the peak anew."""
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def peak_gib(device: str) -> float | None:
    """GiB that tensors held at most since ``forget``; None where PyTorch does not count."""
    return torch.cuda.max_memory_allocated() / GIB if device == "cuda" else None


def smallest_card(peak: float | None) -> int | None:
    """The smallest common card, in GB, that should hold tensors of that many GiB; None if that is not known, or none does."""
    return None if peak is None else next((card for card in CARDS_GB if peak + BESIDE_TENSORS <= card), None)


def machine(device: str) -> dict[str, str]:
    """What the figures hold for."""
    import diffusers
    import transformers

    name = torch.cuda.get_device_name() if device == "cuda" else "CPU"
    versions = {"torch": torch.__version__, "diffusers": diffusers.__version__, "transformers": transformers.__version__}
    waiting = os.environ.get("OMP_WAIT_POLICY", "active")
    threads = f"{torch.get_num_threads()} of {os.cpu_count()} cores, {waiting} where they wait"
    return {"device": name, "driver": _driver() if device == "cuda" else "none", **versions, "threads": threads}


def _driver() -> str:
    """Version of NVIDIA's driver, as its tool tells it."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return "unknown"
