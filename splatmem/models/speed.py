"""Ways to have a big model's denoiser run faster: other kernels for attention, and compiled blocks."""

from __future__ import annotations

from typing import Any

from splatmem.config import HardwareConfig

DENOISERS = ("transformer", "transformer_2", "unet")  # names that pipelines give to what runs in every step
FETCHED = "_hub"  # how diffusers' names of kernels end that are fetched from the hub, as code


def speed_up(pipeline: Any, hardware: HardwareConfig) -> None:
    """Has a pipeline's denoisers run as ``hardware`` says; once only, and after they were brought to the device or prepared to
    be brought.

    Raises:
        ValueError: the model, or this machine, cannot do as asked.
    """
    for name in DENOISERS:
        part = getattr(pipeline, name, None)
        if part is None or getattr(part, "sped_up", False):
            continue
        if hardware.attention is not None:
            _attend(part, hardware.attention)
        if hardware.compile:
            _compile_blocks(part)
        part.sped_up = True


def _attend(part: Any, kernels: str) -> None:
    """See diffusers' ``AttentionBackendName``."""
    if kernels.endswith(FETCHED):
        raise ValueError(
            f"hardware.attention={kernels}: these kernels are code that is fetched from the hub, which is not run here; "
            "install the package flash-attn or sageattention, and give flash or sage"
        )
    name = type(part).__name__
    if not any(hasattr(getattr(module, "processor", None), "_attention_backend") for module in part.modules()):
        raise ValueError(f"hardware.attention={kernels}: a {name} has PyTorch's kernels alone")
    try:
        part.set_attention_backend(kernels)
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"hardware.attention={kernels} cannot be used here: {error}") from error


def _compile_blocks(part: Any) -> None:
    """See ``ModelMixin.compile_repeated_blocks``."""
    if not getattr(part, "_repeated_blocks", None):
        raise ValueError(f"hardware.compile: diffusers does not say what repeats in a {type(part).__name__}")
    part.compile_repeated_blocks()
