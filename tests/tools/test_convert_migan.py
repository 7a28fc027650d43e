"""The network that fills pictures out of the file that was published."""

import sys
from pathlib import Path

import torch
from splatmem.inpaint.migan.network import MIGAN, STRIDE

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from convert_migan import SIDES, weights_of


def test_weights_are_found_by_the_names_of_the_published_file() -> None:
    generator = torch.Generator().manual_seed(1)

    def numbers(*shape: int):
        return torch.randn(*shape, generator=generator).numpy()

    arrays = {"model.encoder.b512.fromrgb.weight": numbers(4, 4, 1, 1), "model.encoder.b512.fromrgb.bias": numbers(4)}
    for part in ("encoder", "synthesis"):
        for side in SIDES:
            for convolution in ("conv1", "conv2"):
                name = f"model.{part}.b{side}.{convolution}."
                arrays |= {
                    name + "conv1.weight": numbers(4, 1, 3, 3),
                    name + "conv1.bias": numbers(4),
                    name + "conv2.weight": numbers(4, 4, 1, 1),
                }
            arrays |= {f"model.synthesis.b{side}.torgb.weight": numbers(3, 4, 1, 1)}
            arrays |= {f"model.synthesis.b{side}.torgb.bias": numbers(3)}
    for number, side in enumerate(side for side in reversed(SIDES[:-1]) for _ in range(2)):
        arrays[f"onnx::Add_{number}"] = numbers(side, side)
    network = MIGAN([4] * len(SIDES))
    network.load_state_dict({name: torch.from_numpy(values) for name, values in weights_of(arrays).items()})
    with torch.inference_mode():
        whole = network.eval()(torch.rand(1, 3, STRIDE, 2 * STRIDE), torch.ones(1, 1, STRIDE, 2 * STRIDE))
    assert whole.shape == (1, 3, STRIDE, 2 * STRIDE)
