"""Depth models of every supported kind, built tiny and loaded through the road that the big ones take."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from splatmem.config import HardwareConfig
from splatmem.depth import load_depth_estimator
from splatmem.depth.embedded.pretrained import SmallDepthConfig, SmallDepthForDepthEstimation
from splatmem.depth.huggingface import FAR_TO_NEAR, HuggingFaceDepth, Output, disparity_to_depth, output_of
from torch import Tensor
from transformers import DPTImageProcessorPil, ZoeDepthImageProcessorPil

from tiny_models import SQUARE, depth_anything, depth_pro, dpt, glpn, prompt_depth_anything, zoedepth


def embedded(folder: Path) -> None:
    SmallDepthForDepthEstimation(SmallDepthConfig(pyramid_channels=8)).half().save_pretrained(folder)
    processor = DPTImageProcessorPil(size={"height": 32, "width": 32}, keep_aspect_ratio=True, ensure_multiple_of=32)
    processor.save_pretrained(folder)


KINDS: dict[str, tuple[Callable[[Path], object], bool]] = {
    "depth_anything_relative": (depth_anything, False),
    "depth_anything_metric": (lambda f: depth_anything(f, depth_estimation_type="metric", max_depth=20), True),
    "dpt": (dpt, False),
    "zoedepth": (zoedepth, True),
    "glpn": (glpn, True),
    "depth_pro": (depth_pro, True),
    "prompt_depth_anything": (prompt_depth_anything, True),
    "embedded": (embedded, True),
}


@pytest.mark.parametrize("kind", KINDS)
def test_any_model_gives_depth_at_the_size_of_the_pictures(kind: str, tmp_path: Path) -> None:
    build, metric = KINDS[kind]
    torch.manual_seed(0)
    build(tmp_path / kind)
    estimator = load_depth_estimator(str(tmp_path / kind))
    images = torch.rand(5, 45, 71, 3, generator=torch.Generator().manual_seed(0))
    prediction = estimator(images, fov_x_degrees=60.0)
    assert estimator.name == kind
    assert prediction.metric is metric
    assert prediction.depth.shape == (5, 45, 71)
    assert prediction.depth.dtype == torch.float32
    assert bool((prediction.depth > 0).all())
    alone = estimator(images[4:], fov_x_degrees=60.0)
    torch.testing.assert_close(alone.depth, prediction.depth[4:], rtol=1e-3, atol=1e-4)


class FakeModel:
    """Returns given outputs, whatever it is shown."""

    device = "cpu"

    def __init__(self, kind: str, **outputs: Tensor) -> None:
        self.config, self.outputs = SimpleNamespace(model_type=kind, backbone_config=None), outputs

    def eval(self) -> FakeModel:
        return self

    def __call__(self, pixel_values: Tensor) -> SimpleNamespace:
        return SimpleNamespace(**self.outputs)


def estimator_that_sees(kind: str, **outputs: Tensor) -> HuggingFaceDepth:
    return HuggingFaceDepth(FakeModel(kind, **outputs), DPTImageProcessorPil(size=SQUARE), "fake")


def test_depth_pro_follows_the_given_field_of_view_before_its_own() -> None:
    inverse = torch.full((1, 28, 28), 0.25)
    estimator = estimator_that_sees("depth_pro", predicted_depth=inverse, field_of_view=torch.tensor([90.0]))
    picture = torch.rand(1, 30, 40, 3)
    own, given_fov = estimator(picture), estimator(picture, fov_x_degrees=53.130102)
    # At 90 degrees the focal length is half the width, at 53.13 the whole width.
    torch.testing.assert_close(own.depth, torch.full((1, 30, 40), 2.0))
    torch.testing.assert_close(given_fov.depth, torch.full((1, 30, 40), 4.0))
    assert own.metric
    assert own.fov_x_degrees == pytest.approx(90.0)


def test_depth_pro_without_any_field_of_view_is_not_metric() -> None:
    estimator = estimator_that_sees("depth_pro", predicted_depth=torch.rand(1, 28, 28), field_of_view=None)
    prediction = estimator(torch.rand(1, 30, 40, 3))
    assert not prediction.metric
    assert prediction.fov_x_degrees is None


def test_sky_is_infinitely_far_and_specks_of_it_are_not() -> None:
    sky = torch.full((1, 96, 96), -5.0)
    sky[:, :40] = 5.0
    sky[:, 70:71, 50:51] = 5.0
    estimator = estimator_that_sees("splatmem_small_depth", predicted_depth=torch.full((1, 96, 96), 3.0), sky_logits=sky)
    depth = estimator(torch.rand(1, 96, 96, 3)).depth
    assert bool(torch.isinf(depth[:, :40]).all())
    torch.testing.assert_close(depth[:, 40:], torch.full((1, 56, 96), 3.0))


def test_zoedepth_border_is_removed(tmp_path: Path) -> None:
    size = (50, 72)
    top, left = 15, 18  # 3 sqrt(side / 2)
    padded = torch.full((1, size[0] + 2 * top, size[1] + 2 * left), 9.0)
    padded[:, top:-top, left:-left] = 2.0
    estimator = HuggingFaceDepth(
        FakeModel("zoedepth", predicted_depth=padded), ZoeDepthImageProcessorPil(size={"height": 32, "width": 32}), "fake"
    )
    torch.testing.assert_close(estimator(torch.rand(1, *size, 3)).depth, torch.full((1, *size), 2.0))


@given(scale=st.floats(1e-3, 1e3), shift=st.floats(-100, 100), seed=st.integers(0, 99))
@settings(max_examples=25)
def test_disparity_means_the_same_at_any_scale_and_shift(scale: float, shift: float, seed: int) -> None:
    disparity = torch.rand(2, 20, 30, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    depth = disparity_to_depth(disparity)
    torch.testing.assert_close(disparity_to_depth(disparity * scale + shift), depth, rtol=1e-4, atol=1e-6)
    assert bool((depth > 0).all())
    torch.testing.assert_close(depth.flatten(1).median(dim=1).values, torch.ones(2, dtype=torch.float64))
    assert bool((depth.flatten(1).argmin(1) == disparity.flatten(1).argmax(1)).all())


def test_disparity_spans_the_assumed_range_and_survives_a_constant() -> None:
    depth = disparity_to_depth(torch.linspace(3, 7, 10_000).reshape(1, 100, 100))
    far, near = (torch.quantile(depth.flatten(), q) for q in (0.99, 0.01))
    assert (far / near).item() == pytest.approx(FAR_TO_NEAR, rel=0.02)
    torch.testing.assert_close(disparity_to_depth(torch.full((1, 4, 5), 3.0)), torch.ones(1, 4, 5))


def test_dpt_on_dinov2_gives_metres() -> None:
    backbone = SimpleNamespace(model_type="dinov2")
    assert output_of(SimpleNamespace(model_type="dpt", backbone_config=backbone)) is Output.METRES
    assert output_of(SimpleNamespace(model_type="dpt", backbone_config=None)) is Output.DISPARITY


@pytest.mark.parametrize(("kind", "message"), [("chmv2", "trees"), ("resnet", "known types: .*dpt")])
def test_unsuited_models_are_refused(kind: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        output_of(SimpleNamespace(model_type=kind))


def test_depth_pro_tells_the_field_of_view_unless_it_is_absurd() -> None:
    inverse, picture = torch.full((1, 28, 28), 0.25), torch.rand(1, 30, 40, 3)
    for degrees, expected in ((75.0, 75.0), (-2.0, None), (179.0, None)):
        estimator = estimator_that_sees("depth_pro", predicted_depth=inverse, field_of_view=torch.tensor([degrees]))
        assert estimator.estimates_fov
        assert estimator(picture).fov_x_degrees == expected
    assert not estimator_that_sees("glpn", predicted_depth=inverse).estimates_fov


def slanted_wall(height: int = 40, width: int = 60) -> Tensor:
    return torch.linspace(2.0, 6.0, width).expand(height, -1)


@pytest.mark.parametrize("outliers", [0.0, 0.2])
def test_known_depth_shows_the_shift_of_disparity(outliers: float) -> None:
    depth = slanted_wall()
    disparity = 3.0 / depth + 1.7
    estimator = estimator_that_sees("dpt", predicted_depth=disparity[None])
    known = torch.zeros_like(depth, dtype=torch.bool)
    known[:, :25] = True
    given = depth.clone()
    wrong = torch.rand(depth.shape, generator=torch.Generator().manual_seed(0)) < outliers
    given[wrong] *= 3
    given[0, 0] = torch.inf
    completed = estimator.complete(torch.rand(1, 40, 60, 3), given[None], known[None]).depth[0]
    torch.testing.assert_close(completed, depth, rtol=0.02, atol=0)
    guessed = estimator(torch.rand(1, 40, 60, 3)).depth[0]
    assert (guessed / guessed[0, 0] * depth[0, 0] - depth).abs().max() > 0.5, "which a picture alone does not show"


def test_disparity_that_contradicts_the_known_gives_its_distance_only() -> None:
    depth = slanted_wall()
    estimator = estimator_that_sees("dpt", predicted_depth=depth[None])  # rises where disparity should fall
    completed = estimator.complete(torch.rand(1, 40, 60, 3), depth[None], torch.ones_like(depth, dtype=torch.bool)[None])
    assert bool((completed.depth > 0).all())
    assert 1 < completed.depth.median() < 10


def test_without_anything_known_disparity_is_completed_as_it_is_estimated() -> None:
    estimator = estimator_that_sees("dpt", predicted_depth=torch.rand(1, 40, 60))
    picture, nothing = torch.rand(1, 40, 60, 3), torch.zeros(1, 40, 60, dtype=torch.bool)
    torch.testing.assert_close(estimator.complete(picture, torch.zeros(1, 40, 60), nothing).depth, estimator(picture).depth)


@pytest.mark.breaks_annotations
@pytest.mark.parametrize("shape", [(4, 5, 3), (1, 3, 4, 5), (0, 4, 5, 3)])
def test_images_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    estimator = estimator_that_sees("glpn", predicted_depth=torch.ones(1, 4, 5))
    with pytest.raises(ValueError, match=r"images \[t, h, w, 3\]"):
        estimator(torch.rand(shape))


class TestFoldersThatCannotBeLoaded:
    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="there is no folder"):
            load_depth_estimator(str(tmp_path / "nowhere"))

    def test_empty(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"nor a config\.json"):
            load_depth_estimator(str(tmp_path))

    def test_pickled_weights_only(self, tmp_path: Path) -> None:
        embedded(tmp_path)
        (tmp_path / "model.safetensors").unlink()
        torch.save({}, tmp_path / "pytorch_model.bin")
        with pytest.raises(ValueError, match="pickled"):
            load_depth_estimator(str(tmp_path))

    def test_truncated_weights(self, tmp_path: Path) -> None:
        embedded(tmp_path)
        weights = tmp_path / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:1000])
        with pytest.raises(ValueError, match=r"not whole.*model\.safetensors is no whole"):
            load_depth_estimator(str(tmp_path))

    def test_another_kind_of_model(self, tmp_path: Path) -> None:
        embedded(tmp_path)
        (tmp_path / "config.json").write_text(json.dumps({"model_type": "resnet"}))
        with pytest.raises(ValueError, match="no depth model can be loaded from"):
            load_depth_estimator(str(tmp_path))

    def test_hub_id_without_a_network_says_how_to_fetch_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import huggingface_hub

        def offline(repo_id: str, **_: object) -> str:
            raise huggingface_hub.errors.LocalEntryNotFoundError("no network")

        monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
        with pytest.raises(ValueError, match="splatmem models download someone/some-model"):
            load_depth_estimator("someone/some-model")


def test_greyscale_values_reach_the_model_unchanged() -> None:
    """The processor must not rescale twice or take a small picture's channels for its rows."""
    seen = {}

    class Watching(FakeModel):
        def __call__(self, pixel_values: Tensor) -> SimpleNamespace:
            seen["pixels"] = pixel_values
            return super().__call__(pixel_values)

    processor = DPTImageProcessorPil(size={"height": 3, "width": 3}, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    model = Watching("glpn", predicted_depth=torch.ones(1, 3, 3))
    HuggingFaceDepth(model, processor, "fake")(torch.full((1, 3, 3, 3), 0.8))
    np.testing.assert_allclose(seen["pixels"], 0.6, atol=1e-6)


def test_with_offloading_the_model_waits_in_main_memory_between_its_uses(tmp_path: Path, monkeypatch) -> None:
    import accelerate

    events: list[str] = []

    def offload_with_hook(model, device):
        model.register_forward_hook(lambda *_: events.append("run"))
        events.append(f"{model.device} to {device}")
        return model, SimpleNamespace(offload=lambda: events.append("back"))

    monkeypatch.setattr(accelerate, "cpu_offload_with_hook", offload_with_hook)
    depth_anything(tmp_path / "model")
    estimate = HuggingFaceDepth.from_pretrained(str(tmp_path / "model"), device="cuda", offload=True)
    estimate(torch.rand(5, 28, 42, 3))
    assert events == ["cpu to cuda", "run", "back", "run", "back"]
    # As accelerate itself does it, on a device that is there.
    monkeypatch.undo()
    hardware = HardwareConfig(offload="group")
    offloaded = load_depth_estimator(str(tmp_path / "model"), hardware=hardware)
    picture = torch.rand(1, 28, 42, 3)
    assert torch.equal(offloaded(picture).depth, load_depth_estimator(str(tmp_path / "model"))(picture).depth)
