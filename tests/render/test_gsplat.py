"""What gsplat is called with on CUDA: its own Python runs, with all that it asserts, on a device that is pretended."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gsplat
import pytest
import torch
from oracle import random_cameras, random_scene
from splatmem.render.rasterization import rasterization
from torch import Tensor

from gsplat_on_cpu import kernels_in_torch
from pretend_device import pretended

SIZE = (21, 17)
MODES = ["RGB", "D", "ED", "RGB+D", "RGB+ED"]
NAMES = ("means", "quats", "scales", "opacities", "colors", "viewmats", "backgrounds")


@pytest.fixture(autouse=True)
def cuda() -> Iterator[None]:
    with pretended("cuda"), kernels_in_torch():
        yield


def inputs(channels: int = 3, views: int = 2, count: int = 40, own_colours: bool = False) -> dict[str, Tensor]:
    scene = random_scene(count, channels, seed=5, views=views if own_colours else 0)
    viewmats, Ks = random_cameras(views, *SIZE, seed=6)
    backgrounds = torch.rand(views, channels, generator=torch.Generator().manual_seed(1))
    tensors = (*scene.tensors(), viewmats, backgrounds)
    return dict(zip(NAMES, tensors, strict=True)) | {"Ks": Ks}


def drawn(given: dict[str, Tensor], device: str, **options: Any) -> tuple[list[Tensor], dict[str, Tensor | None]]:
    """Image and alpha, and the gradients of a sum of them, in main memory."""
    leaves = {name: tensor.to(device).requires_grad_(name != "Ks") for name, tensor in given.items()}
    results = rasterization(**leaves, width=SIZE[0], height=SIZE[1], **options)[:2]
    assert all(result.device.type == device for result in results)
    generator = torch.Generator().manual_seed(3)
    loss = torch.stack([(t * torch.randn(t.shape, generator=generator).to(device)).sum() for t in results]).sum()
    grads = torch.autograd.grad(loss, [leaves[name] for name in NAMES if name in leaves], allow_unused=True)
    return [t.detach().cpu() for t in results], {
        name: None if grad is None else grad.cpu() for name, grad in zip([n for n in NAMES if n in leaves], grads, strict=True)
    }


def assert_same(given: dict[str, Tensor], **options: Any) -> None:
    (here, grads), (there, grads_there) = (drawn(given, device, **options) for device in ("cpu", "cuda"))
    for name, ours, theirs in zip(("image", "alpha"), here, there, strict=True):
        torch.testing.assert_close(theirs, ours, atol=2e-4, rtol=1e-4, msg=lambda text, name=name: f"{name}: {text}")
    for name, ours in grads.items():
        theirs = grads_there[name]
        if ours is None or theirs is None:
            assert not any(g is not None and g.any() for g in (ours, theirs)), name
        else:
            assert (theirs.double() - ours).norm() <= 2e-3 * ours.double().norm(), name


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("mode", MODES)
def test_backgrounds_of_each_view(mode: str, packed: bool) -> None:
    assert_same(inputs(), render_mode=mode, packed=packed)


def test_gsplat_itself_takes_no_backgrounds_of_packed_drawings() -> None:
    given = {name: tensor.to("cuda") for name, tensor in inputs().items()}
    with pytest.raises(AssertionError):
        gsplat.rasterization(**given, width=SIZE[0], height=SIZE[1])


@pytest.mark.parametrize("channels", [1, 4, 6, 16, 20, 32, 36, 70])
@pytest.mark.parametrize("mode", ["RGB", "RGB+ED"])
def test_features(channels: int, mode: str) -> None:
    assert_same(inputs(channels), render_mode=mode)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("own_colours", [True, False])
@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_harmonics(degree: int, own_colours: bool, packed: bool) -> None:
    given = inputs()
    given["colors"] = 0.4 * torch.randn(*((2,) if own_colours else ()), 40, 16, 3, generator=torch.Generator().manual_seed(2))
    assert_same(given, sh_degree=degree, packed=packed, render_mode="RGB+ED")


@pytest.mark.parametrize("options", [{"rasterize_mode": "antialiased"}, {"camera_model": "ortho"}, {"eps2d": 0.1}])
@pytest.mark.parametrize("packed", [True, False])
def test_other_settings(options: dict[str, Any], packed: bool) -> None:
    assert_same(inputs(own_colours=True), packed=packed, **options)


@pytest.mark.parametrize("packed", [True, False])
def test_scenes_side_by_side(packed: bool) -> None:
    scenes = [inputs(), inputs()]
    scenes[1]["means"] = scenes[1]["means"] + 0.1
    given = {name: torch.stack([scene[name] for scene in scenes]) for name in scenes[0]}
    given["opacities"] = torch.stack([scene["opacities"] for scene in scenes], dim=-1).T  # not in the order of memory
    assert_same(given, packed=packed, render_mode="RGB+ED")


@pytest.mark.parametrize("mode", MODES)
def test_no_gaussians(mode: str) -> None:
    assert_same(inputs(count=0), render_mode=mode)


def test_nothing_in_view() -> None:
    given = inputs()
    given["means"] = given["means"] - 100
    assert_same(given, render_mode="RGB+ED")


def test_no_colours_where_depth_alone_is_drawn() -> None:
    given = inputs()
    del given["backgrounds"]
    given["colors"] = given["colors"][:, :0]
    assert_same(given, render_mode="D")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_colours_in_half_precision(dtype: torch.dtype) -> None:
    given = inputs(16)
    del given["backgrounds"]
    given["colors"] = given["colors"].to(dtype)
    images = [drawn(given, device)[0][0] for device in ("cpu", "cuda")]
    assert images[1].dtype == torch.float32
    torch.testing.assert_close(images[1], images[0], atol=2e-3, rtol=0)


@pytest.mark.parametrize(
    ("name", "shape"),
    [("backgrounds", (3,)), ("backgrounds", (2, 4)), ("colors", (39, 3)), ("Ks", (1, 3, 3)), ("quats", (40, 3))],
)
@pytest.mark.breaks_annotations
def test_what_does_not_fit_is_told(name: str, shape: tuple[int, ...]) -> None:
    given = {key: tensor.to("cuda") for key, tensor in inputs().items()} | {name: torch.ones(shape, device="cuda")}
    with pytest.raises(ValueError, match=name):
        rasterization(**given, width=SIZE[0], height=SIZE[1])
