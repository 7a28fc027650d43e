"""How many workers this machine takes: as many as its cores, its memory and its GPUs allow."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from splatmem.batch.manifest import Row
from splatmem.jobs.options import FlyaroundOptions
from splatmem.models.main_memory import BASE, PER_PIXEL, SPARE, free_main_memory

GIB = 2**30


@dataclass(frozen=True)
class Plan:
    """How many workers, and why.

    Attributes:
        workers: how many.
        gpus: the values of ``CUDA_VISIBLE_DEVICES``, to be given to the workers in turn; empty: none is set.
        reason: a sentence.
    """

    workers: int
    gpus: tuple[str, ...]
    reason: str


def plan_workers(rows: Sequence[Row], threads: int | None, memory_limit: int | None) -> Plan:
    """As many workers as this machine takes, at least one.

    Args:
        rows: to be made; the largest film counts.
        threads: of each worker; None: all cores may be used by each, and there is one worker for each core.
        memory_limit: bytes that a worker may take; None: as much as a film of this size was measured to need.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    by_cores = max(1, cores // (threads or 1))
    width, height = max((row.values.get("size", FlyaroundOptions.size) for row in rows), key=lambda s: s[0] * s[1])
    need, free = memory_limit or BASE + PER_PIXEL * width * height, free_main_memory()
    by_memory = by_cores if free is None else max(1, int(SPARE * free / need))
    told = f"{cores} cores" + (f" for {threads} threads each" if threads else "")
    told += "" if free is None else f", {free / GIB:.1f} GiB free, a film of {width}x{height} takes up to {need / GIB:.1f}"
    gpus = _gpus() if any(row.values.get("device", "auto") in ("auto", "cuda") for row in rows) else ()
    if gpus:
        return Plan(min(len(gpus), by_memory), gpus, f"{len(gpus)} GPUs, {told}")
    return Plan(min(by_cores, by_memory), (), told)


def _gpus() -> tuple[str, ...]:
    """The CUDA devices of this machine. PyTorch is imported only where there may be one."""
    if not any(Path(file).exists() for file in ("/dev/nvidiactl", "/dev/dxg")):
        return ()
    import torch

    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else [str(number) for number in range(torch.cuda.device_count())]
    return tuple(names[: torch.cuda.device_count()])
