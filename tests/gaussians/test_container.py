"""What a scene keeps of its parameters."""

from __future__ import annotations

from dataclasses import replace

import torch
from splatmem.gaussians import Gaussians


def gaussians(count: int) -> Gaussians:
    return Gaussians(*(torch.randn(count, *shape) for shape in ((3,), (4,), (3,), (), (1, 3))))


def test_scales_and_opacities_are_worked_out_once_and_follow_every_change() -> None:
    scene = gaussians(5)
    assert scene.scales is scene.scales
    assert scene.opacities is scene.opacities
    scene.log_scales[2] += 1
    scene.opacity_logits = scene.opacity_logits + 1
    for changed in (scene, replace(scene, log_scales=scene.log_scales - 1)):
        assert torch.equal(changed.scales, changed.log_scales.exp())
        assert torch.equal(changed.opacities, changed.opacity_logits.sigmoid())


def test_gradients_flow_through_them_again_and_again() -> None:
    scene = gaussians(5)
    scene.log_scales.requires_grad_()
    for _ in range(2):
        (gradient,) = torch.autograd.grad(scene.scales.sum(), scene.log_scales)
        assert torch.equal(gradient, scene.log_scales.detach().exp())
