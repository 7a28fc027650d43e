"""Wan VACE shown the known in latents out of the memory: what reaches the pipeline, and that nothing is encoded for it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from splatmem.config import InpainterConfig
from splatmem.explore.feature_gaussians import encode_views, read_latents, write_latents
from splatmem.geometry.cameras import Cameras
from splatmem.inpaint import PartialFrames, load_inpainter
from splatmem.inpaint.diffusers.sizes import whole_cells
from splatmem.inpaint.diffusers.wan_vace import WanVACEInpainter
from splatmem.inpaint.protocol import LatentFrames
from splatmem.memory import SpatialMemory

from partial_windows import views
from textured_room import room, turn
from vace_contract import check_contract, record_decoded

WIDTH, HEIGHT = 104, 72  # padded to 112 x 80: 14 x 10 cells


def inpainter_of(tiny_wan, **settings) -> WanVACEInpainter:
    inpainter = load_inpainter(InpainterConfig(model=str(tiny_wan), steps=1, conditioning="latents", **settings))
    assert isinstance(inpainter, WanVACEInpainter)
    return inpainter


def memory_of_first(inpainter: WanVACEInpainter, cameras: Cameras) -> SpatialMemory:
    """Knows what the first camera sees, in latents too."""
    seen = room().render(cameras[0])
    memory = SpatialMemory()
    memory.write(seen.rgb[0], seen.depth[0], cameras[0], torch.ones(HEIGHT, WIDTH, dtype=torch.bool))
    encode_views(memory, inpainter)
    return memory


def window_of(inpainter: WanVACEInpainter, frames: int) -> PartialFrames:
    """A slow turn away from the one view that the memory knows."""
    cameras = turn(120, WIDTH, HEIGHT)[list(range(frames))]
    memory = memory_of_first(inpainter, cameras)
    reading = memory.read(cameras)
    latents = read_latents(memory, inpainter, cameras)
    return PartialFrames(reading.rgb, reading.depth, reading.known, reading.trust, cameras, latents=latents)


def encoded_frames(inpainter: WanVACEInpainter, monkeypatch) -> list[int]:
    """Lengths of the videos that the autoencoder is given from now on."""
    lengths: list[int] = []
    encode = inpainter.pipeline.vae.encode
    monkeypatch.setattr(inpainter.pipeline.vae, "encode", lambda x, **k: (lengths.append(x.shape[2]), encode(x, **k))[1])
    return lengths


@pytest.mark.parametrize(("frames", "latents"), [(1, 1), (6, 3), (9, 3)])
def test_known_cells_come_from_the_memory_and_the_rest_is_grey(tiny_wan, recorded, monkeypatch, frames, latents):
    inpainter = inpainter_of(tiny_wan)
    partial = window_of(inpainter, frames)
    assert partial.latents is not None
    assert partial.latents.features.shape == (latents, 10, 14, 16)
    lengths = encoded_frames(inpainter, monkeypatch)
    reference = views(2, HEIGHT, WIDTH)
    filled = inpainter(partial, generator=torch.Generator().manual_seed(0), reference=reference)
    again = inpainter(partial, generator=torch.Generator().manual_seed(0), reference=reference)
    assert torch.equal(filled.rgb, again.rgb)
    assert torch.equal(filled.rgb[partial.known], partial.rgb[partial.known])
    call = recorded[0]
    check_contract(call)
    references = len(call.reference_images)
    kept, changed = call.prepare_video_latents[0][:, references:].split(16)
    grey = inpainter._grey_latents((latents, 10, 14))[0]
    known = partial.latents.known
    asked = whole_cells(call.mask[0, [0, *range(1, call.num_frames, 4)], 0] > 0.5, 8)
    held = known & ~asked
    assert bool(held.any())
    torch.testing.assert_close(kept.permute(1, 2, 3, 0)[held], partial.latents.features[held])
    torch.testing.assert_close(kept[:, ~held], grey[:, ~held])
    revised = (changed != grey).any(0)
    assert bool((known & asked)[revised].all()), "what is seen from too near or at a grazing angle, say"
    assert revised.float().mean() < 0.05
    torch.testing.assert_close(changed.permute(1, 2, 3, 0)[revised], partial.latents.features[revised])
    assert bool(asked[~known].all()), "a cell without latents is asked for"
    # The grey window once; for the references, which come first, one frame of video and of mask, and each of them.
    assert lengths == [call.num_frames, *[1] * (2 + references), *[1] * (2 + references)]


def test_its_first_latent_is_nearly_what_the_encoder_makes_of_the_frame(tiny_wan):
    inpainter = inpainter_of(tiny_wan)
    partial = window_of(inpainter, 5)
    true = inpainter.encode(partial.rgb[0])
    known = partial.latents.known[0]
    read = partial.latents.features[0]
    assert bool(known.any())
    assert (read - true)[known].square().mean() < 0.05 * true[known].var()


def test_poor_cells_go_to_the_half_that_is_changed(tiny_wan, recorded):
    inpainter = inpainter_of(tiny_wan, references=0)
    partial = window_of(inpainter, 5)
    trust = partial.trust.clone()
    trust[:, :40, :40] = 0.1
    inpainter(replace(partial, trust=trust), generator=torch.Generator())
    kept, changed = recorded[0].prepare_video_latents[0].split(16)
    grey = inpainter._grey_latents((2, 10, 14))[0]
    poor = torch.zeros(2, 10, 14, dtype=torch.bool)
    poor[:, :5, :5] = True
    poor &= partial.latents.known
    torch.testing.assert_close(changed.permute(1, 2, 3, 0)[poor], partial.latents.features[poor])
    torch.testing.assert_close(kept[:, poor], grey[:, poor])


def test_parts_of_a_long_window_are_shown_pixels(tiny_wan, recorded, monkeypatch):
    """The second part holds on to what the first has made, which the memory does not know."""
    inpainter = inpainter_of(tiny_wan, window_frames=5, references=0)
    partial = window_of(inpainter, 6)
    lengths = encoded_frames(inpainter, monkeypatch)
    filled = inpainter(partial, generator=torch.Generator())
    assert [call.num_frames for call in recorded] == [5, 5]
    assert lengths == [5] * 6, "of each part: what is kept, what is changed, what is held"
    assert torch.equal(filled.rgb[partial.known], partial.rgb[partial.known])


def test_latents_of_another_size_are_not_taken(tiny_wan, recorded):
    inpainter = inpainter_of(tiny_wan, references=0)
    partial = window_of(inpainter, 5)
    smaller = LatentFrames(torch.zeros(2, 5, 7, 16), torch.ones(2, 5, 7, dtype=torch.bool), torch.ones(2, 5, 7))
    inpainter(replace(partial, latents=smaller), generator=torch.Generator())
    assert inpainter.pipeline.conditioning is None


def test_the_latents_of_what_was_made_are_those_that_the_sampler_came_to(tiny_wan, monkeypatch):
    """Nothing is encoded for them, and the memory then reads them."""
    inpainter = inpainter_of(tiny_wan, references=0)
    cameras = turn(60, WIDTH, HEIGHT)[list(range(6))]
    memory = memory_of_first(inpainter, cameras)
    before = read_latents(memory, inpainter, cameras)
    reading = memory.read(cameras)
    partial = PartialFrames(reading.rgb, reading.depth, reading.known, reading.trust, cameras, latents=before)
    decoded = record_decoded(inpainter, monkeypatch)
    lengths = encoded_frames(inpainter, monkeypatch)
    filled = inpainter(partial, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(filled.latents.permute(3, 0, 1, 2), decoded[0], rtol=1e-4, atol=1e-4)
    truth = room().render(cameras)
    for index in (3, 5):
        memory.write(truth.rgb[index], truth.depth[index], cameras[index], ~memory.read(cameras[index]).known[0])
    write_latents(memory, inpainter, filled.latents[:2], cameras)
    assert memory.num_feature_views == len(memory.views) == 3
    encode_views(memory, inpainter)
    assert lengths == [9], "of the grey window"
    after = read_latents(memory, inpainter, cameras)
    # The second latent in time comes first to what the photo does not show.
    new = (after.known & ~before.known)[1]
    assert bool(new.any())
    assert bool((after.known | ~before.known).all())
    distance = (after.features - filled.latents)[1][new].square().mean()
    assert distance < 0.3 * filled.latents[1][new].var()
