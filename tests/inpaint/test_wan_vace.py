"""What a Wan VACE pipeline is given, held against what it documents and does; and what comes back."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from splatmem.config import HardwareConfig, InpainterConfig
from splatmem.inpaint import load_inpainter
from splatmem.inpaint.diffusers.time_groups import grow_over_groups, overlapping_parts, padded_length, sampled_frames
from splatmem.inpaint.diffusers.wan_vace import WanVACEInpainter
from splatmem.inpaint.diffusers.windows import GREY

import tiny_models
from partial_windows import views, window
from vace_contract import check_contract, record_decoded


@pytest.mark.parametrize(("frames", "height", "width"), [(5, 48, 64), (6, 40, 70), (1, 33, 65), (3, 64, 48)])
def test_any_window_keeps_to_the_contract(tiny_wan, recorded, frames, height, width):
    inpainter = load_inpainter(InpainterConfig(model=str(tiny_wan), steps=1, references=2))
    partial = window(frames, height, width)
    filled = inpainter(partial, generator=torch.Generator().manual_seed(1), prompt="a room", reference=views(3, height, width))
    assert filled.rgb.shape == partial.rgb.shape
    assert filled.rgb.dtype == torch.float32
    assert filled.depth is None
    assert torch.equal(filled.rgb[partial.known], partial.rgb[partial.known])
    assert bool(((filled.rgb >= 0) & (filled.rgb <= 1)).all())
    (call,) = recorded
    check_contract(call)
    given = call.video[0].permute(0, 2, 3, 1)[:frames, :height, :width]
    wanted = call.mask[0, :frames, 0, :height, :width] > 0.5
    assert bool(wanted[~partial.known].all()), "all that is unknown is asked for"
    assert torch.equal(given[~wanted], partial.rgb[~wanted]), "what is known is shown as it is"
    assert bool((given[~partial.known] == GREY).all()), "the hole is grey"
    padded = call.video[0, frames:]
    assert torch.equal(padded, call.video[0, frames - 1 : frames].expand_as(padded))
    latents = (call.num_frames - 1) // 4 + 1
    assert len(call.reference_images) == min(2, latents)
    assert call.prompt_embeds.shape[-1] == tiny_models.TEXT_WIDTH
    assert call.num_inference_steps == 1


def test_both_transformers_of_wan_22_take_their_steps(tmp_path, recorded, monkeypatch):
    inpainter = load_inpainter(InpainterConfig(model=str(tiny_models.wan_vace(tmp_path, 2)), steps=4))
    assert isinstance(inpainter, WanVACEInpainter)
    ran = []
    for name in ("transformer", "transformer_2"):
        getattr(inpainter.pipeline, name).register_forward_hook(lambda *_, name=name: ran.append(name))
    partial = window(6, 33, 50)
    filled = inpainter(partial, generator=torch.Generator())
    check_contract(recorded[0])
    assert torch.equal(filled.rgb[partial.known], partial.rgb[partial.known])
    assert ran == sorted(ran)
    assert set(ran) == {"transformer", "transformer_2"}


@pytest.mark.parametrize("frames", [1, 2, 9])
def test_latent_masks_cover_the_unknown_of_their_own_frames(tiny_wan, recorded, frames):
    """The pipeline looks up a latent's mask in one frame, not always one of its own."""
    inpainter = load_inpainter(InpainterConfig(model=str(tiny_wan), steps=1))
    partial = window(frames, 32, 64)
    inpainter(partial, generator=torch.Generator())
    masks = recorded[0].prepare_masks[0].unflatten(0, (8, 8))  # row and column inside a cell, latent, cells
    pixels = masks.permute(2, 3, 0, 4, 1).flatten(3, 4).flatten(1, 2) > 0.5
    for frame in range(frames):
        latent = 0 if frame == 0 else (frame - 1) // 4 + 1
        assert bool(pixels[latent][~partial.known[frame]].all())


def test_sampled_frames_are_those_of_the_pipeline():
    assert sampled_frames(9, 4) == [1, 4, 7]
    assert len(sampled_frames(81, 4)) == 21


def test_growing_changes_nothing_that_needs_no_change():
    wanted = torch.zeros(9, 2, 2, dtype=torch.bool)
    wanted[:, 0, 0] = True
    assert torch.equal(grow_over_groups(wanted, 4), wanted)


def test_long_windows_go_in_overlapping_parts_that_hold_on_to_each_other(tiny_wan, recorded):
    inpainter = load_inpainter(InpainterConfig(model=str(tiny_wan), steps=1, window_frames=13, references=0))
    partial = window(20, 32, 64)
    filled = inpainter(partial, generator=torch.Generator().manual_seed(0))
    assert [call.num_frames for call in recorded] == [13, 13, 13]
    for call in recorded:
        check_contract(call)
        assert call.reference_images is None
    first, second, _ = recorded
    # The second part's first frames are known: they are what the first part made of them.
    assert bool((second.mask[0, : WanVACEInpainter.overlap] == 0).all())
    made = filled.rgb[13 - WanVACEInpainter.overlap : 13].permute(0, 3, 1, 2)
    unknown = ~partial.known[13 - WanVACEInpainter.overlap : 13, None].expand(-1, 3, -1, -1)
    assert torch.equal(second.video[0, :1][unknown[:1]], made[:1][unknown[:1]])
    assert not torch.equal(second.video[0, 1:9][unknown[1:]], made[1:][unknown[1:]]), "the second part is faded in"
    given = partial.rgb[13 - WanVACEInpainter.overlap : 13].permute(0, 3, 1, 2)
    assert torch.equal(second.video[0, : WanVACEInpainter.overlap][~unknown], given[~unknown]), "and what was known, as it is"
    assert not torch.equal(first.video, second.video)


def test_parts_cover_a_window_once_and_overlap():
    for frames in range(1, 200):
        parts = overlapping_parts(frames, 49, WanVACEInpainter.overlap, 4)
        assert parts[0][0] == 0
        assert parts[-1][1] == frames
        assert all(last - first <= 49 for first, last in parts)
        assert all(b[0] == a[1] - WanVACEInpainter.overlap for a, b in pairwise(parts))


@pytest.mark.parametrize(
    ("longest", "group", "first_and_second"),
    [(5, 4, [(0, 5), (4, 9)]), (9, 4, [(0, 9), (4, 13)]), (1, 4, [(0, 1), (1, 2)]), (17, 8, [(0, 17), (8, 25)]),
     (21, 8, [(0, 25), (8, 33)]), (5, 8, [(0, 9), (8, 17)])],
)  # fmt: skip
def test_short_parts_go_on_by_a_whole_latent(longest: int, group: int, first_and_second: list[tuple[int, int]]):
    parts = overlapping_parts(121, longest, 2 * group + 1, group)
    assert parts[:2] == first_and_second
    assert parts[-1][1] == 121
    assert len(parts) == -(-(121 - first_and_second[0][1]) // first_and_second[1][0]) + 1


@pytest.mark.parametrize(("frames", "padded"), [(1, 1), (2, 5), (5, 5), (6, 9), (80, 81), (81, 81)])
def test_lengths(frames, padded):
    assert padded_length(frames, 4) == padded


def test_large_frames_are_filled_small_and_known_pixels_stay_sharp(tiny_wan, recorded):
    inpainter = load_inpainter(InpainterConfig(model=str(tiny_wan), steps=1, max_pixels=48 * 64))
    partial = window(2, 96, 128)
    filled = inpainter(partial, generator=torch.Generator())
    check_contract(recorded[0])
    assert recorded[0].video.shape[-2:] == (48, 64)
    assert filled.rgb.shape == partial.rgb.shape
    assert torch.equal(filled.rgb[partial.known], partial.rgb[partial.known])


def test_the_same_seed_gives_the_same_frames(tiny_wan):
    inpainter = load_inpainter(InpainterConfig(model=str(tiny_wan), steps=2))
    one, two, other = (inpainter(window(5, 32, 48), generator=torch.Generator().manual_seed(s)).rgb for s in (3, 3, 4))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


def test_poor_regions_keep_their_colours_under_the_mask(tiny_wan, recorded):
    inpainter = load_inpainter(InpainterConfig(model=str(tiny_wan), steps=1, revise=0.5))
    partial = window(5, 32, 64, trust=0.2)
    filled = inpainter(partial, generator=torch.Generator())
    poor = partial.known & (partial.trust < 0.5)
    assert bool((recorded[0].mask[0, :, 0][poor] == 1).all())
    assert torch.equal(recorded[0].video[0].permute(0, 2, 3, 1)[poor], partial.rgb[poor])
    assert torch.equal(filled.rgb[partial.known], partial.rgb[partial.known])


def test_without_revision_the_mask_alone_keeps_the_known(tiny_wan, recorded):
    inpainter = load_inpainter(InpainterConfig(model=str(tiny_wan), steps=1, revise=0.0))
    inpainter(window(5, 32, 64, trust=0.2), generator=torch.Generator())
    assert recorded[0].callback_on_step_end is None, "nothing is held"
    assert bool((recorded[0].mask[0, :, 0, :, :16] == 0).all())


def test_trusted_latents_come_out_as_they_are_encoded(tiny_wan, monkeypatch):
    """Held to the last step: what the sampler hands to the decoder there is the known picture's own latents."""
    inpainter = load_inpainter(InpainterConfig(model=str(tiny_wan), steps=3, references=1))
    assert isinstance(inpainter, WanVACEInpainter)
    held = []
    make = WanVACEInpainter._held_latents

    def keep(self, *args):
        made = make(self, *args)
        held.append(made[0])
        return made

    monkeypatch.setattr(WanVACEInpainter, "_held_latents", keep)
    decoded = record_decoded(inpainter, monkeypatch)
    inpainter(window(5, 32, 64), generator=torch.Generator(), reference=views(1, 32, 64))
    latents, known = decoded[0], held[0].latents[0, :, 1:]
    trusted = (held[0].allowed[0, :, 1:] == 0).expand_as(latents)
    assert 0 < trusted.float().mean() < 1
    torch.testing.assert_close(latents[trusted], known[trusted], rtol=1e-4, atol=1e-4)
    assert not torch.allclose(latents[~trusted], known[~trusted], atol=1e-2)


def test_guidance_of_one_needs_no_second_prompt(tiny_wan, recorded):
    inpainter = load_inpainter(InpainterConfig(model=str(tiny_wan), steps=1, guidance=1.0))
    inpainter(window(1, 32, 32), generator=torch.Generator())
    assert recorded[0].guidance_scale == 1.0
    assert not hasattr(recorded[0], "negative_prompt_embeds")


def test_text_encoder_is_let_go_once_the_prompt_is_read(tiny_wan):
    inpainter = load_inpainter(InpainterConfig(model=str(tiny_wan), steps=1))
    assert isinstance(inpainter, WanVACEInpainter)
    inpainter(window(1, 32, 32), generator=torch.Generator(), prompt="a room")
    assert inpainter.pipeline.text_encoder is None
    inpainter(window(1, 32, 32), generator=torch.Generator(), prompt="a room")
    inpainter(window(1, 32, 32), generator=torch.Generator(), prompt="a garden")
    assert inpainter.pipeline.text_encoder is None, "it was loaded again, and let go again"
    inpainter.load_text_encoder = None  # the pipeline was not loaded from a folder
    with pytest.raises(ValueError, match="text encoder"):
        inpainter(window(1, 32, 32), generator=torch.Generator(), prompt="a wood")


def test_a_window_that_is_not_4k_plus_1_is_refused(tiny_wan):
    with pytest.raises(ValueError, match=r"4k \+ 1 .*, got 16: take 13 or 17"):
        load_inpainter(InpainterConfig(model=str(tiny_wan), window_frames=16))


def test_weights_in_the_number_format_asked_for_but_for_the_autoencoder(tiny_wan):
    half = HardwareConfig(dtype="bfloat16")
    inpainter = load_inpainter(InpainterConfig(model=str(tiny_wan), steps=1), hardware=half)
    assert isinstance(inpainter, WanVACEInpainter)
    assert inpainter.pipeline.transformer.dtype == torch.bfloat16
    assert inpainter.pipeline.vae.dtype == torch.float32
    assert torch.isfinite(inpainter(window(2, 32, 32), generator=torch.Generator()).rgb).all()
