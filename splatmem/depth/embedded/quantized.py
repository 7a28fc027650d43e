"""Linear layers whose weights are kept as 8-bit integers: a quarter of the bytes of single precision."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

LARGEST = 127


class QuantizedLinear(nn.Module):
    """``nn.Linear`` with integers times one scale for each row of the weights."""

    integers: Tensor
    scales: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.register_buffer("integers", torch.zeros(outputs, inputs, dtype=torch.int8))
        self.register_buffer("scales", torch.ones(outputs, 1))
        self.bias = nn.Parameter(torch.zeros(outputs))

    @staticmethod
    def of(linear: nn.Linear) -> QuantizedLinear:
        """The layer with the nearest integers; its largest error is half a step of 1/127 of a row's largest weight.

        One of the ``meta`` device, whose weights are still to come, gives one of that kind.
        """
        quantized = QuantizedLinear(linear.in_features, linear.out_features)
        if linear.weight.is_meta:
            return quantized
        with torch.no_grad():
            scales = linear.weight.float().abs().amax(dim=1, keepdim=True).clamp_min(1e-12) / LARGEST
            quantized.integers.copy_((linear.weight.float() / scales).round())
            quantized.scales.copy_(scales)
            quantized.bias.copy_(linear.bias)
        return quantized

    def forward(self, x: Float[Tensor, "*n i"]) -> Float[Tensor, "*n o"]:
        return F.linear(x, self.integers.to(x.dtype) * self.scales.to(x.dtype), self.bias)


def quantize_linears(module: nn.Module) -> None:
    """Replaces every ``nn.Linear`` inside ``module``."""
    for name, child in module.named_children():
        if isinstance(child, nn.Linear):
            setattr(module, name, QuantizedLinear.of(child))
        else:
            quantize_linears(child)


def dequantized(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state of a module with ``QuantizedLinear`` as that of one with ``nn.Linear``; other entries stay as they are."""
    plain = {}
    for name, value in weights.items():
        if name.endswith(".integers"):
            layer = name.removesuffix(".integers")
            plain[f"{layer}.weight"] = value.float() * weights[f"{layer}.scales"].float()
        elif not (name.endswith(".scales") and f"{name.removesuffix('.scales')}.integers" in weights):
            plain[name] = value
    return plain
