"""PyTorch's largest library, loaded by a second processor while the first still reads the command line.

Finding the addresses of its functions takes a third of a second, in which Python itself would only wait. It would wait as well
if it met another library, since they are loaded one at a time: the small ones that it meets on its way come first.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import os
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from splatmem.cli.allocator import keep_freed_memory
from splatmem.cli.deferred import defer

DRAWING = ("flyaround", "render", "film", "extend", "remove", "compact", "export")
SMALL = (
    "_bisect", "_blake2", "_bz2", "_contextvars", "_csv", "_datetime", "_decimal", "_hashlib", "_heapq", "_json", "_lzma",
    "_opcode", "_pickle", "_posixsubprocess", "_random", "_sha512", "_socket", "_typing", "array", "binascii", "fcntl", "grp",
    "math", "mmap", "select", "zlib",
)  # fmt: skip
"""Compiled parts of the standard library that the command line imports."""


def load_ahead(arguments: Sequence[str]) -> threading.Thread | None:
    """Begins to load the library where a command line is about to need it, a command and what there is to work on; returns the
    thread that does.

    Not where the number of threads is given, which is read at loading, nor with CUDA, whose libraries PyTorch loads before.
    """
    asked = any(word in ("-h", "--help") or word.startswith("--threads") for word in arguments)
    if not sys.platform.startswith("linux") or asked or len(arguments) < 2:
        return None
    if arguments[0] not in DRAWING or not os.path.exists(arguments[1]):
        return None
    found = importlib.util.find_spec("torch")
    if found is None or found.origin is None:
        return None
    folder = Path(found.origin).parent / "lib"
    library = folder / "libtorch_cpu.so"
    if not library.is_file() or (folder / "libtorch_cuda.so").exists():
        return None
    defer(folder.parent)
    keep_freed_memory()
    for name in SMALL:
        with suppress(ImportError):  # built into Python here, or named otherwise
            importlib.import_module(name)
    thread = threading.Thread(target=_load, args=(library,), daemon=True)
    thread.start()
    return thread


def _load(library: Path) -> None:
    # Called as a function of C it lets Python go on meanwhile; ctypes.CDLL(library) and import do not.
    ctypes.CDLL(None).dlopen(os.fsencode(library), os.RTLD_NOW)
