"""Depth by any model of transformers' ``AutoModelForDepthEstimation``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from splatmem.depth.protocol import DepthPrediction

# Models whose output is inverse depth up to scale and shift; Depth Anything only in its relative variants.
DISPARITY_MODELS = ("dpt", "depth_anything", "prompt_depth_anything", "tipsv2_dpt", "chmv2")
METRIC_MODELS = ("zoedepth", "glpn", "depth_pro", "prompt_depth_anything", "splatmem_small_depth")
FAR_TO_NEAR = 15.0  # how much farther the farthest percent of a disparity map is taken to be than its nearest


class HuggingFaceDepth:
    """Runs a depth model and turns what it puts out into z-depth at the pictures' size."""

    def __init__(self, model: Any, processor: Any, name: str) -> None:
        self.model, self.processor, self.name = model.eval(), processor, name

    @staticmethod
    def from_pretrained(source: str, *, device: str = "cpu") -> HuggingFaceDepth:
        """Loads a local folder or a hub id; safetensors only, no remote code.

        Raises:
            ValueError: it cannot be loaded.
        """
        from transformers import AutoImageProcessor, AutoModelForDepthEstimation

        import splatmem.depth.small  # noqa: F401  (registers the embedded architecture)

        try:
            processor = AutoImageProcessor.from_pretrained(source, use_fast=False)
            model = AutoModelForDepthEstimation.from_pretrained(
                source, dtype=torch.float32, use_safetensors=True, trust_remote_code=False
            )
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise ValueError(_loading_advice(source, error)) from error
        return HuggingFaceDepth(model.to(device), processor, Path(source).name)

    @torch.no_grad()
    def __call__(self, images: Float[Tensor, "t h w 3"], *, fov_x_degrees: float | None = None) -> DepthPrediction:
        pictures = [(image.clamp(0, 1) * 255).round().byte().cpu().numpy() for image in images]
        inputs = self.processor(images=pictures, return_tensors="pt").to(self.model.device)
        outputs = self.model(**inputs)
        size = images.shape[1:3]
        raw = _resized(outputs.predicted_depth, size)
        fov = getattr(outputs, "field_of_view", None)
        depth = self._z_depth(raw).clamp_min(1e-3)
        sky = getattr(outputs, "sky_logits", None)
        if sky is not None:
            depth = torch.where(_resized(sky, size) > 0, torch.inf, depth)
        return DepthPrediction(depth.cpu(), self.metric, None if fov is None else float(fov.float().mean()))

    @property
    def metric(self) -> bool:
        config = self.model.config
        return config.model_type in METRIC_MODELS or getattr(config, "depth_estimation_type", "") == "metric"

    def _z_depth(self, raw: Float[Tensor, "t h w"]) -> Float[Tensor, "t h w"]:
        if self.metric or self.model.config.model_type not in DISPARITY_MODELS:
            return raw
        return disparity_to_depth(raw)


def disparity_to_depth(disparity: Float[Tensor, "t h w"]) -> Float[Tensor, "t h w"]:
    """Depth from inverse depth that is known up to scale and shift only, median 1.

    The shift cannot be seen in one picture: it is set so that the far end (1st percentile) lies ``FAR_TO_NEAR`` times as far as
    the near end (99th), which is common in rooms and harmless outdoors.
    """
    flat = disparity.flatten(1)
    sample = flat[:, :: max(1, flat.shape[1] // 100_000)]
    far, near = (torch.quantile(sample, q, dim=1)[:, None, None] for q in (0.01, 0.99))
    span = (near - far).clamp_min(1e-6)
    inverse = (disparity - far) / span * (1 - 1 / FAR_TO_NEAR) + 1 / FAR_TO_NEAR
    depth = 1 / inverse.clamp_min(0.25 / FAR_TO_NEAR)
    return depth / depth.flatten(1).median(dim=1).values[:, None, None]


def _resized(maps: Float[Tensor, "t h w"], size: torch.Size) -> Float[Tensor, "t H W"]:
    return F.interpolate(maps[:, None].float(), size=tuple(size), mode="bilinear", align_corners=False)[:, 0]


def _loading_advice(source: str, error: Exception) -> str:
    folder = Path(source)
    if folder.is_dir():
        pickled = any(folder.glob("*.bin")) and not any(folder.glob("*.safetensors"))
        hint = "it holds pickled weights only, which are never loaded: convert them to safetensors" if pickled else str(error)
        return f"no depth model can be loaded from the folder {source}: {hint}"
    return (
        f"the depth model {source!r} is neither a local folder nor in the cache, and could not be fetched. "
        f"With a network: hf download {source}; else give a local folder. ({type(error).__name__})"
    )
