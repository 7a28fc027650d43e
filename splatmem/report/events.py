"""What a run tells while it works: events, and the listeners that receive them (docs/services.md has the table)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

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
    """A listener that writes each event as one line of JSON. Of one stage's progress it writes whole percents, so that a reader
    is not flooded.

    Args:
        write: is given each line with its end.
        seconds: since the command began.
    """

    def __init__(self, write: Callable[[str], None], seconds: Callable[[], float]) -> None:
        self.write, self.seconds = write, seconds
        self._last: tuple[str, int] | None = None

    def __call__(self, event: Event) -> None:
        if event.kind == "progress":
            now = (event.values["stage"], int(100 * event.values["share"]))
            if now == self._last:
                return
            self._last = now
        line = {"event": event.kind, "seconds": round(self.seconds(), 3), **event.values}
        self.write(json.dumps(line, default=str) + "\n")
