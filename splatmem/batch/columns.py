"""The columns of a manifest: options of ``flyaround``, from cells of any kind to values of their type. Needs no PyTorch."""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
import shlex
import types
import typing
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

from tyro.constructors import PrimitiveConstructorSpec

from splatmem.jobs.option_types import OptionError
from splatmem.jobs.options import FlyaroundOptions

ID = "id"
OF_THE_BATCH = ("out", "resume", "overwrite")  # options of flyaround that the batch sets itself
OTHER_NAMES = {"photo": "source", "set": "overrides"}
IGNORED = ("_", "#")  # what begins so is the user's own and no option
TRUE, FALSE = ("true", "yes", "1"), ("false", "no", "0")


@cache
def column_types() -> dict[str, Any]:
    """The types of the options that a row may give, by name."""
    hints = typing.get_type_hints(FlyaroundOptions, include_extras=True)
    return {f.name: hints[f.name] for f in dataclasses.fields(FlyaroundOptions) if f.name not in OF_THE_BATCH}


def column_name(written: str) -> str | None:
    """The option that a column means; None for one that is the user's own.

    Raises:
        ValueError: there is no such option.
    """
    name = written.strip().lstrip("-").replace("-", "_").lower()
    if written.strip().startswith(IGNORED) or not written.strip():
        return None
    name = OTHER_NAMES.get(name, name)
    known = [ID, *column_types()]
    if name in OF_THE_BATCH:
        raise ValueError(f"the column {written!r} cannot be given: the batch decides where films lie and what is resumed")
    if name not in known:
        near = difflib.get_close_matches(name, [*known, *OTHER_NAMES], n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else f"; there are {', '.join(known)}, and names that begin with _"
        raise ValueError(f"unknown column {written!r}{hint}")
    return name


def parse_cells(cells: dict[str, Any]) -> dict[str, Any]:
    """Options from the cells of a row, or of a JSON object; empty ones are left out.

    Raises:
        ValueError: a column is unknown or given twice, or a value has another type; the message names the column.
    """
    values: dict[str, Any] = {}
    for written, cell in cells.items():
        name = column_name(written)
        if name is None or is_empty(cell):
            continue
        if name in values:
            raise ValueError(f"{name} is given twice")
        try:
            values[name] = _text(cell) if name == ID else _converter(column_types()[name])(cell)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
    return values


def parse_settings(settings: Sequence[str]) -> dict[str, Any]:
    """Options from ``name=value`` each; see ``parse_cells``."""
    cells = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or column_name(name) in (None, ID, "source"):
            raise ValueError(f"--each {setting}: expected OPTION=VALUE, such as path=arc or frames=48")
        cells[name] = value
    try:
        return parse_cells(cells)
    except ValueError as error:
        raise ValueError(f"--each {error}") from error


def is_empty(cell: Any) -> bool:
    return cell is None or (isinstance(cell, str) and not cell.strip()) or (isinstance(cell, float) and math.isnan(cell))


def _converter(kind: Any) -> Callable[[Any], Any]:
    """What makes a value of this type of a cell."""
    for told in getattr(kind, "__metadata__", ()):
        if isinstance(told, PrimitiveConstructorSpec):  # an option of one word: as the command line reads it
            return _one_word(told, pair=_bare(kind) == tuple[int, int])
    kind = _bare(kind)
    if typing.get_origin(kind) is Literal:
        return lambda cell: _one_of(cell, typing.get_args(kind))
    converters: dict[Any, Callable[[Any], Any]] = {
        int: _whole, float: _number, bool: _yes_or_no, str: _text, Path: _text,  # a place may be a URL
        tuple[str, ...]: _words,
    }  # fmt: skip
    if kind not in converters and typing.get_origin(kind) in (types.UnionType, typing.Union):
        (kind,) = [part for part in typing.get_args(kind) if part is not type(None)]
        return _converter(kind)
    return converters[kind]


def _bare(kind: Any) -> Any:
    """A type without what tyro is told of it."""
    while hasattr(kind, "__metadata__"):
        kind = typing.get_args(kind)[0]
    return kind


def _text(cell: Any) -> str:
    if isinstance(cell, str):
        return cell.strip()
    if isinstance(cell, bool) or not isinstance(cell, int | float):
        raise ValueError(f"expected text, got {cell!r}")
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)


def _whole(cell: Any) -> int:
    try:
        if isinstance(cell, str):
            return int(cell)
        if not isinstance(cell, bool) and int(cell) == cell:  # spreadsheets write 96 as 96.0
            return int(cell)
    except (ValueError, TypeError, OverflowError):
        pass
    raise ValueError(f"expected a whole number, got {cell!r}")


def _number(cell: Any) -> float:
    try:
        value = math.nan if isinstance(cell, bool) else float(cell)
    except (ValueError, TypeError):
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"expected a number, got {cell!r}")
    return value


def _yes_or_no(cell: Any) -> bool:
    word = str(cell).strip().lower()
    if word in TRUE or word in FALSE:
        return word in TRUE
    raise ValueError(f"expected true or false, got {cell!r}")


def _one_word(spec: PrimitiveConstructorSpec[Any], pair: bool) -> Callable[[Any], Any]:
    """Reads a word as the command line does; and a list of two numbers, if it stands for a pair."""

    def convert(cell: Any) -> Any:
        if pair and isinstance(cell, list | tuple) and len(cell) == 2:
            return _whole(cell[0]), _whole(cell[1])
        try:
            return spec.instance_from_str([_text(cell)])
        except OptionError as error:
            raise ValueError(str(error)) from error

    return convert


def _words(cell: Any) -> tuple[str, ...]:
    """A list; or text: a JSON list, or words as a shell separates them."""
    if isinstance(cell, str):
        try:
            cell = json.loads(cell) if cell.lstrip().startswith("[") else shlex.split(cell)
        except ValueError as error:
            raise ValueError(f"expected words such as inpainter.steps=20, or a JSON list of them, got {cell!r}") from error
    if not isinstance(cell, list | tuple) or not all(isinstance(word, str) for word in cell):
        raise ValueError(f"expected a list of texts, got {cell!r}")
    return tuple(cell)


def _one_of(cell: Any, choices: Sequence[str]) -> str:
    if cell not in choices:
        raise ValueError(f"expected {', '.join(choices)}, got {cell!r}")
    return cell
