"""Seconds by stage, for the report."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class StageClock:
    """Adds up seconds under stage names; stages may nest, inner time counts for the inner stage only."""

    def __init__(self, seconds: dict[str, float] | None = None, now: Callable[[], float] | None = None) -> None:
        """Args:
        seconds: to begin with.
        now: the clock that is read: wall-clock time, or for measurements on a shared machine ``time.process_time``.
        """
        self.seconds: dict[str, float] = defaultdict(float, seconds or {})
        self._now = now or time.perf_counter
        self._running: list[str] = []
        self._since = 0.0

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self._settle()
        self._running.append(name)
        try:
            yield
        finally:
            self._settle()
            self._running.pop()

    def _settle(self) -> None:
        """Books the time since the last change on the innermost stage."""
        now = self._now()
        if self._running:
            self.seconds[self._running[-1]] += now - self._since
        self._since = now
