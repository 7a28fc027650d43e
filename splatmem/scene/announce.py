"""Who is told of the progress of work."""

from __future__ import annotations

from typing import Protocol


class Announce(Protocol):
    """Receives the progress of work: the stage's name and the share of it that is done, 0..1."""

    def __call__(self, stage: str, share: float) -> None: ...


def silent(stage: str, share: float) -> None:
    """Announces nothing."""
