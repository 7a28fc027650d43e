"""A file that keeps what a command said, with the time and the traceback of an error."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from splatmem.report.events import Event

LEVELS = {"error": logging.ERROR}
LOGGER = logging.getLogger("splatmem")


class LogFile:
    """A listener that appends to a file; warnings that libraries log are kept there too.

    Raises:
        OSError: the file cannot be written to.
    """

    def __init__(self, file: Path) -> None:
        handler = logging.FileHandler(file, encoding="utf-8", errors="backslashreplace")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logging.getLogger().addHandler(handler)
        LOGGER.setLevel(logging.INFO)
        self._stage = ""

    def __call__(self, event: Event) -> None:
        if event.kind == "progress":
            if event.values["stage"] == self._stage:
                return
            self._stage = event.values["stage"]
        LOGGER.log(LEVELS.get(event.kind, logging.INFO), "%s", _text(event), exc_info=event.kind == "error" and _raised())


def _raised() -> bool:
    """Whether an exception is being handled."""
    return sys.exc_info()[0] is not None


def _text(event: Event) -> str:
    if event.kind == "progress":
        return event.values["stage"]
    if "text" in event.values:
        return event.values["text"]
    return f"{event.kind}: " + ", ".join(f"{name} {value}" for name, value in event.values.items())
