"""EfficientNet-Lite0 as an image encoder (Tan & Le 2019; the Lite variant has no squeeze-and-excite and uses ReLU6).

Module names follow the published checkpoint, so that its ImageNet weights load as they are.
"""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor, nn

# (repeats, kernel, stride, expansion, channels in, channels out) of each stage
STAGES = (
    (1, 3, 1, 1, 32, 16),
    (2, 3, 2, 6, 16, 24),
    (2, 5, 2, 6, 24, 40),
    (3, 3, 2, 6, 40, 80),
    (3, 5, 1, 6, 80, 112),
    (4, 5, 2, 6, 112, 192),
    (1, 3, 1, 6, 192, 320),
)
TAPPED_STAGES = (0, 1, 2, 4, 6)  # the last stage at each stride: 2, 4, 8, 16, 32
TAPPED_CHANNELS = (16, 24, 40, 112, 320)


def _pad_same(x: Tensor, kernel: int, stride: int) -> Tensor:
    """TensorFlow's "same" padding, with which the weights were trained: the surplus goes right and below."""
    height, width = x.shape[-2:]
    extra_y = max((math.ceil(height / stride) - 1) * stride + kernel - height, 0)
    extra_x = max((math.ceil(width / stride) - 1) * stride + kernel - width, 0)
    return F.pad(x, (extra_x // 2, extra_x - extra_x // 2, extra_y // 2, extra_y - extra_y // 2))


class InvertedResidual(nn.Module):
    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = channels_in * expansion
        self.kernel, self.stride, self.expansion = kernel, stride, expansion
        self.identity = stride == 1 and channels_in == channels_out
        if expansion != 1:
            self._expand_conv = nn.Conv2d(channels_in, hidden, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(hidden, eps=1e-3)
        self._depthwise_conv = nn.Conv2d(hidden, hidden, kernel, stride, groups=hidden, bias=False)
        self._bn1 = nn.BatchNorm2d(hidden, eps=1e-3)
        self._project_conv = nn.Conv2d(hidden, channels_out, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(channels_out, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        hidden = x if self.expansion == 1 else F.relu6(self._bn0(self._expand_conv(x)))
        hidden = self._depthwise_conv(_pad_same(hidden, self.kernel, self.stride))
        hidden = self._bn2(self._project_conv(F.relu6(self._bn1(hidden))))
        return x + hidden if self.identity else hidden


class EfficientNetLite0(nn.Module):
    """Returns the features at strides 2, 4, 8, 16 and 32 (channels ``TAPPED_CHANNELS``)."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = nn.Conv2d(3, 32, 3, 2, bias=False)
        self._bn0 = nn.BatchNorm2d(32, eps=1e-3)
        blocks: list[nn.Module] = []
        self.taps: list[int] = []
        for stage, (repeats, kernel, stride, expansion, channels_in, channels_out) in enumerate(STAGES):
            for repeat in range(repeats):
                first = repeat == 0
                blocks.append(
                    InvertedResidual(
                        channels_in if first else channels_out, channels_out, kernel, stride if first else 1, expansion
                    )
                )
            if stage in TAPPED_STAGES:
                self.taps.append(len(blocks) - 1)
        self._blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor) -> list[Tensor]:
        x = F.relu6(self._bn0(self._conv_stem(_pad_same(x, 3, 2))))
        features = []
        for index, block in enumerate(self._blocks):
            x = block(x)
            if index in self.taps:
                features.append(x)
        return features
