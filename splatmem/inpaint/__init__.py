"""Inpainters: one protocol, several makers of the unknown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from splatmem.config import HardwareConfig, InpainterConfig
from splatmem.inpaint.classical import CLASSICAL_NAMES, ClassicalInpainter
from splatmem.inpaint.expansion import ExpandingInpainter, expander_settings
from splatmem.inpaint.protocol import FilledFrames, PartialFrames, ReferenceViews, VideoInpainter
from splatmem.models.load import quiet
from splatmem.models.parts import pipeline_index

__all__ = ["FilledFrames", "PartialFrames", "ReferenceViews", "VideoInpainter", "load_inpainter"]

EMBEDDED_FOLDER = "models/inpaint-places"


def load_inpainter(
    model: InpainterConfig | str = "embedded",
    *,
    device: str = "cpu",
    steps: int | None = None,
    hardware: HardwareConfig | None = None,
) -> VideoInpainter:
    """Loads an inpainter.

    Args:
        model: settings, or their ``model`` alone: ``embedded``, the name of a classical filler, or a local folder or hub id
            of a diffusers pipeline.
        device: where it runs.
        steps: diffusion steps, where ``model`` is a name.
        hardware: number format and offloading, for all but the embedded model.

    Raises:
        ValueError: no such model can be loaded; the message says what to do.
        FileNotFoundError: the embedded model's weights are missing.
    """
    settings = InpainterConfig(model=model, steps=steps) if isinstance(model, str) else model
    _refuse_contradictions(settings)
    expands = expander_settings(settings)
    if expands is not None:
        rest = replace(settings, expander=None)
        first, then = (load_inpainter(one, device=device, hardware=hardware) for one in (expands, rest))
        return ExpandingInpainter(first, then, settings.expand_below)
    loaded = _load(settings, device, hardware)
    if settings.control == "none":
        return loaded
    from splatmem.inpaint.depth_control import DepthSteered

    return DepthSteered(loaded)


def _refuse_contradictions(settings: InpainterConfig) -> None:
    """Raises ``ValueError`` for settings that do not go together, whichever the models are."""
    in_latents = settings.conditioning == "latents"
    if settings.expander is not None and in_latents:
        raise ValueError("inpainter.expander goes with inpainter.conditioning=pixels: it makes no latents of the other model's")
    if settings.control == "none" and settings.controlnet is not None:
        raise ValueError("inpainter.controlnet steers by depth: give --set inpainter.control=depth with it")
    if settings.control == "depth" and (in_latents or settings.model in (*CLASSICAL_NAMES, "embedded")):
        raise ValueError("inpainter.control=depth is for diffusers pipelines that are shown pixels (inpainter.conditioning)")


def _load(settings: InpainterConfig, device: str, hardware: HardwareConfig | None) -> VideoInpainter:
    if settings.model in CLASSICAL_NAMES:
        return ClassicalInpainter(settings.model)
    from splatmem import assets
    from splatmem.models.hardware import require_storage
    from splatmem.models.load import load_model
    from splatmem.models.locate import looks_like_hub_id

    if settings.model == "embedded":
        from splatmem.inpaint.migan.inpainter import EmbeddedInpainter
        from splatmem.inpaint.migan.pictures import picture_filler

        folder = str(assets.path(EMBEDDED_FOLDER))
        return load_model(folder, "embedded inpainter", lambda found: EmbeddedInpainter(picture_filler(found)))
    if not Path(settings.model).expanduser().is_dir() and not looks_like_hub_id(settings.model):
        raise ValueError(
            f"no inpainter {settings.model!r}: expected 'embedded', one of {', '.join(CLASSICAL_NAMES)}, a folder with a "
            "model_index.json, or a hub id like owner/name"
        )
    placed = hardware or HardwareConfig()
    require_storage(placed)  # before gigabytes are read
    return load_model(
        settings.model, "inpainter", lambda folder: _from_folder(folder, settings, placed, device),
        variant=settings.variant, without=tuple(settings.files_of_parts()),
    )  # fmt: skip


def _from_folder(folder: Path, settings: InpainterConfig, hardware: HardwareConfig, device: str) -> VideoInpainter:
    class_name = str(pipeline_index(folder).get("_class_name"))
    return _of_diffusers(folder, class_name, settings, hardware, device)


@quiet()
def _of_diffusers(
    folder: Path, class_name: str, settings: InpainterConfig, hardware: HardwareConfig, device: str
) -> VideoInpainter:
    from splatmem.models.hardware import weights_dtype

    dtype = weights_dtype(hardware, device)
    if settings.loras and class_name != "WanVACEPipeline":
        raise ValueError(f"inpainter.loras can be added to a WanVACEPipeline alone, not to a {class_name}")
    if class_name == "WanVACEPipeline":
        from splatmem.inpaint.diffusers.wan_vace import WanVACEInpainter

        inpainter = WanVACEInpainter.from_pretrained(folder, settings, hardware, device, dtype)
    elif class_name.startswith("LTX2"):
        from splatmem.inpaint.diffusers.ltx2 import LTX2Inpainter

        inpainter = LTX2Inpainter.from_pretrained(folder, settings, hardware, device, dtype)
    elif class_name == "SanaWMPipeline":
        from splatmem.inpaint.diffusers.sana_wm import SanaWMInpainter

        inpainter = SanaWMInpainter.from_pretrained(folder, settings, hardware, device, dtype)
    else:
        from splatmem.inpaint.diffusers.image_inpainter import ImageInpainter

        inpainter = ImageInpainter.from_pretrained(folder, settings, hardware, device, dtype)
    if settings.captioner is not None:
        from splatmem.inpaint.captioner import Captioner

        inpainter.captioner = Captioner.from_pretrained(
            settings.captioner, device, dtype, question=settings.caption_question, offload=hardware.offload != "none"
        )
    return inpainter
