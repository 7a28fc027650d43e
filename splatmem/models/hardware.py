"""Devices of big models: choice, number format, offloading to main memory, and what to do when memory runs out."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import torch

from splatmem.config import HardwareConfig
from splatmem.models.main_memory import fitting_size, free_main_memory, is_out_of_memory, reason
from splatmem.models.speed import DENOISERS, speed_up
from splatmem.render.gsplat_kernels import why_gsplat_cannot_draw

DEVICES = ("auto", "cpu", "cuda", "mps")
TEXT_ENCODERS = ("text_encoder", "text_encoder_2", "text_encoder_3")
# T5 turns a layer's input into the number format of that layer's weights (``wo``) before they are turned back.
KEPT_IN_TEXT_ENCODERS = ("norm", "embed", "shared", r"\.wo$", "lm_head")
KEPT_FROM_INT8 = ("norm", "embed", "proj_out", "lm_head")  # parts of names: small matrices to which all others are sensitive


def choose_device(device: str) -> str:
    """``auto`` takes CUDA where there is one, else Apple's GPU, else the CPU.

    Raises:
        ValueError: the device is unknown, or asked for and not there.
    """
    if device not in DEVICES:
        raise ValueError(f"device must be {', '.join(DEVICES)}, got {device!r}")
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        return next(name for name in ("cuda", "mps", "cpu") if there[name])
    if not there[device]:
        raise ValueError(
            f"--device {device}: this PyTorch sees no {device.upper()} device; use --device cpu, or see 'splatmem doctor'"
        )
    return device


def drawing_device(device: str) -> str:
    """The device of the memory's Gaussians when models run on ``device``: CUDA if gsplat's kernels can be used there, else the
    CPU."""
    return "cuda" if device == "cuda" and why_gsplat_cannot_draw() is None else "cpu"


def weights_dtype(hardware: HardwareConfig, device: str) -> torch.dtype:
    """The number format of big models' weights; see ``HardwareConfig.dtype``."""
    if hardware.dtype != "auto":
        return getattr(torch, hardware.dtype)
    if device == "cuda":  # where bfloat16 is emulated, it is slower than float16
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    if device == "mps":
        return torch.bfloat16 if torch.backends.mps.is_macos_or_newer(14, 0) else torch.float16
    return torch.float32


def bound_autoencoder(pipeline: Any, hardware: HardwareConfig) -> None:
    """Makes a pipeline's autoencoder work in tiles and slices, if ``hardware.tiling`` asks for it and it can."""
    if hardware.tiling and getattr(pipeline, "vae", None) is not None:
        for switch in ("enable_tiling", "enable_slicing"):
            if hasattr(pipeline.vae, switch):
                getattr(pipeline.vae, switch)()


def store_small(pipeline: Any, hardware: HardwareConfig) -> None:
    """Has the layers of a pipeline's denoisers and text encoders keep their weights in eight bits between their uses, if
    ``hardware.storage`` asks for it; once only. Autoencoders, norms and embeddings of pictures stay as they are.

    Raises:
        ValueError: see ``require_storage``.
    """
    if hardware.storage == "dtype":
        return
    require_storage(hardware)
    store = _store_in_float8 if hardware.storage == "float8" else _store_in_int8
    for name in (*DENOISERS, *TEXT_ENCODERS):
        part = getattr(pipeline, name, None)
        if part is None or getattr(part, "stored_small", False) or is_quantised(part):
            continue
        store(part)
        part.stored_small = True


def require_storage(hardware: HardwareConfig) -> None:
    """Makes sure that weights can be kept as ``hardware.storage`` says.

    Raises:
        ValueError: a package is missing; the message says how to get it.
    """
    if hardware.storage == "int8" and find_spec("torchao") is None:
        raise ValueError(
            "hardware.storage=int8 needs the package torchao: pip install 'splatmem[int8]', or give hardware.storage=float8"
        )


def _store_in_float8(part: Any) -> None:
    """See ``diffusers.hooks.apply_layerwise_casting``."""
    from diffusers.hooks import apply_layerwise_casting

    own = getattr(part, "enable_layerwise_casting", None)
    options = {"storage_dtype": torch.float8_e4m3fn, "compute_dtype": part.dtype}
    if own is not None:
        own(**options)
    else:
        apply_layerwise_casting(part, **options, skip_modules_pattern=KEPT_IN_TEXT_ENCODERS)


def _store_in_int8(part: Any) -> None:
    """See ``torchao.quantization.Int8WeightOnlyConfig``: each row of a matrix has a scale of its own."""
    from torchao.quantization import Int8WeightOnlyConfig, quantize_  # pyright: ignore[reportMissingImports]  # an extra

    def is_matrix(module: torch.nn.Module, name: str) -> bool:
        return isinstance(module, torch.nn.Linear) and not any(kept in name for kept in KEPT_FROM_INT8)

    quantize_(part, Int8WeightOnlyConfig(), is_matrix)


def is_quantised(part: Any) -> bool:
    """Whether a model's weights came quantised from their file."""
    return getattr(part, "hf_quantizer", None) is not None


def place(pipeline: Any, hardware: HardwareConfig, device: str) -> None:
    """Brings a diffusers pipeline to the device, or prepares it to be brought there piece by piece; see ``speed_up``, too.

    On the CPU there is nothing to offload from; tiling bounds the memory there too.
    """
    bound_autoencoder(pipeline, hardware)
    store_small(pipeline, hardware)
    if device == "cpu" or hardware.offload == "none":
        pipeline.to(device)
    elif hardware.offload == "model":
        pipeline.enable_model_cpu_offload(device=device)
    elif hardware.offload == "sequential" or not _can_be_grouped(pipeline):
        pipeline.enable_sequential_cpu_offload(device=device)
    else:
        _offload_in_groups(pipeline, device)
    speed_up(pipeline, hardware)


def _can_be_grouped(pipeline: Any) -> bool:
    """Whether all of a pipeline's models can be offloaded in groups; transformers' own can."""
    return hasattr(pipeline, "enable_group_offload") and all(
        getattr(part, "_supports_group_offloading", True) for part in pipeline.components.values()
    )


def _offload_in_groups(pipeline: Any, device: str) -> None:
    """Offloads a pipeline's parts like diffusers' ``enable_group_offload``, with streams only for those that run in every step.

    Streams fetch layers ahead in the order of their first run, while others compute. An autoencoder has no such order: it
    encodes and decodes, tile by tile.
    """
    from diffusers.hooks import apply_group_offloading

    for name, part in pipeline.components.items():
        if not isinstance(part, torch.nn.Module):
            continue
        options: dict[str, Any] = {"onload_device": torch.device(device), "offload_type": "leaf_level"}
        if device == "cuda" and name in DENOISERS:
            options |= {"use_stream": True, "low_cpu_mem_usage": True}  # pinned on the fly: as much main memory as the weights
        own: Any = getattr(part, "enable_group_offload", None)
        if own is not None:
            own(**options)
        else:
            apply_group_offloading(part, **options)


def release(device: str) -> None:
    """Returns to the device the memory of models that are no longer referenced."""
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()
    elif device == "mps":
        torch.mps.empty_cache()


def sparing_options(hardware: HardwareConfig) -> list[str]:
    """Options of the command line that need less device memory than these settings."""
    if hardware.offload == "sequential":
        return [] if hardware.tiling else ["--low-vram"]
    sequential = "--set hardware.offload=sequential"
    return [sequential] if hardware.offload == "group" and hardware.tiling else ["--low-vram", sequential]


@contextmanager
def explained_out_of_memory(device: str, hardware: HardwareConfig, size: tuple[int, int] | None = None) -> Iterator[None]:
    """Turns errors that say that memory is full into a ``ValueError`` that says what needs less.

    Args:
        device: where the models run.
        hardware: as it is set now.
        size: width and height of a film that needs no big models: then it is main memory that is full, and the message says
            what size would fit. None: big models are at work.
    """
    free = free_main_memory()
    try:
        yield
    except Exception as error:  # OpenCV has a class of its own
        if not is_out_of_memory(error):
            raise
        advice = _advice(hardware) if size is None else _smaller_size(size, free)
        raise ValueError(f"{device} has too little memory ({reason(error)}): {advice}") from error


def _advice(hardware: HardwareConfig) -> str:
    return ", or ".join([f"give {option}" for option in sparing_options(hardware)] + ["begin anew with a smaller --size"])


def _smaller_size(size: tuple[int, int], free: int | None) -> str:
    """What to do where a film of this size, made by the embedded models, does not fit into ``free`` bytes."""
    fitting = None if free is None else fitting_size(*size, free)
    if free is None or fitting == size:  # something else has taken memory meanwhile
        return f"begin anew with a smaller --size than {size[0]}x{size[1]}"
    were_free = f"the {free / 2**30:.1f} GiB that were free at the beginning"
    if fitting is None:
        return f"no film of this shape fits into {were_free}: free more, or raise the limit (ulimit -v, a container's memory)"
    return f"begin anew with --size {fitting[0]}x{fitting[1]}, which should fit into {were_free}"


def watch_peak(device: str) -> None:
    """Resets ``peak_device_bytes``."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()


def peak_device_bytes(device: str) -> int | None:
    """Largest number of bytes that tensors held on the device since ``watch_peak``; None where PyTorch does not count."""
    return torch.cuda.max_memory_allocated() if device == "cuda" else None
