"""Networks of convolutions whose pictures go around."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from splatmem.config import InpainterConfig
from splatmem.explore.panorama import PanoramaFirst
from splatmem.inpaint import load_inpainter
from splatmem.inpaint.diffusers.around import columns_of, goes_around
from splatmem.inpaint.diffusers.image_inpainter import ImageInpainter

import tiny_models
from picture_contract import check_contract, record_calls

FAMILIES = {"sd_inpaint": tiny_models.sd_inpaint, "sdxl": tiny_models.sdxl, "text_to_image": tiny_models.sd_text_to_image}


def loaded(folder: Path, **settings: Any) -> ImageInpainter:
    inpainter = load_inpainter(InpainterConfig(model=str(folder), **settings))
    assert isinstance(inpainter, ImageInpainter)
    return inpainter


def shifted_apart(run: Any, picture: torch.Tensor, by: int, factor: float) -> float:
    """How far what comes of a shifted picture is from what comes of the picture, shifted."""
    with torch.no_grad():
        return (run(picture.roll(by, -1)) - run(picture).roll(round(by * factor), -1)).abs().max().item()


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return loaded(tiny_models.sd_inpaint(tmp_path_factory.mktemp("sd") / "tiny")).pipeline


def test_a_shifted_picture_comes_out_shifted_and_else_as_it_was(pipeline: Any) -> None:
    generator = torch.Generator().manual_seed(0)
    words = torch.randn(1, 4, tiny_models.TEXT_WIDTH, generator=generator)
    networks = {
        "unet": (lambda x: pipeline.unet(x, 500, words).sample, torch.randn(1, 9, 4, 16, generator=generator), 4, 1),
        "encoder": (
            lambda x: pipeline.vae.encode(x).latent_dist.mode(),
            torch.randn(1, 3, 16, 64, generator=generator),
            24,
            1 / 8,
        ),
        "decoder": (lambda x: pipeline.vae.decode(x).sample, torch.randn(1, 4, 2, 8, generator=generator), 3, 8),
    }
    before = {name: shifted_apart(*case) for name, case in networks.items()}
    with goes_around(pipeline):
        around = {name: shifted_apart(*case) for name, case in networks.items()}
    assert max(around.values()) < 1e-4, around
    assert min(before.values()) > 1e-3, before
    assert {name: shifted_apart(*case) for name, case in networks.items()} == before, "nothing is left of it afterwards"


@pytest.mark.parametrize("family", FAMILIES)
def test_a_turn_is_filled_as_one_picture(family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inpainter = loaded(FAMILIES[family](tmp_path / family), steps=2, max_pixels=64 * 256)
    assert inpainter.fills_turns
    pixels, (across, along) = inpainter.turn_sizes()
    assert (pixels, across, along) == (64 * 256, 8 * columns_of(inpainter.pipeline), 16)
    calls = record_calls(monkeypatch, type(inpainter.pipeline))
    rgb = torch.rand(48, 160, 3, generator=torch.Generator().manual_seed(0))
    known = torch.zeros(48, 160, dtype=torch.bool)
    known[8:40, 50:100] = True
    made = inpainter.fill_turn(rgb, known, known.float(), generator=torch.Generator().manual_seed(0), prompt="a room")
    assert torch.equal(made[known], rgb[known])
    (call,) = calls
    check_contract(call, known, rgb)
    assert (call.width, call.height, call.prompt) == (160, 48, "a room")
    again = inpainter.fill_turn(rgb, known, known.float(), generator=torch.Generator().manual_seed(0), prompt="a room")
    assert torch.equal(made, again)


def test_what_cannot_go_around_is_refused(tmp_path: Path) -> None:
    model = loaded(tiny_models.flux_fill(tmp_path))
    assert not model.fills_turns
    with pytest.raises(ValueError, match="cannot fill a picture whose ends meet"):
        PanoramaFirst(model, lambda: None)  # type: ignore[arg-type, return-value]
