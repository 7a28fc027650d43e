"""Whether Gaussians are still those that were saved, at the speed at which memory can be read."""

from __future__ import annotations

from dataclasses import fields
from functools import cache

import torch
from torch import Tensor

from splatmem.gaussians import Gaussians

CHUNK = 2**16


def content_hash(gaussians: Gaussians, first: int, last: int) -> int:
    """A hash, 0..2**32-1, of the parameters of a range; hashes of adjacent ranges add up, modulo 2**32, to that of both.

    A linear hash (Carter & Wegman 1979): the sum of all values' bits, each times an odd number that depends on its place. A
    single changed value always shows; other accidental changes stay unseen once in about 2**32. It is no checksum against
    intention.
    """
    total = 0
    for salt, name in enumerate(f.name for f in fields(Gaussians)):
        value = getattr(gaussians, name)
        if value is not None:
            width = value.shape[1:].numel()
            kind = _odd_number(salt, width, value.element_size())
            total += kind * (last - first + _hash(value.detach().reshape(-1), first * width, last * width))
    return total % 2**32


def _odd_number(*numbers: int) -> int:
    """An odd number, below 2**32, for some integers."""
    mixed = 0x9E3779B1
    for number in numbers:
        mixed = ((mixed ^ number) * 0x85EBCA6B + 0x27D4EB2F) % 2**32
        mixed ^= mixed >> 15
    return mixed | 1


@cache
def _weights() -> Tensor:
    """Odd numbers of 32 bits."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(-(2**30), 2**30, (CHUNK,), dtype=torch.int32, generator=generator) * 2 + 1


def _hash(values: Tensor, first: int, last: int) -> int:
    total = 0
    for chunk in range(first // CHUNK, (last + CHUNK - 1) // CHUNK):
        start, end = max(first, chunk * CHUNK), min(last, (chunk + 1) * CHUNK)
        bits = values[start:end].cpu()
        if bits.element_size() == 8:  # half of the bits of a double at a time
            wide = bits.view(torch.int64)
            halves = [(wide & 0xFFFFFFFF), (wide >> 32)]
            parts = [half.to(torch.int32) for half in halves]
        else:
            parts = [bits.float().view(torch.int32)]
        weights = _weights()[start - chunk * CHUNK : end - chunk * CHUNK]
        for place, part in enumerate(parts):
            total += _odd_number(chunk, place) * int(torch.dot(part, weights))
    return total % 2**32
