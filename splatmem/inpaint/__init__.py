"""Inpainters: one protocol, several makers of the unknown."""

from __future__ import annotations

from pathlib import Path

from splatmem.inpaint.classical import CLASSICAL_NAMES, ClassicalInpainter
from splatmem.inpaint.protocol import FilledFrames, PartialFrames, ReferenceViews, VideoInpainter

__all__ = ["FilledFrames", "PartialFrames", "ReferenceViews", "VideoInpainter", "load_inpainter"]

EMBEDDED_FOLDER = "models/inpaint-small"


def load_inpainter(model: str = "embedded", *, device: str = "cpu", steps: int | None = None) -> VideoInpainter:
    """Loads an inpainter.

    Args:
        model: ``embedded``, the name of a classical filler, or a folder that holds a saved ``RGBDInpaintPipeline``.
        device: where it runs.
        steps: diffusion steps; the model's own number by default.

    Raises:
        ValueError: the name is unknown and no such folder exists.
        FileNotFoundError: the model's weights are missing.
    """
    if model in CLASSICAL_NAMES:
        return ClassicalInpainter(model)
    from splatmem import assets

    folder = assets.path(EMBEDDED_FOLDER) if model == "embedded" else Path(model)
    if not (folder / "model_index.json").is_file():
        raise ValueError(
            f"no inpainter {model!r}: expected 'embedded', one of {', '.join(CLASSICAL_NAMES)}, "
            "or a folder with a model_index.json"
        )
    from splatmem.inpaint.embedded import EmbeddedInpainter

    return EmbeddedInpainter.from_pretrained(folder, device=device, steps=steps)
