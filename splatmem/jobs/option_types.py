"""Types of options that the command line and Python share: sizes, fields of view, devices. Needs no PyTorch."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from tyro.constructors import PrimitiveConstructorSpec

Device = Literal["auto", "cpu", "cuda", "mps"]
FOV_RANGE = (10.0, 150.0)


def parse_size(text: str) -> tuple[int, int]:
    """``512x288`` to (512, 288).

    Raises:
        ValueError: it is no width and height.
    """
    match = re.fullmatch(r"(\d{1,6})[x×](\d{1,6})", text.strip())
    if not match:
        raise ValueError(f"a size is WIDTHxHEIGHT in pixels, such as 512x288, got {text!r}")
    return int(match[1]), int(match[2])


def parse_fov(text: str) -> float | None:
    """Degrees, or None for ``auto``.

    Raises:
        ValueError: it is neither, or out of range.
    """
    if text == "auto":
        return None
    try:
        degrees = float(text)
    except ValueError:
        degrees = math.nan
    if not FOV_RANGE[0] <= degrees <= FOV_RANGE[1]:
        raise ValueError(f"--fov is auto or {FOV_RANGE[0]:g} to {FOV_RANGE[1]:g} degrees, got {text!r}")
    return degrees


def parse_seconds(text: str) -> float:
    """A length in seconds, with or without an s behind it.

    Raises:
        ValueError: it is none.
    """
    try:
        seconds = float(text.removesuffix("s"))
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise ValueError(f"a film's length is a number of seconds above 0, got {text!r}")
    return seconds


class OptionError(Exception):
    """An option on the command line that cannot be used. No ``ValueError``: tyro would break its sentence into a box."""


def one_word(parse: Callable[[str], Any], spell: Callable[[Any], str], metavar: str) -> PrimitiveConstructorSpec[Any]:
    """How tyro reads an option of one word, and how it spells a default."""

    def parsed(words: list[str]) -> Any:
        try:
            return parse(words[0])
        except ValueError as error:
            raise OptionError(str(error)) from error

    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=metavar,
        instance_from_str=parsed,
        is_instance=lambda value: True,
        str_from_instance=lambda value: [spell(value)],
    )


def _spell_size(size: tuple[int, int] | None) -> str:
    return "as the scene" if size is None else f"{size[0]}x{size[1]}"


Size = Annotated[tuple[int, int], one_word(parse_size, _spell_size, "WIDTHxHEIGHT")]
"""Width and height in pixels; ``512x288`` on the command line."""
SceneSize = Annotated[tuple[int, int] | None, one_word(parse_size, _spell_size, "WIDTHxHEIGHT")]
"""Width and height in pixels; None takes the scene's own size."""
FieldOfView = Annotated[
    float | None, one_word(parse_fov, lambda value: "auto" if value is None else f"{value:g}", "auto|DEGREES")
]
"""Horizontal, in degrees; None, or ``auto`` on the command line, finds it out."""
FilmSeconds = Annotated[
    float | None, one_word(parse_seconds, lambda value: "as --frames says" if value is None else f"{value:g}", "SECONDS")
]
"""Length of a film; None where the number of frames gives it."""
SceneFolder = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]
SceneOrSplats = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR|SPLATS")]
"""A scene's folder, or a file of Gaussian splats of any format that is read."""
OutputFolder = Annotated[Path, tyro.conf.arg(metavar="DIR")]
PathName = Annotated[str, tyro.conf.arg(metavar="NAME|FILE")]
Words = Annotated[str | None, tyro.conf.arg(metavar="WORDS")]
Overrides = Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(name="set", metavar="SECTION.KEY=VALUE")]
PresetName = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="PRESET")]


def check_film(frames: int, size: tuple[int, int] | None, fps: float) -> None:
    """Raises ``ValueError`` for a film that cannot be made."""
    if not 2 <= frames <= 10_000:
        raise ValueError(f"a film has 2 to 10000 frames, got {frames}")
    if size is not None:
        width, height = size
        if not all(64 <= side <= 4096 and side % 2 == 0 for side in size) or not 0.2 <= width / height <= 5:
            raise ValueError(
                f"a film's sides are even, 64 to 4096 pixels long and at most 5:1 to each other, got {width}x{height}"
            )
    if not 1 <= fps <= 240:
        raise ValueError(f"frames per second lie in 1..240, got {fps:g}")


def check_target(file: Path, suffix: str | None, overwrite: bool) -> None:
    """Raises ``ValueError`` if ``file`` should not be written, or ends in something else than ``suffix``."""
    if suffix is not None and file.suffix.lower() != suffix:
        raise ValueError(f"{file}: expected a name that ends in {suffix}")
    if file.exists() and not overwrite:
        raise ValueError(f"{file} exists: choose another name, or give --overwrite")
    if not file.absolute().parent.is_dir():
        raise ValueError(f"{file}: the folder {file.absolute().parent} does not exist")
