"""Options that every command takes: how much is said, to whom, and on how many threads it works."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from splatmem.jobs.option_types import OptionError

HELP = """options of every command:
  --quiet          Say nothing but errors.
  --json           Tell progress and results as lines of JSON on stdout, for programs; docs/services.md has the format.
  --threads N      Work on so many threads; by default on all cores.
  --log-file FILE  Append all that is said, and the traceback of an error, to a file."""


@dataclass(frozen=True)
class GeneralOptions:
    """What was given of the options that every command takes.

    Attributes:
        quiet: nothing but errors is said.
        json: events go to stdout as lines of JSON, and nothing else does.
        threads: of PyTorch and the rasterizer; None: one for each core.
        log_file: that everything is appended to.
    """

    quiet: bool = False
    json: bool = False
    threads: int | None = None
    log_file: Path | None = None


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        raise OptionError(message.removeprefix("argument "))


def take_general(arguments: list[str]) -> tuple[GeneralOptions, list[str]]:
    """Takes the general options out of a command line, wherever they stand; returns them and the rest in its order.

    Raises:
        OptionError: one of them cannot be used.
    """
    parser = _Parser(add_help=False, allow_abbrev=False, usage=argparse.SUPPRESS)
    parser.add_argument("--quiet", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--threads", type=_threads, metavar="N")
    parser.add_argument("--log-file", type=Path, metavar="FILE")
    found, rest = parser.parse_known_args(arguments)
    return GeneralOptions(found.quiet, found.json, found.threads, found.log_file), rest


def use_threads(threads: int | None) -> None:
    """Has PyTorch, the rasterizer and NumPy's linear algebra work on so many threads; they read it when they are imported."""
    if threads is None:
        return
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)
    if "torch" in sys.modules:  # imported already, in a process that carries out several commands
        sys.modules["torch"].set_num_threads(threads)


def _threads(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 1024:
        raise argparse.ArgumentTypeError(f"a number of threads lies in 1..1024, got {text!r}")
    return int(text)
