"""What a run tells while it works: events, and the listeners that receive them (docs/services.md has the table)."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TextIO

Listener = Callable[["Event"], None]


@dataclass(frozen=True)
class Event:
    """One thing that is told.

    Attributes:
        kind: start, progress, message, preview, result, error or end.
        values: what belongs to it, as JSON values.
    """

    kind: str
    values: dict[str, Any]


class JsonLines:
    """A listener that writes each event as one line of JSON, at once.

    Of one stage's progress it writes whole percents, so that a reader is not flooded.
    """

    def __init__(self, stream: TextIO, seconds: Callable[[], float]) -> None:
        self.stream, self.seconds = stream, seconds
        self._last: tuple[str, int] | None = None

    def __call__(self, event: Event) -> None:
        if event.kind == "progress":
            now = (event.values["stage"], int(100 * event.values["share"]))
            if now == self._last:
                return
            self._last = now
        line = {"event": event.kind, "seconds": round(self.seconds(), 3), **event.values}
        try:
            self.stream.write(json.dumps(line, default=str) + "\n")
            self.stream.flush()
        except BrokenPipeError:  # nobody reads any more: the work goes on to its end
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, self.stream.fileno())
            os.close(nothing)
