"""Fillers without a model: baselines to beat."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from splatmem.inpaint.protocol import FilledFrames, PartialFrames, ReferenceViews, keep_known
from splatmem.inpaint.pyramid import push_pull

CLASSICAL_NAMES = ("telea", "navier-stokes", "push-pull")


class ClassicalInpainter:
    """Each frame on its own: Telea 2004 or Navier-Stokes (Bertalmio 2001) by OpenCV, or push-pull.

    Depth is extended by push-pull in the logarithm, whatever the method.
    """

    window_frames = 1

    def __init__(self, method: str) -> None:
        if method not in CLASSICAL_NAMES:
            raise ValueError(f"a classical inpainter is one of {', '.join(CLASSICAL_NAMES)}, got {method!r}")
        self.name = method

    def __call__(
        self,
        partial: PartialFrames,
        *,
        generator: torch.Generator,
        prompt: str = "",
        reference: ReferenceViews | None = None,
    ) -> FilledFrames:
        known = partial.known[:, None].float()
        log_depth = torch.where(partial.known, partial.depth, 1.0).clamp(1e-4, 1e6).log()[:, None]
        depth = torch.where(partial.known, partial.depth, push_pull(log_depth, known)[:, 0].exp())
        if self.name == "push-pull":
            rgb = push_pull(partial.rgb.permute(0, 3, 1, 2), known).permute(0, 2, 3, 1)
        else:
            rgb = torch.stack([self._opencv(*frame) for frame in zip(partial.rgb, partial.known, strict=True)])
        return FilledFrames(keep_known(partial, rgb), depth)

    def _opencv(self, rgb: Tensor, known: Tensor) -> Tensor:
        import cv2

        if not known.any():
            return torch.full_like(rgb, 0.5)
        flag = cv2.INPAINT_TELEA if self.name == "telea" else cv2.INPAINT_NS
        image = (rgb.clamp(0, 1) * 255).round().byte().numpy()
        filled = cv2.inpaint(image, (~known).numpy().astype(np.uint8), 5, flag)
        return torch.from_numpy(filled).float() / 255
