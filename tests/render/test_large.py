"""Large scenes and images: nothing wraps around, nothing out of view is paid for in pairs, and memory stays as stated."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from splatmem.render import rasterization
from splatmem.render.extension import load_kernels
from splatmem.render.rasterization import render_views
from torch import Tensor

OPACITY = 0.95
BYTES_PER_GAUSSIAN, BYTES_PER_PAIR = 84, 12  # docs/rasterizer.md; pairs without gradients
BYTES_PER_PAIR_WITH_GRADIENTS = 20 + 65
GROWTH = 1.25  # buffers are a quarter larger than they need be


def camera(width: int, height: int) -> tuple[Tensor, Tensor]:
    """At the origin, looking along z, with a field of view of 90 degrees across."""
    f = width / 2
    return torch.eye(4)[None], torch.tensor([[[f, 0, width / 2], [0, f, height / 2], [0, 0, 1]]])


def sheets(count: int) -> list[Tensor]:
    """Gaussians so large that each covers all of an image evenly, the farthest first."""
    means = torch.zeros(count, 3)
    means[:, 2] = torch.linspace(3, 2, count)
    scales = torch.full((count, 3), 3e4)
    scales[:, 2] = 1e-3
    quats = torch.tensor([[1.0, 0, 0, 0]]).repeat(count, 1)
    colors = torch.rand(count, 1, generator=torch.Generator().manual_seed(0))
    return [means, quats, scales, torch.full((count,), OPACITY), colors]


@pytest.mark.parametrize("count", [30, pytest.param(6200, marks=pytest.mark.slow)], ids=["1M-pairs", "200M-pairs-take-5-GB"])
def test_an_8k_image_full_of_large_gaussians(count: int) -> None:
    """Every Gaussian makes a pair with each of the 32,400 tiles: 6200 of them are 200 million pairs, whose slots for gradients
    lie beyond 2^31 floats and 2^33 bytes. What is seen comes last in the scene, and so in the slots."""
    width, height = 7680, 4320
    leaves = [t.requires_grad_() for t in sheets(count)]
    image, alpha, meta = rasterization(*leaves, *camera(width, height), width, height, packed=True)
    # A pixel stops before its transmittance would fall to 1e-4, so three of these are drawn.
    weights = OPACITY * (1 - OPACITY) ** torch.arange(3)
    expected = (weights * leaves[4].detach().flip(0)[:3, 0]).sum()
    torch.testing.assert_close(image, expected.expand_as(image), rtol=1e-4, atol=0)
    torch.testing.assert_close(alpha, weights.sum().expand_as(alpha), rtol=1e-4, atol=0)
    assert len(meta["gaussian_ids"]) == count
    (grad,) = torch.autograd.grad(image.sum(), leaves[4:])
    torch.testing.assert_close(grad.flip(0)[:3, 0], width * height * weights, rtol=1e-3, atol=0)
    assert not grad[:-3].any()


def rooms(count: int) -> list[Tensor]:
    """A tenth of them before the camera, in one block of the scene; the others far off to all sides and behind."""
    generator = torch.Generator().manual_seed(0)
    means = torch.rand(count, 3, generator=generator) * 4 - torch.tensor([2.0, 2.0, -2.0])
    block = torch.arange(count) * 10 // count
    offsets = torch.tensor([[0.0, 0, 0], [100, 0, 0], [-100, 0, 0], [0, 100, 0], [0, -100, 0], [0, 0, -100], [60, 0, -9],
                            [-60, 0, -9], [0, 60, -9], [0, -60, -9]])  # fmt: skip
    means += offsets[(block + 6) % 10]
    scales = torch.rand(count, 3, generator=generator) * 0.5 / count ** (1 / 3)
    quats = torch.randn(count, 4, generator=generator)
    return [means, quats, scales, torch.rand(count, generator=generator), torch.rand(count, 3, generator=generator)]


@pytest.mark.parametrize("count", [400_000, pytest.param(10_000_000, marks=pytest.mark.slow)])
def test_what_is_out_of_view_changes_nothing(count: int) -> None:
    """With views that share the boxes of the chunks, with few that do not, and with what is in view alone."""
    scene = rooms(count)
    size = (192, 108)
    viewmats, Ks = (t.repeat(5, 1, 1) for t in camera(*size))
    viewmats[:, 0, 3] = torch.linspace(-0.5, 0.5, 5)

    def drawn(tensors: list[Tensor], views: slice = slice(None)) -> tuple[Tensor, Tensor]:
        *shapes, colors = tensors
        return render_views(*shapes, colors[:, None], None, viewmats[views], Ks[views], *size, render_mode="RGB+D")

    image, alpha = drawn(scene)
    seen = rasterization(*scene, viewmats, Ks, *size, packed=True)[2]["gaussian_ids"].unique()
    assert 0.05 * count < len(seen) <= 0.1 * count
    for same in (
        drawn([t[seen] for t in scene]),
        tuple(map(torch.cat, zip(*(drawn(scene, slice(i, i + 1)) for i in range(5)), strict=True))),
    ):
        assert torch.equal(same[0], image)
        assert torch.equal(same[1], alpha)


def pairs_of(image: Tensor) -> int:
    """Pairs of Gaussians and tiles in the drawing that an image comes from."""
    function: Any = image.grad_fn
    while not hasattr(function, "drawing"):
        function = function.next_functions[0][0]
    return function.drawing.views[0][0].statistics()["pairs"]


@pytest.mark.parametrize("gradients", [False, True])
def test_scratch_memory_is_bounded_as_stated(gradients: bool) -> None:
    count, size = 300_000, (640, 360)
    leaves = [t.requires_grad_() for t in rooms(count)]
    view = (*camera(*size), *size)
    pairs = pairs_of(rasterization(*leaves, *view)[0])
    kernels = load_kernels()
    kernels.forget_most_memory()
    before = kernels.most_memory()
    with torch.set_grad_enabled(gradients):
        image, alpha, _ = rasterization(*leaves, *view)
        results = image.numel() + alpha.numel()
        if gradients:
            results += sum(g.numel() for g in torch.autograd.grad(image.sum(), leaves))
    per_pair = BYTES_PER_PAIR_WITH_GRADIENTS if gradients else BYTES_PER_PAIR
    bound = GROWTH * (BYTES_PER_GAUSSIAN * count + per_pair * pairs) + 4 * results + 2**20
    used = kernels.most_memory() - before
    assert pairs > 30_000
    assert 0.5 * bound < used < bound
