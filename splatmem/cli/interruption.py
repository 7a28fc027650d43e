"""What Ctrl-C and SIGTERM do to the command: one line, and the exit status that shells know, 128 and the signal's number.

Before any work has begun the process ends at once. Later an exception is raised, so that what was made is left in order. This
module imports little (not even typing), because it is needed first.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

NUMBERS = (signal.SIGINT, signal.SIGTERM)
LINE = "interrupted"
Handler = Callable[[int, FrameType | None], object] | int | None  # as the standard library has it
_received: list[int] = []


class Interruption(KeyboardInterrupt):
    """Raised in the main thread when a signal asks for the end."""


def ends_at_once(line: str = LINE, status: int | None = None) -> None:
    """From now on a signal ends the process.

    Args:
        line: that is printed then; nothing, if empty.
        status: of the process; 128 and the signal's number, if not given.
    """

    def end(number: int, frame: FrameType | None) -> None:
        if line:
            os.write(2, f"{line}\n".encode())
        os._exit(128 + number if status is None else status)

    _handle(end)


@contextmanager
def is_raised() -> Iterator[None]:
    """Within the block a signal raises ``Interruption``: after an import that is under way, since what is left of a broken one
    fails in other ways; and again, where a library drops the exception that meets it in a callback."""
    _received.clear()

    def interrupt(number: int, frame: FrameType | None) -> None:
        _received.append(number)
        if _imports(frame):
            _thread.start_new_thread(_again, (number,))
        else:
            raise Interruption

    shown = sys.unraisablehook

    def unraisable(dropped: sys.UnraisableHookArgs) -> None:
        if isinstance(dropped.exc_value, Interruption):
            signal.raise_signal(_received[-1])
        else:
            shown(dropped)

    before = _handle(interrupt)
    sys.unraisablehook = unraisable
    try:
        yield
    finally:
        sys.unraisablehook = shown
        for number, handler in before.items():
            signal.signal(number, handler)


def received() -> int | None:
    """The first signal that came in the last block of ``is_raised``; None: there was none."""
    return _received[0] if _received else None


def _imports(frame: FrameType | None) -> bool:
    """Whether a frame, or one that called it, imports a module."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _again(number: int) -> None:
    """Has the signal come again, a little later."""
    time.sleep(0.05)
    _thread.interrupt_main(signal.Signals(number))


def _handle(handler: Handler) -> dict[int, Handler]:
    """Sets the handler of each signal; returns those that were set before."""
    before = {}
    for number in NUMBERS:
        # A shell's background jobs and nohup ignore Ctrl-C, and so must their children.
        if signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, handler)
    return before
