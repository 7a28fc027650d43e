"""The whole job on tiny random models of every family, saved to folders and named as presets name the big ones."""

from __future__ import annotations

import functools
import json
import weakref
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from diffusers import FluxFillPipeline, StableDiffusionInpaintPipeline, StableDiffusionXLInpaintPipeline
from splatmem.depth import DepthPrediction, load_depth_estimator
from splatmem.depth.huggingface import HuggingFaceDepth
from splatmem.depth.photo_depth import photo_depth
from splatmem.explore.loop import ExploreSettings
from splatmem.geometry.cameras import identity_camera
from splatmem.inpaint import FilledFrames, PartialFrames, ReferenceViews, load_inpainter
from splatmem.inpaint.diffusers.image_inpainter import ImageInpainter
from splatmem.inpaint.diffusers.time_groups import padded_length
from splatmem.inpaint.diffusers.wan_vace import WanVACEInpainter
from splatmem.io.photo import DEFAULT_FOV_X_DEGREES, load_photo
from splatmem.jobs.flyaround import flyaround
from splatmem.jobs.options import FlyaroundOptions
from splatmem.memory.film import film_memory
from splatmem.memory.session import load_session
from splatmem.models.load import load_model
from transformers import PromptDepthAnythingForDepthEstimation

import picture_contract
import tiny_models
from forked_commands import PHOTO
from vace_contract import check_contract, record_calls

WIDTH, HEIGHT = 104, 72  # no multiples of 16
FAST = ExploreSettings(photo_refine_steps=5, refine_steps=2)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder for each family."""
    root = tmp_path_factory.mktemp("models")
    return {
        "wan-2.1": tiny_models.wan_vace(root / "wan-2.1"),
        "wan-2.2": tiny_models.wan_vace(root / "wan-2.2", transformers=2),
        "sdxl": tiny_models.sdxl(root / "sdxl"),
        "sd-inpaint": tiny_models.sd_inpaint(root / "sd-inpaint"),
        "flux-fill": tiny_models.flux_fill(root / "flux-fill"),
        "text-to-image": tiny_models.sd_text_to_image(root / "text-to-image"),
        "depth-anything": tiny_models.depth_anything(root / "depth-anything"),
        "prompt-depth": tiny_models.prompt_depth_anything(root / "prompt-depth"),
        "depth-pro": tiny_models.depth_pro(root / "depth-pro"),
        "zoedepth": tiny_models.zoedepth(root / "zoedepth"),
        "dpt": tiny_models.dpt(root / "dpt"),
    }


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Eight cameras that turn a little to the side."""
    keyframes = [{"position": [0, 0, 0], "look_at": [0, 0, 2]}, {"position": [0.1, 0, 0], "look_at": [0.7, 0, 2]}]
    (tmp_path / "path.json").write_text(json.dumps({"frames": 8, "keyframes": keyframes}))
    return tmp_path / "path.json"


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> list[SimpleNamespace]:
    """What the big inpainters are given and give back, window by window."""
    seen: list[SimpleNamespace] = []
    for inpainter in (WanVACEInpainter, ImageInpainter):
        call = inpainter.__call__

        def recording(
            self: Any, partial: PartialFrames, *, generator: torch.Generator, prompt: str = "",
            reference: ReferenceViews | None = None, call: Any = call,
        ) -> FilledFrames:  # fmt: skip
            filled = call(self, partial, generator=generator, prompt=prompt, reference=reference)
            seen.append(SimpleNamespace(partial=partial, prompt=prompt, reference=reference, filled=filled))
            return filled

        monkeypatch.setattr(inpainter, "__call__", recording)
    return seen


def run(out: Path, path: Path, *overrides: str, source: Path | None = PHOTO, **more: Any) -> dict[str, Any]:
    options = FlyaroundOptions(
        source=source, out=out, path=str(path), size=(WIDTH, HEIGHT), device="cpu", overrides=overrides, **more
    )
    return flyaround(options, settings=FAST)


def record_depth(monkeypatch: pytest.MonkeyPatch) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """The pictures and the maps that a prompted depth model is given from now on."""
    given: list[tuple[torch.Tensor, torch.Tensor]] = []
    forward = PromptDepthAnythingForDepthEstimation.forward

    @functools.wraps(forward)
    def recording(self: Any, pixel_values: torch.Tensor, prompt_depth: torch.Tensor, **options: Any) -> Any:
        given.append((pixel_values, prompt_depth))
        return forward(self, pixel_values, prompt_depth, **options)

    monkeypatch.setattr(PromptDepthAnythingForDepthEstimation, "forward", recording)
    return given


def check_windows(windows: list[SimpleNamespace]) -> None:
    assert any(not bool(window.partial.known.all()) for window in windows)
    for window in windows:
        known = window.partial.known
        assert torch.equal(window.filled.rgb[known], window.partial.rgb[known]), "known pixels come out bit for bit"
        assert window.filled.rgb.shape == window.partial.rgb.shape
        assert window.filled.rgb.dtype == torch.float32


@pytest.mark.parametrize(
    ("preset", "family", "conditioning"),
    [("wan-vace-1.3b", "wan-2.1", "pixels"), ("wan22-vace", "wan-2.2", "pixels"), ("wan-vace-14b", "wan-2.1", "latents")],
)
def test_wan_vace(
    models: dict[str, Path], tmp_path: Path, path: Path, windows: list[SimpleNamespace], monkeypatch: pytest.MonkeyPatch,
    preset: str, family: str, conditioning: str,
) -> None:  # fmt: skip
    calls = record_calls(monkeypatch)
    report = run(
        tmp_path / "out", path, f"inpainter.model={models[family]}", "inpainter.steps=2", "inpainter.window_frames=5",
        "inpainter.references=2", f"inpainter.conditioning={conditioning}", f"depth.model={models['depth-anything']}",
        prompt="a room with a table", preset=preset,
    )  # fmt: skip
    assert (report["inpainter"], report["preset"]) == (family, preset)
    assert report["windows"] == len(windows) == len(calls)
    check_windows(windows)
    memory, progress = load_session(tmp_path / "out" / "memory")
    assert any(len(window.partial) % 4 != 1 for window in windows), "lengths that are not 4k + 1"
    assert all(set(window) & set(before) for before, window in pairwise(progress["windows"])), "windows overlap"
    for window, call in zip(windows, calls, strict=True):
        check_contract(call)
        frames = len(window.partial)
        assert call.num_frames == padded_length(frames, 4)
        assert (call.height, call.width) == (80, 112)
        known = window.partial.known
        asked = call.mask[0, :frames, 0, :HEIGHT, :WIDTH] > 0.5
        assert bool(asked[~known].all())
        assert torch.equal(call.video[0].permute(0, 2, 3, 1)[:frames, :HEIGHT, :WIDTH][~asked], window.partial.rgb[~asked])
        assert call.reference_images[0].size == (WIDTH, HEIGHT)
        torch.testing.assert_close(window.reference.rgb[0], memory.first_photo)
        assert window.prompt == "a room with a table"
        assert call.prompt_embeds.dtype == call.negative_prompt_embeds.dtype == torch.float32
        assert (call.num_inference_steps, call.guidance_scale) == (2, 5.0)
        assert call.prepare_video_latents.shape[1] == 32
        assert (window.partial.latents is not None) == (window.filled.latents is not None) == (conditioning == "latents")
    assert (memory.feature_gaussians is not None) == (conditioning == "latents")
    assert memory.num_feature_views == (len(memory.views) if conditioning == "latents" else 0)


@pytest.mark.parametrize(
    ("preset", "family", "pipeline", "conditioning"),
    [
        ("embedded", "sd-inpaint", StableDiffusionInpaintPipeline, "pixels"),
        ("embedded", "sd-inpaint", StableDiffusionInpaintPipeline, "latents"),
        ("sdxl-inpaint", "sdxl", StableDiffusionXLInpaintPipeline, "pixels"),
        ("flux-fill", "flux-fill", FluxFillPipeline, "pixels"),
    ],
)
def test_keyframe_inpainters(
    models: dict[str, Path], tmp_path: Path, path: Path, windows: list[SimpleNamespace], monkeypatch: pytest.MonkeyPatch,
    preset: str, family: str, pipeline: type, conditioning: str,
) -> None:  # fmt: skip
    calls = picture_contract.record_calls(monkeypatch, pipeline)
    maps = record_depth(monkeypatch)
    report = run(
        tmp_path / "out", path, f"inpainter.model={models[family]}", "inpainter.steps=2", "inpainter.min_pixels=null",
        f"inpainter.conditioning={conditioning}", f"depth.model={models['prompt-depth']}", prompt="a room", preset=preset,
    )  # fmt: skip
    check_windows(windows)
    assert all(len(window.partial) == 1 for window in windows)
    for window, call in zip(windows, calls, strict=True):
        picture_contract.check_contract(call, window.partial.known[0], window.partial.rgb[0])
        assert (call.height, call.width) == (80, 112)
        assert (window.prompt, call.prompt) == ("a room", "a room")
        assert hasattr(call, "callback_on_step_end"), "what is known but poor is revised"
        assert isinstance(call.image, torch.Tensor) == (window.filled.latents is not None) == (conditioning == "latents")
    assert not [note for note in report["notes"] if "cannot start from partial noise" in note]
    assert "cannot start from partial noise" not in (tmp_path / "out" / "report.html").read_text()
    assert len(maps) >= report["windows"] + 1, "the photo, and what each window made"
    for pixels, prompt in maps:
        assert pixels.dtype == prompt.dtype == torch.float32
        assert [side % 14 for side in pixels.shape[2:]] == [0, 0]
        assert prompt.shape == (len(pixels), 1, HEIGHT, WIDTH)
        assert bool((prompt > 0).all())
        assert torch.isfinite(prompt).all()


@pytest.mark.parametrize(
    ("family", "fov"),
    [("depth-pro", None), pytest.param("depth-pro", 50.0, marks=pytest.mark.slow), ("zoedepth", None), ("dpt", None)],
)
def test_depth_models(
    models: dict[str, Path], tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch, family: str, fov: float | None
) -> None:
    """What the model says of the photo is what the memory begins with, and it is asked about every frame that is written."""
    estimate = load_depth_estimator(str(models[family]))
    photo = load_photo(PHOTO, WIDTH, HEIGHT).rgb[None]
    told = estimate(photo).fov_x_degrees
    asked: list[tuple[torch.Tensor, float | None]] = []
    for name in ("__call__", "complete"):
        call = getattr(HuggingFaceDepth, name)

        def recording(self: Any, images: torch.Tensor, *more: Any, fov_x_degrees: float | None = None, call: Any = call) -> Any:
            asked.append((images, fov_x_degrees))
            return call(self, images, *more, fov_x_degrees=fov_x_degrees)

        monkeypatch.setattr(HuggingFaceDepth, name, recording)
    report = run(tmp_path / "out", path, f"depth.model={models[family]}", preset="push-pull", fov=fov)
    expected = fov or told or DEFAULT_FOV_X_DEGREES
    assert report["fov_x_degrees"] == pytest.approx(expected, abs=1e-3)
    said = f"the picture does not say its field of view: {family} tells {told or 0:.1f} degrees"
    assert (said in report["notes"]) is (family == "depth-pro" and fov is None)
    if family == "depth-pro":
        assert told == pytest.approx(tiny_models.DEPTH_PRO_FOV, abs=20)
    memory, _ = load_session(tmp_path / "out" / "memory")
    assert len(memory.views) > 1
    shown = [(picture.clamp(0, 1) * 255).round().byte() for images, _ in asked for picture in images]
    for view in memory.views[1:]:
        # Seams beside what was written before take other colours than the model saw.
        same = [(picture == view.rgb).all(-1)[view.written].float().mean() for picture in shown]
        assert max(same) > 0.7
    after_the_first = asked[1:] if told and fov is None else asked
    assert all(degrees == pytest.approx(expected, abs=1e-3) for _, degrees in after_the_first)
    begun = memory.views[0].depth
    lifted = photo_depth(photo[0], identity_camera(expected, WIDTH, HEIGHT), estimate).depth
    torch.testing.assert_close(begun, lifted, rtol=1e-3, atol=1e-4)
    depth = HuggingFaceDepth.__call__(estimate, photo, fov_x_degrees=expected).depth[0]
    near = torch.isfinite(begun)
    assert torch.isclose(begun[near], depth[near], rtol=1e-3, atol=1e-4).float().mean() > 0.85, (
        "the rest lies along straight lines or on slender things"
    )


def test_a_photo_of_the_sky_alone(tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing_near(_: Any, images: torch.Tensor, **options: Any) -> DepthPrediction:
        return DepthPrediction(torch.full(images.shape[:3], torch.inf), True)

    monkeypatch.setattr(HuggingFaceDepth, "__call__", nothing_near)
    report = run(tmp_path / "out", path)
    assert report["windows"] > 0
    assert report["unknown_fraction"] < 0.02
    memory, _ = load_session(tmp_path / "out" / "memory")
    assert bool(torch.isinf(memory.views[0].depth).all())


def test_words_alone(models: dict[str, Path], tmp_path: Path, path: Path, windows: list[SimpleNamespace]) -> None:
    report = run(
        tmp_path / "out", path, f"inpainter.model={models['sd-inpaint']}", "inpainter.steps=1",
        f"first_frame.model={models['text-to-image']}", "first_frame.steps=2", "first_frame.pixels=16384",
        source=None, prompt="a red room",
    )  # fmt: skip
    check_windows(windows)
    assert {window.prompt for window in windows} == {"a red room"}
    assert report["source"] == report["prompt"] == "a red room"
    assert report["notes"][0] == f"the first frame was made by {models['text-to-image']}"


def test_models_are_loaded_once_and_let_go_when_others_need_the_room(
    models: dict[str, Path], tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first frame's before the inpainter's are loaded, and these before the film is drawn."""
    alive: dict[str, list[weakref.ref]] = {"text-to-image": [], "inpainter": [], "depth": []}

    def watched(name: str, load: Any) -> Any:
        def loading(*args: Any, **options: Any) -> Any:
            if name != "text-to-image":
                assert alive["text-to-image"][0]() is None
            made = load(*args, **options)
            alive[name].append(weakref.ref(made))
            return made

        return loading

    def film(*args: Any) -> Any:
        assert alive["inpainter"][0]() is None
        assert alive["depth"][0]() is None
        return film_memory(*args)

    monkeypatch.setattr("splatmem.inpaint.diffusers.first_frame.load_model", watched("text-to-image", load_model))
    monkeypatch.setattr("splatmem.explore.models.load_inpainter", watched("inpainter", load_inpainter))
    monkeypatch.setattr("splatmem.explore.models.load_depth_estimator", watched("depth", load_depth_estimator))
    monkeypatch.setattr("splatmem.jobs.flyaround.film_memory", film)
    run(
        tmp_path / "out", path, f"inpainter.model={models['sd-inpaint']}", "inpainter.steps=1",
        f"first_frame.model={models['text-to-image']}", "first_frame.steps=1", source=None, prompt="a red room",
        low_vram=True,
    )  # fmt: skip
    assert {name: len(loaded) for name, loaded in alive.items()} == {"text-to-image": 1, "inpainter": 1, "depth": 1}
