"""The embedded inpainter's network as a model of diffusers, to be trained, saved and loaded."""

from __future__ import annotations

from collections.abc import Sequence

from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin

from splatmem.inpaint.embedded.network import CHANNELS, EMBEDDING, PATCH, WindowLayers


class RGBDWindowUNet(WindowLayers, ModelMixin, ConfigMixin):
    """``splatmem.inpaint.embedded.network.WindowUNet`` as diffusers knows models; for the arguments see there."""

    @register_to_config
    def __init__(self, channels: Sequence[int] = CHANNELS, embedding: int = EMBEDDING, patch: int = PATCH) -> None:
        super().__init__()
        self.add_layers(channels, embedding, patch)
