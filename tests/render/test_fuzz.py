"""Scenes that hypothesis makes up, damaged and extreme ones among them, against the dense float64 oracle."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import Scene, random_cameras, random_scene, render
from splatmem.render import rasterization
from torch import Tensor

NASTY = (float("nan"), float("inf"), float("-inf"))
# A faint alpha or a last transmittance may fall to either side of its threshold: single pixels then differ by so much.
SINGLE_PIXELS, EVERYWHERE = 0.02, 2e-4


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    """Gaussians from points to walls, needles among them, before, around and behind the near plane, and some damaged."""
    count, channels = draw(st.integers(0, 120)), draw(st.integers(1, 18))
    scene = random_scene(count, channels, seed=draw(st.integers(0, 10_000)))
    scene.scales *= 10 ** draw(st.floats(-2, 1.5))
    if draw(st.booleans()):
        scene.scales[:, 0] *= 30  # needles
    if draw(st.booleans()):
        scene.means[: count // 2, 2] = 0.3 + 1e-3 * torch.randn(count // 2, generator=torch.Generator().manual_seed(1))
    for row in draw(st.lists(st.integers(0, max(count - 1, 0)), max_size=10)) if count else []:
        tensor = draw(st.sampled_from(scene.tensors()))
        tensor.view(count, -1)[row, 0] = draw(st.sampled_from(NASTY))
    return scene


@settings(max_examples=40)
@given(
    scene=scenes(),
    width=st.integers(1, 70),
    height=st.integers(1, 70),
    mode=st.sampled_from(["RGB", "RGB+D", "RGB+ED", "D"]),
    model=st.sampled_from(["pinhole", "ortho"]),
    antialiased=st.booleans(),
)
def test_agrees_with_the_oracle(scene: Scene, width: int, height: int, mode: str, model: str, antialiased: bool) -> None:
    used = scene.tensors() if mode != "D" else scene.tensors()[:4]
    whole = torch.stack([torch.isfinite(t[:, None]).flatten(1).all(dim=1) for t in used]).all(dim=0)
    viewmats, Ks = random_cameras(1, width, height, seed=width)
    options = {"render_mode": mode, "camera_model": model, "rasterize_mode": "antialiased" if antialiased else "classic"}
    options["near_plane"] = 0.3
    leaves, poses = scene.leaves(torch.float32), viewmats.clone().requires_grad_()
    image, alpha, _ = rasterization(*leaves.tensors(), poses, Ks, width, height, **options)
    assert torch.isfinite(image).all()
    assert ((alpha >= 0) & (alpha <= 1)).all()
    if len(whole):
        inputs = [*leaves.tensors(), poses]
        grads = torch.autograd.grad(image.square().sum() + alpha.sum(), inputs, allow_unused=True)
        assert all(torch.isfinite(g).all() for g in grads if g is not None)
        damaged = (g[~whole] for g in grads[:4] if g is not None)
        assert not any(g.any() for g in damaged)

    rest = Scene(*(t[whole].double() for t in scene.tensors()))
    exact, exact_alpha = render(rest, viewmats, Ks, width, height, **options)
    size = exact.abs().max().clamp_min(1)
    for ours, dense, unit in ((image, exact, size), (alpha, exact_alpha, 1)):
        error = (ours - dense).abs() / unit
        assert error.max() <= SINGLE_PIXELS
        assert error.mean() <= EVERYWHERE


@pytest.mark.parametrize(("mode", "model"), [("classic", "pinhole"), ("antialiased", "pinhole"), ("classic", "ortho")])
def test_the_oracle_has_right_gradients(mode: str, model: str) -> None:
    """Against finite differences: what the kernels are compared with is itself right."""
    scene = random_scene(7, 2, seed=4)
    scene.means = torch.stack([0.3 * scene.means[:, 0], 0.3 * scene.means[:, 1], torch.linspace(1.5, 3, 7)], dim=1)
    scene.scales, scene.opacities = (
        0.5 + 0.5 * scene.colors.repeat(1, 2)[:, :3],
        scene.opacities.clamp(0.2, 0.9),
    )  # nothing near a threshold
    scene = scene.leaves(torch.float64)
    viewmats, Ks = random_cameras(1, 9, 7)

    def drawn(*leaves: Tensor) -> tuple[Tensor, Tensor]:
        tensors, poses = leaves[:-1], leaves[-1]
        options = {"rasterize_mode": mode, "camera_model": model, "render_mode": "RGB+D"}
        return render(Scene(*tensors), poses, Ks, 9, 7, **options)

    poses = viewmats.double().requires_grad_()
    assert drawn(*scene.tensors(), poses)[1].min() > 0.1
    assert torch.autograd.gradcheck(drawn, (*scene.tensors(), poses), eps=1e-7, atol=1e-4, rtol=1e-3)
