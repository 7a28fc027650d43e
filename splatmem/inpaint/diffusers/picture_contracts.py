"""What families of picture inpainting pipelines want otherwise than the rest, which say what they take by their signature."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PictureContract:
    """How one class of pipelines is called.

    Attributes:
        guidance: the argument for classifier-free guidance.
        needs_negative: whether guidance does nothing without a negative prompt.
        latents_in_token: latents along a side that have one mask value, as they are one token for the sampler.
        most_pixels: pictures of more are scaled down by the pipeline itself; they are given no larger.
        reference: the argument for a picture of the place, or None.
    """

    guidance: str = "guidance_scale"
    needs_negative: bool = False
    latents_in_token: int = 1
    most_pixels: int | None = None
    reference: str | None = None


CONTRACTS = {
    "QwenImageInpaintPipeline": PictureContract(guidance="true_cfg_scale", needs_negative=True),
    "Flux2KleinInpaintPipeline": PictureContract(latents_in_token=2, most_pixels=1024 * 1024, reference="image_reference"),
}
"""By the class's name; every other class is a plain ``PictureContract``."""
INPAINTING_SIBLINGS = {"Flux2KleinPipeline": "Flux2KleinInpaintPipeline"}
"""Classes of the same parts that take image and mask, where diffusers' own table of them has none."""


def contract_of(pipeline: object) -> PictureContract:
    """The contract of a pipeline's class."""
    return CONTRACTS.get(type(pipeline).__name__, PictureContract())
