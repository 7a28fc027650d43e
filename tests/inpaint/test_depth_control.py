"""The memory's completed depth steers what models make of the unknown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from splatmem.config import InpainterConfig
from splatmem.extrapolate.plain_place import plain_place
from splatmem.geometry.cameras import Cameras
from splatmem.inpaint import PartialFrames, load_inpainter
from splatmem.inpaint.depth_control import DepthSteered, depth_pictures
from splatmem.inpaint.diffusers.image_inpainter import ImageInpainter
from splatmem.inpaint.diffusers.wan_vace import WanVACEInpainter
from splatmem.inpaint.diffusers.windows import GREY
from splatmem.memory import SpatialMemory

import picture_contract
import tiny_models
import vace_contract

SIDE = (64, 48)  # width and height


@pytest.fixture(scope="module")
def scene(room_turn: Cameras, room_frames) -> tuple[SpatialMemory, Cameras]:
    """A memory of one picture of a room, and cameras that turn away from it."""
    cameras = room_turn.resized(*SIDE)
    memory = SpatialMemory()
    rgb, depth = room_frames
    memory.write(rgb[0], depth[0], room_turn[0], torch.ones_like(depth[0], dtype=torch.bool))
    return memory, cameras[[0, 1, 2, 3, 4]]


def seen(scene: tuple[SpatialMemory, Cameras], frames: list[int]) -> PartialFrames:
    memory, cameras = scene
    reading = memory.read(cameras[frames])
    return PartialFrames(reading.rgb, reading.depth, reading.known, reading.trust, cameras[frames])


def steered_by(scene: tuple[SpatialMemory, Cameras], settings: InpainterConfig) -> DepthSteered:
    inpainter = load_inpainter(settings)
    assert isinstance(inpainter, DepthSteered)
    return inpainter.prepare(scene[0], scene[1], 0)


def test_near_is_white_and_the_sky_black_on_one_scale_for_all_frames() -> None:
    depth = torch.tensor([1.0, 2.0, 4.0, torch.inf]).expand(2, 3, 4).clone()
    depth[1] *= 2
    grey = depth_pictures(depth)
    assert grey.shape == (2, 3, 4, 3)
    torch.testing.assert_close(grey[0, 0, :, 0], torch.tensor([1.0, 0.5, 0.25, 0.0]))
    torch.testing.assert_close(grey[1, 0, :3, 0], torch.tensor([0.5, 0.25, 0.125]))
    assert bool((depth_pictures(torch.full((1, 2, 2), torch.inf)) == 0).all())


def test_a_single_near_pixel_does_not_darken_the_rest() -> None:
    depth = torch.linspace(2, 4, 1024).reshape(1, 32, 32).clone()
    before = depth_pictures(depth)
    depth[0, 0, 0] = 0.01
    torch.testing.assert_close(depth_pictures(depth)[0, 1:], before[0, 1:], atol=0.02, rtol=0)


def test_known_depth_stays_and_the_unknown_is_completed(scene, tiny_wan: Path, monkeypatch) -> None:
    inpainter = steered_by(scene, InpainterConfig(model=str(tiny_wan), steps=1, control="depth"))
    given: list[PartialFrames] = []
    call = WanVACEInpainter.__call__
    monkeypatch.setattr(
        WanVACEInpainter, "__call__", lambda self, partial, **k: (given.append(partial), call(self, partial, **k))[1]
    )
    partial = seen(scene, [0, 1, 2, 3, 4])
    assert 0.1 < partial.known.float().mean() < 0.9
    inpainter(partial, generator=torch.Generator().manual_seed(0))
    expected = given[0].expected_depth
    assert expected is not None
    assert torch.equal(expected[partial.known], partial.depth[partial.known])
    empty = plain_place(*scene).render(partial.cameras).depth[~partial.known]
    assert torch.equal(expected[~partial.known], empty), "nothing stands before the place that may lie around the scene"
    assert bool((empty > 0).all())


def test_wan_is_shown_depth_in_the_hole_and_colours_elsewhere(scene, tiny_wan: Path, recorded) -> None:
    inpainter = steered_by(scene, InpainterConfig(model=str(tiny_wan), steps=1, control="depth", revise=0.0))
    partial = seen(scene, [0, 1, 2, 3, 4])
    filled = inpainter(partial, generator=torch.Generator().manual_seed(0))
    assert torch.equal(filled.rgb[partial.known], partial.rgb[partial.known])
    (call,) = recorded
    vace_contract.check_contract(call)
    shown = call.video[0].permute(0, 2, 3, 1)
    unknown = ~partial.known
    assert torch.equal(shown[unknown], depth_pictures(inpainter.expected_depth(partial))[unknown])
    assert not bool((shown[unknown] == GREY).all())
    wanted = call.mask[0, :, 0] > 0.5
    assert bool(wanted[unknown].all())
    assert torch.equal(shown[~wanted], partial.rgb[~wanted])


def test_long_windows_are_steered_in_every_part(scene, tiny_wan: Path, recorded) -> None:
    inpainter = steered_by(scene, InpainterConfig(model=str(tiny_wan), steps=1, control="depth", window_frames=13))
    partial = seen(scene, [4] * 20)
    inpainter(partial, generator=torch.Generator().manual_seed(0))
    assert len(recorded) == 3
    for call in recorded:
        made_before = (call.mask[0, :, 0] < 0.5).flatten(1).all(1).sum()
        shown = call.video[0, int(made_before) :].permute(0, 2, 3, 1)
        unknown = ~partial.known[:1].expand(len(shown), -1, -1)
        assert len(shown) >= 4
        assert (shown[unknown] - GREY).abs().mean() > 0.1


# Families and whether their control comes from a ControlNet.
STEERED = {
    "sd_inpaint": ("StableDiffusionControlNetInpaintPipeline", True),
    "sdxl": ("StableDiffusionXLControlNetInpaintPipeline", True),
    "flux": ("FluxControlNetInpaintPipeline", True),
    "flux_control": ("FluxControlInpaintPipeline", False),
    "z_image": ("ZImageControlNetInpaintPipeline", True),
}


@pytest.mark.parametrize("family", STEERED)
def test_pictures_are_steered_by_their_depth(family: str, scene, tmp_path: Path, monkeypatch) -> None:
    name, by_controlnet = STEERED[family]
    build = tiny_models.newer(family) if family == "z_image" else getattr(tiny_models, family)
    settings = InpainterConfig(model=str(build(tmp_path / family)), steps=2, control="depth", revise=0.5)
    if by_controlnet:
        net = tiny_models.controlnet(tmp_path / "net", tmp_path / family)
        settings = replace(settings, controlnet=str(net), control_strength=0.6)
    inpainter = steered_by(scene, settings)
    inner = inpainter.inpainter
    assert isinstance(inner, ImageInpainter)
    assert type(inner.pipeline).__name__ == name
    assert (inpainter.window_frames, inpainter.continuous, inpainter.name) == (1, False, family)
    calls = picture_contract.record_calls(monkeypatch, type(inner.pipeline))
    partial = seen(scene, [2])
    filled = inpainter(partial, generator=torch.Generator().manual_seed(0), prompt="a room")
    again = inpainter(partial, generator=torch.Generator().manual_seed(0), prompt="a room")
    assert torch.equal(filled.rgb, again.rgb)
    assert torch.equal(filled.rgb[partial.known], partial.rgb[partial.known])
    picture_contract.check_contract(calls[0], partial.known[0], partial.rgb[0])
    expected = (depth_pictures(inpainter.expected_depth(partial))[0].numpy() * 255).round().astype(np.uint8)
    assert np.array_equal(np.asarray(calls[0].control_image), expected)
    if by_controlnet:
        assert calls[0].controlnet_conditioning_scale == 0.6
    assert not inner._notes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"control": "none"}, "inpainter.controlnet steers by depth"),
        ({"controlnet": None}, r"StableDiffusionInpaintPipeline takes no control picture: give a ControlNet"),
        ({"conditioning": "latents"}, "shown pixels"),
        ({"model": "push-pull"}, "diffusers pipelines"),
        ({"controlnet": "MODEL/unet"}, "holds a UNet2DConditionModel, which is no ControlNet"),
        ({"controlnet": "nowhere"}, "there is no folder nowhere"),
        ({"model": "FILL"}, "no pipeline that fills pictures with a ControlNet for a FluxFillPipeline"),
    ],
)
def test_what_cannot_be_steered_is_refused(changes: dict, message: str, tmp_path: Path) -> None:
    model = tiny_models.sd_inpaint(tmp_path / "sd")
    net = tiny_models.controlnet(tmp_path / "net", model)
    if changes.get("model") == "FILL":
        changes = {"model": str(tiny_models.flux_fill(tmp_path / "fill"))}
    if changes.get("controlnet") == "MODEL/unet":
        changes = {"controlnet": str(model / "unet")}
    settings = replace(InpainterConfig(model=str(model), steps=1, control="depth", controlnet=str(net)), **changes)
    with pytest.raises(ValueError, match=message):
        load_inpainter(settings)


def test_a_scene_that_was_not_prepared_says_so(tiny_wan: Path, scene) -> None:
    with pytest.raises(ValueError, match=r"call prepare\(\) first"):
        load_inpainter(InpainterConfig(model=str(tiny_wan), control="depth"))(seen(scene, [1]), generator=torch.Generator())
