"""Words for what a window shows, by any model of transformers that tells what a picture shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from splatmem.geometry.push_pull import push_pull
from splatmem.inpaint.protocol import PartialFrames
from splatmem.models.load import load_model, quiet
from splatmem.pixels import to_uint8

QUESTION = "Describe the place in this picture in one short sentence: what kind of place, its materials, light and colours."
LONGEST = 48  # tokens
MIN_KNOWN = 0.2  # share of a frame that must be known for it to be described


class Captioner:
    """Describes the frame of a window of which most is known.

    Args:
        model, processor: of transformers.
        name: for reports.
        question: what the model is asked; None asks models that talk for the place, and others nothing.
        device: where it runs.
        offload: whether it waits in main memory between its uses.
    """

    def __init__(
        self, model: Any, processor: Any, name: str, question: str | None = None, device: str = "cpu", offload: bool = False
    ) -> None:
        self.model, self.processor, self.name, self.question = model.eval(), processor, name, question
        self.device, self.offload = device, offload
        self.model.to("cpu" if offload else device)

    @staticmethod
    def from_pretrained(
        source: str, device: str, dtype: torch.dtype, *, question: str | None = None, offload: bool = False
    ) -> Captioner:
        """Loads a local folder or a hub id; safetensors only, no remote code.

        Raises:
            ValueError: it cannot be loaded, or is no model that puts pictures into words.
        """

        @quiet()
        def load(folder: Path) -> Captioner:
            from transformers import AutoModelForImageTextToText, AutoProcessor

            options: dict[str, Any] = {"trust_remote_code": False}
            model = AutoModelForImageTextToText.from_pretrained(folder, dtype=dtype, use_safetensors=True, **options)
            processor = AutoProcessor.from_pretrained(folder, backend="pil", **options)
            return Captioner(model, processor, Path(source).name, question, device, offload)

        return load_model(source, "captioner", load)

    def window_prompt(self, partial: PartialFrames, prompt: str) -> str:
        """``prompt``, and what the window shows; alone where too little of the window is known to be described."""
        shares = partial.known.flatten(1).float().mean(1)
        best = int(shares.argmax())
        if shares[best] < MIN_KNOWN:
            return prompt
        known = partial.known[best]
        filled = push_pull(partial.rgb[best].permute(2, 0, 1)[None], known[None, None].float())[0].permute(1, 2, 0)
        words = self.describe(torch.where(known[..., None], partial.rgb[best], filled))
        return ", ".join(part for part in (prompt.strip(), words) if part)

    @torch.no_grad()
    def describe(self, rgb: torch.Tensor) -> str:
        """What a picture ``[h, w, 3]`` in 0..1 shows, in one line; the same words for the same picture."""
        from PIL import Image

        picture = Image.fromarray(to_uint8(rgb))
        arguments = {
            name: value.to(self.device, self.model.dtype) if value.is_floating_point() else value.to(self.device)
            for name, value in self._inputs(picture).items()
        }
        self.model.to(self.device)
        tokens = self.model.generate(**arguments, max_new_tokens=LONGEST, do_sample=False)[0]
        if self.offload:
            self.model.to("cpu")
        asked = arguments.get("input_ids")
        if asked is not None and torch.equal(tokens[: asked.shape[1]], asked[0]):  # some models repeat what they were asked
            tokens = tokens[asked.shape[1] :]
        return " ".join(self.processor.decode(tokens, skip_special_tokens=True).split())

    def _inputs(self, picture: Any) -> dict[str, torch.Tensor]:
        if getattr(self.processor, "chat_template", None) is not None:
            content = [{"type": "image", "image": picture}, {"type": "text", "text": self.question or QUESTION}]
            made = self.processor.apply_chat_template(
                [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=True, return_dict=True,
                return_tensors="pt",
            )  # fmt: skip
        else:
            asked = {} if self.question is None else {"text": self.question}
            made = self.processor(images=picture, return_tensors="pt", **asked)
        return dict(made)
