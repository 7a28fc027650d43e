"""ControlNets (Zhang et al. 2023): networks beside a pipeline's own that are shown a control picture."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import torch

from splatmem.models.load import load_model, quiet


def with_controlnet(class_name: str) -> str:
    """The class of diffusers, if it has one, that fills pictures with a ControlNet, of a pipeline's family.

    Args:
        class_name: of the pipeline as it was saved, for inpainting or not.
    """
    family = re.sub(r"(ControlNet)?(Inpaint)?Pipeline$", "", class_name)
    return f"{family}ControlNetInpaintPipeline"


def load_controlnet(source: str, dtype: torch.dtype) -> Any:
    """The ControlNet in a local folder or of a hub id; safetensors only.

    Raises:
        ValueError: it cannot be loaded, or is none.
    """

    @quiet()
    def load(folder: Path) -> Any:
        import diffusers

        class_name = str(json.loads((folder / "config.json").read_text(encoding="utf-8")).get("_class_name"))
        kind = getattr(diffusers, class_name, None) if "ControlNet" in class_name else None
        if kind is None:
            raise ValueError(f"it holds a {class_name}, which is no ControlNet that diffusers knows")
        return kind.from_pretrained(folder, dtype=dtype, use_safetensors=True)

    return load_model(source, "ControlNet", load)
