"""Pictures as the embedded depth model takes them: what transformers' ``DPTImageProcessor`` does with the shipped settings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor


@dataclass(frozen=True)
class PictureProcessor:
    """Resizes pictures and scales their values.

    Attributes:
        size: height and width that a picture is brought near to.
        keep_aspect_ratio: whether both sides are scaled alike, by the scale of the two that changes the picture less.
        ensure_multiple_of: height and width become multiples of this.
        image_mean, image_std: of each channel, by which values in 0..1 are normalised.
        resample: of PIL's filters.
    """

    size: dict[str, int]
    keep_aspect_ratio: bool = False
    ensure_multiple_of: int = 1
    image_mean: Sequence[float] = (0.485, 0.456, 0.406)
    image_std: Sequence[float] = (0.229, 0.224, 0.225)
    resample: int = int(Image.Resampling.BICUBIC)

    @staticmethod
    def from_folder(folder: Path) -> PictureProcessor:
        """The processor that a folder's ``preprocessor_config.json`` describes."""
        told = json.loads((folder / "preprocessor_config.json").read_text(encoding="utf-8"))
        return PictureProcessor(**{f.name: told[f.name] for f in fields(PictureProcessor) if f.name in told})

    def __call__(self, images: Sequence[UInt8[np.ndarray, "h w 3"]], **_: object) -> dict[str, Float[Tensor, "b 3 H W"]]:
        """``pixel_values`` of pictures of one size."""
        return {"pixel_values": torch.from_numpy(np.stack([self._scaled(image) for image in images]))}

    def _scaled(self, image: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, "3 H W"]:
        height, width = self._size_of(*image.shape[:2])
        resized = np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling(self.resample)))
        values = (resized.astype(np.float64) * (1 / 255)).astype(np.float32)
        mean, deviation = (np.asarray(value, np.float32) for value in (self.image_mean, self.image_std))
        return np.ascontiguousarray(((values - mean) / deviation).transpose(2, 0, 1))

    def _size_of(self, height: int, width: int) -> tuple[int, int]:
        by_height, by_width = self.size["height"] / height, self.size["width"] / width
        if self.keep_aspect_ratio:
            by_height = by_width = by_width if abs(1 - by_width) < abs(1 - by_height) else by_height
        return self._multiple(by_height * height), self._multiple(by_width * width)

    def _multiple(self, side: float) -> int:
        step = self.ensure_multiple_of
        return max(1, round(side / step)) * step
