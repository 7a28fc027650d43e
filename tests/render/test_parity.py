"""The kernels against the dense float64 oracle, forward and backward."""

from __future__ import annotations

import pytest
import torch
from oracle import Scene, project, random_cameras, random_scene
from oracle import render as render_densely
from splatmem.render import rasterization
from torch import Tensor

FORWARD_TOLERANCE = 1e-5  # relative to the largest value, or absolute where that is below 1
GRADIENT_TOLERANCE = 3e-5  # relative, of each gradient as a vector
ENTRY_TOLERANCE = 5e-5  # of a single entry, relative to the largest

CASES = [
    # width, height, channels, mode, views, background
    pytest.param(52, 37, 3, "RGB", 1, False, id="rgb"),
    pytest.param(33, 70, 3, "RGB+D", 2, True, id="depth-two-views-background"),
    pytest.param(64, 64, 3, "RGB+ED", 1, True, id="expected-depth"),
    pytest.param(50, 30, 3, "D", 1, False, id="only-depth"),
    pytest.param(41, 40, 3, "ED", 2, True, id="only-expected-depth"),
    pytest.param(40, 40, 1, "RGB", 1, True, id="1-channel"),
    pytest.param(40, 23, 7, "RGB+D", 1, True, id="7-channels-and-depth"),
    pytest.param(45, 40, 16, "RGB", 1, False, id="16-channels"),
    pytest.param(39, 40, 20, "RGB+D", 2, True, id="20-channels-in-two-groups"),
    pytest.param(36, 33, 33, "RGB", 1, False, id="33-channels-in-three-groups"),
    pytest.param(1, 1, 3, "RGB+D", 1, False, id="one-pixel"),
    pytest.param(130, 5, 3, "RGB", 1, False, id="five-tiles-in-a-row"),
]


def both(
    scene: Scene, viewmats: Tensor, Ks: Tensor, width: int, height: int, backgrounds: Tensor | None = None, **options
) -> tuple[list[Tensor], list[Tensor], list[Tensor], list[Tensor]]:
    """Image and alpha of the kernels and of the oracle, and the gradients of one random loss through each."""
    ours, dense = scene.leaves(torch.float32), scene.leaves(torch.float64)
    poses, exact_poses = viewmats.clone().requires_grad_(), viewmats.double().requires_grad_()
    drawn = list(rasterization(*ours.tensors(), poses, Ks, width, height, backgrounds=backgrounds, **options)[:2])
    exact_backgrounds = None if backgrounds is None else backgrounds.double()
    expected = list(render_densely(dense, exact_poses, Ks, width, height, exact_backgrounds, **options))
    grads = [
        list(torch.autograd.grad(random_loss(tensors), leaves, allow_unused=True))
        for tensors, leaves in ((drawn, [*ours.tensors(), poses]), (expected, [*dense.tensors(), exact_poses]))
    ]
    return drawn, expected, *grads


def random_loss(tensors: list[Tensor]) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.stack([(t * torch.randn(t.shape, generator=generator)).sum() for t in tensors]).sum()


def assert_same(drawn: list[Tensor], expected: list[Tensor], grads: list[Tensor], expected_grads: list[Tensor]) -> None:
    for name, ours, dense in zip(("image", "alpha"), drawn, expected, strict=True):
        error = ((ours - dense).abs().max() / dense.abs().max().clamp_min(1)).item()
        assert error <= FORWARD_TOLERANCE, f"{name} differs by {error:.1e}"
    names = ("means", "quats", "scales", "opacities", "colors", "viewmats")
    for name, ours, dense in zip(names, grads, expected_grads, strict=True):
        if dense is None:  # the colours, where only depth is drawn
            assert ours is None or not ours.any()
            continue
        error = ((ours - dense).norm() / dense.norm().clamp_min(1e-12)).item()
        assert error <= GRADIENT_TOLERANCE, f"gradient of {name} differs by {error:.1e}"
        error = ((ours - dense).abs().max() / dense.abs().max().clamp_min(1e-12)).item()
        assert error <= ENTRY_TOLERANCE, f"an entry of the gradient of {name} differs by {error:.1e}"


@pytest.mark.parametrize(("width", "height", "channels", "mode", "views", "background"), CASES)
def test_matches_the_oracle(
    instruction_set: str, width: int, height: int, channels: int, mode: str, views: int, background: bool
) -> None:
    scene = random_scene(300, channels, seed=width)
    viewmats, Ks = random_cameras(views, width, height, seed=height)
    backgrounds = torch.rand(views, channels, generator=torch.Generator().manual_seed(1)) if background else None
    assert_same(*both(scene, viewmats, Ks, width, height, backgrounds, render_mode=mode))


def test_matches_with_colors_per_view() -> None:
    viewmats, Ks = random_cameras(3, 40, 30)
    assert_same(*both(random_scene(200, 4, views=3), viewmats, Ks, 40, 30))


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_spherical_harmonics(instruction_set: str, degree: int) -> None:
    scene = random_scene(200, 3, seed=degree)
    scene.colors = 0.5 * torch.randn(200, 16, 3, generator=torch.Generator().manual_seed(degree))  # some colours are clamped
    viewmats, Ks = random_cameras(2, 44, 31)
    assert_same(*both(scene, viewmats, Ks, 44, 31, torch.rand(2, 3), render_mode="RGB+D", sh_degree=degree))


def test_spherical_harmonics_per_view() -> None:
    scene = random_scene(100, 3)
    scene.colors = torch.randn(2, 100, 4, 3, generator=torch.Generator().manual_seed(0))
    viewmats, Ks = random_cameras(2, 30, 30)
    assert_same(*both(scene, viewmats, Ks, 30, 30, sh_degree=1))


@pytest.mark.parametrize("mode", ["classic", "antialiased"])
@pytest.mark.parametrize("model", ["pinhole", "ortho"])
@pytest.mark.parametrize("eps2d", [0.0, 0.3])
def test_camera_models_and_antialiasing(instruction_set: str, mode: str, model: str, eps2d: float) -> None:
    scene = random_scene(200, 3, seed=11)
    viewmats, Ks = random_cameras(2, 40, 33)
    if model == "ortho":
        Ks[:, :2, :2] *= 0.4  # pixels per world unit now
    if eps2d == 0:
        scene.scales = scene.scales.clamp_min(0.05)  # else gaps between the pixels make gradients of single pixels decide
    options = {"rasterize_mode": mode, "camera_model": model, "eps2d": eps2d, "render_mode": "RGB+ED"}
    assert_same(*both(scene, viewmats, Ks, 40, 33, **options))


CHUNK = 4096  # Gaussians of which a call with several views finds the box, csrc/view.h


def scene_of_blocks() -> Scene:
    """27 chunks, each a block of its own: before the camera, across the image's borders and the near and far planes, and far
    off. One Gaussian in 32 is not transparent, which is enough for the oracle."""
    scene = random_scene(27 * CHUNK, 3, seed=2)
    generator = torch.Generator().manual_seed(5)
    sides = [torch.tensor(c) for c in ([-4.0, 0.0, 6.0], [-3.2, 0.0, 5.0], [0.3, 2.5, 6.0])]
    centers = torch.cartesian_prod(*sides).repeat_interleave(CHUNK, dim=0)
    half = torch.stack([torch.full((len(centers),), 1.5), torch.full((len(centers),), 1.2), 0.1 + 0.3 * centers[:, 2]], dim=-1)
    scene.means = centers + half * (2 * torch.rand(centers.shape, generator=generator) - 1)
    scene.scales = scene.scales.clamp(max=0.1)
    scene.opacities[torch.arange(len(centers)) % 32 != 0] = 0
    return scene


@pytest.mark.parametrize("model", ["pinhole", "ortho"])
def test_chunks_that_are_out_of_view_as_a_whole(instruction_set: str, model: str) -> None:
    """Four views in one call share the chunks' boxes and pass over those out of view; one drawn alone asks every Gaussian."""
    width, height, scene = 36, 28, scene_of_blocks()
    viewmats, Ks = random_cameras(4, width, height, seed=1)
    if model == "ortho":
        Ks[:, :2, :2] *= 0.2
    options = {"camera_model": model, "near_plane": 0.25, "far_plane": 6.5}
    visible = project(scene, viewmats, Ks, width, height, **options).visible.unflatten(1, (27, CHUNK)).any(dim=(0, 2))
    assert 5 < visible.sum() < 22, "some chunks are to be in view, some not"

    options["render_mode"] = "RGB+D"
    drawn, expected, grads, expected_grads = both(scene, viewmats, Ks, width, height, **options)
    assert_same(drawn, expected, grads, expected_grads)
    leaves, poses = scene.leaves(torch.float32), viewmats.clone().requires_grad_()
    apart = [rasterization(*leaves.tensors(), poses[i : i + 1], Ks[i : i + 1], width, height, **options)[:2] for i in range(4)]
    together = [torch.cat(parts) for parts in zip(*apart, strict=True)]
    assert all(torch.equal(a, b) for a, b in zip(drawn, together, strict=True))
    for a, b in zip(grads, torch.autograd.grad(random_loss(together), [*leaves.tensors(), poses]), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6 * a.abs().max().item())


def test_opaque_scene_stops_early() -> None:
    """Pixels that stop, and alphas at the cap, whose Gaussians then get no gradient."""
    scene = random_scene(400, 3, seed=8)
    scene.opacities = scene.opacities * 0.2 + 0.8
    scene.scales = scene.scales * 2.5
    viewmats, Ks = random_cameras(1, 48, 48)
    drawn, *rest = both(scene, viewmats, Ks, 48, 48, torch.rand(1, 3))
    assert (drawn[1] > 0.9997).float().mean() > 0.3
    assert_same(drawn, *rest)


def test_needles_are_as_exact_as_float32_allows() -> None:
    """Gaussians hundreds of pixels long and half a pixel thick, at all angles: float32 cannot be exact here, but the kernels
    are at least as near to float64 as the oracle's formulas in float32 are."""
    scene = random_scene(60, 3, seed=5)
    scene.scales = torch.tensor([3.0, 0.001, 0.001]).repeat(60, 1)
    scene.means[:, 2] = scene.means[:, 2].abs() + 2
    viewmats, Ks = random_cameras(1, 150, 100)
    drawn, expected, grads, expected_grads = both(scene, viewmats, Ks, 150, 100)
    single = scene.leaves(torch.float32)
    drawn_single = list(render_densely(single, viewmats, Ks, 150, 100))
    grads_single = torch.autograd.grad(random_loss(drawn_single), single.tensors())
    ours, exact = [*drawn, *grads[:-1]], [*expected, *expected_grads[:-1]]
    for a, b, c in zip(ours, [*drawn_single, *grads_single], exact, strict=True):
        assert (a - c).norm() <= (b - c).norm()
    assert all((a - b).norm() <= 2e-3 * b.norm() for a, b in zip(grads, expected_grads, strict=True))


def test_gradient_of_the_background() -> None:
    scene = random_scene(50, 3)
    viewmats, Ks = random_cameras(1, 20, 20)
    backgrounds = torch.rand(1, 3, requires_grad=True)
    image, alpha, _ = rasterization(*scene.tensors(), viewmats, Ks, 20, 20, backgrounds=backgrounds)
    (grad,) = torch.autograd.grad(image.sum(), backgrounds)
    torch.testing.assert_close(grad, (1 - alpha).sum().expand(1, 3))


def test_backward_twice_through_one_graph() -> None:
    scene = random_scene(100, 3).leaves(torch.float32)
    viewmats, Ks = random_cameras(2, 30, 20)
    image = rasterization(*scene.tensors(), viewmats, Ks, 30, 20)[0]
    first = torch.autograd.grad(image.sum(), scene.tensors(), retain_graph=True)
    rasterization(*random_scene(500, 3, seed=9).tensors(), viewmats, Ks, 30, 20)  # another view in between
    second = torch.autograd.grad(image.sum(), scene.tensors())
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.usefixtures("restore_threads", "unchecked")
@pytest.mark.parametrize("channels", [3, 18])
def test_same_bytes_for_any_number_of_threads(channels: int) -> None:
    scene = random_scene(12_000, channels, seed=2)  # three chunks
    scene.means[:3000] = scene.means[3000:6000]  # equal depths
    viewmats, Ks = random_cameras(1, 200, 120)
    results = []
    for threads in (1, 2, 3, 8):
        torch.set_num_threads(threads)
        leaves = scene.leaves(torch.float32)
        image, alpha, _ = rasterization(*leaves.tensors(), viewmats, Ks, 200, 120, render_mode="RGB+D")
        results.append([image, alpha, *torch.autograd.grad(image.square().sum() + alpha.sum(), leaves.tensors())])
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_matches_gsplat_on_cuda() -> None:
    scene = random_scene(2000, 3, seed=4)
    viewmats, Ks = random_cameras(2, 100, 80)
    ours = rasterization(*scene.tensors(), viewmats, Ks, 100, 80, render_mode="RGB+ED")
    theirs = rasterization(*(t.cuda() for t in (*scene.tensors(), viewmats, Ks)), 100, 80, render_mode="RGB+ED")
    for a, b in zip(ours[:2], theirs[:2], strict=True):
        assert (a - b.cpu()).abs().mean() < 1e-5
