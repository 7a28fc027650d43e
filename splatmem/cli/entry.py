"""Where the command begins: what must be in order before anything that takes time is imported."""

from __future__ import annotations

import io
import os
import sys

from splatmem.cli import interruption
from splatmem.cli.ahead import load_ahead

# Read when PyTorch's OpenMP is loaded: waiting threads sleep, so that they do not hold up the kernels' own.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def main() -> None:
    """The command ``splatmem``."""
    interruption.ends_at_once()
    open_missing_streams()
    spell_out_what_cannot_be_printed()
    load_ahead(sys.argv[1:])
    from splatmem.cli.main import main as run

    try:
        run()
    except SystemExit as stop:  # all is said and done: a signal only cuts the interpreter's own end short
        interruption.ends_at_once("", stop.code if isinstance(stop.code, int) else int(stop.code is not None))
        raise


def open_missing_streams() -> None:
    """Opens standard streams that were closed (``2>&-``): else the first files to be opened would get their numbers, and
    what a library prints would end up in them."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free


def spell_out_what_cannot_be_printed() -> None:
    """Characters that the output's encoding lacks (``PYTHONIOENCODING=ascii``, a file name that is no UTF-8) are printed as
    their codes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
