"""Main memory: when it is full, how much of it is left, and what size of film fits into that. Needs no PyTorch."""

from __future__ import annotations

import errno
import re
from pathlib import Path

SAID = (  # by PyTorch, of GPUs and of main memory; by the C++ library; by OpenCV; by the system; by the loader of libraries
    "out of memory", "not enough memory", "can't allocate memory", "bad_alloc", "bad allocation", "insufficient memory",
    "cannot allocate memory", "failed to map segment",
)  # fmt: skip
# Measured: a full turn in 12 frames added 773, 941, 1611, 3289 MiB of address space at 128x72, 256x144, 512x288, 1024x576,
# and 377, 607, 1320 and 2926 MiB of memory in use. This is a line above all of them.
BASE = 750 * 2**20  # bytes
PER_PIXEL = 6800  # bytes for each pixel of a frame
SPARE = 0.9  # share of the free memory that a run may count on
SMALLEST = 64  # pixels that a film's side has at least
CGROUPS = (  # of a container: the limit and what is taken of it, of either version
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory is full, that of a device or main memory: each library has a class of its own for it,
    or none."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    kinds = (RuntimeError, ImportError)
    told = isinstance(error, kinds) or type(error).__module__.startswith("cv2")
    return told and any(words in str(error).lower() for words in SAID)


def reason(error: BaseException) -> str:
    """What an error says, in one line; of an allocation that failed, how large it was."""
    wanted = re.search(r"allocate (\d+) bytes", str(error))
    if wanted:
        return f"{int(wanted[1]) / 2**20:,.1f} MiB more could not be had"
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def free_main_memory() -> int | None:
    """Bytes that this process may still take, by the limits that are set and by what the machine has left; None: not known."""
    left = [limit - taken for limit, taken in (_address_space(), *map(_cgroup, CGROUPS)) if limit is not None]
    for line in _text("/proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            left.append(1024 * int(line.split()[1]))
    return max(0, min(left)) if left else None


def fitting_size(width: int, height: int, free: int) -> tuple[int, int] | None:
    """The largest size of this shape, at most this one, of which a film with the embedded models fits into ``free`` bytes.

    Both sides are even and at least 64 pixels long; None where not even that fits.
    """
    pixels = (SPARE * free - BASE) / PER_PIXEL
    share = min(1.0, (max(pixels, 0.0) / (width * height)) ** 0.5)
    size = (int(share * width) // 2 * 2, int(share * height) // 2 * 2)
    return size if min(size) >= SMALLEST else None


def _address_space() -> tuple[int | None, int]:
    """The limit of the address space (``ulimit -v``) and what is taken of it."""
    try:
        import resource
    except ImportError:  # Windows
        return None, 0
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    pages = _text("/proc/self/statm").split()
    if limit == resource.RLIM_INFINITY or not pages:
        return None, 0
    return limit, int(pages[0]) * resource.getpagesize()


def _cgroup(files: tuple[str, str]) -> tuple[int | None, int]:
    limit, taken = (_text(file).strip() for file in files)
    return (int(limit), int(taken)) if limit.isdigit() and taken.isdigit() else (None, 0)


def _text(file: str) -> str:
    """The content of one of the system's files; empty where there is none."""
    try:
        return Path(file).read_text(encoding="ascii")
    except OSError:
        return ""
