"""The header of a .ply file, held against the file's length before anything is allocated for what it promises.

Format: Turk 1994, "The PLY Polygon File Format".
"""

from __future__ import annotations

import re
from pathlib import Path

LONGEST_HEADER = 1_000_000
BYTES = {
    **dict.fromkeys(("char", "uchar", "int8", "uint8"), 1),
    **dict.fromkeys(("short", "ushort", "int16", "uint16"), 2),
    **dict.fromkeys(("int", "uint", "float", "int32", "uint32", "float32"), 4),
    **dict.fromkeys(("double", "float64"), 8),
}
SHORTEST_TEXT = 2  # a digit and what parts it from the next


def require_whole(path: Path) -> None:
    """Raises ``ValueError``, naming the file, if it has no .ply header or is shorter than its header promises."""
    header, length = _header(path)
    promised, text = _promised_bytes(header, path)
    held = path.stat().st_size - length
    if promised > held + (SHORTEST_TEXT if text else 0):  # text need not end in a line break
        raise ValueError(
            f"{path}: expected a whole .ply file, but it cannot be read: its header promises at least {promised} bytes, and "
            f"{held} follow"
        )


def elements_of(path: Path) -> list[str]:
    """The names of a file's elements.

    Raises:
        ValueError: it is no .ply file, or shorter than its header promises.
    """
    require_whole(path)
    lines = [line.split() for line in _header(path)[0].splitlines()]
    return [words[1] for words in lines if words[:1] == ["element"]]


def _header(path: Path) -> tuple[str, int]:
    """The header without its last line, and its length in bytes with it."""
    with path.open("rb") as file:
        head = file.read(LONGEST_HEADER)
    end = re.search(rb"(?:\r\n|\n|\r)end_header[ \t]*(?:\r\n|\n|\r)", head)
    if not head.startswith(b"ply") or end is None:
        raise ValueError(f"{path}: expected a whole .ply file, but it cannot be read: it has no header of this format")
    return head[: end.start()].decode("ascii", "replace"), end.end()


def _promised_bytes(header: str, path: Path) -> tuple[int, bool]:
    """How many bytes must follow at least, and whether they are text."""
    text, total, count, row = False, 0, 0, 0
    for line in header.splitlines():
        words = line.split()
        if words[:1] == ["format"]:
            text = words[1:2] == ["ascii"]
        elif words[:1] == ["element"]:
            if len(words) != 3 or not re.fullmatch(r"[0-9]{1,30}", words[2]):
                raise ValueError(f"{path}: expected a whole .ply file, but its header cannot be read: {line[:80]!r}")
            total += count * row
            count, row = int(words[2]), 0
        elif words[:1] == ["property"]:
            kind = words[2] if words[1:2] == ["list"] and len(words) > 2 else words[1] if len(words) > 1 else ""
            row += SHORTEST_TEXT if text else BYTES.get(kind, 1)
    return total + count * row, text
