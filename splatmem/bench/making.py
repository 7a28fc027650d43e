"""Models with random weights, made on the device; and tokenizers that need no file.

Weights are as random as those of a model before its training: what a model takes of time and memory does not depend on what
they are, pictures do.
"""

# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# Layers of diffusers take numbers and texts that their annotations do not name.

from __future__ import annotations

import string
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

TINY_TEXT = 8
WORDS = string.ascii_lowercase
CHAT_TEMPLATE = "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"


@dataclass(frozen=True)
class Maker:
    """Makes models on a device: in main memory it would take minutes.

    Attributes:
        device: where.
        dtype: number format of their weights.
        parked: bring each to main memory once it is made, so that the next finds room.
    """

    device: str
    dtype: torch.dtype = torch.float32
    parked: bool = False

    def __call__(self, build: Callable[[], Any], dtype: torch.dtype | None = None) -> Any:
        """The model that ``build`` makes, in ``dtype`` if one is given, ready to be run."""
        default = torch.get_default_dtype()
        torch.set_default_dtype(dtype or self.dtype)
        try:
            with torch.device(self.device):
                model = build()
        finally:
            torch.set_default_dtype(default)
        # As diffusers leaves them when it loads saved weights; transformers does so for float16 alone.
        of_diffusers = type(model).__module__.startswith("diffusers")
        single = (getattr(model, "_keep_in_fp32_modules", None) or ()) if of_diffusers else ()
        for name, parameter in model.named_parameters():
            if set(name.split(".")) & set(single):
                parameter.data = parameter.data.float()
        model = model.eval().requires_grad_(False)
        return model.to("cpu") if self.parked else model


def quantised(model: Any, dtype: torch.dtype) -> Any:
    """The model with its matrices in blocks of eight bits, Q8_0 of GGUF, as diffusers has them from such a file: random, and
    turned into ``dtype`` whenever they are used.

    Raises:
        ImportError: the package gguf is not installed.
    """
    from diffusers.quantizers.gguf.utils import GGUFLinear, GGUFParameter
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

    kind = GGMLQuantizationType.Q8_0
    block, size = GGML_QUANT_SIZES[kind]
    scale = torch.tensor([1e-4], dtype=torch.float16).view(torch.uint8)
    for parent in list(model.modules()):
        for name, layer in list(parent.named_children()):
            if type(layer) is not torch.nn.Linear or layer.in_features % block:
                continue
            shape = (layer.out_features, layer.in_features // block, size)
            content = torch.randint(0, 256, shape, dtype=torch.uint8, device=layer.weight.device)
            content[..., :2] = scale.to(content.device)  # a block begins with its scale
            smaller = GGUFLinear(layer.in_features, layer.out_features, layer.bias is not None, dtype, torch.device("meta"))
            smaller.weight = GGUFParameter(content.flatten(1), quant_type=kind)
            smaller.bias = layer.bias
            setattr(parent, name, smaller)
    return model


def t5_tokenizer() -> Any:
    """One token for each letter; prompts are padded to the model's full length anyway."""
    from transformers import T5TokenizerFast

    special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -1.0)]
    return T5TokenizerFast(vocab=special + [(letter, -2.0) for letter in WORDS], extra_ids=0)


def clip_tokenizer(tiny: bool) -> Any:
    from transformers import CLIPTokenizer

    words = [*WORDS, *(f"{letter}</w>" for letter in WORDS), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {word: index for index, word in enumerate(words)}
    return CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=16 if tiny else 77)


def qwen_tokenizer() -> Any:
    """One token for each byte."""
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import Qwen2Tokenizer

    words = [*sorted(ByteLevel.alphabet()), "<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokenizer = Qwen2Tokenizer(vocab={word: index for index, word in enumerate(words)}, merges=[])
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer
