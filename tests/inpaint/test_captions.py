"""Words for each window: from a model that describes pictures, and through text encoders that were let go."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from splatmem.config import HardwareConfig, InpainterConfig, load_preset
from splatmem.inpaint import load_inpainter
from splatmem.inpaint.captioner import QUESTION, Captioner
from splatmem.inpaint.diffusers.image_inpainter import ImageInpainter
from splatmem.inpaint.diffusers.wan_vace import KEPT_PROMPTS, WanVACEInpainter
from splatmem.models.needs import needed_models

import tiny_models
from partial_windows import window
from picture_contract import record_calls
from pretend_device import pretended


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.captioner(tmp_path_factory.mktemp("captioner") / "blip")


def loaded(tiny_wan: Path, device: str = "cpu", hardware: HardwareConfig | None = None, **settings: Any) -> WanVACEInpainter:
    config = InpainterConfig(model=str(tiny_wan), steps=1, window_frames=5, **settings)
    inpainter = load_inpainter(config, device=device, hardware=hardware)
    assert isinstance(inpainter, WanVACEInpainter)
    return inpainter


def test_the_frame_of_which_most_is_known_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    captioner = Captioner(torch.nn.Linear(1, 1), None, "double")
    seen: list[torch.Tensor] = []
    monkeypatch.setattr(captioner, "describe", lambda rgb: seen.append(rgb) or "a red room")
    partial = window(5, 32, 48)
    assert captioner.window_prompt(partial, "bright") == "bright, a red room"
    assert captioner.window_prompt(partial, " ") == "a red room"
    assert torch.equal(seen[0][partial.known[0]], partial.rgb[0][partial.known[0]])
    assert torch.isfinite(seen[0]).all()
    partial.known[:, :, 5:] = False
    assert captioner.window_prompt(partial, "bright") == "bright", "there is nothing to describe"
    assert len(seen) == 2


def test_any_model_of_transformers(folder: Path) -> None:
    captioner = Captioner.from_pretrained(str(folder), "cpu", torch.float32)
    words = captioner.describe(torch.rand(40, 60, 3, generator=torch.Generator().manual_seed(0)))
    assert 0 < len(words.split()) <= 60
    assert set(words.split()) <= set(tiny_models.CAPTION_WORDS)
    captioner.question = "a wooden"
    assert "a wooden" in captioner.describe(torch.rand(40, 60, 3))


def test_models_that_talk_are_asked() -> None:
    """They repeat what they were asked before they answer."""
    asked: list[Any] = []

    class Processor:
        chat_template = "any"

        def apply_chat_template(self, messages: Any, **options: Any) -> dict[str, torch.Tensor]:
            asked.append(messages[0]["content"])
            assert options["add_generation_prompt"]
            return {"input_ids": torch.tensor([[1, 2, 3]]), "pixel_values": torch.zeros(1, 3, 4, 4)}

        def decode(self, tokens: torch.Tensor, skip_special_tokens: bool) -> str:
            return " ".join(map(str, tokens.tolist()))

    class Model(torch.nn.Linear):
        dtype = torch.float16

        def generate(self, input_ids: torch.Tensor, pixel_values: torch.Tensor, **_: Any) -> torch.Tensor:
            assert pixel_values.dtype is torch.float16
            return torch.cat([input_ids, torch.tensor([[7, 8]])], dim=1)

    captioner = Captioner(Model(1, 1), Processor(), "double")
    assert captioner.describe(torch.rand(8, 8, 3)) == "7 8"
    assert [part["type"] for part in asked[0]] == ["image", "text"]
    assert asked[0][1]["text"] == QUESTION


def test_each_window_has_its_words(
    tiny_wan: Path, folder: Path, recorded: list[SimpleNamespace], monkeypatch: pytest.MonkeyPatch
) -> None:
    inpainter = loaded(tiny_wan, captioner=str(folder))
    words = iter(["a red room", "a bright wall", "a red room"])
    monkeypatch.setattr(Captioner, "describe", lambda self, rgb: next(words))
    for _ in range(3):
        inpainter(window(5, 32, 48), generator=torch.Generator().manual_seed(0), prompt="here")
    embeds = [call.prompt_embeds for call in recorded]
    assert torch.equal(embeds[0], embeds[2])
    assert not torch.equal(embeds[0], embeds[1])
    assert inpainter.pipeline.text_encoder is None
    assert list(inpainter._embeddings) == ["here, a red room", "here, a bright wall"]
    fresh = loaded(tiny_wan).read_prompt("here, a bright wall")["prompt_embeds"]
    assert torch.equal(embeds[1], fresh), "the encoder that was loaded again is the same"


def test_pictures_have_their_words(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_models.sd_inpaint(tmp_path / "sd")
    inpainter = load_inpainter(InpainterConfig(model=str(model), steps=1, captioner=str(folder)))
    assert isinstance(inpainter, ImageInpainter)
    monkeypatch.setattr(Captioner, "describe", lambda self, rgb: "a red room")
    calls = record_calls(monkeypatch, type(inpainter.pipeline))
    inpainter(window(1, 32, 48), generator=torch.Generator().manual_seed(0), prompt="here")
    assert calls[0].prompt == "here, a red room"


def test_few_encoded_prompts_are_kept(tiny_wan: Path) -> None:
    inpainter = loaded(tiny_wan)
    for index in range(KEPT_PROMPTS + 1):
        inpainter._embeddings[str(index)] = {}
    inpainter.read_prompt("a room")
    assert len(inpainter._embeddings) == KEPT_PROMPTS
    assert "a room" in inpainter._embeddings


@pytest.mark.parametrize("offload", ["none", "model"])
def test_another_prompt_on_a_device(offload: Any, tiny_wan: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("splatmem.inpaint.captioner.LONGEST", 3)
    hardware = HardwareConfig(dtype="float32", offload=offload)
    with pretended("cuda"):
        inpainter = loaded(tiny_wan, "cuda", hardware, captioner=str(folder))
        made = [
            inpainter(window(5, 32, 48), generator=torch.Generator().manual_seed(0), prompt=prompt).rgb
            for prompt in ("a red room", "a bright wall", "a red room")
        ]
    assert torch.equal(made[0], made[2])
    assert inpainter.pipeline.text_encoder is None


def test_a_captioner_is_needed_like_a_model(folder: Path) -> None:
    needs = {need.part: need for need in needed_models(load_preset("wan-vace-1.3b", [f"inpainter.captioner={folder}"]))}
    need = needs["captioner"]
    assert need.problems(need.folder) == []
    assert need.option("DIR") == "--set inpainter.captioner=DIR"
