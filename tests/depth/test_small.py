"""The embedded depth model: shapes, the half-precision folder, and what the shipped weights can do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from splatmem import assets
from splatmem.depth import EMBEDDED_DEPTH_FOLDER, load_depth_estimator
from splatmem.depth.embedded.efficientnet import TAPPED_CHANNELS, EfficientNetLite0
from splatmem.depth.embedded.network import INDOORS_FILE, ConvexUpsampling, SmallDepth, _low_pass
from splatmem.depth.embedded.pictures import PictureProcessor
from splatmem.depth.embedded.pretrained import SmallDepthConfig, SmallDepthForDepthEstimation
from transformers import AutoModelForDepthEstimation, DPTImageProcessorPil

import remembered_depths


@pytest.fixture(scope="module")
def model() -> SmallDepthForDepthEstimation:
    torch.manual_seed(0)
    return SmallDepthForDepthEstimation(SmallDepthConfig(pyramid_channels=8)).eval()


def test_encoder_halves_five_times() -> None:
    features = EfficientNetLite0().eval()(torch.rand(1, 3, 64, 96))
    shapes = [tuple(f.shape[1:]) for f in features]
    assert shapes == [(c, 64 >> i, 96 >> i) for i, c in enumerate(TAPPED_CHANNELS, start=1)]


@pytest.mark.parametrize("size", [(64, 96), (33, 71), (31, 31)])
def test_output_has_the_size_of_the_input(model: SmallDepthForDepthEstimation, size: tuple[int, int]) -> None:
    with torch.no_grad():
        output = model(torch.rand(2, 3, *size) * 2 - 1)
    assert output.sky_logits is not None
    assert output.predicted_depth.shape == output.sky_logits.shape == (2, *size)
    assert bool((output.predicted_depth > 0).all())


def test_gradients_reach_every_weight(model: SmallDepthForDepthEstimation) -> None:
    log_depth, sky = model.log_depth_and_sky(torch.rand(1, 3, 64, 64))
    (log_depth.mean() + sky.mean()).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []
    model.zero_grad(set_to_none=True)


def with_convex_upsampling(model: SmallDepthForDepthEstimation) -> SmallDepthForDepthEstimation:
    convex = SmallDepthForDepthEstimation(SmallDepthConfig(pyramid_channels=8, upsampling="convex")).eval()
    missing, unexpected = convex.load_state_dict(model.state_dict(), strict=False)
    assert not unexpected
    assert all(name.startswith("enlarge.") for name in missing)
    return convex


@pytest.mark.parametrize("size", [(64, 96), (33, 71)])
def test_convex_upsampling_begins_as_bilinear(model: SmallDepthForDepthEstimation, size: tuple[int, int]) -> None:
    x = torch.rand(1, 3, *size) * 2 - 1
    with torch.no_grad():
        plain, convex = model.log_depth_and_sky(x)[0], with_convex_upsampling(model).log_depth_and_sky(x)[0]
    assert convex.shape == plain.shape == (1, *size)
    inner = (slice(None), slice(2, -2), slice(2, -2))
    assert (convex - plain)[inner].abs().max() < 0.03 * (plain.max() - plain.min() + 1)


def test_convex_upsampling_can_make_a_step_of_one_pixel() -> None:
    """Trained on one picture, its output has the picture's edge at the pixel where it is; bilinear has a ramp."""
    torch.manual_seed(0)
    layer = ConvexUpsampling(4)
    picture = torch.full((1, 3, 16, 24), -0.5)
    picture[..., 11:] = 0.5
    truth = torch.where(picture[:, :1] > 0, 1.0, 0.0)
    maps = torch.where(torch.arange(12) > 5, 1.0, 0.0).expand(1, 1, 8, 12)
    features = torch.zeros(1, 4, 8, 12)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.03)
    for _ in range(60):
        loss = (layer(maps, features, picture) - truth).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        row = layer(maps, features, picture)[0, 0, 8]
    assert row[11] - row[10] > 0.8


def test_half_precision_folder_round_trip(model: SmallDepthForDepthEstimation, tmp_path: Path) -> None:
    clone = SmallDepthForDepthEstimation(model.config)
    clone.load_state_dict(model.state_dict())
    clone.half().save_pretrained(tmp_path)
    loaded = AutoModelForDepthEstimation.from_pretrained(tmp_path, dtype=torch.float32).eval()
    assert isinstance(loaded, SmallDepthForDepthEstimation)
    x = torch.rand(1, 3, 64, 96) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(loaded(x).predicted_depth, model(x).predicted_depth, rtol=0.02, atol=0.02)


def test_a_folder_may_hold_a_layer_that_tells_rooms_from_the_open(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = SmallDepthConfig(pyramid_channels=8, transformer=(64, 4), tokens=24, mirrored=True)
    SmallDepthForDepthEstimation(config).save_pretrained(tmp_path)
    x = torch.rand(2, 3, 48, 64) * 2 - 1
    assert SmallDepth.from_folder(tmp_path)(x).indoors_logits is None
    weight, bias = torch.randn(1, 4 * 64), torch.randn(1)
    save_file({"weight": weight, "bias": bias}, tmp_path / INDOORS_FILE)
    network = SmallDepth.from_folder(tmp_path)
    with torch.no_grad():
        seen = [network.token_maps(picture) for picture in (x, x.flip(-1))]
        told = network(x).indoors_logits
    mean = torch.stack([maps.mean for maps in seen if maps is not None]).mean(0)
    assert told is not None
    torch.testing.assert_close(told, (mean @ weight.T + bias)[:, 0], atol=1e-4, rtol=1e-4)


class TestShippedWeights:
    def test_small_enough_for_the_wheel(self) -> None:
        folder = assets.path(EMBEDDED_DEPTH_FOLDER)
        assert sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) < 34e6

    def test_loaded_as_transformers_loads_them(self) -> None:
        folder = assets.path(EMBEDDED_DEPTH_FOLDER)
        fast = SmallDepth.from_folder(folder)
        loaded = AutoModelForDepthEstimation.from_pretrained(folder, dtype=torch.float32).state_dict()
        own = {name: weight for name, weight in fast.state_dict().items() if not name.startswith("indoors.")}
        assert own.keys() == loaded.keys()
        for name, weight in own.items():
            assert weight.dtype == loaded[name].dtype
            assert torch.equal(weight, loaded[name]), name
        assert not fast.training

    @pytest.mark.parametrize("size", [(288, 512), (200, 131), (9, 40)])
    def test_pictures_are_prepared_as_by_transformers(self, size: tuple[int, int]) -> None:
        folder = assets.path(EMBEDDED_DEPTH_FOLDER)
        picture = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
        theirs = DPTImageProcessorPil.from_pretrained(folder)([picture], return_tensors="pt", input_data_format="channels_last")
        assert torch.equal(PictureProcessor.from_folder(folder)([picture])["pixel_values"], theirs["pixel_values"])

    def test_what_is_remembered_is_what_one_look_tells(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The tests' own short cut gives the depth of the picture without its mirror image, to other weights their own."""
        picture = torch.rand(1, 32, 48, 3, generator=torch.Generator().manual_seed(0))
        looks = Mock(wraps=SmallDepth.maps)
        monkeypatch.setattr(SmallDepth, "maps", lambda network, pixels: looks(network, pixels))
        estimator = load_depth_estimator()
        first, again = (estimator(picture).depth for _ in range(2))
        assert looks.call_count <= 1  # another test may have asked for the same picture
        with torch.no_grad():
            next(estimator.model.head.parameters()).mul_(0.5)
        other = estimator(picture).depth
        monkeypatch.delenv(remembered_depths.FOLDER)
        computed = load_depth_estimator()
        assert computed.model.config.mirrored
        computed.model.config = replace(computed.model.config, mirrored=False)
        assert torch.equal(computed(picture).depth, first)
        assert torch.equal(again, first)
        assert not torch.equal(other, first)

    def test_floor_of_the_sample_photo_recedes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Depth of a floor or table top falls toward the lower edge in a picture taken upright, as users have it computed."""
        monkeypatch.delenv(remembered_depths.FOLDER)
        with Image.open(assets.path("photos/interior_table.jpg")) as photo:
            picture = torch.from_numpy(np.array(photo.convert("RGB").resize((512, 288)))).float()[None] / 255
        prediction = load_depth_estimator()(picture)
        depth = prediction.depth[0]
        assert depth.shape == (288, 512)
        assert torch.isfinite(depth).float().mean() > 0.95
        wall, table = depth[20:60, 60:200].median(), depth[165:200, 190:250].median()
        assert table < 0.95 * wall


class TestMirrored:
    """The overall structure is the mean of two looks, one of them mirrored; detail is the picture's own."""

    class Slanted(SmallDepthForDepthEstimation):
        """Log depth that rises from left to right whatever the picture shows, with a fine stripe at a quarter."""

        def log_depth_and_sky(self, pixel_values: torch.Tensor, added: object = None) -> tuple[torch.Tensor, torch.Tensor]:
            count, _, height, width = pixel_values.shape
            log_depth = torch.linspace(0, 1, width).repeat(count, height, 1)
            log_depth[:, :, width // 4] += 1
            return log_depth, torch.zeros(count, height, width)

    def test_what_favours_one_side_is_evened_out(self) -> None:
        plain, even = (
            self.Slanted(SmallDepthConfig(pyramid_channels=8, mirrored=mirrored))(
                torch.zeros(1, 3, 288, 512)
            ).predicted_depth.log()[0, 144]
            for mirrored in (False, True)
        )
        assert plain[450] - plain[200] > 0.4
        assert (even[450] - even[200]).abs() < 0.05

    def test_detail_stays(self) -> None:
        model = self.Slanted(SmallDepthConfig(pyramid_channels=8, mirrored=True))
        row = model(torch.zeros(1, 3, 288, 512)).predicted_depth.log()[0, 144]
        assert row[128] - row[126] > 0.9
        assert (row[384] - row[382]).abs() < 0.1


def test_the_low_pass_is_three_box_filters() -> None:
    maps = torch.rand(2, 21, 16)
    expected = maps[:, None]
    for _ in range(3):
        expected = torch.nn.functional.avg_pool2d(torch.nn.functional.pad(expected, (3,) * 4, mode="replicate"), 7, stride=1)
    torch.testing.assert_close(_low_pass(maps, 3), expected[:, 0])
