"""Depth models that refine a coarse depth map given with the picture (Prompt Depth Anything, Lin et al. 2025)."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.depth.alignment import align
from splatmem.depth.huggingface import HuggingFaceDepth
from splatmem.depth.protocol import DepthEstimator, DepthPrediction

PROMPT_HEIGHT = 192  # rows of the maps that the models were trained with


class PromptedDepth:
    """Refines the depth of another estimator, which is aligned with known depth before where there is some."""

    def __init__(self, model: HuggingFaceDepth, base: DepthEstimator) -> None:
        self.model, self.base, self.name = model, base, model.name
        self.estimates_fov = getattr(base, "estimates_fov", False)

    def __call__(self, images: Float[Tensor, "t h w 3"], *, fov_x_degrees: float | None = None) -> DepthPrediction:
        base = self.base(images, fov_x_degrees=fov_x_degrees)
        return replace(base, depth=self._sharpened(images, base.depth))

    def complete(
        self,
        images: Float[Tensor, "t h w 3"],
        known_depth: Float[Tensor, "t h w"],
        known: Bool[Tensor, "t h w"],
        *,
        fov_x_degrees: float | None = None,
    ) -> DepthPrediction:
        base = self.base(images, fov_x_degrees=fov_x_degrees)
        dense = torch.stack([align(*maps).depth for maps in zip(base.depth, known_depth, known, strict=True)])
        return replace(base, depth=self._sharpened(images, dense))

    def _sharpened(self, images: Float[Tensor, "t h w 3"], dense: Float[Tensor, "t h w"]) -> Float[Tensor, "t h w"]:
        """The model's depth with ``dense`` as prompt; where that is infinite, it stays infinite."""
        sky = torch.isinf(dense)
        farthest = torch.where(sky, 0.0, dense).amax((1, 2), keepdim=True)
        solid = torch.where(sky, torch.where(farthest > 0, farthest, 1.0), dense)
        height, width = solid.shape[1:]
        size = (min(height, PROMPT_HEIGHT), max(1, round(width * min(height, PROMPT_HEIGHT) / height)))
        prompt = F.interpolate(solid[:, None], size=size, mode="nearest-exact")
        return torch.where(sky, torch.inf, self.model.prompted(images, prompt))
