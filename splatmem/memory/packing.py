"""Tensors in less room, without loss: differences of neighbours, bytes of equal weight together, deflated; pictures as WebP."""

from __future__ import annotations

import io
import math
import zlib
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

LEVEL = 9
INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
DTYPES = {str(t): t for t in (torch.bool, torch.uint8, torch.int16, torch.int64, torch.float16, torch.float32)}
LONGEST_SIDE = 16383  # of a WebP picture


def packed(tensor: Tensor) -> tuple[Tensor, list[Any]]:
    """The bytes of a packed tensor, and JSON values that ``unpacked`` needs beside them."""
    shape, dtype = list(tensor.shape), str(tensor.dtype)
    if dtype == "torch.uint8" and tensor.ndim == 3 and shape[2] == 3 and min(shape) > 0 and max(shape) <= LONGEST_SIDE:
        content, kind = io.BytesIO(), "webp"
        Image.fromarray(tensor.numpy()).save(content, "WEBP", lossless=True, quality=80, method=4)
        data = content.getvalue()
    else:
        kind = "deflate"
        words = tensor.reshape(shape[0] if shape else 1, math.prod(shape[1:])).numpy()
        words = np.packbits(words, axis=1) if dtype == "torch.bool" else words.view(f"u{words.itemsize}")
        steps = np.diff(words, axis=0, prepend=np.zeros_like(words[:1]))
        columns = np.ascontiguousarray(steps.T)  # each column of a table for itself
        data = zlib.compress(columns.view(np.uint8).reshape(-1, columns.itemsize).T.tobytes(), LEVEL)
    return torch.frombuffer(bytearray(data), dtype=torch.uint8), [kind, dtype, shape]


def unpacked(content: Tensor, told: Any) -> Tensor:
    """The tensor that ``packed`` was given.

    Raises:
        ValueError: these are no such values.
    """
    if not isinstance(told, list) or len(told) != 3 or content.dtype != torch.uint8 or content.ndim != 1:
        raise ValueError("a packed tensor is bytes, and a kind, a type and a shape")
    kind, dtype, shape = told
    if kind not in ("webp", "deflate") or dtype not in DTYPES or not isinstance(shape, list):
        raise ValueError(f"packed tensors of the kind {kind}, {dtype}, are not known")
    if not all(type(side) is int and 0 <= side < 2**31 for side in shape):
        raise ValueError("a packed tensor's shape is of counts")
    data = content.numpy().tobytes()
    if kind == "webp":
        try:
            with Image.open(io.BytesIO(data), formats=["WEBP"]) as picture:
                if [picture.height, picture.width, 3] != shape:
                    raise ValueError(f"a packed picture has the shape {shape}")
                return torch.from_numpy(np.array(picture.convert("RGB")))
        except OSError as error:
            raise ValueError(f"a packed picture cannot be read ({error})") from error
    rows = shape[0] if shape else 1
    width = math.prod(shape[1:])
    item = 1 if dtype == "torch.bool" else DTYPES[dtype].itemsize
    columns = -(-width // 8) if dtype == "torch.bool" else width
    expected = rows * columns * item
    inflate = zlib.decompressobj()
    try:
        plain = inflate.decompress(data, expected + 1)
    except zlib.error as error:
        raise ValueError(f"a packed tensor cannot be read ({error})") from error
    if len(plain) != expected:
        raise ValueError(f"a packed tensor has {expected} bytes")
    planes = np.frombuffer(plain, np.uint8).reshape(item, -1).T
    steps = np.ascontiguousarray(planes).view(f"u{item}").reshape(columns, rows).T
    words = np.cumsum(steps, axis=0, dtype=steps.dtype)
    if dtype == "torch.bool":
        return torch.from_numpy(np.unpackbits(words, axis=1, count=width).astype(bool).reshape(shape))
    return torch.from_numpy(np.ascontiguousarray(words)).view(DTYPES[dtype]).reshape(shape)
