"""The functional signature: layouts, meta, what is refused, and scenes that are not nice."""

from __future__ import annotations

import builtins
from types import SimpleNamespace

import hypothesis
import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from oracle import random_cameras, random_scene
from splatmem.render import rasterization
from splatmem.render.extension import load_kernels

NASTY = [0.0, -0.0, 1e-30, 1e-12, -1.0, 1e6, 1e18, -1e18, float("nan"), float("inf"), float("-inf")]


def draw(*scene, width: int = 16, height: int = 16, **options):
    viewmats, Ks = random_cameras(1, width, height)
    return rasterization(*scene, viewmats, Ks, width, height, **options)


def test_shapes_and_meta() -> None:
    scene = random_scene(100, 5)
    viewmats, Ks = random_cameras(3, 20, 10)
    image, alpha, meta = rasterization(*scene.tensors(), viewmats, Ks, 20, 10, render_mode="RGB+D")
    assert image.shape == (3, 10, 20, 6)
    assert alpha.shape == (3, 10, 20, 1)
    rows = len(meta["gaussian_ids"])
    shapes = {name: tuple(meta[name].shape) for name in ("camera_ids", "radii", "means2d", "depths", "conics", "opacities")}
    assert shapes == {
        "camera_ids": (rows,), "radii": (rows, 2), "means2d": (rows, 2), "depths": (rows,), "conics": (rows, 3),
        "opacities": (rows,),
    }  # fmt: skip
    assert meta["camera_ids"].unique().tolist() == [0, 1, 2]


@pytest.mark.parametrize("mode", ["RGB", "RGB+ED", "D"])
def test_empty_scene_is_the_background(mode: str) -> None:
    empty = [torch.zeros(0, *shape, requires_grad=True) for shape in ((3,), (4,), (3,), (), (3,))]
    backgrounds = torch.tensor([[0.2, 0.4, 0.6]])
    image, alpha, meta = draw(*empty, backgrounds=backgrounds, render_mode=mode)
    assert not alpha.any()
    assert len(meta["radii"]) == 0
    if "RGB" in mode:
        assert torch.equal(image[..., :3], backgrounds.expand(1, 16, 16, 3))
    image.sum().backward()


def test_nothing_in_view() -> None:
    scene = random_scene(50, 3)
    scene.means[:, 2] = -3.0
    leaves = scene.leaves(torch.float32)
    image, alpha, _ = draw(*leaves.tensors())
    assert not image.any()
    assert not alpha.any()
    image.sum().backward()
    assert all(not t.grad.any() for t in leaves.tensors())


def test_planes_and_radius_clip_drop_gaussians() -> None:
    means = torch.tensor([[0.0, 0, 1], [0.02, 0, 2], [0.04, 0, 3]])
    scene = (means, torch.tensor([[1.0, 0, 0, 0]] * 3), torch.full((3, 3), 0.1), torch.full((3,), 0.5), torch.eye(3))
    near = draw(*scene, near_plane=1.5)[2]["gaussian_ids"].tolist()
    far = draw(*scene, far_plane=2.5)[2]["gaussian_ids"].tolist()
    clipped = draw(*scene, radius_clip=4.0)[2]
    assert len(near) == 2
    assert 0 not in near
    assert len(far) == 2
    assert 2 not in far
    assert (clipped["radii"] > 4).any(dim=-1).all()


@hypothesis.given(
    seed=st.integers(0, 2**31),
    damage=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 10**6), st.sampled_from(NASTY)), max_size=12),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    channels=st.integers(1, 18),
)
@hypothesis.settings(max_examples=60)
def test_damaged_gaussians_leave_image_and_gradients_finite(seed, damage, size, channels) -> None:
    scene = random_scene(64, channels, seed=seed).leaves(torch.float32)
    colors = scene.colors.detach()
    with torch.no_grad():
        for which, where, value in damage:
            if which == 4 and np.isfinite(value):
                continue  # a finite colour is drawn as it is, however large
            flat = scene.tensors()[which].view(-1)
            flat[where % flat.numel()] = value
    image, alpha, _ = draw(*scene.tensors(), width=size[0], height=size[1], render_mode="RGB+ED")
    assert torch.isfinite(image).all()
    assert ((alpha >= 0) & (alpha <= 1)).all()
    (image.sum() + alpha.sum()).backward()
    for tensor in scene.tensors():
        assert torch.isfinite(tensor.grad).all()
    assert colors.shape == scene.colors.shape


@hypothesis.given(seed=st.integers(0, 2**31), offset=st.floats(-0.02, 0.02), scale=st.floats(1e-6, 3.0))
@hypothesis.settings(max_examples=40)
def test_gaussians_around_the_near_plane(seed, offset, scale) -> None:
    scene = random_scene(40, 3, seed=seed)
    scene.means *= 0.01
    scene.means[:, 2] = 0.01 + offset
    scene.scales[:] = scale
    leaves = scene.leaves(torch.float32)
    image, alpha, _ = draw(*leaves.tensors(), render_mode="RGB+D")
    assert torch.isfinite(image).all()
    (image.sum() + alpha.sum()).backward()
    assert all(torch.isfinite(t.grad).all() for t in leaves.tensors())


def test_a_zero_quaternion_is_no_rotation() -> None:
    scene = random_scene(30, 3)
    none, identity = torch.zeros(30, 4), torch.tensor([[1.0, 0, 0, 0]]).repeat(30, 1)
    images = [draw(scene.means, quats, *scene.tensors()[2:])[0] for quats in (none, identity)]
    assert torch.equal(*images)


@pytest.mark.breaks_annotations
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("sh_degree", {"sh_degree": 4, "colors": torch.zeros(5, 25, 3)}),
        ("absgrad", {"absgrad": True, "colors": torch.zeros(5, 17)}),
        ("sparse_grad", {"sparse_grad": True}),
        ("distributed", {"distributed": True}),
        ("camera_model", {"camera_model": "fisheye"}),
        ("covars", {"covars": torch.eye(3)}),
        ("radial_coeffs", {"radial_coeffs": torch.zeros(1, 6)}),
        ("with_ut", {"with_ut": True}),
        ("rolling_shutter", {"rolling_shutter": SimpleNamespace(name="ROLLING_TOP_TO_BOTTOM")}),
        ("Ks", {"Ks": torch.eye(3)[None].requires_grad_()}),
    ],
)
def test_what_is_not_supported_names_its_argument(name: str, options: dict) -> None:
    with pytest.raises(NotImplementedError, match=name):
        viewmats, Ks = random_cameras(1, 16, 16)
        rasterization(**{**vars(random_scene(5, 3)), "viewmats": viewmats, "Ks": Ks, "width": 16, "height": 16, **options})


def test_gsplats_defaults_are_accepted() -> None:
    draw(
        *random_scene(5, 3).tensors(), distributed=False, camera_model="pinhole", covars=None, with_ut=False, segmented=True,
        rolling_shutter=SimpleNamespace(name="GLOBAL"), viewmats_rs=None,
    )  # fmt: skip


def test_unknown_arguments_are_refused() -> None:
    with pytest.raises(TypeError, match="sh_degre"):
        draw(*random_scene(5, 3).tensors(), sh_degre=None)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("channels", [3, 20])
def test_colours_of_half_precision(dtype: torch.dtype, channels: int) -> None:
    scene = random_scene(100, channels)
    scene.colors[0, 0], scene.colors[1, 0], scene.colors[2, 0] = 6e-8, -1e-5, 60000.0  # subnormal, and large
    half = scene.colors.to(dtype).requires_grad_()
    image = draw(*scene.tensors()[:4], half)[0]
    single = half.detach().float().requires_grad_()
    expected = draw(*scene.tensors()[:4], single)[0]
    assert torch.equal(image, expected)
    (grad,), (expected_grad,) = (torch.autograd.grad(i.sum(), c) for i, c in ((image, half), (expected, single)))
    assert grad.dtype == dtype
    assert torch.equal(grad, expected_grad.to(dtype))


@pytest.mark.breaks_annotations
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"means": torch.zeros(5, 2)}, "means"),
        ({"quats": torch.zeros(4, 4)}, "quats"),
        ({"opacities": torch.zeros(5, 1)}, "opacities"),
        ({"colors": torch.zeros(2, 5, 3)}, "colors"),
        ({"scales": torch.zeros(5, 3, dtype=torch.float64)}, "float32"),
        ({"sh_degree": 0, "colors": torch.zeros(5, 1, 3, dtype=torch.float64)}, "float32"),
        ({"viewmats": torch.full((1, 4, 4), float("nan"))}, "finite"),
        ({"viewmats": torch.zeros(0, 4, 4), "Ks": torch.zeros(0, 3, 3)}, "camera"),
        ({"width": 0}, "width"),
        ({"near_plane": 0.0}, "near_plane"),
        ({"render_mode": "depth"}, "render_mode"),
        ({"rasterize_mode": "sharp"}, "rasterize_mode"),
        ({"quats": torch.zeros(5, 4, dtype=torch.float16)}, "float32"),
        ({"backgrounds": torch.zeros(3)}, "backgrounds"),
        ({"sh_degree": 0}, "sh_degree"),
        ({"means": torch.zeros(2, 5, 3)}, r"quats must have shape \(2, 5, 4\)"),
        ({"sh_degree": 2, "colors": torch.zeros(5, 4, 3)}, "needs 9 coefficients"),
    ],
)
def test_wrong_input_is_explained(change: dict, message: str) -> None:
    scene = random_scene(5, 3)
    viewmats, Ks = random_cameras(1, 8, 8)
    arguments = {**vars(scene), "viewmats": viewmats, "Ks": Ks, "width": 8, "height": 8} | change
    with pytest.raises(ValueError, match=message):
        rasterization(**arguments)


def test_missing_extension_says_how_to_build_it(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def without_kernels(name, *args, **kwargs):
        if name == "splatmem.render" and args[2] == ("_kernels",):
            raise ImportError("no such file")
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_kernels)
    with pytest.raises(ImportError, match=r"pip install \.[\s\S]*g\+\+"):
        load_kernels.__wrapped__()


def test_extension_of_other_sources_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_kernels(), "interface", -1)
    with pytest.raises(ImportError, match=r"other sources[\s\S]*build_kernels"):
        load_kernels.__wrapped__()
