"""A PNG file without what its pixels do not need (PNG 1.2, chunk layout).

Programs keep whole workflows in text chunks, which Pillow refuses beyond a megabyte, and damaged ones kill the picture too.
"""

from __future__ import annotations

import struct
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"
PIXELS = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
USEFUL = (b"tRNS", b"iCCP", b"eXIf")  # kept where they are whole
XMP = b"XML:com.adobe.xmp\0"
LONGEST_XMP = 200_000
DEFLATE_RATIO = 1032  # bytes that one compressed byte stands for at most
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type


def only_pixels(content: bytes) -> bytes:
    """The file with its pixels, transparency, profile, EXIF and XMP data alone; what is no whole PNG comes back as it is."""
    kept: list[bytes | memoryview] = [SIGNATURE]
    place = len(SIGNATURE)
    if not content.startswith(SIGNATURE):
        return content
    view = memoryview(content)
    while place + 12 <= len(content):
        length, name = struct.unpack_from(">I4s", content, place)
        end = place + 12 + length
        if end > len(content):
            return content
        if name in PIXELS or _is_useful(view[place:end], name):
            kept.append(view[place:end])
        place = end
        if name == b"IEND":
            break
    return b"".join(kept)


def _is_useful(chunk: memoryview, name: bytes) -> bool:
    """Whether an ancillary chunk is one of those that count, and whole."""
    body = chunk[8:-4]
    wanted = name in USEFUL or (name == b"iTXt" and bytes(body[: len(XMP)]) == XMP and len(body) < LONGEST_XMP)
    return wanted and zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:], "big")


def require_room(content: bytes) -> None:
    """Raises ``ValueError`` if a PNG file promises more pixels than its length can hold: nothing is allocated for them then."""
    if len(content) < 33 or content[12:16] != b"IHDR":
        return
    width, height, bits, colour = struct.unpack_from(">IIBB", content, 16)
    row = (width * bits * CHANNELS.get(colour, 1) + 7) // 8
    if row * height > len(content) * DEFLATE_RATIO:
        raise ValueError(f"it promises {width}x{height} pixels and is too short to hold them")
