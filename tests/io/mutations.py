"""Damage to files: what disks, editors, other programs and ill will do to them."""

from __future__ import annotations

import random

NUMBERS = (
    *(b"nan", b"inf", b"-inf", b"NaN", b"Infinity", b"1e999", b"1e39", b"-1e39", b"1e-46", b"5e-324", b"1e300", b"0", b"-0.0"),
    *(b"-1", b"2", b"1e19", b"99999999999999999999", b"9" * 5000, b"0x10", b"1_0", b"true", b"null", b"'1'", b'"1"', b"1e-3"),
)
PIECES = (
    *(b"", b"\0", b"\n", b"\r", b"\xff\xfe", b"\xef\xbb\xbf", b"[", b"]", b"{", b"}", b"[" * 3000, b'{"a":' * 3000, b'"', b","),
    *(b"\\", b"#", b":", b"&a ", b"*a", b"!!timestamp ", b"!!python/object ", b"- - - - ", b"\xc2\xb2", b"../", b"\t", b"% s"),
)
INTEGERS = (0, 1, 2, 7, 127, 128, 255, 256, 32767, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1)


def mutated(content: bytes, rng: random.Random, text: bool) -> bytes:
    """The content after one to four changes."""
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 4))):
        content = (_change_of_text if text and rng.random() < 0.8 else _change_of_bytes)(content, rng)
    return content


def _change_of_bytes(content: bytes, rng: random.Random) -> bytes:
    data = bytearray(content)
    if not data:
        return bytes(rng.randrange(256) for _ in range(rng.randrange(64)))
    place, kind = rng.randrange(len(data)), rng.randrange(8)
    # Headers decide most, so half of the changes are there.
    if rng.random() < 0.5:
        place %= max(1, min(len(data), 256))
    if kind == 0:
        data[place] ^= 1 << rng.randrange(8)
    elif kind == 1:
        data[place] = rng.choice((0, 1, 127, 128, 255, rng.randrange(256)))
    elif kind == 2:
        del data[place:]
    elif kind == 3:
        del data[place : place + rng.randrange(1, 40)]
    elif kind == 4:
        data[place:place] = data[place : place + rng.randrange(1, 200)]
    elif kind == 5:
        size = rng.choice((1, 2, 4, 8))
        number = rng.choice(INTEGERS) % 256**size
        data[place : place + size] = number.to_bytes(size, rng.choice(("little", "big")))
    elif kind == 6:
        data[place:place] = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 16)))
    else:
        other = rng.randrange(len(data))
        length = rng.randrange(1, 64)
        data[place : place + length] = data[other : other + length]
    return bytes(data)


def _change_of_text(content: bytes, rng: random.Random) -> bytes:
    """Exchanges, drops or doubles words and lines."""
    separator = rng.choice((b"\n", b" ", b",", b":"))
    parts = content.split(separator)
    place, kind = rng.randrange(len(parts)), rng.randrange(7)
    if kind <= 2:
        tail = parts[place].lstrip(b" [{")
        parts[place] = parts[place][: len(parts[place]) - len(tail)] + rng.choice(NUMBERS)
    elif kind == 3:
        parts[place] = rng.choice(PIECES)
    elif kind == 4:
        del parts[place]
    elif kind == 5:
        parts.insert(place, parts[rng.randrange(len(parts))])
    else:
        piece = rng.choice(PIECES)
        at = rng.randrange(len(parts[place]) + 1)
        parts[place] = parts[place][:at] + piece + parts[place][at:]
    return separator.join(parts)
