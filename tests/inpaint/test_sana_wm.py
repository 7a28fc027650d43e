"""A video model that is steered by cameras: what it is given, and when it is asked."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import SanaWMPipeline
from splatmem.config import InpainterConfig
from splatmem.geometry.cameras import Cameras
from splatmem.inpaint import FilledFrames, PartialFrames, ReferenceViews, load_inpainter
from splatmem.inpaint.diffusers.sana_wm import WAY, SanaWMInpainter
from splatmem.inpaint.diffusers.wan_vace import WanVACEInpainter
from splatmem.inpaint.expansion import ExpandingInpainter
from splatmem.memory import SpatialMemory

import tiny_models

SIDE = (64, 64)  # width and height


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.sana_wm(tmp_path_factory.mktemp("sana") / "tiny")


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[SimpleNamespace]:
    calls: list[SimpleNamespace] = []
    call = SanaWMPipeline.__call__

    @functools.wraps(call)
    def recording(self: Any, *args: Any, **options: Any) -> Any:
        assert not args
        calls.append(SimpleNamespace(**options))
        return call(self, **options)

    monkeypatch.setattr(SanaWMPipeline, "__call__", recording)
    return calls


@pytest.fixture(scope="module")
def memory(room_turn: Cameras, room_frames) -> SpatialMemory:
    made = SpatialMemory()
    made.write(room_frames[0][0], room_frames[1][0], room_turn[0], torch.ones_like(room_frames[1][0], dtype=torch.bool))
    return made


def partly(room_turn: Cameras, frames: list[int], share: float) -> PartialFrames:
    """Random frames along a turn, of which a share is known on the left."""
    cameras = room_turn[frames].resized(*SIDE)
    known = torch.zeros(len(frames), SIDE[1], SIDE[0], dtype=torch.bool)
    known[:, :, : round(share * SIDE[0])] = True
    rgb = torch.rand(len(frames), SIDE[1], SIDE[0], 3, generator=torch.Generator().manual_seed(0))
    return PartialFrames(rgb, torch.ones(known.shape), known, known.float(), cameras)


def photo(room_turn: Cameras) -> ReferenceViews:
    camera = room_turn[[0]].resized(*SIDE)
    return ReferenceViews(torch.rand(1, SIDE[1], SIDE[0], 3), torch.ones(1, SIDE[1], SIDE[0]), camera)


def check_contract(call: SimpleNamespace) -> None:
    """What the pipeline's documentation and code ask for."""
    assert call.num_frames % 8 == 1
    assert call.c2w.shape == (call.num_frames, 4, 4)
    assert call.intrinsics.shape == (call.num_frames, 4)
    assert (call.height % 32, call.width % 32) == (0, 0)
    assert call.image.size == (call.width, call.height), "nothing is cut off, so that the intrinsics hold"
    assert call.image.mode == "RGB"
    assert not hasattr(call, "action")


def test_a_window_goes_on_from_its_first_frame_along_its_cameras(folder, recorded, room_turn, memory) -> None:
    inpainter = load_inpainter(InpainterConfig(model=str(folder), steps=2, guidance=2.0, negative_prompt="blurry"))
    assert isinstance(inpainter, SanaWMInpainter)
    assert (inpainter.continuous, inpainter.reference_views, inpainter.window_frames) == (True, 1, 81)
    ready = inpainter.prepare(memory, room_turn, 0)
    partial = partly(room_turn, [0, 1, 2, 3, 4, 5], 1.0)
    partial.known[1:, :, 40:] = False
    filled = ready(partial, generator=torch.Generator().manual_seed(0), prompt="a room", reference=photo(room_turn))
    (call,) = recorded
    check_contract(call)
    assert call.num_frames == 9
    assert (call.prompt, call.negative_prompt, call.num_inference_steps, call.guidance_scale) == ("a room", "blurry", 2, 2.0)
    assert np.array_equal(np.asarray(call.image), (partial.rgb[0].numpy() * 255).round().astype(np.uint8))
    poses = partial.cameras.cam_to_world.clone()
    poses[:, :3, 3] *= ready.metres
    np.testing.assert_allclose(call.c2w[:6], poses, atol=1e-6)
    np.testing.assert_allclose(call.c2w[6:], np.broadcast_to(poses[5:], (3, 4, 4)), atol=1e-6)
    matrix = partial.cameras.intrinsics[0]
    expected = [matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2]]
    np.testing.assert_allclose(call.intrinsics[0], expected, atol=1e-4)
    assert filled.rgb.shape == partial.rgb.shape
    assert torch.equal(filled.rgb[partial.known], partial.rgb[partial.known])
    again = ready(partial, generator=torch.Generator().manual_seed(0), prompt="a room", reference=photo(room_turn))
    assert torch.equal(filled.rgb, again.rgb)


def test_where_the_first_frame_is_not_known_the_way_from_the_photo_is_made_too(folder, recorded, room_turn) -> None:
    inpainter = load_inpainter(InpainterConfig(model=str(folder), steps=1, guidance=1.0))
    partial, seen = partly(room_turn, [6, 7, 8], 0.1), photo(room_turn)
    filled = inpainter(partial, generator=torch.Generator().manual_seed(0), reference=seen)
    (call,) = recorded
    check_contract(call)
    assert call.num_frames == 25
    assert np.array_equal(np.asarray(call.image), (seen.rgb[0].numpy() * 255).round().astype(np.uint8))
    np.testing.assert_allclose(call.c2w[0], seen.cameras.cam_to_world[0], atol=1e-5)
    np.testing.assert_allclose(call.c2w[WAY : WAY + 3], partial.cameras.cam_to_world, atol=1e-5)
    forward = call.c2w[: WAY + 1, :3, 2]
    steps = np.arccos((forward[1:] * forward[:-1]).sum(1).clip(-1, 1))
    np.testing.assert_allclose(steps, steps.mean(), rtol=0.05)
    assert len(filled.rgb) == 3


def test_paths_are_in_metres(folder, room_turn, memory) -> None:
    inpainter = load_inpainter(InpainterConfig(model=str(folder)))
    assert isinstance(inpainter, SanaWMInpainter)
    assert inpainter.prepare(replace(memory, metric=True), room_turn, 0).metres == 1.0
    assert inpainter.prepare(replace(memory, metric=False), room_turn, 0).metres == pytest.approx(3.0 / memory.scale)
    assert inpainter.metres == 1.0


def test_long_windows_go_on_from_their_last_frame(folder, recorded, room_turn) -> None:
    inpainter = load_inpainter(InpainterConfig(model=str(folder), steps=1, guidance=1.0, window_frames=9, match_colours=False))
    partial = partly(room_turn, [0] * 17, 1.0)
    partial.known[1:] = False
    filled = inpainter(partial, generator=torch.Generator().manual_seed(0), reference=photo(room_turn))
    assert [call.num_frames for call in recorded] == [9, 9]
    assert np.array_equal(np.asarray(recorded[1].image), (filled.rgb[8].numpy() * 255).round().astype(np.uint8))


def test_the_expander_gets_the_windows_of_which_little_is_known(folder, tiny_wan, room_turn, memory, monkeypatch) -> None:
    settings = InpainterConfig(model=str(tiny_wan), steps=1, window_frames=9, expander=str(folder), expand_below=0.3)
    inpainter = load_inpainter(settings)
    assert isinstance(inpainter, ExpandingInpainter)
    ready = inpainter.prepare(memory, room_turn, 0)
    assert isinstance(ready.first, SanaWMInpainter)
    assert isinstance(ready.then, WanVACEInpainter)
    assert (ready.window_frames, ready.continuous, ready.reference_views) == (9, True, 3)
    asked: list[str] = []

    def answer(name: str) -> Any:
        def fill(self: Any, partial: PartialFrames, **_: Any) -> FilledFrames:
            asked.append(name)
            return FilledFrames(partial.rgb)

        return fill

    monkeypatch.setattr(SanaWMInpainter, "__call__", answer("expander"))
    monkeypatch.setattr(WanVACEInpainter, "__call__", answer("rest"))
    for share in (0.1, 0.5):
        ready(partly(room_turn, [0, 1], share), generator=torch.Generator())
    assert asked == ["expander", "rest"]


def test_an_expander_beside_a_picture_inpainter_is_refused(folder, tmp_path) -> None:
    model = tiny_models.sd_inpaint(tmp_path)
    with pytest.raises(ValueError, match=r"goes with models that fill videos, and .* fills pictures"):
        load_inpainter(InpainterConfig(model=str(model), expander=str(folder)))


def test_an_expander_makes_no_latents_for_another_model(folder, tiny_wan) -> None:
    with pytest.raises(ValueError, match=r"expander goes with inpainter\.conditioning=pixels"):
        load_inpainter(InpainterConfig(model=str(tiny_wan), expander=str(folder), conditioning="latents"))
