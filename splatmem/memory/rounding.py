"""Rounds a memory's numbers to what its pictures need, so that they take little room on disk.

What is rounded is the memory itself: it is stored without loss, and read back it is what it was, to the bit. All steps are
powers of two, so that rounding what was rounded changes nothing.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from splatmem.gaussians import Gaussians
from splatmem.memory.stored_view import Pictures, PlainPictures

PLACE_BITS = 13
"""Places are exact to the distance from the camera over two to this power: a tenth of a pixel in pictures of 512 pixels."""
QUAT_STEP = 2.0**-8
SIZE_STEP = 2.0**-4
"""Of the logarithms of standard deviations: 3 percent at most."""
COLOUR_STEP = 2.0**-6
"""Of the coefficients of colours: half a step in 255 at most."""
DEPTH_BITS = 11
"""Depths of stored views keep that many bits behind the first one: 0.02 percent at most."""


def rounded(gaussians: Gaussians, origin: Float[Tensor, "3"]) -> Gaussians:
    """The Gaussians with rounded numbers.

    Args:
        origin: of the camera that saw them: places are rounded by their distance from there.
    """
    distance = (gaussians.means - origin.to(gaussians.means)).norm(dim=-1).clamp_min(1e-12)
    step = torch.exp2(distance.log2().floor() - PLACE_BITS)[:, None]
    return replace(
        gaussians,
        means=(gaussians.means / step).round() * step,
        quats=_to(torch.nn.functional.normalize(gaussians.quats, dim=-1), QUAT_STEP),
        log_scales=_to(gaussians.log_scales, SIZE_STEP),
        opacity_logits=_to(gaussians.opacity_logits, SIZE_STEP),
        sh=_to(gaussians.sh, COLOUR_STEP),
    )


def with_rounded_depth(pictures: Pictures) -> PlainPictures:
    """A view's pictures with depths of fewer bits; ``inf`` stays."""
    spare = 23 - DEPTH_BITS
    bits = pictures.depth.view(torch.int32)
    depth = ((bits + (1 << (spare - 1))) >> spare << spare).view(torch.float32)
    return PlainPictures(pictures.rgb, depth, pictures.written, pictures.classes)


def _to(values: Tensor, step: float) -> Tensor:
    return (values / step).round() * step
