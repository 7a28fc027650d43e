"""The embedded depth model as transformers knows models: to be trained, saved and loaded, and known to its Auto classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from jaxtyping import Float
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForDepthEstimation, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import DepthEstimatorOutput

from splatmem.depth.embedded.network import MODEL_TYPE, SmallDepthLayers


class SmallDepthConfig(PretrainedConfig):
    """``splatmem.depth.embedded.network.SmallDepthSettings`` as transformers keeps it; for the attributes see there."""

    model_type = MODEL_TYPE

    def __init__(
        self,
        pyramid_channels: int = 64,
        mirrored: bool = False,
        detail_share: float = 1 / 8,
        upsampling: Literal["bilinear", "convex"] = "bilinear",
        transformer: Sequence[int] | None = None,
        tokens: int = 600,
        labels: int = 0,
        quantized: bool = False,
        smooth_surfaces: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.pyramid_channels = pyramid_channels
        self.mirrored = mirrored
        self.detail_share = detail_share
        self.upsampling: Literal["bilinear", "convex"] = upsampling
        self.transformer: Sequence[int] | None = None if transformer is None else list(transformer)
        self.tokens = tokens
        self.labels = labels
        self.quantized = quantized
        self.smooth_surfaces = smooth_surfaces


@dataclass
class SmallDepthOutput(DepthEstimatorOutput):
    """As ``splatmem.depth.embedded.network.SmallDepthMaps``."""

    sky_logits: Tensor | None = None
    label_logits: Tensor | None = None


class SmallDepthForDepthEstimation(SmallDepthLayers, PreTrainedModel):
    """``splatmem.depth.embedded.network.SmallDepth`` with transformers' ways of loading and saving."""

    config_class = SmallDepthConfig
    main_input_name = "pixel_values"
    _tied_weights_keys = None  # type: ignore[assignment]

    def __init__(self, config: SmallDepthConfig) -> None:
        super().__init__(config)
        self.add_layers(config)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """PyTorch's own initialisation is kept."""

    def forward(self, pixel_values: Float[Tensor, "b 3 h w"], **_: object) -> SmallDepthOutput:
        maps = self.maps(pixel_values)
        return SmallDepthOutput(
            predicted_depth=maps.predicted_depth, sky_logits=maps.sky_logits, label_logits=maps.label_logits
        )  # type: ignore[arg-type]


AutoConfig.register(SmallDepthConfig.model_type, SmallDepthConfig, exist_ok=True)
AutoModelForDepthEstimation.register(SmallDepthConfig, SmallDepthForDepthEstimation, exist_ok=True)
