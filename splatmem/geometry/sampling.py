"""Indices that are evenly spread."""

from __future__ import annotations


def evenly_spread(count: int, limit: int) -> list[int]:
    """At most ``limit`` of the indices ``0 .. count - 1``, evenly spread and in order, the first and the last among them.

    Raises:
        ValueError: ``count`` is negative or ``limit`` below 1.
    """
    if count < 0 or limit < 1:
        raise ValueError(f"expected a count of 0 or more and a limit of 1 or more, got {count} and {limit}")
    if count <= limit:
        return list(range(count))
    if limit == 1:
        return [0]
    return [round(i * (count - 1) / (limit - 1)) for i in range(limit)]
