"""Parts of a long window, of which each is faded in over the frames that it shares with the one before."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from splatmem.config import InpainterConfig
from splatmem.geometry.cameras import Cameras, identity_camera
from splatmem.inpaint import PartialFrames, load_inpainter
from splatmem.inpaint.diffusers import wan_vace, windows
from splatmem.inpaint.diffusers.crossfade import decoded, encoded, frames_of_lead, joined, shares_of_part_before
from splatmem.inpaint.diffusers.time_groups import PartOfWindow
from splatmem.inpaint.diffusers.wan_vace import WanVACEInpainter
from torch import Tensor

FRAMES, HEIGHT, WIDTH, GROUP, CELL, CHANNELS = 33, 32, 64, 4, 8, 16
STEPS = 4


def half_known() -> PartialFrames:
    known = torch.zeros(FRAMES, HEIGHT, WIDTH, dtype=torch.bool)
    known[:, :, : WIDTH // 2] = True
    cameras = Cameras.cat([identity_camera(60, WIDTH, HEIGHT)] * FRAMES)
    return PartialFrames(0.5 * known[..., None].expand(-1, -1, -1, 3), torch.ones(known.shape), known, known.float(), cameras)


def encode(frames: Tensor) -> Tensor:
    """In place of an autoencoder, one that gives back what it is given: the mean colours of a cell's pixels and frames."""
    cells = F.avg_pool2d(frames, CELL)
    later = cells[1:].unflatten(0, (-1, GROUP)).mean(1) if len(cells) > 1 else cells[1:]
    latents = torch.zeros(1, CHANNELS, 1 + len(later), *cells.shape[2:])
    latents[0, :3] = 2 * torch.cat([cells[:1], later]).permute(1, 0, 2, 3) - 1
    return latents


def decode(latents: Tensor) -> Tensor:
    cells = latents[0, :3].permute(1, 2, 3, 0) / 2 + 0.5
    frames = torch.cat([cells[:1], cells[1:].repeat_interleave(GROUP, 0)]).clamp(0, 1)
    return frames.repeat_interleave(CELL, 1).repeat_interleave(CELL, 2)


def parts_of_their_own_minds(folder: Path, guidance: float, monkeypatch: pytest.MonkeyPatch) -> tuple[Tensor, int]:
    """A window in four parts by a model that makes each of another colour, and how often its transformer ran."""
    inpainter = load_inpainter(
        InpainterConfig(model=str(folder), steps=STEPS, guidance=guidance, window_frames=17, references=0, match_colours=False)
    )
    assert isinstance(inpainter, WanVACEInpainter)
    colours = torch.tensor([[0.3, 0.4, 0.6], [0.6, 0.3, 0.4], [0.2, 0.5, 0.5]])
    ran: list[int] = []

    def forward(hidden_states: Tensor, timestep: Tensor, **_: Any) -> tuple[Tensor]:
        """The velocity that leads to the part's colour."""
        part = len(ran) // (STEPS * (2 if guidance > 1 else 1))
        ran.append(part)
        wanted = torch.zeros_like(hidden_states)
        wanted[:, :3] = 2 * colours[part][None, :, None, None, None] - 1
        return ((hidden_states - wanted) / (timestep.view(-1, 1, 1, 1, 1) / 1000),)

    monkeypatch.setattr(inpainter.pipeline.transformer, "forward", forward)
    monkeypatch.setattr(inpainter, "_encoded", encode)
    monkeypatch.setattr(inpainter, "_decoded", decode)
    return inpainter(half_known(), generator=torch.Generator().manual_seed(0)).rgb, len(ran)


def largest_step(frames: Tensor) -> float:
    """From one frame to the next, on average over what is unknown in them, which is not known in the same places in all."""
    unknown = frames[:, :, WIDTH // 2 + CELL :]
    return float((unknown[1:] - unknown[:-1]).abs().mean((1, 2, 3)).max())


@pytest.mark.parametrize("guidance", [1.0, 4.0])
def test_the_seam_between_parts_falls(guidance: float, tiny_wan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faded, runs = parts_of_their_own_minds(tiny_wan, guidance, monkeypatch)
    held = lambda shared, latents, group: (torch.arange(latents) < (shared + group - 1) // group).float()  # noqa: E731
    monkeypatch.setattr(wan_vace, "shares_of_part_before", held)
    monkeypatch.setattr(windows, "joined", lambda before, after: before)
    cut, runs_of_cut = parts_of_their_own_minds(tiny_wan, guidance, monkeypatch)
    assert runs == runs_of_cut == 3 * STEPS * (2 if guidance > 1 else 1), "it costs no run of the transformer"
    assert largest_step(cut) > 0.15
    assert largest_step(faded) < 0.5 * largest_step(cut)
    assert torch.equal(faded[:, :, : WIDTH // 2], cut[:, :, : WIDTH // 2]), "what is known is as it was"
    for frame in (0, 4, 32):
        torch.testing.assert_close(faded[frame], cut[frame], rtol=0, atol=0.01)


def test_the_lead_is_short_beside_a_part() -> None:
    assert [frames_of_lead(longest, 4) for longest in (5, 13, 17, 33, 81)] == [0, 0, 4, 8, 8]
    assert [frames_of_lead(longest, 8) for longest in (17, 33, 121)] == [0, 8, 16]


def test_shares_fall_over_what_two_parts_share() -> None:
    torch.testing.assert_close(shares_of_part_before(9, 5, 4), torch.tensor([1, 2 / 3, 1 / 3, 0, 0]))
    assert shares_of_part_before(1, 3, 4).tolist() == [1, 0, 0]
    assert shares_of_part_before(0, 3, 4).tolist() == [0, 0, 0]


def test_shared_frames_go_over_from_one_part_to_the_other() -> None:
    before, after = torch.zeros(4, 1, 1, 3), torch.ones(4, 1, 1, 3)
    assert joined(before, after)[:, 0, 0, 0].tolist() == [0, 0.25, 0.5, 0.75]
    assert len(joined(before[:0], after[:0])) == 0


def test_an_autoencoder_that_begins_anew_shows_it_in_no_part(tiny_wan: Path) -> None:
    """With the lead a part is encoded and decoded as if it had been so together with all before."""
    inpainter = load_inpainter(InpainterConfig(model=str(tiny_wan)))
    assert isinstance(inpainter, WanVACEInpainter)
    clip = torch.rand(17, 32, 32, 3, generator=torch.Generator().manual_seed(0))
    known = torch.ones(9, 32, 32, dtype=torch.bool)
    cameras = Cameras.cat([identity_camera(60, 32, 32)] * 9)

    def through(lead: Tensor) -> Tensor:
        part = PartOfWindow(clip[8:], known, known.float(), clip[8:], cameras, None, known, lead, 9)
        latents, before = encoded(inpainter._encoded, part, GROUP)
        assert latents.shape[2] == 3
        return decoded(inpainter._decoded, latents, before, GROUP)

    whole = inpainter._decoded(inpainter._encoded(clip.permute(0, 3, 1, 2)))[8:]
    torch.testing.assert_close(through(clip[:8]), whole, rtol=0, atol=1e-5)
    assert (through(clip[:0]) - whole).abs().mean() > 0.05


def test_its_frames_are_those_that_the_pipeline_would_decode(tiny_wan: Path, recorded: list[SimpleNamespace]) -> None:
    inpainter = load_inpainter(InpainterConfig(model=str(tiny_wan), steps=2, references=0, match_colours=False))
    assert isinstance(inpainter, WanVACEInpainter)
    partial = half_known().frames(slice(0, 5))
    made = inpainter(partial, generator=torch.Generator().manual_seed(0)).rgb
    given = vars(recorded[0])
    assert given["output_type"] == "latent"
    kept = {name: value for name, value in given.items() if not name.startswith("prepare_")}
    frames = inpainter.pipeline(**kept | {"output_type": "pt"}).frames[0].permute(0, 2, 3, 1)
    torch.testing.assert_close(made[~partial.known], frames[~partial.known])
