"""Gaussians held as small whole numbers, in 18 bytes each instead of 56.

| parameter | as | bytes | exact to |
|---|---|---|---|
| means | three numbers of 16 bits and the power of two that they count | 7 | the distance from the origin over 2^15 |
| quats | four numbers of 8 bits, the largest of them 127 | 4 | 0.3 degrees, 0.75 at most |
| log_scales | 8 bits, steps of 1/16 from the smallest on | 3 | 3 percent of the size |
| opacity_logits | 8 bits, steps of 1/16 between -8 and 8 | 1 | under 1 percent of the opacity |
| sh | 8 bits, steps of 1/64 | 3 | half a step in 227 |

All steps are powers of two (numbers that share a power of two are known from the texture format RGB9_E5, where colours do),
so that every parameter is a float32 exactly, and quantising what was quantised changes nothing, to the bit.
"""

# pyright: reportIncompatibleVariableOverride=false
# Parameters are computed here, where the container has them as attributes.

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float, Int, Int8, Int16, UInt8
from torch import Tensor

from splatmem.gaussians.container import Gaussians
from splatmem.gaussians.lineage import Lineage

PLACE_BITS = 15
LEAST_EXPONENT = -126  # of a float32 that is not denormal
QUAT_STEP, LARGEST_QUAT = 2.0**-7, 127
SIZE_STEP, LARGEST_SIZE = 2.0**-4, 255
OPACITY_STEP = 2.0**-4
COLOUR_STEP = 2.0**-6


@dataclass(frozen=True)
class _Codes:
    """The whole numbers; see the table above.

    Attributes:
        exponents: a mean is ``places`` times two to this power.
        smallest: that code of a size, in steps, that ``sizes`` count from.
    """

    places: Int16[Tensor, "n 3"]
    exponents: Int8[Tensor, " n"]
    quats: Int8[Tensor, "n 4"]
    sizes: UInt8[Tensor, "n 3"]
    opacities: Int8[Tensor, " n"]
    colours: Int8[Tensor, "n 3"]
    smallest: int

    def map(self, function: Callable[[Tensor], Tensor]) -> _Codes:
        """The codes with a function applied to each tensor, which must keep their kind."""
        places, exponents, quats, sizes, opacities, colours = map(function, self.tensors)
        return _Codes(places, exponents, quats, sizes, opacities, colours, self.smallest)

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        return self.places, self.exponents, self.quats, self.sizes, self.opacities, self.colours


class QuantisedGaussians(Gaussians):
    """Gaussians that are held as whole numbers; a parameter is computed whenever it is asked for, in about a millisecond for
    100,000 of them, and whoever asked holds it alone.

    Nothing in them changes any more: what is selected, joined or changed from them are plain ``Gaussians``.
    """

    def __init__(self, codes: _Codes) -> None:
        self._codes = codes
        self._descend(Lineage.new(len(self)))

    @staticmethod
    def of(gaussians: Gaussians) -> QuantisedGaussians:
        """The nearest that can be held so. Numbers beyond a range get its end.

        Raises:
            ValueError: they have features, or colours that change with the view.
        """
        if gaussians.features is not None or gaussians.sh.shape[1] > 1:
            raise ValueError("Gaussians with features or colours that change with the view (harmonics) cannot be quantised")
        exponents = torch.frexp(gaussians.means.abs().amax(1)).exponent - PLACE_BITS
        exponents = exponents.clamp_min(LEAST_EXPONENT)
        places = gaussians.means * _power_of_two(-exponents)[:, None]
        longest = gaussians.quats.abs().amax(1, keepdim=True).clamp_min(1e-30)
        sizes = (gaussians.log_scales / SIZE_STEP).round().long()
        smallest = max(int(sizes.min()), int(sizes.max()) - LARGEST_SIZE) if len(gaussians) else 0
        return QuantisedGaussians(
            _Codes(
                _nearest(places, torch.int16),
                exponents.to(torch.int8),
                _nearest(gaussians.quats / longest * LARGEST_QUAT, torch.int8),
                (sizes - smallest).clamp_min(0).to(torch.uint8),
                _nearest(gaussians.opacity_logits / OPACITY_STEP, torch.int8),
                _nearest(gaussians.sh[:, 0] / COLOUR_STEP, torch.int8),
                smallest,
            )
        )

    @staticmethod
    def exactly(gaussians: Gaussians) -> QuantisedGaussians | None:
        """The same Gaussians to the bit; None where they cannot be held so."""
        if gaussians.features is not None or gaussians.sh.shape[1] > 1:
            return None
        held = QuantisedGaussians.of(gaussians)
        names = (f.name for f in fields(Gaussians) if f.name != "features")
        return held if all(torch.equal(getattr(held, name), getattr(gaussians, name)) for name in names) else None

    @property
    def means(self) -> Float[Tensor, "n 3"]:
        return self._codes.places * _power_of_two(self._codes.exponents)[:, None]

    @property
    def quats(self) -> Float[Tensor, "n 4"]:
        return self._codes.quats * QUAT_STEP

    @property
    def log_scales(self) -> Float[Tensor, "n 3"]:
        return (self._codes.sizes.to(torch.int16) + self._codes.smallest) * SIZE_STEP

    @property
    def opacity_logits(self) -> Float[Tensor, " n"]:
        return self._codes.opacities * OPACITY_STEP

    @property
    def sh(self) -> Float[Tensor, "n 1 3"]:
        return (self._codes.colours * COLOUR_STEP)[:, None]

    @property
    def device(self) -> torch.device:
        return self._codes.places.device

    @property
    def nbytes(self) -> int:
        """Bytes of the whole numbers."""
        return sum(tensor.nbytes for tensor in self._codes.tensors)

    def __len__(self) -> int:
        return len(self._codes.places)

    def select(self, index: Bool[Tensor, " n"] | Int[Tensor, " m"] | slice) -> Gaussians:
        """Plain Gaussians: of no others a parameter is computed."""
        chosen = QuantisedGaussians(self._codes.map(lambda values: values[index]))
        return chosen._map(lambda values: values)

    def to(self, device: torch.device | str) -> QuantisedGaussians:
        """The same Gaussians on another device, held in the same way."""
        return QuantisedGaussians(self._codes.map(lambda values: values.to(device)))

    def _recognised(self) -> tuple[tuple[int, int], ...]:
        return ()  # they do not change

    def _kept(self, name: str, parameter: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
        return function(parameter)  # nothing is kept beside the whole numbers


def _power_of_two(exponents: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Two to these powers, exactly: a float32 without any bits but those of its exponent."""
    return ((exponents.to(torch.int32) + 127) << 23).view(torch.float32)


def _nearest(values: Tensor, dtype: torch.dtype) -> Tensor:
    limits = torch.iinfo(dtype)
    return values.round().clamp(limits.min, limits.max).to(dtype)
