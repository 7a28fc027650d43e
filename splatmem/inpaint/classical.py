"""Inpainting methods without a learnt model: baselines."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.geometry.nearest import nearest_pixels
from splatmem.geometry.push_pull import push_pull
from splatmem.inpaint.protocol import FilledFrames, PartialFrames, ReferenceViews, keep_known
from splatmem.pixels import from_uint8, to_uint8

OPENCV_RADIUS = 5  # pixels around a point that the methods of OpenCV use
PATCH_RADIUS = 3  # of the patches that PatchMatch compares


class ClassicalInpainter:
    """Fills the colours of each frame on its own; depth is left to the depth estimator, for all methods alike.

    Methods: ``telea`` (2004) and ``navier-stokes`` (Bertalmio 2001) by OpenCV; ``push-pull``; ``smear``: each pixel takes the
    colour of the nearest known one; ``patchmatch`` (Barnes et al. 2009) by PyPatchMatch.
    """

    reads_prompt = False

    def __init__(self, method: str) -> None:
        """Chooses a method.

        Raises:
            ValueError: there is no such method, or the library that it needs is not installed.
        """
        if method not in _FILLERS:
            raise ValueError(f"a classical inpainter is one of {', '.join(CLASSICAL_NAMES)}, got {method!r}")
        if method == "patchmatch":
            _patchmatch_library()
        self.name = method

    def __call__(
        self,
        partial: PartialFrames,
        *,
        generator: torch.Generator,
        prompt: str = "",
        reference: ReferenceViews | None = None,
    ) -> FilledFrames:
        fill = _FILLERS[self.name]
        frames = [
            fill(rgb, known) if known.any() else torch.full_like(rgb, 0.5)
            for rgb, known in zip(partial.rgb, partial.known, strict=True)
        ]
        return FilledFrames(keep_known(partial, torch.stack(frames)))


def _opencv(rgb: Float[Tensor, "h w 3"], known: Bool[Tensor, "h w"], navier_stokes: bool) -> Float[Tensor, "h w 3"]:
    import cv2

    flag = cv2.INPAINT_NS if navier_stokes else cv2.INPAINT_TELEA
    return from_uint8(cv2.inpaint(to_uint8(rgb), (~known).numpy().astype(np.uint8), OPENCV_RADIUS, flag))


def _push_pull(rgb: Float[Tensor, "h w 3"], known: Bool[Tensor, "h w"]) -> Float[Tensor, "h w 3"]:
    return push_pull(rgb.permute(2, 0, 1)[None], known[None, None].float())[0].permute(1, 2, 0)


def _smear(rgb: Float[Tensor, "h w 3"], known: Bool[Tensor, "h w"]) -> Float[Tensor, "h w 3"]:
    return rgb[nearest_pixels(known)]


def _patchmatch(rgb: Float[Tensor, "h w 3"], known: Bool[Tensor, "h w"]) -> Float[Tensor, "h w 3"]:
    library = _patchmatch_library()
    library.set_random_seed(0)
    return from_uint8(library.inpaint(to_uint8(rgb), (~known).numpy().astype(np.uint8), patch_size=PATCH_RADIUS))


def _patchmatch_library():
    """PyPatchMatch, loaded when it is asked for.

    Raises:
        ValueError: it is not installed, or its compiled part does not load.
    """
    try:
        import patchmatch
    except ImportError as error:
        raise ValueError("the filler 'patchmatch' needs PyPatchMatch: pip install 'splatmem[evaluate]'") from error
    if not patchmatch.patchmatch_available:
        raise ValueError("PyPatchMatch is installed, but its compiled library does not load on this machine")
    return patchmatch


_FILLERS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "telea": lambda rgb, known: _opencv(rgb, known, navier_stokes=False),
    "navier-stokes": lambda rgb, known: _opencv(rgb, known, navier_stokes=True),
    "push-pull": _push_pull,
    "smear": _smear,
    "patchmatch": _patchmatch,
}
CLASSICAL_NAMES = tuple(_FILLERS)
