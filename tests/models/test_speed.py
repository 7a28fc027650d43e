"""Denoisers that run faster: what is asked of diffusers, and that what is made stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from splatmem.config import FirstFrameConfig, HardwareConfig, InpainterConfig
from splatmem.inpaint import load_inpainter
from splatmem.inpaint.diffusers.first_frame import make_first_frame
from splatmem.models.speed import speed_up
from torch import Tensor

import tiny_models
from partial_windows import window


@pytest.fixture(scope="module")
def wan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.wan_vace(tmp_path_factory.mktemp("wan") / "wan")


def filled(folder: Path, frames: int, **hardware: Any) -> tuple[Tensor, Any]:
    inpainter: Any = load_inpainter(InpainterConfig(model=str(folder), steps=2), hardware=HardwareConfig(**hardware))
    made = inpainter(window(frames, 32, 48), generator=torch.Generator().manual_seed(0), prompt="a room")
    return made.rgb, inpainter.pipeline


def test_other_kernels_for_attention(wan: Path) -> None:
    expected, _ = filled(wan, 5)
    made, pipeline = filled(wan, 5, attention="_native_math")
    torch.testing.assert_close(made, expected, rtol=0, atol=1e-4)
    asked = {
        module.processor._attention_backend.value for module in pipeline.transformer.modules() if hasattr(module, "processor")
    }
    assert asked == {"_native_math"}


@pytest.mark.parametrize(
    ("attention", "reason"),
    [
        ("sage_hub", "code that is fetched from the hub, which is not run here"),
        ("sage", "cannot be used here: .*sageattention"),
        ("fastest", "cannot be used here: .*must be one of the following"),
    ],
)
def test_kernels_that_cannot_be_had(attention: str, reason: str, wan: Path) -> None:
    with pytest.raises(ValueError, match=reason):
        filled(wan, 1, attention=attention)


def test_a_unet_has_one_kind_of_kernels(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a UNet2DConditionModel has PyTorch's kernels alone"):
        filled(tiny_models.sd_inpaint(tmp_path / "sd"), 1, attention="_native_math")


def test_compiling_is_left_to_diffusers_and_asked_for_once(wan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: compiled.append(type(self).__name__))
    _, pipeline = filled(wan, 5, compile=True)
    blocks = len(pipeline.transformer.blocks) + len(pipeline.transformer.vace_blocks)
    assert len(compiled) == blocks
    assert set(compiled) == {"WanTransformerBlock", "WanVACETransformerBlock"}
    speed_up(pipeline, HardwareConfig(compile=True))
    assert len(compiled) == blocks


@pytest.mark.parametrize("asked", [{"attention": "_native_math"}, {"compile": True}])
def test_the_first_frame_comes_from_another_model(asked: dict[str, Any], tmp_path: Path) -> None:
    folder = tiny_models.sd_text_to_image(tmp_path / "sd")
    settings = FirstFrameConfig(model=str(folder), steps=1)
    made = make_first_frame(settings, HardwareConfig(**asked), "cpu", "a room", 32, 32, torch.Generator())
    assert made.shape == (32, 32, 3)
