"""Presets, overrides, and what is said of a wrong one."""

import pytest
from splatmem.config import Config, load_preset, overlay, preset_names

EXPECTED = {"embedded", "push-pull", "wan-vace-1.3b", "wan-vace-14b", "wan22-vace", "sdxl-inpaint", "flux-fill"}


def test_all_presets_load_and_name_their_models():
    assert set(preset_names()) >= EXPECTED
    for name in preset_names():
        config = load_preset(name)
        assert config.inpainter.model
        assert config.depth.model


@pytest.mark.parametrize("name", ["wan-vace-1.3b", "wan-vace-14b", "wan22-vace"])
def test_video_windows_have_4k_plus_1_frames(name):
    frames = load_preset(name).inpainter.window_frames
    assert frames is not None
    assert frames % 4 == 1


def test_overrides_are_laid_over_the_preset_in_order():
    config = load_preset("embedded", ["inpainter.steps=7", "inpainter.model=/some/folder", "inpainter.steps=9"])
    assert config.inpainter.steps == 9
    assert config.inpainter.model == "/some/folder"
    assert config.depth == load_preset("embedded").depth


def test_null_takes_the_models_own_number():
    assert load_preset("embedded", ["inpainter.steps=null"]).inpainter.steps is None


def test_whole_numbers_count_as_floats():
    assert load_preset("embedded", ["inpainter.guidance=3"]).inpainter.guidance == 3


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("inpainter.step=3", "unknown key 'step' .did you mean 'steps'"),
        ("inpaint.steps=3", "unknown key 'inpaint' .did you mean 'inpainter'"),
        ("nonsense=3", "unknown key 'nonsense'"),
        ("inpainter.steps=many", "steps must be a whole number or null, got 'many'"),
        ("inpainter.steps=2.5", "steps must be a whole number or null, got 2.5"),
        ("inpainter.steps=true", "steps must be a whole number or null, got True"),
        ("inpainter.revise=null", "revise must be a number, got None"),
        ("inpainter.model=3", "model must be text, got 3"),
        ("hardware.offload=some", "offload must be none | model | sequential | group"),
        ("hardware.tiling=1", "tiling must be true or false, got 1"),
        ("inpainter=3", "expected keys and values, got 3"),
        ("inpainter.steps", "expected section.key=value"),
        ("=3", "expected section.key=value"),
        ("inpainter..steps=3", "expected section.key=value"),
        ("inpainter.steps=[1", "cannot be read"),
    ],
)
def test_wrong_overrides_say_what_is_wrong(override, message):
    with pytest.raises(ValueError, match=message.replace("|", r"\|")) as error:
        load_preset("embedded", [override])
    assert f"--set {override}" in str(error.value)


def test_unknown_preset_names_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'wan-vace-14b'"):
        load_preset("wan-vace-14B")


@pytest.mark.parametrize("content", [[], "text", {"inpainter": None}])
def test_a_preset_that_is_no_mapping(content):
    with pytest.raises(ValueError, match=r"x\.yaml.*expected keys and values"):
        overlay(Config(), content, "x.yaml")


@pytest.mark.parametrize(("preset", "offload"), [("wan-vace-1.3b", "group"), ("wan-vace-14b", "group")])
def test_low_vram_offloads_by_layers_and_tiles(preset, offload):
    small = load_preset(preset).with_low_vram().hardware
    assert (small.offload, small.tiling) == (offload, True)


def test_low_vram_leaves_sequential_offloading():
    assert load_preset("embedded", ["hardware.offload=sequential"]).with_low_vram().hardware.offload == "sequential"
