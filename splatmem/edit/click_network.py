"""The small network that tells which pixels show the same thing as a clicked one; ``tools/train_clicks.py`` trains it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from splatmem import assets
from splatmem.edit.click_features import NUM_FEATURES

CHANNELS = 24
DILATIONS = (1, 2, 4, 8, 2, 1)
FOLDER = "models/click-small"
FARTHEST = 5.0  # standard deviations from the mean to which features are cut off


class ClickNetwork(nn.Module):
    """Dilated convolutions over maps of features at half their size, joined with each pixel's own features."""

    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(NUM_FEATURES, 1, 1))
        self.register_buffer("deviation", torch.ones(NUM_FEATURES, 1, 1))
        self.first = nn.Conv2d(NUM_FEATURES, CHANNELS, 1)
        self.own = nn.Conv2d(CHANNELS, CHANNELS, 1)
        self.around = nn.ModuleList([nn.Conv2d(CHANNELS, CHANNELS, 3, padding=d, dilation=d) for d in DILATIONS])
        self.joined = nn.Conv2d(2 * CHANNELS, CHANNELS, 1)
        self.last = nn.Conv2d(CHANNELS, 1, 1)

    def forward(self, features: Float[Tensor, "b f h w"]) -> Float[Tensor, "b h w"]:
        """Logits of showing the clicked thing.

        Args:
            features: as ``splatmem.edit.click_features.click_features`` gives them.
        """
        x = ((features - self.mean) / self.deviation).clamp(-FARTHEST, FARTHEST)
        x = F.gelu(self.first(x))
        around = F.avg_pool2d(x, 2, ceil_mode=True)
        for convolution in self.around:
            around = around + F.gelu(convolution(around))
        around = F.interpolate(around, size=x.shape[-2:], mode="bilinear")
        x = F.gelu(self.joined(torch.cat([F.gelu(self.own(x)), around], dim=1)))
        return self.last(x)[:, 0]


@cache
def load_click_network() -> ClickNetwork:
    """The network that comes with the package."""
    return read_click_network(assets.path(FOLDER) / "model.safetensors")


def read_click_network(file: Path) -> ClickNetwork:
    """A network from its weights."""
    from safetensors.torch import load_file

    network = ClickNetwork()
    network.load_state_dict({name: weights.float() for name, weights in load_file(file).items()})
    return network.eval().requires_grad_(False)
