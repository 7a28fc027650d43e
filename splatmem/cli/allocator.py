"""Memory that was freed stays with the process: pictures of the same size are made again and again, and each page that the
system hands out anew is cleared by it first."""

from __future__ import annotations

import ctypes
import sys

# From malloc.h of the GNU C library, whose numbers are those of its interface.
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
LARGEST_KEPT = 32 << 20  # bytes of a block; the library takes no more
MOST_KEPT = 1 << 30  # bytes that wait for their next use at most


def keep_freed_memory() -> None:
    """Sets the process so, where its C library knows how. A tenth of a film's processor seconds were the system's without it,
    most of which cleared pages."""
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None and mallopt(MMAP_THRESHOLD, LARGEST_KEPT):
        mallopt(TRIM_THRESHOLD, MOST_KEPT)
