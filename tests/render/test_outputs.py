"""What ``rasterization`` gives beside the picture: median depth, the part seen from behind, contributions."""

from __future__ import annotations

import pytest
import torch
from oracle import Scene, blending_weights, random_cameras, random_scene
from splatmem.render import rasterization
from splatmem.render.backfacing import backfacing_share
from torch import Tensor

WIDTH, HEIGHT, COUNT = 45, 37, 300


@pytest.fixture(params=[1, 3, 9])
def channels(request: pytest.FixtureRequest) -> int:
    """All the kernels' layouts of tiles and records."""
    return request.param


def scene_of(channels: int) -> Scene:
    """The same Gaussians for any number of channels."""
    scene = random_scene(COUNT, 1, seed=2)
    scene.colors = torch.rand(COUNT, channels, generator=torch.Generator().manual_seed(0))
    return scene


def drawn(channels: int, **options: object) -> tuple[Tensor, Tensor, dict]:
    scene = scene_of(channels)
    return rasterization(*scene.tensors(), *random_cameras(2, WIDTH, HEIGHT), WIDTH, HEIGHT, **options)


def weights_of(view: int) -> tuple[Tensor, Tensor]:
    """Blending weights ``[n, h, w]`` and depths ``[n]`` in float64, from front to back, and the Gaussians' indices."""
    scene = scene_of(1).leaves(torch.float64)
    return blending_weights(scene, *random_cameras(2, WIDTH, HEIGHT), WIDTH, HEIGHT, view)


@pytest.mark.parametrize("mode", ["RGB", "RGB+ED"])
def test_median_depth_is_where_half_the_light_is_gone(instruction_set: str, channels: int, mode: str) -> None:
    median = drawn(channels, median_depth=True, render_mode=mode)[2]["median_depth"]
    assert median.shape == (2, HEIGHT, WIDTH, 1)
    for view in range(2):
        weights, depths, _ = weights_of(view)
        before = 1 - torch.cumsum(weights, dim=0) + weights
        last = ((weights > 0) & (before > 0.5)).double() * torch.arange(1, len(weights) + 1)[:, None, None]
        index = last.amax(dim=0).long()
        exact = torch.where(index > 0, depths[(index - 1).clamp_min(0)], 0.0)
        differs = (median[view, ..., 0] - exact).abs() > 1e-4 * exact
        assert differs.float().mean() < 0.005  # a weight may fall to either side of a threshold
        assert (exact > 0).float().mean() > 0.5


def test_contributions_are_sums_of_weights(instruction_set: str, channels: int) -> None:
    pixels = torch.rand(2, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(1))
    for given in (True, pixels):
        ours = drawn(channels, contributions=given)[2]["contributions"]
        for view in range(2):
            weights, _, order = weights_of(view)
            exact = torch.zeros(COUNT, dtype=torch.float64)
            exact[order] = (weights * (1 if given is True else pixels[view])).sum(dim=(1, 2)).detach()
            assert (ours[view] - exact).abs().max() < 1e-4 * exact.max()


def test_contributions_add_up_to_the_alpha() -> None:
    _, alpha, meta = drawn(3, contributions=True)
    torch.testing.assert_close(meta["contributions"].sum(1), alpha.sum(dim=(1, 2, 3)))


@pytest.mark.parametrize("mode", ["RGB", "ED", "RGB+D"])
def test_back_is_a_channel_of_its_own(instruction_set: str, channels: int, mode: str) -> None:
    image, alpha, meta = drawn(channels, backfacing=True, render_mode=mode)
    plain = drawn(channels, render_mode=mode)
    assert torch.equal(alpha, plain[1])
    torch.testing.assert_close(image, plain[0])
    scene = scene_of(1)
    scene.colors = backfacing_share(scene.means, scene.quats, random_cameras(2, WIDTH, HEIGHT)[0])[..., None]
    exact = rasterization(*scene.tensors(), *random_cameras(2, WIDTH, HEIGHT), WIDTH, HEIGHT)[0]
    torch.testing.assert_close(meta["backfacing_alpha"], exact, rtol=1e-4, atol=1e-4)
    assert meta["backfacing_alpha"].max() > 0.5
    assert (meta["backfacing_alpha"] <= alpha + 1e-6).all()


@pytest.mark.parametrize("mode", ["RGB", "RGB+ED"])
def test_gradients_are_the_same_with_everything_on(mode: str) -> None:
    grads = []
    for options in ({}, {"backfacing": True, "median_depth": True, "contributions": True}):
        leaves = scene_of(5).leaves(torch.float32)
        view = random_cameras(2, WIDTH, HEIGHT)
        image, alpha, _ = rasterization(*leaves.tensors(), *view, WIDTH, HEIGHT, render_mode=mode, **options)
        grads.append(torch.autograd.grad(image.square().sum() + alpha.sum(), leaves.tensors()))
    for plain, with_all in zip(*grads, strict=True):
        torch.testing.assert_close(with_all, plain, rtol=1e-4, atol=1e-4 * plain.abs().max().item())


def test_many_channels_have_all_of_it_too() -> None:
    _, _, meta = drawn(20, backfacing=True, median_depth=True, contributions=True, render_mode="RGB+D")
    few = drawn(3, backfacing=True, median_depth=True, contributions=True)[2]
    for name in ("backfacing_alpha", "median_depth", "contributions"):
        torch.testing.assert_close(meta[name], few[name], rtol=1e-4, atol=1e-4)


def test_a_wrong_shape_of_pixel_weights_is_told() -> None:
    with pytest.raises(ValueError, match="contributions"):
        drawn(3, contributions=torch.ones(2, WIDTH, HEIGHT))
