"""Which models of the presets can be made with random weights, by their ids; and how large their parts are."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch

from splatmem.bench import architectures, ltx_family
from splatmem.bench.making import Maker
from splatmem.config import InpainterConfig

WAN_MODELS: dict[str, tuple[str, int]] = {
    "Wan-AI/Wan2.1-VACE-1.3B-diffusers": ("1.3b", 1),
    "Wan-AI/Wan2.1-VACE-14B-diffusers": ("14b", 1),
    "linoyts/Wan2.2-VACE-Fun-14B-diffusers": ("14b", 2),
}
"""Which of ``WAN_TRANSFORMERS`` they have, and how many of it."""
Build = Callable[[bool, Maker], Any]
"""Makes a pipeline or a model, tiny or not."""
PICTURE_MODELS: dict[str, Build] = {
    "diffusers/stable-diffusion-xl-1.0-inpainting-0.1": architectures.sdxl_inpaint,
    "black-forest-labs/FLUX.1-Fill-dev": architectures.flux_fill,
    "black-forest-labs/FLUX.1-Depth-dev": architectures.flux_depth,
    "black-forest-labs/FLUX.2-klein-4B": architectures.flux2_klein,
    "Tongyi-MAI/Z-Image-Turbo": architectures.z_image,
    "Qwen/Qwen-Image": architectures.qwen_image,
    "Qwen/Qwen-Image-Edit": architectures.qwen_image_edit,
    "stabilityai/stable-diffusion-3.5-medium": architectures.sd35,
}
VIDEO_MODELS: dict[str, Build] = {
    "Lightricks/LTX-2": ltx_family.ltx2,
    "Efficient-Large-Model/SANA-WM_bidirectional-diffusers": ltx_family.sana_wm,
}
"""Beside those of Wan."""
CONTROLNETS: dict[str, Build] = {"diffusers/controlnet-depth-sdxl-1.0": architectures.sdxl_controlnet}


def whole_pipeline(inpainter: InpainterConfig, tiny: bool, make: Maker) -> Any:
    """The pipeline of one of ``PICTURE_MODELS`` or ``VIDEO_MODELS``, with its ControlNet if the settings name one."""
    pipeline = (PICTURE_MODELS | VIDEO_MODELS)[inpainter.model](tiny, make)
    if inpainter.controlnet is None:
        return pipeline
    import diffusers

    from splatmem.inpaint.diffusers.controlnet import with_controlnet

    steered = getattr(diffusers, with_controlnet(type(pipeline).__name__))
    return steered(**pipeline.components, controlnet=CONTROLNETS[inpainter.controlnet](tiny, make))


def unknown_models(inpainter: InpainterConfig) -> list[tuple[str, str, list[str]]]:
    """What the settings name and what cannot be made here: which setting, which model, and the models that can be."""
    known = {
        "model": [*WAN_MODELS, *PICTURE_MODELS, *VIDEO_MODELS],
        "controlnet": list(CONTROLNETS) if inpainter.model in PICTURE_MODELS else [],
        "expander": [*WAN_MODELS, *VIDEO_MODELS],
    }
    named = {setting: getattr(inpainter, setting) for setting in known if getattr(inpainter, setting) is not None}
    return [(setting, model, known[setting]) for setting, model in named.items() if model not in known[setting]]


def weights(inpainter: InpainterConfig, dtype: torch.dtype) -> dict[str, int]:
    """Bytes of each part of an inpainter, without making any weights; parts of its expander have that word before their names.

    Raises:
        KeyError: the configuration of one of its models is not known here.
    """
    parts = dict(_parts(inpainter.model, dtype))
    if inpainter.controlnet is not None:
        parts["controlnet"] = _size(CONTROLNETS[inpainter.controlnet](False, Maker("meta", dtype)))
    if inpainter.expander is not None:
        parts |= {f"expander {name}": size for name, size in _parts(inpainter.expander, dtype).items()}
    return parts


@cache
def _parts(model: str, dtype: torch.dtype) -> dict[str, int]:
    make = Maker("meta", dtype)
    if model in WAN_MODELS:
        kind, transformers = WAN_MODELS[model]
        parts = {"text_encoder": architectures.umt5(False, make), "vae": architectures.wan_autoencoder(False, make)}
        parts |= {name: architectures.wan_transformer(kind, make) for name in transformer_names(transformers)}
    else:
        parts = (PICTURE_MODELS | VIDEO_MODELS)[model](False, make).components
    return {name: _size(part) for name, part in parts.items() if isinstance(part, torch.nn.Module)}


def transformer_names(count: int) -> tuple[str, ...]:
    """What a pipeline calls its transformers."""
    return ("transformer", "transformer_2")[:count]


def _size(model: Any) -> int:
    return sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
