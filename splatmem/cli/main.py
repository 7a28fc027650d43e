"""The command line: parses, calls, prints."""

from __future__ import annotations

import difflib
import gc
import importlib
import itertools
import os
import re
import signal
import sys
import warnings
from functools import partial
from typing import Any

import tyro
from rich.markup import escape

from splatmem.batch.options import BatchOptions
from splatmem.cli import batch_command, commands, edit_commands, general, interruption, live_command, model_commands
from splatmem.cli.consoles import PipeConsole, silence
from splatmem.cli.options import Command, Doctor, Models
from splatmem.cli.overview import overview
from splatmem.cli.telling import Telling
from splatmem.cli.version import own_version
from splatmem.evaluation.judge import JudgeOptions
from splatmem.evaluation.options import EvaluationOptions
from splatmem.jobs.edit_options import ChangeOptions, FilmOptions
from splatmem.jobs.errors import explained, one_line
from splatmem.jobs.option_types import OptionError
from splatmem.jobs.options import CamerasOptions, ExportOptions, FlyaroundOptions, InspectOptions, RenderOptions
from splatmem.live.options import LiveOptions

COMMANDS = (
    "flyaround", "explore", "batch", "render", "film", "extend", "remove", "move", "duplicate", "recolour", "crop", "merge",
    "compact", "undo", "redo", "export", "cameras", "inspect", "evaluate", "judge", "models", "doctor",
)  # fmt: skip
NEGATIVE = re.compile(r"-[\d.][\d.eE+,-]*,[\d.eE+,-]+")  # numbers between commas that begin with a minus
MODULES = {
    FlyaroundOptions: "splatmem.jobs.flyaround",
    LiveOptions: "splatmem.live.application",
    RenderOptions: "splatmem.jobs.render",
    FilmOptions: "splatmem.jobs.edit",
    ExportOptions: "splatmem.jobs.export",
    CamerasOptions: "splatmem.jobs.export",
    InspectOptions: "splatmem.viewer.inspect",
    EvaluationOptions: "splatmem.evaluation.run",
    JudgeOptions: "splatmem.evaluation.colmap",
    BatchOptions: "splatmem.batch.run",
}
EXIT_BAD_INPUT = 2
console = PipeConsole(stderr=True)


def main(arguments: list[str] | None = None) -> None:
    """Parses and carries out a command; exits with 2 on bad input, and with 130 or 143 when Ctrl-C or SIGTERM ended it."""
    try:
        _main(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # of ``splatmem --help | head -1``: who reads has seen enough
        silence(sys.stdout.fileno())


def _main(arguments: list[str]) -> None:
    if arguments == ["--version"]:
        print(f"splatmem {own_version()}")
        return
    given = arguments
    try:
        options, arguments = general.take_general(arguments)
        telling = Telling(options, given)
    except (OptionError, OSError) as error:
        _print(f"[bold red]error:[/] {escape(one_line(error))}")
        sys.exit(EXIT_BAD_INPUT)
    if arguments[:1] == ["help"]:
        arguments = [*arguments[1:], "--help"] if len(arguments) > 1 else []
    if not arguments:
        print(overview())
        return
    try:
        _carry_out(arguments, options, telling)
    except SystemExit as stop:
        telling.end(stop.code if isinstance(stop.code, int) else int(stop.code is not None))
        raise


def _carry_out(arguments: list[str], options: general.GeneralOptions, telling: Telling) -> None:
    """Parses and carries out a command; exits with its status."""
    _suggest_command(arguments, telling)
    command = _parsed(arguments, telling)
    warnings.showwarning = partial(_show_warning, telling)
    general.use_threads(options.threads)
    begun = False
    try:
        if not isinstance(command, Doctor | Models):
            command.check()  # before anything large is imported
            _import_for(command)
        begun = True
        with interruption.is_raised():
            status = run(command, telling)
    except (Exception, KeyboardInterrupt) as error:
        kept = _what_is_kept(command) if begun else ""
        number = interruption.received()
        if number is not None or not isinstance(error, Exception):  # whatever a library made of it
            telling.interrupted(f"{interruption.LINE}{kept}")
            sys.exit(128 + (number or signal.SIGINT))
        sentence = explained(error)
        if sentence is None:
            telling.tell("error", text=f"{type(error).__name__}: {one_line(error)}")
            raise
        telling.error(sentence if "--resume" in sentence else f"{sentence}{kept}")
        sys.exit(EXIT_BAD_INPUT)
    sys.exit(status)


def _suggest_command(arguments: list[str], telling: Telling) -> None:
    """Exits with a suggestion where the first word is no command, and where several photos are given for one film."""
    word = arguments[0]
    if word == "flyaround":
        given = list(itertools.takewhile(lambda word: not word.startswith("-"), arguments[1:]))
        if len(given) < 2 or not all(map(os.path.exists, given)):
            return
        said = f"these are {len(given)} files, and a film is made of one photo; for a film of each see splatmem batch --help"
    elif word.startswith("-") or word in COMMANDS:
        return
    elif near := difflib.get_close_matches(word, COMMANDS, n=1):
        said = f"there is no command {word!r}: did you mean {near[0]!r}? See splatmem --help"
    elif os.path.exists(word):
        said = f"{word!r} stands where a command is expected. To make a film of a photo: splatmem flyaround {word} --out room"
    else:
        said = f"there is no command {word!r}: splatmem alone lists those that there are"
    telling.error(said)
    sys.exit(EXIT_BAD_INPUT)


def _parsed(arguments: list[str], telling: Telling) -> Any:
    """The command's options; exits with 2 and a sentence where they cannot be used."""
    try:
        return tyro.cli(
            Command,  # type: ignore[arg-type]
            prog="splatmem",
            description="A photo and a camera path in; a film in which nothing vanishes, and the scene itself, out.",
            args=_joined_numbers(arguments),
            config=(tyro.conf.FlagCreatePairsOff, tyro.conf.OmitSubcommandPrefixes),
        )
    except OptionError as error:
        telling.error(str(error))
        sys.exit(EXIT_BAD_INPUT)
    except SystemExit as stop:
        if stop.code:
            telling.tell("error", text="the command line cannot be understood; stderr says why")
        else:  # the help was asked for
            print(general.HELP)
        raise


def _joined_numbers(arguments: list[str]) -> list[str]:
    """``--box -1,0,...`` as ``--box=-1,0,...``: what begins with a minus would be taken for an option."""
    joined: list[str] = []
    for word in arguments:
        if joined and joined[-1].startswith("--") and "=" not in joined[-1] and NEGATIVE.fullmatch(word):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def run(command: Any, telling: Telling) -> int:
    """Carries out a parsed command; returns the exit status."""
    if isinstance(command, Doctor):
        return commands.doctor(telling.tables(), telling.progress())
    if isinstance(command, Models):
        return model_commands.run(command.action, telling.tables())
    with telling.progress() as progress:
        if isinstance(command, FlyaroundOptions):
            commands.flyaround(command, progress)
        elif isinstance(command, BatchOptions):
            return batch_command.batch(command, progress)
        elif isinstance(command, LiveOptions):
            live_command.explore(command, progress)
        elif isinstance(command, RenderOptions):
            commands.render(command, progress)
        elif isinstance(command, FilmOptions):
            edit_commands.film(command, progress)
        elif isinstance(command, ChangeOptions):
            edit_commands.change(command, progress)
        elif isinstance(command, ExportOptions):
            commands.export(command, progress)
        elif isinstance(command, CamerasOptions):
            commands.cameras(command, progress)
        elif isinstance(command, EvaluationOptions):
            commands.evaluate(command, progress)
        elif isinstance(command, JudgeOptions):
            commands.judge(command, progress)
        else:
            commands.inspect(command, progress)
    return 0


def _import_for(command: Any) -> None:
    """Imports what a command needs, without the garbage collector, which would walk through all that lives on anyway, then and
    at the end: a quarter of PyTorch's time."""
    gc.disable()
    try:
        importlib.import_module(MODULES.get(type(command), "splatmem.jobs.edit"))
    finally:
        gc.freeze()
        gc.enable()


def _print(text: str) -> None:
    console.print(text, highlight=False, soft_wrap=True)


def _what_is_kept(command: Any) -> str:
    """What the user can do with a run that did not reach its end."""
    if isinstance(command, FlyaroundOptions) and commands.can_be_resumed(command.out):
        return "; what was finished is kept: run the same command with --resume to go on"
    if isinstance(command, BatchOptions) and batch_command.has_begun(command.out):
        return "; what was finished is kept: run the same command to go on"
    return ""


def _show_warning(telling: Telling, message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    """Prints this package's own warnings as sentences; those of libraries about their future are not the user's business."""
    if not issubclass(category, FutureWarning | DeprecationWarning):
        telling.warning(str(message))
