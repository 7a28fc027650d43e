"""The embedded inpainter's network without diffusers does what diffusers does with its folder."""

from __future__ import annotations

import torch
from splatmem import assets
from splatmem.inpaint import EMBEDDED_FOLDER
from splatmem.inpaint.embedded.network import WindowUNet
from splatmem.inpaint.embedded.pipeline import RGBDInpaintPipeline
from splatmem.inpaint.embedded.sampling import EulerSteps, fill_window


def test_the_folder_is_a_pipeline_of_diffusers_that_gives_the_same_bits() -> None:
    folder = assets.path(EMBEDDED_FOLDER)
    pipeline = RGBDInpaintPipeline.from_pretrained(folder, dtype=torch.float32)
    random = torch.Generator().manual_seed(0)

    def values(*shape: int) -> torch.Tensor:
        return torch.rand(shape, generator=random)

    size = (2, 12, 16)
    window = (
        values(*size, 3), 1 + values(*size), values(*size, 3), 1 + values(*size), values(*size) < 0.4, values(*size) < 0.5,
        values(*size, 6),
    )  # fmt: skip
    theirs = pipeline(*window, num_inference_steps=3, strength=0.6, generator=torch.Generator().manual_seed(1))
    own = fill_window(
        WindowUNet.from_folder(folder / "unet"), EulerSteps(), *window, steps=3, strength=0.6,
        generator=torch.Generator().manual_seed(1),
    )  # fmt: skip
    for ours, other in zip(own, theirs, strict=True):
        assert torch.equal(ours, other)
