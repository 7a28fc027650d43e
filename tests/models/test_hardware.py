"""How pipelines are brought to a device, by a double that notes what diffusers is asked for."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from splatmem.config import HardwareConfig
from splatmem.models.hardware import (
    choose_device,
    drawing_device,
    explained_out_of_memory,
    is_out_of_memory,
    place,
    weights_dtype,
)


class Recorder:
    """Anything that is called on it is noted, under its name."""

    def __init__(self, *names: str, **parts: Any) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        vars(self).update(parts)
        for name in names:
            setattr(self, name, lambda *args, name=name, **options: self.asked.append((name, options | dict(enumerate(args)))))


PIPELINE = ("to", "enable_model_cpu_offload", "enable_sequential_cpu_offload", "enable_group_offload")


@pytest.mark.parametrize(
    ("device", "offload", "asked"),
    [
        ("cuda", "none", ("to", {0: "cuda"})),
        ("mps", "none", ("to", {0: "mps"})),
        ("cpu", "sequential", ("to", {0: "cpu"})),
        ("cuda", "model", ("enable_model_cpu_offload", {"device": "cuda"})),
        ("cuda", "sequential", ("enable_sequential_cpu_offload", {"device": "cuda"})),
        (
            "cuda",
            "group",
            (
                "enable_group_offload",
                {
                    "onload_device": torch.device("cuda"),
                    "offload_type": "leaf_level",
                    "use_stream": True,
                    "low_cpu_mem_usage": True,
                },
            ),
        ),
        ("mps", "group", ("enable_group_offload", {"onload_device": torch.device("mps"), "offload_type": "leaf_level"})),
    ],
)
def test_offloading_is_diffusers_own(device: str, offload: Any, asked: tuple[str, dict[str, Any]]) -> None:
    pipeline = Recorder(*PIPELINE)
    place(pipeline, HardwareConfig(offload=offload), device)
    assert pipeline.asked == [asked]


def test_pipelines_without_groups_are_offloaded_layer_by_layer() -> None:
    pipeline = Recorder(*PIPELINE[:3])
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

    taken = inspect.signature(DiffusionPipeline.enable_group_offload).parameters
    assert {"onload_device", "offload_type", "use_stream", "low_cpu_mem_usage"} <= set(taken)
    for name in PIPELINE[1:3]:
        assert "device" in inspect.signature(getattr(DiffusionPipeline, name)).parameters
    for vae in (AutoencoderKL, AutoencoderKLWan):
        assert hasattr(vae, "enable_tiling")
        assert hasattr(vae, "enable_slicing")


def test_number_formats(monkeypatch: pytest.MonkeyPatch) -> None:
    auto = HardwareConfig()
    assert weights_dtype(auto, "cpu") is torch.float32
    assert weights_dtype(auto, "mps") is torch.float16
    for bf16, expected in ((True, torch.bfloat16), (False, torch.float16)):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda bf16=bf16: bf16)
        assert weights_dtype(auto, "cuda") is expected
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
    assert [drawing_device(d) for d in ("cuda", "mps", "cpu")] == ["cuda", "cpu", "cpu"]


def test_full_memory_is_told_from_other_errors() -> None:
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory."))
    assert is_out_of_memory(RuntimeError("MPS backend out of memory (MPS allocated: 5 GB)"))
    assert not is_out_of_memory(RuntimeError("shapes do not fit"))
    with pytest.raises(ValueError, match=r"cuda has too little memory \(CUDA out of memory\.\): give --low-vram"):
        with explained_out_of_memory("cuda"):
            raise torch.OutOfMemoryError("CUDA out of memory.")
    with pytest.raises(RuntimeError, match="shapes"), explained_out_of_memory("cuda"):
        raise RuntimeError("shapes do not fit")
