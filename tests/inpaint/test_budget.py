"""Too little memory: less is tried, then it is said what would fit."""

import functools

import pytest
import torch
from diffusers import WanVACEPipeline
from splatmem.config import HardwareConfig, InpainterConfig
from splatmem.inpaint import load_inpainter
from splatmem.inpaint.diffusers.budget import Budget, within_memory

from partial_windows import window


def run_out_above(frames: int, pixels: int):
    """A task that does not fit beyond some size, and the budgets that it was tried with."""
    tried: list[Budget] = []

    def attempt(budget: Budget) -> torch.Tensor:
        tried.append(budget)
        drawn = torch.rand(1, generator=attempt.generator)
        if budget.frames > frames or (budget.pixels or 10**6) > pixels:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB\nmany more lines")
        return drawn

    attempt.generator = torch.Generator().manual_seed(0)
    return attempt, tried


def test_frames_are_halved_first_then_pixels():
    attempt, tried = run_out_above(frames=17, pixels=300_000)
    generator = attempt.generator
    expected = torch.rand(1, generator=torch.Generator().manual_seed(0))
    drawn, budget = within_memory(attempt, Budget(81, None), lambda b: b.pixels or 10**6, "cpu", generator, HardwareConfig())
    assert [b.frames for b in tried] == [81, 37, 17, 17, 17]
    assert [b.pixels for b in tried] == [None, None, None, 500_000, 250_000]
    assert budget == Budget(17, 250_000)
    assert torch.equal(drawn, expected), "each attempt draws the same noise"


def test_what_would_fit_is_said_when_nothing_did():
    attempt, tried = run_out_above(frames=0, pixels=0)
    with pytest.raises(ValueError, match=r"too little memory for 5 frames.*--low-vram.*offload=sequential.*--resume"):
        within_memory(attempt, Budget(81, 10**6), lambda b: b.pixels or 10**6, "cpu", attempt.generator, HardwareConfig())
    assert tried[-1].frames == 5


def test_other_errors_pass():
    def broken(budget: Budget) -> None:
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes"):
        within_memory(broken, Budget(5, None), lambda b: 1, "cpu", torch.Generator(), HardwareConfig())


def test_a_window_is_retried_in_smaller_parts_and_the_report_hears_of_it(tiny_wan, monkeypatch):
    inpainter = load_inpainter(InpainterConfig(model=str(tiny_wan), steps=1, window_frames=37))
    lengths = []
    call = WanVACEPipeline.__call__

    @functools.wraps(call)
    def short_of_memory(self, **options):
        lengths.append(options["num_frames"])
        if lengths[-1] > 17:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return call(self, **options)

    monkeypatch.setattr(WanVACEPipeline, "__call__", short_of_memory)
    partial = window(20, 32, 48)
    filled = inpainter(partial, generator=torch.Generator())
    assert lengths == [21, 17, 13]
    assert torch.equal(filled.rgb[partial.known], partial.rgb[partial.known])
    assert inpainter._notes == ["memory ran out: windows were filled in parts of 17 frames"]
    inpainter(partial, generator=torch.Generator())
    assert lengths[3:] == [17, 13], "what did not fit is not tried again"
    assert len(inpainter._notes) == 1
