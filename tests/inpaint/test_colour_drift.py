"""Colours of what models make, brought into agreement with what is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from splatmem.config import InpainterConfig
from splatmem.geometry.cameras import Cameras, identity_camera
from splatmem.inpaint import PartialFrames, load_inpainter
from splatmem.inpaint.colour_drift import mean_colour_error, without_drift
from splatmem.inpaint.diffusers.wan_vace import WanVACEInpainter
from torch import Tensor

import tiny_models

FRAMES, HEIGHT, WIDTH = 25, 48, 80
GAIN, SHIFT = torch.tensor([1.05, 1.0, 0.93]), torch.tensor([0.02, -0.015, 0.03])


@pytest.fixture(scope="module")
def truth() -> Tensor:
    """A camera that goes along a long smooth picture, in colours that stay clear of black and white."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, 5, 24, generator=generator)
    long = torch.nn.functional.interpolate(coarse, size=(HEIGHT, WIDTH + 4 * FRAMES), mode="bicubic").clamp(0, 1)
    long = (0.25 + 0.45 * long)[0].permute(1, 2, 0)
    return torch.stack([long[:, 4 * index : 4 * index + WIDTH] for index in range(FRAMES)])


def partly(truth: Tensor) -> PartialFrames:
    """Of the first frame the left two thirds are known, of each later one what moved on of that."""
    known = torch.zeros(truth.shape[:3], dtype=torch.bool)
    for index in range(len(truth)):
        known[index, :, : max(0, 2 * WIDTH // 3 - 2 * index)] = True
    cameras = Cameras.cat([identity_camera(60, WIDTH, HEIGHT)] * len(truth))
    return PartialFrames(torch.where(known[..., None], truth, 0.0), torch.ones(known.shape), known, known.float(), cameras)


def drifted(frames: Tensor, seed: int = 0) -> Tensor:
    """What a model returns: nearly the same, in other colours, blurred and with grain."""
    blurred = torch.nn.functional.avg_pool2d(frames.permute(0, 3, 1, 2), 3, 1, 1, count_include_pad=False).permute(0, 2, 3, 1)
    grain = 0.02 * torch.randn(frames.shape, generator=torch.Generator().manual_seed(seed))
    return (blurred * GAIN + SHIFT + grain).clamp(0, 1)


def test_drift_is_taken_back(truth: Tensor) -> None:
    partial = partly(truth)
    made = drifted(truth)
    corrected = without_drift(made, partial.rgb, partial.known)
    everywhere = torch.ones_like(partial.known)
    before, after = (mean_colour_error(frames, truth, everywhere) for frames in (made, corrected))
    assert before > 0.02
    assert after < 0.1 * before
    known = [mean_colour_error(frames, partial.rgb, partial.known) for frames in (made, corrected)]
    assert known[1] < 0.1 * known[0]


def test_frames_in_which_nothing_is_known_follow_those_beside_them(truth: Tensor) -> None:
    partial = partly(truth)
    partial.known[10:] = False
    corrected = without_drift(drifted(truth), partial.rgb, partial.known)
    unseen = torch.zeros_like(partial.known)
    unseen[10:] = True
    assert mean_colour_error(corrected, truth, unseen) < 0.2 * mean_colour_error(drifted(truth), truth, unseen)


def test_what_is_no_drift_stays(truth: Tensor) -> None:
    partial = partly(truth)
    assert torch.equal(without_drift(truth, partial.rgb, partial.known), truth), "known pixels came back as they were"
    other = torch.rand(truth.shape, generator=torch.Generator().manual_seed(1))
    assert torch.equal(without_drift(other, partial.rgb, partial.known), other), "the model made something else"
    nothing = torch.zeros_like(partial.known)
    assert torch.equal(without_drift(drifted(truth), partial.rgb, nothing), drifted(truth))


def test_a_thing_that_was_made_where_all_is_known_does_not_tint_the_rest(truth: Tensor) -> None:
    partial = partly(truth)
    made = truth.clone()
    made[:, 8:24, 4:20] = torch.tensor([0.9, 0.1, 0.1])
    corrected = without_drift(made, partial.rgb, partial.known)
    assert (corrected - made).abs().max() < 0.02


def test_a_flat_wall_gets_a_shift_and_no_gain() -> None:
    shown = torch.full((1, HEIGHT, WIDTH, 3), 0.5)
    made = shown + 0.04
    made[:, :, WIDTH // 2 :] = 0.1
    trusted = torch.zeros(1, HEIGHT, WIDTH, dtype=torch.bool)
    trusted[:, :, : WIDTH // 2] = True
    corrected = without_drift(made, shown, trusted)
    torch.testing.assert_close(corrected[:, :, : WIDTH // 2], shown[:, :, : WIDTH // 2])
    torch.testing.assert_close(corrected[:, :, WIDTH // 2 :], torch.full_like(made[:, :, WIDTH // 2 :], 0.06))


def window_by_a_drifting_model(folder: Path, truth: Tensor, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> Tensor:
    """A long window in parts, each of which the model returns in other colours than it was shown."""
    inpainter = load_inpainter(InpainterConfig(model=str(folder), window_frames=9, **settings))
    assert isinstance(inpainter, WanVACEInpainter)
    inpainter.budget = type(inpainter.budget)(13, None)
    done: list[int] = []

    def fill(part: Any, *_: Any) -> tuple[Tensor, Tensor]:
        """It takes over how the colours that it is shown are off, and goes on with its own drift."""
        first = 0 if not done else done[-1] + 13 - 9
        done.append(first)
        own = truth[first : first + len(part.rgb)]
        seen = torch.where(part.known[..., None], part.rgb - own, 0.0).sum((0, 1, 2)) / part.known.sum()
        return drifted(own + seen, first), torch.zeros(1, 1, 1, 16)

    monkeypatch.setattr(inpainter, "_fill_part", fill)
    monkeypatch.setattr(inpainter, "read_prompt", lambda prompt: {})
    return inpainter(partly(truth), generator=torch.Generator()).rgb


def test_windows_do_not_carry_drift_on(truth: Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tiny_models.wan_vace(tmp_path / "wan")
    unknown = ~partly(truth).known
    errors = {}
    for matched in (False, True):
        made = window_by_a_drifting_model(folder, truth, monkeypatch, match_colours=matched)
        assert torch.equal(made[~unknown], truth[~unknown])
        errors[matched] = [
            mean_colour_error(made[frames], truth[frames], unknown[frames]) for frames in (slice(0, 9), slice(20, 25))
        ]
    assert errors[False][1] > 1.5 * errors[False][0] > 0.02, "from part to part it grows"
    assert max(errors[True]) < 0.15 * errors[False][1], errors


def test_pictures_too(truth: Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inpainters = [
        load_inpainter(
            InpainterConfig(model=str(tiny_models.sd_inpaint(tmp_path / str(matched))), steps=1, match_colours=matched)
        )
        for matched in (False, True)
    ]
    partial, unknown, errors = partly(truth).frames(slice(0, 1)), ~partly(truth).known[:1], []
    for inpainter in inpainters:

        class Drifting:
            """In place of the pipeline."""

            def __init__(self, pipeline: Any) -> None:
                self.pipeline = pipeline

            def __getattr__(self, name: str) -> Any:
                return getattr(self.pipeline, name)

            def __call__(self, **options: Any) -> Any:
                pictures = [drifted(truth[:1])[0].numpy()]
                assert isinstance(options["image"], Image.Image)
                return type("Made", (), {"images": np.stack(pictures)})()

        monkeypatch.setattr(inpainter, "pipeline", Drifting(inpainter.pipeline))
        made = inpainter(partial, generator=torch.Generator()).rgb
        errors.append(mean_colour_error(made, truth[:1], unknown))
    assert errors[1] < 0.2 * errors[0]
