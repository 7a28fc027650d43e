"""Numbers from EXIF data, however damaged the rest of them is (CIPA DC-008; TIFF 6.0 for the layout).

A picture's pixels do not depend on these data, so nothing here raises: what cannot be read is not there.
"""

from __future__ import annotations

import math
import struct

ORIENTATION = 0x0112
EXIF_FOLDER = 0x8769  # where the shot's own data lie
FOCAL_LENGTH = 0x920A
IMAGE_WIDTH, IMAGE_HEIGHT = 0xA002, 0xA003
FOCAL_PLANE_X_RESOLUTION, FOCAL_PLANE_UNIT = 0xA20E, 0xA210
FOCAL_LENGTH_35MM = 0xA405

HEADER = b"Exif\0\0"
MOST_ENTRIES = 1000
# struct's letter and the number of bytes of each of TIFF's numeric types; rationals are pairs.
NUMERIC = {1: ("B", 1), 3: ("H", 2), 4: ("I", 4), 5: ("II", 8), 6: ("b", 1), 8: ("h", 2), 9: ("i", 4), 10: ("ii", 8)}
NUMERIC |= {11: ("f", 4), 12: ("d", 8)}


def exif_numbers(content: bytes | memoryview) -> dict[int, float]:
    """The first value of each numeric entry by its tag, of the picture's own directory and the EXIF one.

    Args:
        content: a block of EXIF data, with or without its header, or a whole TIFF file.
    """
    content = memoryview(content)
    if bytes(content[: len(HEADER)]) == HEADER:
        content = content[len(HEADER) :]
    order = {b"II": "<", b"MM": ">"}.get(bytes(content[:2]))
    if order is None or len(content) < 8:
        return {}
    found = _directory(content, order, struct.unpack_from(f"{order}I", content, 4)[0])
    folder = found.pop(EXIF_FOLDER, None)
    return found if folder is None else _directory(content, order, int(folder)) | found


def orientation_of(tags: dict[int, float]) -> int:
    """1 (upright) to 8; 1 where it is not told."""
    value = tags.get(ORIENTATION, 1.0)
    return int(value) if value in range(1, 9) else 1


def _directory(content: memoryview, order: str, start: int) -> dict[int, float]:
    """Numeric entries of the directory at a place."""
    found: dict[int, float] = {}
    if not 0 < start <= len(content) - 2:
        return found
    (count,) = struct.unpack_from(f"{order}H", content, start)
    for index in range(min(count, MOST_ENTRIES)):
        place = start + 2 + 12 * index
        if place + 12 > len(content):
            break
        tag, kind, length = struct.unpack_from(f"{order}HHI", content, place)
        if kind not in NUMERIC or length < 1:
            continue
        letters, size = NUMERIC[kind]
        if size * length > 4:  # then the entry holds the place of the values
            place = struct.unpack_from(f"{order}I", content, place + 8)[0]
        else:
            place += 8
        if place + size > len(content):
            continue
        value = struct.unpack_from(f"{order}{letters}", content, place)
        if len(value) == 2 and value[1] == 0:
            continue
        number = float(value[0] / value[1] if len(value) == 2 else value[0])
        if math.isfinite(number):
            found.setdefault(tag, number)
    return found
