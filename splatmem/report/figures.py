"""Figures that every report holds, and how reports are written."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import resource
import sys
from pathlib import Path
from typing import Any

import numpy as np

from splatmem.io.atomic import atomic_path

REPORTED_PACKAGES = ("splatmem", "torch", "diffusers", "transformers", "gsplat", "numpy")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages on which a result depends."""
    found = {"python": platform.python_version()}
    for name in REPORTED_PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def peak_memory_bytes() -> int:
    """Largest resident size of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def summary(values: list[float]) -> dict[str, float | None]:
    """Smallest and mean of a list of figures; infinite PSNR (no difference at all) counts as 100 dB."""
    finite = [min(v, 100.0) for v in values if not np.isnan(v)]
    if not finite:
        return {"min": None, "mean": None}
    return {"min": float(min(finite)), "mean": float(np.mean(finite))}


def write_json(values: dict[str, Any], file: Path) -> None:
    """Writes values as JSON; raises ``ValueError`` for NaN and infinity."""
    write_text(file, json.dumps(values, indent=2, allow_nan=False) + "\n")


def write_text(file: Path, text: str) -> None:
    """Writes a text file in UTF-8; bytes of file names that are none are spelled out (``\\udcff``).

    Raises:
        OSError: it cannot be written; the message names the folder.
    """
    with atomic_path(file) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
