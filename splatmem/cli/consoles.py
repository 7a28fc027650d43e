"""Consoles whose reader may go away."""

from __future__ import annotations

import os

from rich.console import Console


class PipeConsole(Console):
    """A console that falls silent when nobody reads it any more (``| head -1``); the work goes on to its end."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        silence(self.file.fileno())


def silence(descriptor: int) -> None:
    """Lets what is written to an open file, and what waits in its buffers, vanish."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, descriptor)
    os.close(nothing)
