"""Who is told of the progress of work."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

MAKING_THE_UNSEEN = "making the unseen"  # the stage in which inpainters work


class Announce(Protocol):
    """Receives the progress of work: the stage's name and the share of it that is done, 0..1."""

    def __call__(self, stage: str, share: float) -> None: ...


@runtime_checkable
class Expecting(Protocol):
    """One who wants to know beforehand how long a stage takes at most."""

    def expect(self, stage: str, seconds: float) -> None: ...


def silent(stage: str, share: float) -> None:
    """Announces nothing."""
