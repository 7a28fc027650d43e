"""The projected Gaussians that ``rasterization`` shows in ``meta``: layouts, values, and the gradients through them."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
import torch
from oracle import Scene, project, random_cameras, random_scene
from oracle import render as render_densely
from splatmem.render import rasterization
from torch import Tensor

WIDTH, HEIGHT = 40, 30


def drawn(scene: Scene, viewmats: Tensor, Ks: Tensor, **options: Any) -> tuple[Tensor, Tensor, dict[str, Any]]:
    return rasterization(*scene.tensors(), viewmats, Ks, WIDTH, HEIGHT, **options)


def dense(meta: dict[str, Any], value: Tensor, views: int, count: int) -> Tensor:
    """A packed value as ``[c, n, ...]``."""
    if meta["gaussian_ids"] is None:
        return value
    rows = value.new_zeros(views, count, *value.shape[1:])
    rows[meta["camera_ids"], meta["gaussian_ids"]] = value
    return rows


def assert_close(ours: Tensor, exact: Tensor, tolerance: float = 1e-4) -> None:
    error = ((ours - exact).abs().max() / exact.abs().max().clamp_min(1e-12)).item()
    assert error <= tolerance, f"differs by {error:.1e}"


@pytest.mark.parametrize("packed", [True, False])
def test_values_agree_with_gsplats_projection(packed: bool) -> None:
    scene = random_scene(200, 3)
    scene.opacities[:] = 1.0  # the radii of gsplat's torch projection know no opacities
    viewmats, Ks = random_cameras(2, WIDTH, HEIGHT)
    meta = drawn(scene, viewmats, Ks, packed=packed)[2]
    expected = project(scene, viewmats, Ks, WIDTH, HEIGHT)
    radii = dense(meta, meta["radii"], 2, 200)
    shown = (radii > 0).all(dim=-1)
    assert not (shown & ~expected.visible).any()
    assert shown.sum() > 50
    # gsplat keeps a few more: boxes that reach the image between pixel centres only, or by the rounding of their radii.
    assert (expected.visible & ~shown).sum() <= 0.2 * expected.visible.sum()
    assert not radii[~shown].any()
    for name, tolerance in (("means2d", 1e-4), ("depths", 1e-5), ("conics", 2e-3), ("opacities", 1e-6)):
        value = dense(meta, meta[name], 2, 200)
        torch.testing.assert_close(value[shown], getattr(expected, name)[shown], rtol=tolerance, atol=tolerance)


def test_antialiased_opacities_make_up_for_the_blur() -> None:
    scene = random_scene(200, 3)
    scene.scales *= 0.1
    viewmats, Ks = random_cameras(1, WIDTH, HEIGHT)
    meta = drawn(scene, viewmats, Ks, rasterize_mode="antialiased")[2]
    expected = project(scene, viewmats, Ks, WIDTH, HEIGHT, rasterize_mode="antialiased").opacities
    assert len(meta["opacities"]) > 20
    torch.testing.assert_close(meta["opacities"], expected[0, meta["gaussian_ids"]], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("channels", [3, 7])
def test_retained_and_absolute_gradients_of_the_means(instruction_set: str, packed: bool, channels: int) -> None:
    scene = random_scene(60, channels, seed=3)
    viewmats, Ks = random_cameras(2, 24, 20)
    weights = torch.randn(2, 20, 24, channels, generator=torch.Generator().manual_seed(1))
    image, _, meta = rasterization(*scene.leaves(torch.float32).tensors(), viewmats, Ks, 24, 20, packed=packed, absgrad=True)
    meta["means2d"].retain_grad()
    (image * weights).sum().backward()

    shifts = torch.zeros(2, 60, 20, 24, 2, dtype=torch.float64, requires_grad=True)
    exact, _ = render_densely(scene.leaves(torch.float64), viewmats, Ks, 24, 20, shifts=shifts)
    (exact * weights).sum().backward()
    assert_close(dense(meta, meta["means2d"].grad, 2, 60), shifts.grad.sum(dim=(2, 3)))
    assert_close(dense(meta, meta["means2d"].absgrad, 2, 60), shifts.grad.abs().sum(dim=(2, 3)))
    assert meta["means2d"].grad.shape == meta["means2d"].absgrad.shape == meta["means2d"].shape


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("options", [{}, {"rasterize_mode": "antialiased"}, {"camera_model": "ortho"}])
def test_gradients_flow_through_meta(packed: bool, options: dict) -> None:
    """A loss on the projected Gaussians and on the image at once."""
    scene = random_scene(120, 3, seed=5)
    viewmats, Ks = random_cameras(2, WIDTH, HEIGHT)
    names = ("means2d", "depths", "conics", "opacities")
    generator = torch.Generator().manual_seed(2)
    shapes = zip(names, [(2,), (), (3,), ()], strict=True)
    factors = {name: torch.randn(2, 120, *shape, generator=generator) for name, shape in shapes}

    ours, poses = scene.leaves(torch.float32), viewmats.clone().requires_grad_()
    image, _, meta = drawn(ours, poses, Ks, packed=packed, **options)
    loss = image.sum() + sum((dense(meta, meta[name], 2, 120) * factors[name]).sum() for name in names)
    grads = torch.autograd.grad(loss, [*ours.tensors(), poses])

    exact, exact_poses = scene.leaves(torch.float64), viewmats.double().requires_grad_()
    projected = project(exact, exact_poses, Ks.double(), WIDTH, HEIGHT, **options)
    shown = (dense(meta, meta["radii"], 2, 120) > 0).all(dim=-1)
    loss = render_densely(exact, exact_poses, Ks, WIDTH, HEIGHT, **options)[0].sum()
    loss = loss + sum((getattr(projected, name) * factors[name])[shown].sum() for name in names)
    for ours_grad, exact_grad in zip(grads, torch.autograd.grad(loss, [*exact.tensors(), exact_poses]), strict=True):
        assert_close(ours_grad, exact_grad)


@pytest.mark.parametrize("degree", [None, 2])
def test_gradients_are_the_same_whether_meta_is_kept_or_not(degree: int | None) -> None:
    scene = random_scene(200, 3, seed=7)
    if degree is not None:
        scene.colors = torch.randn(200, 9, 3, generator=torch.Generator().manual_seed(0))
    viewmats, Ks = random_cameras(2, WIDTH, HEIGHT)
    grads = []
    for keep in (True, False):
        leaves, poses = scene.leaves(torch.float32), viewmats.clone().requires_grad_()
        image, alpha, meta = drawn(leaves, poses, Ks, render_mode="RGB+D", sh_degree=degree)
        if not keep:
            del meta
        grads.append(torch.autograd.grad(image.square().sum() + alpha.sum(), [*leaves.tensors(), poses]))
    for kept, dropped in zip(*grads, strict=True):
        torch.testing.assert_close(kept, dropped, rtol=1e-4, atol=1e-4 * dropped.abs().max().item())


def test_hooks_on_the_projected_means_are_heard() -> None:
    scene = random_scene(100, 3)
    viewmats, Ks = random_cameras(1, WIDTH, HEIGHT)
    grads = []
    for factor in (1.0, 0.0):
        leaves = scene.leaves(torch.float32)
        image, _, meta = drawn(leaves, viewmats, Ks, packed=False)
        meta["means2d"].register_hook(lambda grad, factor=factor: factor * grad)
        image.sum().backward()
        grads.append(leaves.means.grad)
    assert (grads[0] - grads[1]).abs().max() > 1e-3


def test_leading_dimensions_are_scenes_of_their_own() -> None:
    scenes = [random_scene(60, 4, seed=seed) for seed in range(4)]
    viewmats, Ks = random_cameras(8, WIDTH, HEIGHT)
    stacked = Scene(*(torch.stack(t).unflatten(0, (2, 2)) for t in zip(*(s.tensors() for s in scenes), strict=True)))
    poses, intrinsics = viewmats.view(2, 2, 2, 4, 4), Ks.view(2, 2, 2, 3, 3)
    backgrounds = torch.rand(2, 2, 2, 4)
    for packed in (True, False):
        leaves = stacked.leaves(torch.float32)
        image, alpha, meta = drawn(leaves, poses, intrinsics, packed=packed, backgrounds=backgrounds, render_mode="RGB+ED")
        assert image.shape == (2, 2, 2, HEIGHT, WIDTH, 5)
        assert alpha.shape == (2, 2, 2, HEIGHT, WIDTH, 1)
        assert (meta["n_batches"], meta["n_cameras"]) == (4, 2)
        grads = torch.autograd.grad(image.square().sum(), leaves.tensors())
        for i, scene in enumerate(scenes):
            single = scene.leaves(torch.float32)
            expected, _, part = drawn(
                single, viewmats[2 * i : 2 * i + 2], Ks[2 * i : 2 * i + 2], packed=packed,
                backgrounds=backgrounds.view(4, 2, 4)[i], render_mode="RGB+ED",
            )  # fmt: skip
            assert torch.equal(image.flatten(0, 1)[i], expected)
            own = meta["batch_ids"] == i if packed else (i // 2, i % 2)
            assert torch.equal(meta["means2d"][own], part["means2d"])
            assert torch.equal(meta["radii"][own], part["radii"])
            for a, b in zip(grads, torch.autograd.grad(expected.square().sum(), single.tensors()), strict=True):
                assert torch.equal(a.flatten(0, 1)[i], b)


def test_nothing_is_kept_alive() -> None:
    scene = random_scene(50, 3).leaves(torch.float32)
    viewmats, Ks = random_cameras(1, WIDTH, HEIGHT)
    gc.disable()
    try:
        image, alpha, meta = drawn(scene, viewmats, Ks)
        references = [weakref.ref(t) for t in (image, alpha, meta["means2d"], meta["conics"])]
        del image, alpha, meta
        assert all(ref() is None for ref in references)
    finally:
        gc.enable()


@pytest.mark.parametrize("packed", [True, False])
def test_meta_may_be_looked_at_after_the_backward_pass(packed: bool) -> None:
    scene = random_scene(60, 3, seed=3)
    viewmats, Ks = random_cameras(2, WIDTH, HEIGHT)
    early = drawn(scene, viewmats, Ks, packed=packed)[2]
    values = {name: early[name] for name in ("means2d", "radii", "depths", "conics", "opacities")}
    leaves = scene.leaves(torch.float32)
    image, _, late = drawn(leaves, viewmats, Ks, packed=packed)
    image.sum().backward()
    assert leaves.means.grad is not None
    assert set(values) <= set(late)
    for name, value in values.items():
        assert torch.equal(late[name], value)
