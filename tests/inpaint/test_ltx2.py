"""What an LTX-2 pipeline is given, held against what it documents and does; and what comes back."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from diffusers import LTX2ConditionPipeline
from splatmem.config import InpainterConfig
from splatmem.inpaint import load_inpainter
from splatmem.inpaint.diffusers.ltx2 import WITHOUT_GUIDANCE as GUIDED
from splatmem.inpaint.diffusers.ltx2 import LTX2Inpainter
from splatmem.inpaint.diffusers.ltx2_pipeline import MemoryLTX2Pipeline

import tiny_models
from partial_windows import window

CELL, GROUP = 32, 8


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.ltx2(tmp_path_factory.mktemp("ltx") / "tiny")


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[SimpleNamespace]:
    """Every call of the pipeline, what it was to hold, and the tokens of its steps."""
    calls: list[SimpleNamespace] = []
    call = LTX2ConditionPipeline.__call__
    prepare = MemoryLTX2Pipeline.prepare_latents

    @functools.wraps(call)
    def recording(self: Any, *args: Any, **options: Any) -> Any:
        assert not args
        calls.append(SimpleNamespace(**options, held=self.held, steps=[], noise_levels=[]))
        kept = lambda pipeline, step, timestep, tensors: (calls[-1].steps.append(tensors["latents"].clone()), tensors)[1]  # noqa: E731
        hook = self.transformer.register_forward_pre_hook(
            lambda module, given, named: calls[-1].noise_levels.append(named["timestep"]), with_kwargs=True
        )
        try:
            return call(self, **options, callback_on_step_end=kept)
        finally:
            hook.remove()

    def prepared(self: Any, *args: Any, **options: Any) -> Any:
        calls[-1].prepared = prepare(self, *args, **options)
        return calls[-1].prepared

    monkeypatch.setattr(LTX2ConditionPipeline, "__call__", recording)
    monkeypatch.setattr(MemoryLTX2Pipeline, "prepare_latents", prepared)
    return calls


def check_contract(call: SimpleNamespace) -> None:
    """What the pipeline's documentation and code ask for."""
    assert (call.height % CELL, call.width % CELL) == (0, 0)
    assert call.num_frames % GROUP == 1
    assert call.output_type == "latent"
    assert isinstance(call.generator, torch.Generator)
    assert not hasattr(call, "conditions"), "what is known is held latent by latent"
    grid = ((call.num_frames - 1) // GROUP + 1, call.height // CELL, call.width // CELL)
    assert call.held.latents.shape == (1, 8, *grid)
    assert call.held.strength.shape == (1, 1, *grid)
    assert 0 <= call.held.strength.min() <= call.held.strength.max() <= 1


@pytest.mark.parametrize(("frames", "height", "width"), [(9, 64, 128), (6, 40, 140), (1, 64, 96)])
def test_any_window_keeps_to_the_contract(folder: Path, recorded, frames: int, height: int, width: int) -> None:
    inpainter = load_inpainter(InpainterConfig(model=str(folder), steps=1, guidance=1.0, negative_prompt="blurry"))
    assert isinstance(inpainter, LTX2Inpainter)
    assert (inpainter.window_frames, inpainter.continuous, inpainter.reads_latents) == (121, True, False)
    partial = window(frames, height, width)
    filled = inpainter(partial, generator=torch.Generator().manual_seed(1), prompt="a room")
    assert filled.rgb.shape == partial.rgb.shape
    assert filled.depth is None
    assert torch.equal(filled.rgb[partial.known], partial.rgb[partial.known])
    assert bool(((filled.rgb >= 0) & (filled.rgb <= 1)).all())
    (call,) = recorded
    check_contract(call)
    assert (call.prompt, call.negative_prompt, call.num_inference_steps) == ("a room", "blurry", 1)
    assert (call.guidance_scale, call.stg_scale, call.modality_scale) == (1.0, 0.0, 1.0), "one run of the transformer a step"
    assert len(call.noise_levels) == 1


def test_known_tokens_are_kept_poor_ones_start_from_part_of_the_noise_and_unknown_ones_from_all(folder: Path, recorded) -> None:
    inpainter = load_inpainter(InpainterConfig(model=str(folder), steps=3, guidance=1.0, revise=0.5))
    partial = window(9, 96, 256, trust=0.2)
    inpainter(partial, generator=torch.Generator().manual_seed(1))
    (call,) = recorded
    latents, mask, clean, _ = call.prepared
    strength = mask[0, :, 0]
    kept, free = strength == 1, strength == 0
    poor = ~kept & ~free
    assert min(kept.sum(), free.sum(), poor.sum()) > 0
    torch.testing.assert_close(strength[poor].unique(), torch.tensor([1 - 0.5 * 0.8]))
    torch.testing.assert_close(latents[0, kept], clean[0, kept])
    level = 1 - strength[poor][:, None]
    noise = (latents[0, poor] - (1 - level) * clean[0, poor]) / level
    assert 0.7 < noise.std() < 1.3
    assert 0.7 < latents[0, free].std() < 1.3
    for tokens in call.steps:
        torch.testing.assert_close(tokens[0, kept], clean[0, kept], rtol=1e-4, atol=1e-4)
    first = call.noise_levels[0][0]
    torch.testing.assert_close(first, first[free][0] * (1 - strength))
    cells = call.held.strength[0, 0, -1]
    assert bool((cells[:, -1] == 0).all()), "the unknown lies on the right"
    assert bool((cells[-1, 0] == 1).all())


def test_without_revision_what_is_known_is_kept_whole(folder: Path, recorded) -> None:
    inpainter = load_inpainter(InpainterConfig(model=str(folder), steps=1, guidance=1.0, revise=0.0))
    inpainter(window(9, 64, 256, trust=0.2), generator=torch.Generator())
    assert set(recorded[0].held.strength.unique().tolist()) == {0.0, 1.0}


def test_long_windows_go_in_overlapping_parts(folder: Path, recorded) -> None:
    inpainter = load_inpainter(InpainterConfig(model=str(folder), steps=1, guidance=1.0, window_frames=25))
    partial = window(33, 64, 128)
    filled = inpainter(partial, generator=torch.Generator().manual_seed(0))
    assert [call.num_frames for call in recorded] == [25, 25]
    for call in recorded:
        check_contract(call)
    strength = recorded[1].held.strength[0, 0]
    for latent, share in enumerate((1, 2 / 3, 1 / 3, 0)):
        torch.testing.assert_close(strength[latent, :, -1], torch.full((2,), float(share)))  # fades out
    assert bool((strength[:3, :, 0] == 1).all()), "what is known stays"
    assert filled.rgb.shape == partial.rgb.shape


def test_its_frames_are_those_that_the_pipeline_would_decode(folder: Path, recorded) -> None:
    inpainter = load_inpainter(InpainterConfig(model=str(folder), steps=2, guidance=1.0, match_colours=False))
    assert isinstance(inpainter, LTX2Inpainter)
    partial = window(9, 64, 96)
    made = inpainter(partial, generator=torch.Generator().manual_seed(1), prompt="a room").rgb
    given = {name: value for name, value in vars(recorded[0]).items() if name in ("height", "width", "num_frames", *GUIDED)}
    given |= {"prompt": "a room", "num_inference_steps": 2, "output_type": "pt", "generator": torch.Generator().manual_seed(1)}
    frames = inpainter.pipeline(**given).frames[0].permute(0, 2, 3, 1)
    torch.testing.assert_close(made[~partial.known], frames[~partial.known])


def test_guidance_and_the_same_seed(folder: Path, recorded) -> None:
    inpainter = load_inpainter(InpainterConfig(model=str(folder), steps=1, guidance=3.0))
    partial = window(9, 64, 96)
    one, two, other = (inpainter(partial, generator=torch.Generator().manual_seed(s)).rgb for s in (3, 3, 4))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)
    assert recorded[0].guidance_scale == 3.0
    assert not hasattr(recorded[0], "stg_scale"), "the pipeline's own"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"conditioning": "latents"}, "cannot be shown latents"),
        ({"control": "depth"}, "cannot be shown depth"),
        ({"window_frames": 20}, r"8k \+ 1 .*, got 20: take 17 or 25"),
    ],
)
def test_what_it_cannot_do_is_refused(folder: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_inpainter(replace(InpainterConfig(model=str(folder)), **changes))
