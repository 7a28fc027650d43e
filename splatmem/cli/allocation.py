"""How the C library keeps memory that was freed."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress

MIB = 2**20
# Numbers of options in glibc's malloc.h, and what they are set to.
OPTIONS = {
    -3: 256 * MIB,  # M_MMAP_THRESHOLD: smaller blocks are no mappings of their own
    -1: 512 * MIB,  # M_TRIM_THRESHOLD: so much that is free stays with the process
    -2: 16 * MIB,  # M_TOP_PAD: the heaps grow and shrink in steps of this
    -8: 2,  # M_ARENA_MAX: what one thread freed, others can use; with a heap for each, more would lie idle
}


def keep_freed_memory() -> None:
    """Freed blocks of pictures are used again instead of being given back to the system.

    Else each picture that is worked out lies in new pages, every one of which the system has to find and to clear: that was a
    tenth of a run's processor time. Does nothing where the C library is another than glibc.
    """
    if sys.platform != "linux":
        return
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        for option, value in OPTIONS.items():
            mallopt(option, value)
