"""Drawing a ``Gaussians`` container through ``Cameras``."""

from __future__ import annotations

import pytest
import torch
from splatmem.gaussians import Gaussians
from splatmem.gaussians.container import logit, rgb_to_sh
from splatmem.gaussians.draw import rasterize
from splatmem.geometry.cameras import Cameras, identity_camera


def wall(depth: float = 2.0, side: int = 40) -> Gaussians:
    """A nearly opaque red wall across the view of ``identity_camera(60, 32, 24)``."""
    x, y = torch.meshgrid(torch.linspace(-2, 2, side), torch.linspace(-1.5, 1.5, side), indexing="xy")
    n = side * side
    means = torch.stack([x.flatten(), y.flatten(), torch.full((n,), depth)], dim=-1)
    quats = torch.tensor([[0.0, 1.0, 0.0, 0.0]]).repeat(n, 1)
    log_scales = torch.tensor([[0.1, 0.1, 0.01]]).log().repeat(n, 1)
    opacity_logits = logit(0.95).repeat(n)
    return Gaussians(means, quats, log_scales, opacity_logits, rgb_to_sh(torch.tensor([[0.8, 0.1, 0.2]]).repeat(n, 1)))


def test_a_wall_has_its_color_depth_and_alpha() -> None:
    rendering = rasterize(wall(), identity_camera(60, 32, 24))
    assert rendering.rgb.shape == (1, 24, 32, 3)
    assert rendering.depth.shape == rendering.alpha.shape == (1, 24, 32)
    assert rendering.extra is None
    assert rendering.alpha.min() > 0.998
    assert (rendering.depth - 2.0).abs().max() < 1e-3
    assert (rendering.rgb - torch.tensor([0.8, 0.1, 0.2])).abs().max() < 2e-3


def test_background_and_zero_depth_where_nothing_is() -> None:
    background = torch.tensor([0.1, 0.5, 0.9])
    rendering = rasterize(Gaussians.empty(), identity_camera(60, 8, 6), background=background)
    assert torch.equal(rendering.rgb, background.expand(1, 6, 8, 3))
    assert not rendering.depth.any()
    assert not rendering.alpha.any()


@pytest.mark.parametrize("per_view", [False, True])
def test_extra_channels_are_weighted_sums(per_view: bool) -> None:
    gaussians = wall()
    cameras = Cameras.cat([identity_camera(60, 32, 24)] * 2)
    extra = torch.ones(len(gaussians), 5)
    if per_view:
        extra = torch.stack([extra, 2 * extra])
    rendering = rasterize(gaussians, cameras, extra=extra, background=torch.ones(3))
    assert rendering.extra is not None
    assert rendering.extra.shape == (2, 24, 32, 5)
    expected = rendering.alpha[..., None] * torch.tensor([1.0, 2.0 if per_view else 1.0])[:, None, None, None]
    torch.testing.assert_close(rendering.extra, expected.expand(-1, -1, -1, 5), rtol=1e-4, atol=1e-4)


def test_view_dependent_color_changes_across_the_view() -> None:
    gaussians = wall()
    gaussians.sh = torch.nn.functional.pad(gaussians.sh, (0, 0, 0, 3))
    gaussians.sh[:, 3] = -0.3  # basis function -0.49 x: redder to the right
    rgb = rasterize(gaussians, identity_camera(60, 32, 24)).rgb[0, 12]
    slope = 0.4886 * 0.3 * 2 * 0.484  # x of the unit directions through the outermost pixels is +-0.484
    torch.testing.assert_close(rgb[-1] - rgb[0], torch.full((3,), slope), atol=0.01, rtol=0)


@pytest.mark.parametrize("features", [1, 20])
def test_colour_does_not_depend_on_extra_channels(features: int) -> None:
    """Also where the channels are drawn in more than one group."""
    gaussians = wall(side=12)
    gaussians.sh = torch.randn(len(gaussians), 4, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    cameras = Cameras.cat([identity_camera(60, 20, 16)] * 2)
    extra = torch.rand(len(gaussians), features)
    drawn = [rasterize(gaussians, cameras), rasterize(gaussians, cameras, extra=extra)]
    grads = [torch.autograd.grad((d.rgb.square().sum() + d.depth.sum()), gaussians.sh)[0] for d in drawn]
    torch.testing.assert_close(drawn[0].rgb, drawn[1].rgb)
    torch.testing.assert_close(drawn[0].depth, drawn[1].depth)
    torch.testing.assert_close(*grads, rtol=1e-4, atol=1e-5)


def test_gradients_reach_every_parameter() -> None:
    gaussians = wall()
    parameters = [gaussians.means, gaussians.quats, gaussians.log_scales, gaussians.opacity_logits, gaussians.sh]
    for parameter in parameters:
        parameter.requires_grad_()
    extra = torch.rand(len(gaussians), 2, requires_grad=True)
    background = torch.zeros(3, requires_grad=True)
    camera = identity_camera(60, 32, 24)
    rendering = rasterize(gaussians, camera, extra=extra, background=background)
    assert rendering.extra is not None
    ramp = torch.linspace(0, 1, 32)
    loss = (rendering.rgb * ramp[:, None]).sum() + rendering.depth.sum() + (rendering.extra * ramp[:, None]).sum()
    loss.backward()
    for tensor in (*parameters, extra, background):
        assert tensor.grad is not None
        assert tensor.grad.abs().sum() > 0


def test_wrong_extra_or_background_is_explained() -> None:
    camera = identity_camera(60, 8, 6)
    with pytest.raises(ValueError, match="extra"):
        rasterize(wall(), camera, extra=torch.zeros(3, 2))
    with pytest.raises(ValueError, match="background"):
        rasterize(wall(), camera, background=torch.zeros(1, 3))
