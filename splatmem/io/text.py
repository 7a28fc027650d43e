"""Reading numbers from text and JSON, with errors that name the file and the place."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def data_lines(file: Path, keep_empty: bool = False) -> list[tuple[str, str]]:
    """Lines that are no comments, stripped, each with its place ``file:line`` for messages."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{file}: expected a text file, got other bytes ({error})") from error
    stripped = [(f"{file}:{number}", line.strip()) for number, line in enumerate(lines, start=1)]
    return [(where, line) for where, line in stripped if not line.startswith("#") and (line or keep_empty)]


def numbers(fields: Sequence[str], where: str) -> list[float]:
    """The fields as finite numbers."""
    try:
        values = [float(field) for field in fields]
    except ValueError as error:
        raise ValueError(f"{where}: expected numbers, got {' '.join(fields)[:80]!r}") from error
    if not all(map(math.isfinite, values)):
        raise ValueError(f"{where}: a value is NaN or infinite: {' '.join(fields)[:80]!r}")
    return values


def unit_quat(quat: Sequence[float], where: str) -> list[float]:
    """The quaternion normalised; files round, but a length far from 1 is no rotation."""
    length = math.hypot(*quat)
    if not 0.9 <= length <= 1.1:
        raise ValueError(f"{where}: expected a quaternion of length 1, got one of length {length:.4g}")
    return [value / length for value in quat]


def is_number(value: Any) -> bool:
    """A finite number of a parsed JSON or YAML file; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -1e300 < value < 1e300


def whole_number(field: str) -> int | None:
    """A natural number of at most 18 digits, else None."""
    return int(field) if re.fullmatch(r"[0-9]{1,18}", field) else None


def shortened(value: Any) -> str:
    """The value for an error message."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
