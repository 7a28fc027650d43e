"""A scene in pieces: what of it was sent once is not sent again.

The rows of the Gaussians are cut where their own content says so, as backup programs cut files: a cut lies before a row whose
hash has certain bits zero. So a change moves the cuts beside it alone, and all other pieces are the same bytes as before,
wherever they lie in the scene by then. Growth, removal, undo and redo need no rules of their own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import UInt32

ROWS_PER_PIECE = 8192  # on average
Rows = UInt32[np.ndarray, "_ 8"]


def cut(rows: Rows, ends: Sequence[int] = ()) -> dict[str, Rows]:
    """The pieces of a scene by their names, which tell their content.

    Args:
        rows: of all Gaussians.
        ends: further places to cut at: where what one frame wrote ends, so that what follows is in pieces of its own.
    """
    hashes = np.zeros(len(rows), np.uint64)
    for column in range(rows.shape[1]):
        hashes = (hashes ^ rows[:, column]) * np.uint64(0x9E3779B97F4A7C15)
        hashes ^= hashes >> np.uint64(29)
    found = np.flatnonzero((hashes >> np.uint64(40)) % np.uint64(ROWS_PER_PIECE) == 0)
    places = sorted({0, len(rows), *found.tolist(), *(end for end in ends if 0 < end < len(rows))})
    pieces: dict[str, Rows] = {}
    for start, end in pairwise(places):
        name = hashlib.blake2b(np.ascontiguousarray(rows[start:end]).data, digest_size=12).hexdigest()
        while name in pieces:  # twice the same content
            name += "+"
        pieces[name] = rows[start:end]
    return pieces
