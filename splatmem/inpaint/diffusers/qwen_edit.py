"""What Qwen-Image-Edit needs beside its weights: the sizes of its pictures, and what shows them to its text encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, BatchFeature, ProcessorMixin, Qwen2VLImageProcessorPil

PIXELS = 1024 * 1024
IMAGE_TOKEN = "<|image_pad|>"


def sides_of_edited(ratio: float) -> tuple[int, int]:
    """Width and height that the pipeline gives every picture of this ratio of width to height, whatever it is asked for."""
    from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit_inpaint

    width, height, _ = pipeline_qwenimage_edit_inpaint.calculate_dimensions(PIXELS, ratio)
    return width, height


class PictureAndWords(ProcessorMixin):
    """What ``Qwen2VLProcessor`` does with one picture and a text; that class needs torchvision, for videos."""

    def __init__(self, image_processor: Any, tokenizer: Any) -> None:
        super().__init__(image_processor, tokenizer)

    @staticmethod
    def of_folder(folder: Path) -> PictureAndWords:
        """Of the processor's folder in a pipeline's."""
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        return PictureAndWords(Qwen2VLImageProcessorPil.from_pretrained(folder), tokenizer)

    def __call__(self, text: list[str], images: Any, padding: bool, return_tensors: str) -> Any:
        """The tokens of texts with a mark each for the picture, and the picture's patches, as the text encoder takes them."""
        shown = self.image_processor(images=images, return_tensors=return_tensors)
        patches = int(shown["image_grid_thw"][0].prod()) // self.image_processor.merge_size**2
        marked = [one.replace(IMAGE_TOKEN, patches * IMAGE_TOKEN) for one in text]
        return BatchFeature({**self.tokenizer(marked, padding=padding, return_tensors=return_tensors), **shown})
