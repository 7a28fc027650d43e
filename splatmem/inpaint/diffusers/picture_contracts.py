"""What families of picture inpainting pipelines want otherwise than the rest, which say what they take by their signature."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from splatmem.inpaint.diffusers.qwen_edit import PictureAndWords, sides_of_edited


@dataclass(frozen=True)
class PictureContract:
    """How one class of pipelines is called.

    Attributes:
        guidance: the argument for classifier-free guidance.
        needs_negative: whether guidance does nothing without a negative prompt.
        latents_in_token: latents along a side that have one mask value, as they are one token for the sampler.
        most_pixels: pictures of more are scaled down by the pipeline itself; they are given no larger.
        reference: the argument for a picture of the place, or None.
        fixed_sides: width and height that every picture of a ratio of width to height is given, or None where any size is
            taken.
        processor: makes the part of that name from its folder, where the library's own needs more packages; or None.
    """

    guidance: str = "guidance_scale"
    needs_negative: bool = False
    latents_in_token: int = 1
    most_pixels: int | None = None
    reference: str | None = None
    fixed_sides: Callable[[float], tuple[int, int]] | None = None
    processor: Callable[[Path], Any] | None = None


CONTRACTS = {
    "QwenImageInpaintPipeline": PictureContract(guidance="true_cfg_scale", needs_negative=True),
    "QwenImageEditInpaintPipeline": PictureContract(
        guidance="true_cfg_scale",
        needs_negative=True,
        fixed_sides=sides_of_edited,
        processor=PictureAndWords.of_folder,
    ),
    "Flux2KleinInpaintPipeline": PictureContract(latents_in_token=2, most_pixels=1024 * 1024, reference="image_reference"),
}
"""By the class's name; every other class is a plain ``PictureContract``."""
INPAINTING_SIBLINGS = {
    "Flux2KleinPipeline": "Flux2KleinInpaintPipeline",
    "QwenImageEditPipeline": "QwenImageEditInpaintPipeline",
}
"""Classes of the same parts that take image and mask, where diffusers' own table of them has none."""


def contract_of(class_name: str) -> PictureContract:
    """The contract of a class of pipelines."""
    return CONTRACTS.get(class_name, PictureContract())
