"""Compiles gsplat's kernels, if that was not done before, and says how long it took."""

from __future__ import annotations

import time

from splatmem.bench.context import Context
from splatmem.render.extension import load_kernels
from splatmem.render.gsplat_kernels import why_gsplat_cannot_draw


def run(context: Context) -> None:
    """Raises ``RuntimeError`` if the kernels cannot be had on a GPU; on the CPU gsplat's are not asked for."""
    start = time.perf_counter()
    kernels = load_kernels()
    row = {"CPU kernels": kernels.instruction_set(), "loaded, s": time.perf_counter() - start}
    start = time.perf_counter()
    reason = why_gsplat_cannot_draw() if context.device == "cuda" else None
    context.record({**row, "gsplat's kernels, s": time.perf_counter() - start, "gsplat": reason or "usable"})
    if reason is not None:
        raise RuntimeError(reason)
