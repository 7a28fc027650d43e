"""What a picture inpainting pipeline is given, and what it documents that it wants."""

from __future__ import annotations

import functools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

CELL = 8  # pixels along a side of a latent


def record_calls(monkeypatch: pytest.MonkeyPatch, pipeline: type) -> list[SimpleNamespace]:
    """Every call of a class of pipelines from now on; the calls go through."""
    calls: list[SimpleNamespace] = []
    call = pipeline.__call__

    @functools.wraps(call)
    def recording(self, *args, **kwargs):
        assert not args
        calls.append(SimpleNamespace(**kwargs))
        return call(self, **kwargs)

    monkeypatch.setattr(pipeline, "__call__", recording)
    return calls


def mask_of(call: SimpleNamespace) -> np.ndarray:
    """Where the picture is to be painted anew, ``[h, w]``."""
    return np.asarray(call.mask_image) == 255


def check_contract(call: SimpleNamespace, known: torch.Tensor, rgb: torch.Tensor) -> None:
    """What the pipelines' documentation and code ask for, of a frame ``rgb`` ``[h, w, 3]`` that is not scaled for it, and of
    which some is known."""
    height, width = known.shape
    assert (call.height % 16, call.width % 16) == (0, 0)
    assert call.height - 16 < height <= call.height
    assert call.width - 16 < width <= call.width
    assert isinstance(call.mask_image, Image.Image)
    assert (call.mask_image.mode, call.mask_image.size) == ("L", (call.width, call.height))
    assert set(np.unique(np.asarray(call.mask_image))) <= {0, 255}
    cells = mask_of(call).reshape(call.height // CELL, CELL, call.width // CELL, CELL).transpose(0, 2, 1, 3)
    assert np.array_equal(cells.any((2, 3)), cells.all((2, 3))), "a cell of latents has one mask"
    assert mask_of(call)[:height, :width][~known.numpy()].all(), "white is painted anew"
    if isinstance(call.image, Image.Image):
        assert (call.image.mode, call.image.size) == ("RGB", (call.width, call.height))
        shown = np.asarray(call.image)[:height, :width][known.numpy()]
        assert np.array_equal(shown, (rgb.numpy()[known.numpy()] * 255).round().astype(np.uint8))
    else:
        for latents in (call.image, call.masked_image_latents):
            assert latents.dtype == torch.float32
            assert latents.shape == (1, 4, call.height // CELL, call.width // CELL)
    assert isinstance(call.generator, torch.Generator)
    assert call.output_type == "np"
    # A pipeline without this argument always starts from all of the noise.
    assert getattr(call, "strength", 1.0) == 1.0, "the unknown starts from all of the noise"
    if hasattr(call, "control_image"):
        assert isinstance(call.control_image, Image.Image)
        assert (call.control_image.mode, call.control_image.size) == ("RGB", (call.width, call.height))
