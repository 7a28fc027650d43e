"""Picture inpainters of several families, filled frame by frame; and what they are given."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionInpaintPipeline
from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit_inpaint
from splatmem.config import InpainterConfig
from splatmem.geometry.cameras import identity_camera
from splatmem.inpaint import PartialFrames, load_inpainter
from splatmem.inpaint.depth_control import DepthSteered
from splatmem.inpaint.diffusers.image_inpainter import ImageInpainter
from splatmem.inpaint.diffusers.qwen_edit import sides_of_edited
from splatmem.inpaint.diffusers.revise import HeldLatents
from splatmem.inpaint.diffusers.sizes import WorkingSize
from splatmem.inpaint.protocol import LatentFrames, ReferenceViews

import tiny_models
from picture_contract import CELL, check_contract, mask_of, record_calls

FAMILIES = {
    "sd_inpaint": (tiny_models.sd_inpaint, "StableDiffusionInpaintPipeline", True),
    "sdxl": (tiny_models.sdxl, "StableDiffusionXLInpaintPipeline", True),
    "flux_fill": (tiny_models.flux_fill, "FluxFillPipeline", True),
    "text_to_image": (tiny_models.sd_text_to_image, "StableDiffusionInpaintPipeline", True),
    "sd3_text_to_image": (tiny_models.sd3_text_to_image, "StableDiffusion3InpaintPipeline", True),
    "flux": (tiny_models.flux, "FluxInpaintPipeline", True),
    "sd35": (tiny_models.newer("sd35"), "StableDiffusion3InpaintPipeline", True),
    "z_image": (tiny_models.newer("z_image"), "ZImageInpaintPipeline", True),
    "qwen_image": (tiny_models.newer("qwen_image"), "QwenImageInpaintPipeline", True),
    "flux2_klein": (tiny_models.newer("flux2_klein"), "Flux2KleinInpaintPipeline", True),
}


def frame(height: int, width: int, trust: float = 1.0) -> PartialFrames:
    known = torch.ones(1, height, width, dtype=torch.bool)
    known[:, :, 2 * width // 3 :] = False
    confidence = torch.ones(1, height, width)
    confidence[:, :, : width // 4] = trust
    return PartialFrames(
        torch.rand(1, height, width, 3, generator=torch.Generator().manual_seed(0)), torch.ones(1, height, width), known,
        confidence * known, identity_camera(60, width, height),
    )  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_keeps_the_known_and_says_what_it_cannot(family, tmp_path, monkeypatch):
    build, pipeline, revises = FAMILIES[family]
    build(tmp_path / family)
    inpainter = load_inpainter(InpainterConfig(model=str(tmp_path / family), steps=2))
    assert isinstance(inpainter, ImageInpainter)
    assert type(inpainter.pipeline).__name__ == pipeline
    assert (inpainter.window_frames, inpainter.continuous, inpainter.name) == (1, False, family)
    calls = record_calls(monkeypatch, type(inpainter.pipeline))
    partial = frame(40, 70, trust=0.2)
    filled = inpainter(partial, generator=torch.Generator().manual_seed(1), prompt="a room")
    check_contract(calls[0], partial.known[0], partial.rgb[0])
    again = inpainter(partial, generator=torch.Generator().manual_seed(1), prompt="a room")
    assert filled.rgb.shape == partial.rgb.shape
    assert filled.depth is None
    assert torch.equal(filled.rgb[partial.known], partial.rgb[partial.known])
    assert torch.equal(filled.rgb, again.rgb)
    assert inpainter.revising is revises
    assert bool(inpainter._notes) is not revises
    assert all("partial noise" in note for note in inpainter._notes)


@pytest.mark.parametrize("family", ["z_image", "flux", "flux_fill", "qwen_image", "flux2_klein"])
def test_trusted_cells_are_held_to_the_end_and_poor_ones_until_their_noise(family, tmp_path, monkeypatch):
    """Of samplers that pack two by two latents into a token too."""
    inpainter = load_inpainter(InpainterConfig(model=str(FAMILIES[family][0](tmp_path / family)), steps=4))
    held, seen = [], []
    call = HeldLatents.__call__

    def recording(self, pipeline, step, timestep, tensors):
        result = call(self, pipeline, step, timestep, tensors)
        held.append(self)
        seen.append((tensors["latents"].clone(), result["latents"].clone()))
        return result

    monkeypatch.setattr(HeldLatents, "__call__", recording)
    partial = frame(64, 96, trust=0.2)
    inpainter(partial, generator=torch.Generator().manual_seed(1), prompt="a room")
    allowed = held[-1].allowed.expand(seen[-1][1].shape)
    known, last = held[-1].latents, seen[-1][1]
    assert known.shape == last.shape
    trusted = allowed == 0
    assert trusted.any()
    torch.testing.assert_close(last[trusted].float(), known[trusted])
    free = allowed >= 1
    assert free.any()
    assert all(torch.equal(made[free], kept[free]) for made, kept in seen)
    poor = (allowed > 0) & ~free
    assert poor.any()
    assert not torch.equal(seen[0][0][poor], seen[0][1][poor]), "held at first"
    assert torch.equal(seen[-1][0][poor], seen[-1][1][poor]), "free in the end"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_models.sd_inpaint(tmp_path_factory.mktemp("sd") / "tiny")


@pytest.fixture
def recorded(monkeypatch):
    return record_calls(monkeypatch, StableDiffusionInpaintPipeline)


@pytest.mark.parametrize(("height", "width"), [(64, 48), (33, 70)])
def test_the_pipeline_is_given_what_it_documents(folder, recorded, height, width):
    settings = InpainterConfig(model=str(folder), steps=1, guidance=3.0, negative_prompt="blurry", revise=0.0)
    partial = frame(height, width)
    load_inpainter(settings)(partial, generator=torch.Generator(), prompt="a room")
    (call,) = recorded
    check_contract(call, partial.known[0], partial.rgb[0])
    unknown = np.pad(~partial.known[0].numpy(), ((0, call.height - height), (0, call.width - width)), mode="edge")
    cells = unknown.reshape(call.height // CELL, CELL, call.width // CELL, CELL).any((1, 3))
    assert np.array_equal(mask_of(call)[::CELL, ::CELL], cells), "and nothing else is"
    assert (call.prompt, call.negative_prompt) == ("a room", "blurry")
    assert (call.num_inference_steps, call.guidance_scale) == (1, 3.0)
    assert not hasattr(call, "callback_on_step_end")


def test_poor_pixels_are_given_to_be_revised(folder, recorded):
    partial = frame(48, 64, trust=0.2)
    filled = load_inpainter(InpainterConfig(model=str(folder), steps=1))(partial, generator=torch.Generator())
    poor = partial.known[0] & (partial.trust[0] < 0.5)
    assert (np.asarray(recorded[0].mask_image)[poor.numpy()] == 255).all()
    assert torch.equal(filled.rgb[partial.known], partial.rgb[partial.known])


@pytest.mark.parametrize(("limits", "size"), [({"max_pixels": 32 * 48}, (32, 48)), ({"min_pixels": 128 * 192}, (128, 192))])
def test_frames_are_filled_at_a_size_that_suits_the_model(folder, recorded, limits, size):
    partial = frame(64, 96)
    filled = load_inpainter(InpainterConfig(model=str(folder), steps=1, **limits))(partial, generator=torch.Generator())
    assert (recorded[0].height, recorded[0].width) == size
    assert filled.rgb.shape == partial.rgb.shape
    assert torch.equal(filled.rgb[partial.known], partial.rgb[partial.known])


def test_a_pipeline_for_something_else_is_refused(tmp_path):
    tiny_models.sd_inpaint(tmp_path)
    index = tmp_path / "model_index.json"
    index.write_text(index.read_text().replace("StableDiffusionInpaintPipeline", "AudioLDMPipeline"))
    with pytest.raises(ValueError, match="no inpainting pipeline for a AudioLDMPipeline"):
        load_inpainter(str(tmp_path))


def test_a_pipeline_that_wants_a_control_picture_says_how_it_gets_one(tmp_path):
    tiny_models.controlnet(tmp_path / "controlnet", tiny_models.sd_inpaint(tmp_path))
    index = json.loads((tmp_path / "model_index.json").read_text())
    index["_class_name"] = "StableDiffusionControlNetInpaintPipeline"
    index["controlnet"] = ["diffusers", "ControlNetModel"]
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(ValueError, match=r"ControlNetInpaintPipeline wants a control picture too: .*control=depth"):
        load_inpainter(str(tmp_path))
    steered = load_inpainter(InpainterConfig(model=str(tmp_path), control="depth"))
    assert isinstance(steered, DepthSteered)


def test_a_hole_that_is_thinner_than_a_cell_reaches_the_sampler(folder, monkeypatch):
    """The pipeline looks a cell's mask up in its first pixel."""
    masks = []
    prepare = StableDiffusionInpaintPipeline.prepare_mask_latents

    def keep(self, *args, **options):
        masks.append(prepare(self, *args, **options)[0])
        return prepare(self, *args, **options)

    monkeypatch.setattr(StableDiffusionInpaintPipeline, "prepare_mask_latents", keep)
    partial = frame(32, 64)
    partial.known[:] = True
    partial.known[0, :, 29:31] = False
    load_inpainter(InpainterConfig(model=str(folder), steps=1, revise=0.0))(partial, generator=torch.Generator())
    assert bool((masks[0][:, 0, :, 3] == 1).all())
    assert masks[0].sum() == masks[0][:, 0, :, 3].sum()


@pytest.mark.parametrize("family", ["sd_inpaint", "sdxl", "text_to_image"])
def test_known_cells_come_from_the_memory_and_nothing_is_encoded(family, tmp_path, monkeypatch):
    FAMILIES[family][0](tmp_path / family)
    inpainter = load_inpainter(InpainterConfig(model=str(tmp_path / family), steps=2, conditioning="latents"))
    assert isinstance(inpainter, ImageInpainter)
    assert inpainter.reads_latents
    partial = frame(40, 70)
    on_grid = inpainter.latent_cameras(partial.cameras)
    assert (on_grid.height, on_grid.width) == (6, 10)
    latents = inpainter.encode(partial.rgb[0])
    assert latents.shape == (6, 10, 4)
    known = torch.ones(1, 6, 10, dtype=torch.bool)
    known[:, :, 5:] = False
    partial = replace(partial, latents=LatentFrames(latents[None], known, torch.ones(1, 6, 10)))
    encoded, encode = [], inpainter.pipeline.vae.encode
    calls = record_calls(monkeypatch, type(inpainter.pipeline))
    monkeypatch.setattr(inpainter.pipeline.vae, "encode", lambda x, **k: (encoded.append(x), encode(x, **k))[1])
    filled = inpainter(partial, generator=torch.Generator().manual_seed(0))
    assert torch.equal(filled.rgb[partial.known], partial.rgb[partial.known])
    assert filled.latents.shape == (1, 6, 10, 4)
    assert len(encoded) == 1, "the grey picture, once"
    inpainter(partial, generator=torch.Generator().manual_seed(0))
    assert len(encoded) == 1
    given = calls[0]
    check_contract(given, partial.known[0], partial.rgb[0])
    mask = torch.from_numpy(np.asarray(given.mask_image) == 255)[::8, ::8]
    assert bool(mask[:, 5:].all()), "a cell without latents is asked for"
    assert not mask[:, :5].any()
    grey = inpainter._grey_latents(partial.latents)
    for shown in (given.image, given.masked_image_latents):
        torch.testing.assert_close(shown[0, :, :, :5], latents.permute(2, 0, 1)[:, :, :5])
        torch.testing.assert_close(shown[0, :, :, 5:], grey[0, :, :, 5:])


def test_pipelines_that_pack_their_latents_are_shown_pixels_and_say_so(tmp_path):
    inpainter = load_inpainter(InpainterConfig(model=str(tiny_models.flux_fill(tmp_path)), steps=1, conditioning="latents"))
    assert isinstance(inpainter, ImageInpainter)
    assert not inpainter.reads_latents
    assert any("FluxFillPipeline cannot be shown latents" in note for note in inpainter._notes)


# As the hub has them: saved as what makes pictures from words.
TEXT_TO_IMAGE = {"z_image": "ZImagePipeline", "qwen_image": "QwenImagePipeline", "flux2_klein": "Flux2KleinPipeline"}


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a tiny pipeline of a family, saved as one that makes pictures from words."""

    @cache
    def folder_of(family: str) -> Path:
        folder = FAMILIES[family][0](tmp_path_factory.mktemp(family) / family)
        index = folder / "model_index.json"
        index.write_text(index.read_text().replace(FAMILIES[family][1], TEXT_TO_IMAGE[family]))
        return folder

    return folder_of


@pytest.mark.parametrize("family", TEXT_TO_IMAGE)
def test_newer_families_as_the_hub_has_them(family, newer, monkeypatch):
    settings = InpainterConfig(model=str(newer(family)), steps=2, guidance=3.0)
    inpainter = load_inpainter(settings)
    assert isinstance(inpainter, ImageInpainter)
    assert type(inpainter.pipeline).__name__ == FAMILIES[family][1]
    calls = record_calls(monkeypatch, type(inpainter.pipeline))
    partial = frame(48, 64)
    seen = ReferenceViews(partial.rgb, partial.depth, partial.cameras)
    inpainter(partial, generator=torch.Generator().manual_seed(0), prompt="a room", reference=seen)
    (call,) = calls
    check_contract(call, partial.known[0], partial.rgb[0])
    words = {
        "qwen_image": ("true_cfg_scale", " "),
        "z_image": ("guidance_scale", None),
        "flux2_klein": ("guidance_scale", None),
    }
    guidance, negative = words[family]
    assert getattr(call, guidance) == 3.0
    assert not (hasattr(call, "guidance_scale") and guidance != "guidance_scale"), "it would be taken for another"
    assert getattr(call, "negative_prompt", None) == negative, "guidance does nothing without one"
    assert inpainter.reference_views == (1 if family == "flux2_klein" else 0)
    if family == "flux2_klein":
        assert np.array_equal(np.asarray(call.image_reference), (partial.rgb[0].numpy() * 255).round().astype(np.uint8))


def test_a_pipeline_that_would_shrink_a_picture_is_given_none_so_large(newer):
    """It would give back another size than it was asked for."""
    inpainter = load_inpainter(InpainterConfig(model=str(newer("flux2_klein"))))
    assert inpainter.budget.pixels == 1024 * 1024
    assert load_inpainter(InpainterConfig(model=str(newer("flux2_klein")), max_pixels=4096)).budget.pixels == 4096
    assert load_inpainter(InpainterConfig(model=str(newer("z_image")))).budget.pixels is None


def test_a_token_has_one_mask(newer, monkeypatch):
    """FLUX.2 looks a token's mask up in its middle, where a thin hole need not be."""
    inpainter = load_inpainter(InpainterConfig(model=str(newer("flux2_klein")), steps=1, revise=0.0))
    masks, prepare = [], type(inpainter.pipeline).prepare_mask_latents

    def keep(self, *args, **options):
        masks.append(prepare(self, *args, **options))
        return masks[-1]

    monkeypatch.setattr(type(inpainter.pipeline), "prepare_mask_latents", keep)
    partial = frame(32, 64)
    partial.known[:] = True
    partial.known[0, :, 29:31] = False
    inpainter(partial, generator=torch.Generator())
    assert masks[0].reshape(2, 4).tolist() == [[0, 1, 0, 0]] * 2


@pytest.fixture
def small_edits(monkeypatch):
    """The pipeline gives all pictures about a million pixels, which is many for a test."""
    sides = pipeline_qwenimage_edit_inpaint.calculate_dimensions
    monkeypatch.setattr(pipeline_qwenimage_edit_inpaint, "calculate_dimensions", lambda _, ratio: sides(64 * 96, ratio))


def test_an_editing_model_is_shown_the_picture_at_the_size_that_it_will_have(tmp_path, monkeypatch, small_edits):
    folder = tiny_models.qwen_edit(tmp_path / "edit")
    inpainter = load_inpainter(InpainterConfig(model=str(folder), steps=2, guidance=3.0, max_pixels=1024))
    assert isinstance(inpainter, ImageInpainter)
    assert type(inpainter.pipeline).__name__ == "QwenImageEditInpaintPipeline"
    calls = record_calls(monkeypatch, type(inpainter.pipeline))
    encoder, seen = inpainter.pipeline.text_encoder, []
    encoder.register_forward_pre_hook(lambda module, given, named: seen.append(named), with_kwargs=True)
    partial = frame(50, 90, trust=0.2)
    filled = inpainter(partial, generator=torch.Generator().manual_seed(1), prompt="a room")
    (call,) = calls
    assert (call.width, call.height) == (96, 64)
    assert call.image.size == call.mask_image.size == (96, 64), "nothing is scaled by the pipeline"
    assert (call.true_cfg_scale, call.negative_prompt, call.strength) == (3.0, " ", 1.0)
    assert not hasattr(call, "guidance_scale"), "it would be taken for another"
    assert filled.rgb.shape == partial.rgb.shape
    assert torch.equal(filled.rgb[partial.known], partial.rgb[partial.known])
    assert inpainter.revising
    assert not inpainter._notes
    patches = seen[0]["image_grid_thw"][0].prod() // 4
    assert (seen[0]["input_ids"] == encoder.config.image_token_id).sum() == patches > 1


@pytest.mark.parametrize("pixels", [64 * 96, 1024 * 1024])
def test_its_sizes_are_their_own(pixels, monkeypatch):
    """A picture that is scaled to the size for its shape has a shape of its own, for which that is the size."""
    sides = pipeline_qwenimage_edit_inpaint.calculate_dimensions
    monkeypatch.setattr(pipeline_qwenimage_edit_inpaint, "calculate_dimensions", lambda _, ratio: sides(pixels, ratio))
    for width in range(64, 1024, 3):
        size = WorkingSize.fixed(288, width, sides_of_edited)
        rows, columns = size.content
        assert sides_of_edited(columns / rows) == (columns, rows)
