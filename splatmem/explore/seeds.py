"""Seeds of any size."""

from __future__ import annotations

SEEDS = 2**63  # that random number generators take: PyTorch's up to 2^64, NumPy's and Python's no negative ones


def usable_seed(seed: int) -> int:
    """The seed that stands for any whole number, negative or huge: its remainder modulo 2^63, so that 0 .. 2^63 - 1 stand for
    themselves."""
    return seed % SEEDS
