"""Compiles C++ beside the benchmark, for the processor that runs it."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "bench"
FLAGS = ("-O3", "-march=native", "-std=c++17", "-fPIC", "-shared", "-fno-math-errno", "-fno-trapping-math", "-w", "-pthread")


def compiled(name: str, sources: Sequence[Path], *flags: str) -> Path:
    """The shared library ``name`` of some sources, compiled anew unless it is younger than all files beside them.

    Raises:
        RuntimeError: without a compiler, or if the sources do not compile.
    """
    compiler = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++")
    if compiler is None:
        raise RuntimeError("the benchmark compiles C++: install g++ or clang, or name a compiler in CXX")
    library = BUILD / f"{name}.so"
    beside = {file for source in sources for file in source.parent.iterdir() if file.suffix in (".cpp", ".h")}
    if library.exists() and library.stat().st_mtime > max(file.stat().st_mtime for file in beside):
        return library
    BUILD.mkdir(parents=True, exist_ok=True)
    command = [compiler, *FLAGS, *flags, *map(str, sources), "-o", str(library)]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    if process.returncode != 0:
        raise RuntimeError(f"{name} does not compile: {process.stderr[-2000:]}")
    return library


def load(name: str, sources: Sequence[Path], *flags: str) -> ctypes.CDLL:
    return ctypes.CDLL(str(compiled(name, sources, *flags)))
