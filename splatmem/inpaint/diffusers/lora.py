"""Low-rank changes of a model's weights (Hu et al. 2021, "LoRA"), added to them once: no step is slower for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from splatmem.config import LoraConfig
from splatmem.models.check import safetensors_problem
from splatmem.models.hardware import is_quantised
from splatmem.models.locate import model_file

DOWN, UP, BIAS = ".lora_A.weight", ".lora_B.weight", ".lora_B.bias"
DENOISER = "transformer"


@torch.no_grad()
def add_loras(pipeline: Any, loras: Sequence[LoraConfig]) -> None:
    """Adds ``weight * up @ down`` to the weights that each LoRA names, in every transformer that the pipeline has.

    The names are those of diffusers, or what diffusers can turn into them.

    Raises:
        ValueError: a file is not there or not whole, or does not belong to this pipeline.
    """
    for lora in loras:
        file = model_file(lora.source, "LoRA")
        wrong = safetensors_problem(file)
        if wrong:
            raise ValueError(wrong)
        changes = type(pipeline).lora_state_dict(load_file(file))
        for part in (DENOISER, f"{DENOISER}_2"):
            if (model := getattr(pipeline, part, None)) is not None:
                if is_quantised(model):
                    raise ValueError(
                        f"{lora.source} cannot be added to a quantised {part}: take one that it is merged into, or full weights"
                    )
                _add(model, changes, lora)


def _add(model: torch.nn.Module, changes: dict[str, Tensor], lora: LoraConfig) -> None:
    layers = {name.removesuffix(DOWN) for name in changes if name.endswith(DOWN)}
    known = {layer + end for layer in layers for end in (DOWN, UP, BIAS)}
    strange = sorted(set(changes) - known)
    if strange or not layers:
        raise ValueError(f"{lora.source} is no LoRA that can be added here: it has {strange[0] if strange else 'no layers'}")
    modules = dict(model.named_modules())
    for layer in sorted(layers):
        module = modules.get(layer.removeprefix(f"{DENOISER}."))
        weight = getattr(module, "weight", None)
        up, down = changes[layer + UP].float(), changes[layer + DOWN].float()
        if module is None or weight is None or weight.shape != (len(up), down.shape[-1]):
            raise ValueError(f"{lora.source} does not fit the model: it has no layer {layer} of {len(up)} x {down.shape[-1]}")
        weight += (lora.weight * (up @ down)).to(weight)
        if layer + BIAS in changes:
            bias = getattr(module, "bias", None)
            if bias is None:
                raise ValueError(f"{lora.source} does not fit the model: its layer {layer} has no bias")
            bias += (lora.weight * changes[layer + BIAS].float()).to(bias)
