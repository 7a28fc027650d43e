"""Whom a command tells what it does: a person at a terminal, a program that reads JSON lines, a log file."""

from __future__ import annotations

import io
import sys
import time
from typing import Any

from rich.console import Console
from rich.markup import escape

from splatmem.cli.consoles import PipeConsole, silence
from splatmem.cli.general import GeneralOptions
from splatmem.cli.version import own_version
from splatmem.report.events import Event, JsonLines, Listener
from splatmem.report.progress import RunProgress


class Telling:
    """Errors, warnings and progress of one command.

    Raises:
        OSError: the log file cannot be written to.
    """

    def __init__(self, options: GeneralOptions, arguments: list[str]) -> None:
        self.started = time.perf_counter()
        self.errors = PipeConsole(stderr=True, quiet=options.json)
        self.console = PipeConsole(stderr=True, quiet=options.json or options.quiet)
        self.is_json, self.is_quiet = options.json, options.quiet
        self.listeners: list[Listener] = []
        if options.json:
            self.listeners.append(JsonLines(_write, lambda: time.perf_counter() - self.started))
        if options.log_file is not None:
            from splatmem.cli.log_file import LogFile

            self.listeners.append(LogFile(options.log_file))
        self.tell("start", version=own_version(), arguments=arguments)

    def progress(self) -> RunProgress:
        """A context in which the progress of the command's work is shown."""
        return RunProgress(self.console, self.listeners)

    def tables(self) -> Console:
        """A console on stdout for what a person reads there; its lines become messages where a program reads stdout."""
        return PipeConsole(file=_Lines(self), width=160) if self.is_json else PipeConsole(quiet=self.is_quiet)

    def warning(self, text: str) -> None:
        self.console.print(f"[yellow]warning:[/] {escape(text)}", highlight=False, soft_wrap=True)
        self.tell("message", text=f"warning: {text}")

    def error(self, text: str) -> None:
        self.errors.print(f"[bold red]error:[/] {escape(text)}", highlight=False, soft_wrap=True)
        self.tell("error", text=text)

    def interrupted(self, text: str) -> None:
        self.errors.print(escape(text), highlight=False, soft_wrap=True)
        self.tell("error", text=text)

    def end(self, status: int) -> None:
        self.tell("end", status=status)

    def tell(self, kind: str, **values: Any) -> None:
        for listener in self.listeners:
            listener(Event(kind, values))


def _write(text: str) -> None:
    """Writes on stdout at once. If nobody reads any more, the work goes on to its end."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        silence(sys.stdout.fileno())


class _Lines(io.StringIO):
    """What looks like a text file to a console, and tells each line as a message."""

    def __init__(self, telling: Telling) -> None:
        super().__init__()
        self.telling, self.begun = telling, ""

    def write(self, text: str) -> int:
        *lines, self.begun = (self.begun + text).split("\n")
        for line in lines:
            if line.strip():
                self.telling.tell("message", text=line.rstrip())
        return len(text)
