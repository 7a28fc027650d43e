"""Names of files that stand beside another, within what file systems allow."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

LONGEST = 240  # bytes; file systems take 255, and a name may still get another ending


def beside(path: Path, before: str, after: str) -> Path:
    """The file beside ``path`` whose name has ``before`` and ``after`` around that of ``path``.

    Of a name that would become too long only the beginning is kept, with a digest of the whole name behind it.
    """
    name = os.fsencode(path.name)
    room = LONGEST - len(os.fsencode(before + after))
    if len(name) > room:
        digest = hashlib.sha256(name).hexdigest()[:8]
        kept = room - 1 - len(digest)
        while kept > 0 and name[kept] & 0xC0 == 0x80:  # in the middle of a character of UTF-8
            kept -= 1
        name = name[:kept] + f"~{digest}".encode()
    return path.with_name(before + os.fsdecode(name) + after)
