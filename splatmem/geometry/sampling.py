"""Choosing some of many things that are in an order, such as the frames of a film."""

from __future__ import annotations

import numpy as np


def evenly_spread(count: int, limit: int) -> list[int]:
    """At most ``limit`` of the indices ``0 .. count - 1``, evenly spread, in order and without repeats.

    All of them if there are no more than ``limit``; else ``limit`` of them, the first and the last included (of one, the
    first).

    Raises:
        ValueError: ``count`` is negative or ``limit`` is below 1.
    """
    if count < 0 or limit < 1:
        raise ValueError(f"expected a count of at least 0 and a limit of at least 1, got {count} and {limit}")
    if count <= limit:
        return list(range(count))
    return [0] if limit == 1 else np.rint(np.arange(limit) * (count - 1) / (limit - 1)).astype(np.int64).tolist()
