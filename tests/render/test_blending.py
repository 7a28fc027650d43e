"""The weights with which some Gaussians show: what drawing and its gradients give, of these alone."""

from __future__ import annotations

import pytest
import torch
from oracle import random_cameras, random_scene
from splatmem.render import rasterization
from splatmem.render.blending import BlendingWeights

SIZE = (70, 45)


@pytest.mark.parametrize("chosen", [(0, 5000), (700, 1900), (4096, 4097), (4999, 5000), (12, 12)])
@pytest.mark.parametrize("channels", [1, 3])
def test_they_are_what_is_drawn_and_its_gradient(chosen: tuple[int, int], channels: int) -> None:
    scene = random_scene(5000, 3, seed=2)
    shape = (scene.means, scene.quats, 0.3 * scene.scales, scene.opacities)
    viewmats, intrinsics = random_cameras(1, *SIZE)
    values = torch.zeros(5000, channels)
    values[slice(*chosen)] = torch.rand(chosen[1] - chosen[0], channels)
    values.requires_grad_()
    drawn = rasterization(*shape, values, viewmats, intrinsics, *SIZE)[0][0]
    picture = torch.rand(SIZE[1], SIZE[0], channels)
    (expected,) = torch.autograd.grad((drawn * picture).sum(), values)
    weights = BlendingWeights(*shape, viewmats[0], intrinsics[0], *SIZE, chosen=chosen, channels=channels)
    for _ in range(2):  # it is used again and again
        assert torch.equal(weights.blend(values[slice(*chosen)].detach()), drawn.detach())
        torch.testing.assert_close(weights.sum(picture), expected[slice(*chosen)], atol=1e-4, rtol=1e-5)
    if chosen[1] > chosen[0] + 1000:
        assert expected.abs().max() > 0.1
    torch.testing.assert_close(weights.sum(), weights.sum(torch.ones_like(picture)), atol=1e-5, rtol=1e-5)


def test_what_the_scene_shows_is_drawn_along_where_the_chosen_show() -> None:
    scene, chosen = random_scene(5000, 3, seed=2), (700, 760)
    shape = (scene.means, scene.quats, 0.1 * scene.scales, scene.opacities)
    viewmats, intrinsics = random_cameras(1, *SIZE)
    colours = torch.rand(5000, 3)
    image, alpha, _ = rasterization(*shape, colours, viewmats, intrinsics, *SIZE)
    weights = BlendingWeights(*shape, viewmats[0], intrinsics[0], *SIZE, chosen=chosen, channels=3, colours=colours)
    plain = BlendingWeights(*shape, viewmats[0], intrinsics[0], *SIZE, chosen=chosen, channels=3)
    assert plain.drawn is None
    assert weights.drawn is not None
    values = torch.rand(60, 3)
    blended = weights.blend(values)
    assert torch.equal(blended, plain.blend(values))  # what was drawn leaves no trace
    shown = blended.amax(-1) > 0
    assert 0.05 < shown.float().mean() < 0.95
    assert torch.equal(weights.drawn[0][shown], image[0][shown])
    assert torch.equal(weights.drawn[1][shown], alpha[0, ..., 0][shown])


def test_wrong_arguments_are_told() -> None:
    scene = random_scene(10, 3, seed=2)
    viewmats, intrinsics = random_cameras(1, *SIZE)
    for chosen, channels in (((0, 11), 3), ((5, 4), 3), ((-1, 3), 3), ((0, 10), 2)):
        with pytest.raises(ValueError, match="splatmem kernels"):
            BlendingWeights(
                scene.means, scene.quats, scene.scales, scene.opacities, viewmats[0], intrinsics[0], *SIZE,
                chosen=chosen, channels=channels,
            )  # fmt: skip
