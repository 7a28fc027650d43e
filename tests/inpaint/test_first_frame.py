"""The first frame from words: what the pipeline is given, and what comes of it."""

from __future__ import annotations

import functools
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from diffusers import StableDiffusionPipeline
from splatmem.config import FirstFrameConfig, HardwareConfig
from splatmem.inpaint.diffusers.first_frame import make_first_frame

import tiny_models


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.sd_text_to_image(tmp_path_factory.mktemp("t2i") / "tiny")


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[SimpleNamespace]:
    calls: list[SimpleNamespace] = []
    call = StableDiffusionPipeline.__call__

    @functools.wraps(call)
    def recording(self, *args, **kwargs):
        assert not args
        calls.append(SimpleNamespace(dtype=self.unet.dtype, **kwargs))
        if calls[-1].height * calls[-1].width > recording.most:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return call(self, **kwargs)

    recording.most = 10**9
    monkeypatch.setattr(StableDiffusionPipeline, "__call__", recording)
    return calls


def make(model: Path | None, seed: int = 0, dtype: str = "float32", **settings) -> torch.Tensor:
    config = FirstFrameConfig(model=None if model is None else str(model), **{"steps": 1, **settings})
    generator = torch.Generator().manual_seed(seed)
    return make_first_frame(config, HardwareConfig(dtype=dtype), "cpu", "a red room", 100, 58, generator)


def test_the_pipeline_is_given_what_it_documents(model: Path, recorded: list[SimpleNamespace]) -> None:
    rgb = make(model, guidance=2.0, pixels=128 * 224)
    assert rgb.shape == (58, 100, 3)
    assert rgb.dtype == torch.float32
    assert bool(((rgb >= 0) & (rgb <= 1)).all())
    (call,) = recorded
    assert (call.height, call.width) == (128, 208), "about as many pixels, the film's shape, multiples of 16"
    assert (call.prompt, call.num_inference_steps, call.guidance_scale, call.output_type) == ("a red room", 1, 2.0, "np")
    assert call.dtype == torch.float32


def test_without_a_size_it_is_the_films_own(model: Path, recorded: list[SimpleNamespace]) -> None:
    assert make(model, steps=None).shape == (58, 100, 3)
    assert (recorded[0].height, recorded[0].width) == (64, 112)
    assert not hasattr(recorded[0], "num_inference_steps")


def test_the_same_seed_gives_the_same_picture(model: Path) -> None:
    assert torch.equal(make(model), make(model))
    assert not torch.equal(make(model), make(model, seed=1))


def test_weights_in_the_number_format_asked_for(model: Path, recorded: list[SimpleNamespace]) -> None:
    assert torch.isfinite(make(model, dtype="bfloat16")).all()
    assert recorded[0].dtype == torch.bfloat16


def test_a_full_device_gets_a_smaller_picture(model: Path, recorded: list[SimpleNamespace]) -> None:
    StableDiffusionPipeline.__call__.most = 60_000
    assert make(model, pixels=100_000).shape == (58, 100, 3)
    assert recorded[0].height * recorded[0].width > 60_000 >= recorded[1].height * recorded[1].width
    StableDiffusionPipeline.__call__.most = 0
    with pytest.raises(ValueError, match=r"too little memory for 1 frames.*--set first_frame\.pixels="):
        make(model, pixels=100_000)


def test_models_that_make_no_pictures_from_words(tmp_path: Path) -> None:
    tiny_models.wan_vace(tmp_path)
    with pytest.raises(ValueError, match="no text-to-image model can be loaded from"):
        make(tmp_path)
    with pytest.raises(ValueError, match="no text-to-image model is named"):
        make(None)
