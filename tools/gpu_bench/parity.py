"""gsplat's kernels, as ``splatmem.render`` calls them, against the package's CPU kernels and the tests' float64 oracle.

On the CPU the package's own kernels are held against the oracle: that tries the stage, and says nothing of gsplat.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from splatmem.bench.context import Context
from splatmem.gaussians.container import Gaussians, logit
from splatmem.gaussians.contributions import contributions
from splatmem.gaussians.draw import rasterize
from splatmem.geometry.cameras import Cameras
from splatmem.render.rasterization import rasterization
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "render"))

from oracle import Scene, random_cameras, random_scene
from oracle import render as render_densely

# gsplat's kernels are compiled with fast mathematics, and an alpha that just reaches 1/255 in one computation and not in the
# other changes a pixel by as much: means are compared for images, and whole vectors for gradients.
LARGEST_MEAN_ERROR = 1e-4
LARGEST_GRADIENT_ERROR = 1e-2
NAMES = ("means", "quats", "scales", "opacities", "colors", "viewmats")

# name, channels, spherical-harmonic degree, background, options
CASES: list[tuple[str, int, int | None, bool, dict[str, Any]]] = [
    ("RGB", 3, None, True, {"render_mode": "RGB"}),
    ("D", 3, None, False, {"render_mode": "D"}),
    ("ED", 3, None, False, {"render_mode": "ED"}),
    ("RGB+D", 3, None, True, {"render_mode": "RGB+D"}),
    ("RGB+ED", 3, None, True, {"render_mode": "RGB+ED"}),
    ("16 features", 16, None, False, {"render_mode": "RGB+ED"}),
    ("36 features", 36, None, False, {"render_mode": "RGB"}),
    ("harmonics 0", 3, 0, True, {"render_mode": "RGB+ED"}),
    ("harmonics 1", 3, 1, True, {"render_mode": "RGB+ED"}),
    ("harmonics 2", 3, 2, True, {"render_mode": "RGB+ED"}),
    ("harmonics 3", 3, 3, True, {"render_mode": "RGB+ED"}),
    ("antialiased", 3, None, False, {"render_mode": "RGB", "rasterize_mode": "antialiased"}),
    ("orthographic", 3, None, False, {"render_mode": "RGB+D", "camera_model": "ortho"}),
    ("not packed", 3, None, False, {"render_mode": "RGB+ED", "packed": False}),
]


def run(context: Context) -> None:
    """Records a row for each comparison.

    Raises:
        RuntimeError: some of them differ by more than allowed, or failed; all are recorded.
    """
    comparisons: dict[str, Callable[[], dict[str, Any]]] = {
        name: partial(_against_the_oracle, context, *case) for name, *case in CASES[:: 4 if context.tiny else 1]
    }
    comparisons |= {
        "many Gaussians, against the CPU": partial(_many_gaussians, context),
        "memory: features, back faces, contributions, against the CPU": partial(_product, context),
        "option median_depth": partial(_own_option, context, "median_depth", "median_depth"),
        "option backfacing": partial(_own_option, context, "backfacing", "backfacing_alpha"),
    }
    wrong = []
    for name, compare in comparisons.items():
        try:
            row = {"case": name, **compare()}
        except TimeoutError:
            raise
        except Exception as error:  # the other comparisons are worth as much
            row = {"case": name, "error": f"{type(error).__name__}: {error}", "agrees": False}
        context.record(row)
        wrong += [] if row["agrees"] else [name]
    if wrong:
        raise RuntimeError(f"these failed or differ by more than is allowed: {', '.join(wrong)}")


def _against_the_oracle(
    context: Context, channels: int, degree: int | None, with_background: bool, options: dict[str, Any]
) -> dict[str, Any]:
    """Errors of the image, the alpha and every gradient on 300 Gaussians, and what the CPU's kernels have beside them."""
    width, height, views = 52, 37, 2
    scene = random_scene(300, channels, seed=7)
    if degree is not None:
        scene.colors = 0.5 * torch.randn(300, 16, 3, generator=torch.Generator().manual_seed(degree))
        options = {**options, "sh_degree": degree}
    viewmats, Ks = random_cameras(views, width, height, seed=3)
    if options.get("camera_model") == "ortho":
        Ks[:, :2, :2] *= 0.4
    background = torch.rand(views, channels, generator=torch.Generator().manual_seed(1)) if with_background else None
    dense_options = {name: value for name, value in options.items() if name != "packed"}
    exact, poses = scene.leaves(torch.float64), viewmats.double().requires_grad_()
    expected = render_densely(
        exact, poses, Ks, width, height, None if background is None else background.double(), **dense_options
    )
    wanted = torch.autograd.grad(_loss(list(expected)), [*exact.tensors(), poses], allow_unused=True)
    errors = {}
    for where in dict.fromkeys((context.device, "cpu")):
        drawn, grads = _drawn(scene, viewmats, Ks, width, height, background, where, options)
        errors[where] = [_image_errors(d, e.float()) for d, e in zip(drawn, expected, strict=True)], _gradients(grads, wanted)
    (image, alpha), gradients = errors[context.device]
    (on_cpu, _), cpu_gradients = errors["cpu"]
    return {
        "image, mean": image[0], "image, largest": image[1], "alpha, largest": alpha[1],
        "worst gradient": max(gradients.values()),
        "gradients": gradients, "CPU image, mean": on_cpu[0], "CPU worst gradient": max(cpu_gradients.values()),
        "agrees": image[0] < LARGEST_MEAN_ERROR and max(gradients.values()) < LARGEST_GRADIENT_ERROR,
    }  # fmt: skip


def _drawn(
    scene: Scene, viewmats: Tensor, Ks: Tensor, width: int, height: int, background: Tensor | None, device: str,
    options: dict[str, Any],
) -> tuple[list[Tensor], list[Tensor | None]]:  # fmt: skip
    """Image and alpha, and the gradients of ``_loss``, on the CPU."""
    leaves = [t.detach().to(device).requires_grad_() for t in scene.tensors()]
    poses = viewmats.to(device).requires_grad_()
    behind = None if background is None else background.to(device)
    drawn = list(rasterization(*leaves, poses, Ks.to(device), width, height, backgrounds=behind, **options)[:2])
    grads = torch.autograd.grad(_loss(drawn), [*leaves, poses], allow_unused=True)
    return [d.detach().cpu() for d in drawn], [None if g is None else g.cpu() for g in grads]


def _loss(tensors: list[Tensor]) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.stack([(t * torch.randn(t.shape, generator=generator).to(t.device)).sum() for t in tensors]).sum()


def _image_errors(drawn: Tensor, expected: Tensor) -> tuple[float, float]:
    """Mean and largest absolute difference, relative to the largest value where that is above 1."""
    difference = (drawn - expected).abs() / expected.abs().max().clamp_min(1)
    return difference.mean().item(), difference.max().item()


def _gradients(drawn: list[Tensor | None], expected: tuple[Tensor | None, ...]) -> dict[str, float]:
    """Relative error of each gradient as a vector."""
    errors = {}
    for name, ours, dense in zip(NAMES, drawn, expected, strict=True):
        if dense is None or not dense.any():
            continue
        ours = torch.zeros_like(dense) if ours is None else ours
        errors[name] = ((ours.double() - dense).norm() / dense.norm()).item()
    return errors


def _many_gaussians(context: Context) -> dict[str, Any]:
    """Device against CPU, forward and backward, on as many Gaussians as a first photo gives."""
    count, width, height = (2000, 64, 36) if context.tiny else (150_000, 512, 288)
    scene = random_scene(count, 3, seed=2)
    scene.scales = scene.scales * 0.1
    viewmats, Ks = random_cameras(2, width, height, seed=1)
    options = {"render_mode": "RGB+ED"}
    (image, alpha), grads = _drawn(scene, viewmats, Ks, width, height, None, context.device, options)
    (cpu_image, cpu_alpha), cpu_grads = _drawn(scene, viewmats, Ks, width, height, None, "cpu", options)
    mean, largest = _image_errors(image[..., :3], cpu_image[..., :3])
    gradients = _gradients(grads, tuple(None if g is None else g.double() for g in cpu_grads))
    return {
        "Gaussians": count, "size": f"{width}x{height}", "image, mean": mean, "image, largest": largest,
        "alpha, largest": _image_errors(alpha, cpu_alpha)[1], "worst gradient": max(gradients.values()),
        "gradients": gradients, "agrees": mean < LARGEST_MEAN_ERROR and max(gradients.values()) < LARGEST_GRADIENT_ERROR,
    }  # fmt: skip


def _product(context: Context) -> dict[str, Any]:
    """``rasterize`` with features and back faces, and ``contributions``, as the memory calls them."""
    width, height = (40, 30) if context.tiny else (320, 180)
    scene = random_scene(2000, 3, seed=4)
    viewmats, Ks = random_cameras(2, width, height, seed=5)
    sh = torch.rand(2000, 1, 3, generator=torch.Generator().manual_seed(2))
    gaussians = Gaussians(scene.means, scene.quats, scene.scales.log(), logit(scene.opacities), sh)
    cameras, extra = Cameras(viewmats, Ks, width, height), torch.rand(2000, 16, generator=torch.Generator().manual_seed(3))
    drawn = {
        where: rasterize(gaussians.to(where), cameras.to(where), extra=extra.to(where), backfacing=True)
        for where in dict.fromkeys((context.device, "cpu"))
    }
    here, there = drawn[context.device], drawn["cpu"]
    row: dict[str, Any] = {}
    for name in ("rgb", "depth", "alpha", "extra", "backfacing_alpha"):
        row[f"{name}, mean"] = _image_errors(getattr(here, name).cpu(), getattr(there, name))[0]
    weights = [contributions(gaussians.to(where), cameras.to(where)).cpu() for where in (context.device, "cpu")]
    row["contributions, relative"] = ((weights[0] - weights[1]).norm() / weights[1].norm()).item()
    errors = [value for name, value in row.items() if name.endswith("mean")]
    row["agrees"] = max(errors) < LARGEST_MEAN_ERROR and row["contributions, relative"] < LARGEST_GRADIENT_ERROR
    return row


def _own_option(context: Context, option: str, key: str) -> dict[str, Any]:
    """What gsplat's signature lacks: on the CPU it works, on CUDA it is refused by name."""
    scene = random_scene(50, 3)
    viewmats, Ks = random_cameras(1, 20, 16)
    arguments = [t.to(context.device) for t in (*scene.tensors(), viewmats, Ks)]
    try:
        meta = rasterization(*arguments, 20, 16, **{option: True})[2]
        answer = "drawn" if key in meta else "missing"
    except NotImplementedError as error:
        answer = "refused" if key in str(error) else str(error)
    return {"answer": answer, "agrees": answer == ("refused" if context.device == "cuda" else "drawn")}
