"""LoRAs in the weights of a video model, in the names of diffusers and of the original model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from splatmem.config import InpainterConfig, LoraConfig, load_preset
from splatmem.inpaint import load_inpainter
from splatmem.inpaint.diffusers.wan_vace import WanVACEInpainter
from torch import Tensor

import tiny_models
from partial_windows import window

LAYER = "blocks.0.attn1.to_q"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.wan_vace(tmp_path_factory.mktemp("wan") / "wan")


def loaded(folder: Path, *loras: LoraConfig, **settings: float) -> WanVACEInpainter:
    config = InpainterConfig(model=str(folder), loras=loras, **settings)
    inpainter = load_inpainter(config)
    assert isinstance(inpainter, WanVACEInpainter)
    return inpainter


def weights(inpainter: WanVACEInpainter) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in inpainter.pipeline.transformer.state_dict().items()}


@pytest.mark.parametrize("original", [False, True])
def test_it_is_added_to_the_layer_that_it_names(folder: Path, tmp_path: Path, original: bool) -> None:
    before = weights(loaded(folder))
    weight = before[f"{LAYER}.weight"]
    up, down = torch.randn(len(weight), 2), torch.randn(2, weight.shape[1])
    if original:
        layer = "diffusion_model.blocks.0.self_attn.q"
        tensors = {f"{layer}.lora_down.weight": down, f"{layer}.lora_up.weight": up}
    else:
        tensors = {f"transformer.{LAYER}.lora_A.weight": down, f"transformer.{LAYER}.lora_B.weight": up}
    save_file(tensors, tmp_path / "lora.safetensors")
    after = weights(loaded(folder, LoraConfig(str(tmp_path / "lora.safetensors"), 0.5)))
    torch.testing.assert_close(after[f"{LAYER}.weight"], weight + 0.5 * up @ down)
    assert [name for name in before if not torch.equal(before[name], after[name])] == [f"{LAYER}.weight"]


def test_few_steps_without_guidance(folder: Path, tmp_path: Path) -> None:
    size = len(weights(loaded(folder))[f"{LAYER}.weight"])
    tensors = {
        f"transformer.{LAYER}.lora_{side}.weight": torch.ones(shape) for side, shape in (("A", (1, size)), ("B", (size, 1)))
    }
    save_file(tensors, tmp_path / "lora.safetensors")
    pictures = []
    for loras in ((), (LoraConfig(str(tmp_path / "lora.safetensors")),)):
        inpainter = loaded(folder, *loras, steps=4, guidance=1.0)
        steps = []
        step = inpainter.pipeline.scheduler.step

        def counted(*arguments, step=step, steps=steps, **options):
            steps.append(arguments[0].shape[0])
            return step(*arguments, **options)

        inpainter.pipeline.scheduler.step = counted
        pictures.append(inpainter(window(5, 32, 32), generator=torch.Generator().manual_seed(0)).rgb)
        assert len(steps) <= 4
    assert torch.isfinite(pictures[1]).all()
    assert not torch.equal(*pictures)


def test_what_does_not_fit_is_refused(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "lora.safetensors"
    lora = LoraConfig(str(file))
    with pytest.raises(ValueError, match="there is no file"):
        loaded(folder, lora)
    save_file(
        {f"transformer.{LAYER}.lora_A.weight": torch.ones(1, 3), f"transformer.{LAYER}.lora_B.weight": torch.ones(3, 1)}, file
    )
    with pytest.raises(ValueError, match="does not fit the model"):
        loaded(folder, lora)
    save_file({"something.else": torch.ones(1)}, file)
    with pytest.raises(ValueError, match="no LoRA that can be added"):
        loaded(folder, lora)
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(ValueError, match="truncated"):
        loaded(folder, lora)
    with pytest.raises(ValueError, match=r"hf download someone/loras folder/fast\.safetensors"):
        loaded(folder, replace(lora, source="someone/loras/folder/fast.safetensors"))
    with pytest.raises(ValueError, match="must be a safetensors file"):
        loaded(folder, replace(lora, source="someone/loras/fast.bin"))


def test_of_a_video_model_alone(tmp_path: Path) -> None:
    folder = tiny_models.sd_inpaint(tmp_path / "sd")
    with pytest.raises(ValueError, match="WanVACEPipeline alone"):
        load_inpainter(InpainterConfig(model=str(folder), loras=(LoraConfig("any.safetensors"),)))


def test_they_are_set_like_everything_else() -> None:
    config = load_preset("wan-vace-1.3b", ["inpainter.loras=[{source: a.safetensors, weight: 0.7}, {source: b.safetensors}]"])
    assert config.inpainter.loras == (LoraConfig("a.safetensors", 0.7), LoraConfig("b.safetensors", 1.0))
    assert config.result()["inpainter.loras"][0] == {"source": "a.safetensors", "weight": 0.7}
    with pytest.raises(ValueError, match="must be a list"):
        load_preset("wan-vace-1.3b", ["inpainter.loras=a.safetensors"])
    with pytest.raises(ValueError, match="unknown key 'scale'"):
        load_preset("wan-vace-1.3b", ["inpainter.loras=[{scale: 1}]"])
