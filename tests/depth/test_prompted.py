"""Depth models that are given a map: what it is, and what becomes of their answer."""

from types import SimpleNamespace

import torch
from splatmem.depth import DepthCompleter, DepthPrediction, completed_depth
from splatmem.depth.huggingface import HuggingFaceDepth
from splatmem.depth.prompted import PROMPT_HEIGHT, PromptedDepth
from transformers import DPTImageProcessorPil


class Sharpener:
    """Answers with the map that it is given, and keeps it."""

    device = "cpu"
    config = SimpleNamespace(model_type="prompt_depth_anything")

    def __init__(self):
        self.maps = []

    def eval(self):
        return self

    def __call__(self, pixel_values, prompt_depth):
        assert len(pixel_values) == len(prompt_depth)
        self.maps.append(prompt_depth)
        return SimpleNamespace(predicted_depth=prompt_depth[:, 0])


class Base:
    """A coarse estimate: a wall at 2, with sky above."""

    name = "base"
    estimates_fov = False

    def __call__(self, images, *, fov_x_degrees=None):
        depth = torch.full(images.shape[:3], 2.0)
        depth[:, :5] = torch.inf
        depth[:, :, 30:] = 4.0
        return DepthPrediction(depth, metric=True)


def prompted():
    sharpener = Sharpener()
    processor = DPTImageProcessorPil(size={"height": 28, "width": 28})
    return PromptedDepth(HuggingFaceDepth(sharpener, processor, "sharp"), Base()), sharpener


def test_the_first_photo_is_prompted_with_the_other_models_estimate():
    estimator, sharpener = prompted()
    prediction = estimator(torch.rand(2, 40, 60, 3))
    assert (estimator.name, prediction.metric) == ("sharp", True)
    assert sharpener.maps[0].shape == (2, 1, 40, 60)
    assert torch.equal(prediction.depth, Base()(torch.rand(2, 40, 60, 3)).depth), "sky stays sky"
    assert torch.isfinite(sharpener.maps[0]).all()


def test_what_is_known_is_part_of_the_prompt_and_the_rest_agrees_with_it():
    estimator, sharpener = prompted()
    assert isinstance(estimator, DepthCompleter)
    known = torch.zeros(40, 60, dtype=torch.bool)
    known[10:, :30] = True
    depth = completed_depth(estimator, torch.rand(40, 60, 3), torch.full((40, 60), 3.0), known, 60.0)
    given = sharpener.maps[0][0, 0]
    torch.testing.assert_close(given[10:, :30], torch.full((30, 30), 3.0))
    torch.testing.assert_close(given[10:, 40:], torch.full((30, 20), 6.0), rtol=0.05, atol=0)
    torch.testing.assert_close(depth[10:], given[10:])


def test_large_maps_are_reduced_to_what_the_model_was_trained_with():
    estimator, sharpener = prompted()
    estimator(torch.rand(1, 400, 600, 3))
    assert sharpener.maps[0].shape[-2:] == (PROMPT_HEIGHT, 288)


def test_a_map_without_any_relief_divides_nothing_by_zero():
    _, sharpener = prompted()
    model = HuggingFaceDepth(sharpener, DPTImageProcessorPil(size={"height": 28, "width": 28}), "sharp")
    flat = model.prompted(torch.rand(1, 20, 30, 3), torch.full((1, 1, 20, 30), 2.0))
    assert sharpener.maps[0].max() > sharpener.maps[0].min()
    torch.testing.assert_close(flat, torch.full((1, 20, 30), 2.0), rtol=1e-2, atol=0)
