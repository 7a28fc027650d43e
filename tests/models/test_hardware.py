"""How pipelines are brought to a device, by a double that notes what diffusers is asked for; ``test_devices`` has it done."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from splatmem.config import Config, HardwareConfig
from splatmem.models.hardware import (
    choose_device,
    drawing_device,
    explained_out_of_memory,
    is_out_of_memory,
    peak_device_bytes,
    place,
    watch_peak,
    weights_dtype,
)
from splatmem.models.load import load_model

import tiny_models


class Recorder:
    """Anything that is called on it is noted, under its name."""

    def __init__(self, *names: str, **parts: Any) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        vars(self).update(parts)
        for name in names:
            setattr(self, name, lambda *args, name=name, **options: self.asked.append((name, options | dict(enumerate(args)))))


PIPELINE = ("to", "enable_model_cpu_offload", "enable_sequential_cpu_offload")


@pytest.mark.parametrize(
    ("device", "offload", "asked"),
    [
        ("cuda", "none", ("to", {0: "cuda"})),
        ("mps", "none", ("to", {0: "mps"})),
        ("cpu", "sequential", ("to", {0: "cpu"})),
        ("cuda", "model", ("enable_model_cpu_offload", {"device": "cuda"})),
        ("cuda", "sequential", ("enable_sequential_cpu_offload", {"device": "cuda"})),
    ],
)
def test_offloading_is_diffusers_own(device: str, offload: Any, asked: tuple[str, dict[str, Any]]) -> None:
    pipeline = Recorder(*PIPELINE)
    place(pipeline, HardwareConfig(offload=offload), device)
    assert pipeline.asked == [asked]


def test_pipelines_without_groups_are_offloaded_layer_by_layer() -> None:
    pipeline = Recorder(*PIPELINE)
    place(pipeline, HardwareConfig(offload="group"), "cuda")
    assert pipeline.asked == [("enable_sequential_cpu_offload", {"device": "cuda"})]


@pytest.mark.parametrize("names", [("enable_tiling", "enable_slicing"), ("enable_tiling",), ()])
def test_autoencoders_tile_and_slice_where_they_can(names: tuple[str, ...]) -> None:
    vae = Recorder(*names)
    place(Recorder(*PIPELINE, vae=vae), HardwareConfig(tiling=True), "cuda")
    assert [name for name, _ in vae.asked] == list(names)
    place(Recorder(*PIPELINE, vae=vae), HardwareConfig(), "cuda")
    assert len(vae.asked) == len(names)


def test_the_arguments_are_those_that_diffusers_has() -> None:
    import inspect

    from diffusers import AutoencoderKL, AutoencoderKLWan, DiffusionPipeline

    for name in PIPELINE[1:]:
        assert "device" in inspect.signature(getattr(DiffusionPipeline, name)).parameters
    for vae in (AutoencoderKL, AutoencoderKLWan):
        assert hasattr(vae, "enable_tiling")
        assert hasattr(vae, "enable_slicing")


def test_number_formats(monkeypatch: pytest.MonkeyPatch) -> None:
    auto = HardwareConfig()
    assert weights_dtype(auto, "cpu") is torch.float32
    for bf16, expected in ((True, torch.bfloat16), (False, torch.float16)):
        # A GPU before Ampere has an emulated bfloat16.
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, bf16=bf16: including_emulation or bf16)
        monkeypatch.setattr(torch.backends.mps, "is_macos_or_newer", lambda major, _, bf16=bf16: bf16 and major <= 14)
        assert weights_dtype(auto, "cuda") is weights_dtype(auto, "mps") is expected
    assert weights_dtype(HardwareConfig(dtype="float32"), "cuda") is torch.float32


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    for cuda, mps, best in ((True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda cuda=cuda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda mps=mps: mps)
        assert choose_device("auto") == best
    with pytest.raises(ValueError, match="this PyTorch sees no MPS device"):
        choose_device("mps")
    with pytest.raises(ValueError, match="device must be auto, cpu, cuda, mps, got 'tpu'"):
        choose_device("tpu")
    for reason, drawing in ((None, "cuda"), ("no toolkit", "cpu")):
        monkeypatch.setattr("splatmem.models.hardware.why_gsplat_cannot_draw", lambda reason=reason: reason)
        assert [drawing_device(d) for d in ("cuda", "mps", "cpu")] == [drawing, "cpu", "cpu"]


def test_full_memory_is_told_from_other_errors() -> None:
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory."))
    assert is_out_of_memory(RuntimeError("MPS backend out of memory (MPS allocated: 5 GB)"))
    with pytest.raises(RuntimeError) as full:  # main memory, for real
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(full.value)
    assert not is_out_of_memory(RuntimeError("shapes do not fit"))
    with pytest.raises(RuntimeError, match="shapes"), explained_out_of_memory("cuda", HardwareConfig()):
        raise RuntimeError("shapes do not fit")


SMALLER = "begin anew with a smaller --size"
SEQUENTIAL = "give --set hardware.offload=sequential"


@pytest.mark.parametrize(
    ("hardware", "advice"),
    [
        (HardwareConfig(), f"give --low-vram, or {SEQUENTIAL}, or {SMALLER}"),
        (HardwareConfig(offload="model"), f"give --low-vram, or {SEQUENTIAL}, or {SMALLER}"),
        (Config().with_low_vram().hardware, f"{SEQUENTIAL}, or {SMALLER}"),
        (HardwareConfig(offload="sequential"), f"give --low-vram, or {SMALLER}"),
        (HardwareConfig(offload="sequential", tiling=True), SMALLER),
    ],
)
def test_what_is_advised_is_not_given_already(hardware: HardwareConfig, advice: str) -> None:
    said = re.escape(f"cuda has too little memory (CUDA out of memory.): {advice}")
    with pytest.raises(ValueError, match=f"^{said}$"), explained_out_of_memory("cuda", hardware):
        raise torch.OutOfMemoryError("CUDA out of memory.\nOf the allocated memory ...")


def test_a_model_that_does_not_fit_is_not_called_broken(tmp_path: Path) -> None:
    def full(_: Path) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    with pytest.raises(torch.OutOfMemoryError):
        load_model(str(tiny_models.depth_anything(tmp_path)), "depth model", full)


def test_peak_memory_is_that_of_the_gpu_since_the_run_began(monkeypatch: pytest.MonkeyPatch) -> None:
    held = {"peak": 7}
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda: held.update(peak=0))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: held["peak"])
    watch_peak("cuda")
    assert peak_device_bytes("cuda") == 0
    held["peak"] = 5 * 2**30
    assert peak_device_bytes("cuda") == 5 * 2**30
    for other in ("cpu", "mps"):
        watch_peak(other)
        assert peak_device_bytes(other) is None
