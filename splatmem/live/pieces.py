"""A scene in pieces: what of it was sent once is not sent again.

The rows of the Gaussians are cut where their own content says so, as backup programs cut files: a cut lies before a row whose
hash has certain bits zero. So a change moves the cuts beside it alone, and all other pieces are the same bytes as before,
wherever they lie in the scene by then. Growth, removal, undo and redo need no rules of their own.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import UInt32

ROWS_PER_PIECE = 8192  # on average
Rows = UInt32[np.ndarray, "_ 8"]


def cut(rows: Rows, ends: Sequence[int] = (), before: dict[str, Rows] | None = None, same: int = 0) -> dict[str, Rows]:
    """The pieces of a scene by their names, which tell their content.

    Args:
        rows: of all Gaussians.
        ends: further places to cut at: where what one frame wrote ends, so that what follows is in pieces of its own.
        before: the pieces of the scene as it was, in their order. Of those that lie within its first rows that are
            the ``same`` now, and are cut at the same places, nothing is computed again.
        same: how many rows lead that have not changed.
    """
    pieces: dict[str, Rows] = {}
    first, wanted = 0, sorted(ends)
    for name, piece in (before or {}).items():
        end = first + len(piece)
        if end > same or bisect_right(wanted, first) < bisect_left(wanted, end):
            break
        pieces[name], first = rows[first:end], end
    new = rows[first:]
    hashes = np.zeros(len(new), np.uint64)
    for column in range(rows.shape[1]):
        hashes = (hashes ^ new[:, column]) * np.uint64(0x9E3779B97F4A7C15)
        hashes ^= hashes >> np.uint64(29)
    found = first + np.flatnonzero((hashes >> np.uint64(40)) % np.uint64(ROWS_PER_PIECE) == 0)
    places = sorted({first, len(rows), *found.tolist(), *(end for end in ends if first < end < len(rows))})
    for start, end in pairwise(places):
        name = hashlib.blake2b(np.ascontiguousarray(rows[start:end]).data, digest_size=12).hexdigest()
        while name in pieces:  # twice the same content
            name += "+"
        pieces[name] = rows[start:end]
    return pieces
