"""What is timed: the package's kernels, and what a user could run on a CPU instead, behind one call.

A contender draws colour, depth and alpha of one view, and takes a loss back to all five parameters of the Gaussians.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np
import torch
from gsplat.cuda._torch_impl import _fully_fused_projection, _quat_scale_to_covar_preci
from splatmem.gaussians import Gaussians
from splatmem.gaussians.container import logit, rgb_to_sh
from splatmem.geometry.cameras import Cameras
from splatmem.io.ply import save_ply
from splatmem.render import rasterization
from torch import Tensor

from rasterizer_bench import compile
from rasterizer_bench.scenes import Scene

TORCH_TILE = 32
OPEN3D_NEAR_PLANE = 0.2  # of the first implementation of 3DGS; Open3D's own is so near that splats beside the camera cover all


class Contender(Protocol):
    """Something that draws view ``view`` of the scene and the cameras that it was made for."""

    name: str

    def forward(self, view: int) -> Any:
        """Image ``[h, w, 4]`` (RGB and depth) and alpha ``[h, w]`` in one tuple."""

    def forward_and_backward(self, view: int) -> Any: ...


class Losses:
    """Gradients of the image and alpha that every contender takes back, in both the layouts they want."""

    def __init__(self, cameras: Cameras) -> None:
        generator = torch.Generator().manual_seed(3)
        self.image = torch.randn(1, cameras.height, cameras.width, 4, generator=generator)
        self.alpha = torch.randn(1, cameras.height, cameras.width, 1, generator=generator)


class InPyTorch(ABC):
    """A rasterizer that PyTorch differentiates."""

    def __init__(self, scene: Scene, cameras: Cameras, losses: Losses) -> None:
        self.leaves = [t.clone().requires_grad_() for t in scene.tensors()]
        self.cameras, self.losses = cameras, losses

    @abstractmethod
    def draw(self, view: int) -> tuple[Tensor, Tensor]:
        """Colours and depth ``[1, h, w, 4]``, and alpha ``[1, h, w, 1]``, of a view."""

    @torch.no_grad()
    def forward(self, view: int) -> tuple[Tensor, Tensor]:
        image, alpha = self.draw(view)
        return image[0], alpha[0, ..., 0]

    def forward_and_backward(self, view: int) -> tuple[Tensor, ...]:
        return torch.autograd.grad(self.draw(view), self.leaves, (self.losses.image, self.losses.alpha))


class Splatmem(InPyTorch):
    """The package's own ``rasterization``."""

    name = "splatmem"

    def draw(self, view: int) -> tuple[Tensor, Tensor]:
        camera = (self.cameras.world_to_cam[view : view + 1], self.cameras.intrinsics[view : view + 1])
        size = (self.cameras.width, self.cameras.height)
        return rasterization(*self.leaves, *camera, *size, render_mode="RGB+D")[:2]

    def statistics(self, view: int) -> dict[str, float]:
        """Seconds by stage, and numbers of visible Gaussians and pairs, of one drawing with its way back."""
        image, alpha = self.draw(view)
        function = image.grad_fn
        while not hasattr(function, "drawing"):
            function = function.next_functions[0][0]
        torch.autograd.grad((image, alpha), self.leaves, (self.losses.image, self.losses.alpha))
        return function.drawing.views[0][0].statistics()


class Prototype:
    """The prototype that the kernels grew from: C++ behind ctypes, on arrays that stay warm.

    ``folder`` holds cpp/raster.cpp and crast.py. It is compiled for the instruction set of ours.
    """

    name = "prototype"

    def __init__(
        self, folder: Path, instruction_set: str, threads: int, scene: Scene, cameras: Cameras, losses: Losses
    ) -> None:
        module = _module_of(folder / "crast.py")
        architecture = {"avx512": "x86-64-v4", "avx2": "x86-64-v3"}.get(instruction_set, "native")
        flags = ("-fopenmp", "-mprefer-vector-width=512", f"-march={architecture}")
        source = [folder / "cpp" / "raster.cpp"]
        self.raster = module.CRast(str(compile.compiled(f"prototype_{instruction_set}", source, *flags)))
        names = ("means", "quats", "scales", "opacities", "colors")
        self.scene = {name: np.ascontiguousarray(t.numpy()) for name, t in zip(names, scene.tensors(), strict=True)}
        self.losses = [np.ascontiguousarray(t.numpy()) for t in (losses.image[0], losses.alpha[0, ..., 0])]
        self.options = [
            self.raster.opt(
                self.scene, world_to_cam.numpy(), intrinsics.numpy(), cameras.width, cameras.height, 4, 1,
                threads=threads, want_bwd=1,
            )
            for world_to_cam, intrinsics in zip(cameras.world_to_cam, cameras.intrinsics, strict=True)
        ]  # fmt: skip

    def forward(self, view: int) -> tuple[np.ndarray, np.ndarray]:
        return self.raster.fwd(self.scene, self.options[view])

    def forward_and_backward(self, view: int) -> dict[str, np.ndarray]:
        image, alpha = self.forward(view)
        return self.raster.bwd(self.scene, self.options[view], image, alpha, *self.losses)


def _module_of(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.exists():
        raise FileNotFoundError(f"expected the prototype's {path.name} at {path}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class TorchTiles(InPyTorch):
    """gsplat's own projection in plain torch, and a loop over tiles that composites with cumulative products."""

    name = "torch tiles"

    def draw(self, view: int) -> tuple[Tensor, Tensor]:
        means, quats, scales, opacities, colors = self.leaves
        width, height = self.cameras.width, self.cameras.height
        covars, _ = _quat_scale_to_covar_preci(quats, scales, compute_preci=False)
        radii, means2d, depths, conics, _ = _fully_fused_projection(
            means, covars, self.cameras.world_to_cam[view : view + 1], self.cameras.intrinsics[view : view + 1], width, height
        )
        visible = ((radii[0] > 0).all(dim=-1) & (opacities >= 1 / 255)).nonzero()[:, 0]
        visible = visible[torch.argsort(depths[0, visible])]
        center, reach = means2d[0, visible], radii[0, visible]
        features = torch.cat([colors[visible], depths[0, visible, None]], dim=1)
        low, high = (center - reach).detach(), (center + reach).detach()
        image, alpha = [], []
        for top in range(0, height, TORCH_TILE):
            bottom = min(top + TORCH_TILE, height)
            in_row = ((low[:, 1] < bottom) & (high[:, 1] > top)).nonzero()[:, 0]
            row = []
            for left in range(0, width, TORCH_TILE):
                right = min(left + TORCH_TILE, width)
                chosen = in_row[(low[in_row, 0] < right) & (high[in_row, 0] > left)]
                row.append(
                    _composite_tile(
                        center[chosen], conics[0, visible[chosen]], opacities[visible[chosen]], features[chosen],
                        (left, top, right, bottom),
                    )
                )  # fmt: skip
            image.append(torch.cat([part[0] for part in row], dim=1))
            alpha.append(torch.cat([part[1] for part in row], dim=1))
        return torch.cat(image)[None], torch.cat(alpha)[None, ..., None]

    def bytes_for_backward(self, pairs: int) -> int:
        """About what the graph of so many (Gaussian, tile) pairs keeps: eight tensors with a number for each pixel."""
        return 8 * 4 * TORCH_TILE * TORCH_TILE * pairs


def _composite_tile(
    centers: Tensor, conics: Tensor, opacities: Tensor, features: Tensor, box: tuple[int, int, int, int]
) -> tuple[Tensor, Tensor]:
    left, top, right, bottom = box
    x, y = torch.arange(left, right) + 0.5, torch.arange(top, bottom) + 0.5
    dx, dy = centers[:, 0, None, None] - x, centers[:, 1, None, None] - y[:, None]
    a, b, c = (conics[:, k, None, None] for k in range(3))
    falloff = torch.exp(-0.5 * (a * dx * dx + c * dy * dy) - b * dx * dy)
    alpha = (opacities[:, None, None] * falloff).clamp(max=0.999)
    alpha = torch.where(alpha < 1 / 255, 0.0, alpha)
    after = torch.cumprod(1 - alpha, dim=0)
    before = torch.cat([torch.ones(1, *after.shape[1:]), after[:-1]])
    weights = torch.where(after > 1e-4, alpha * before, 0.0)
    return torch.einsum("nhw,nc->hwc", weights, features), weights.sum(dim=0)


OPEN3D = """
import json, sys, time
import numpy as np, open3d as o3d
ply, cameras, rounds, near = sys.argv[1], json.load(open(sys.argv[2])), int(sys.argv[3]), float(sys.argv[4])
width, height = cameras["width"], cameras["height"]
renderer = o3d.visualization.rendering.OffscreenRenderer(width, height)
material = o3d.visualization.rendering.MaterialRecord()
material.shader = "gaussianSplat"
renderer.scene.set_background([0, 0, 0, 1])
renderer.scene.view.set_post_processing(False)
renderer.scene.add_geometry("splats", o3d.t.io.read_point_cloud(ply), material)
seconds = []
for round in range(rounds + 1):
    for world_to_cam, intrinsics in zip(cameras["world_to_cam"], cameras["intrinsics"]):
        renderer.setup_camera(np.array(intrinsics), np.array(world_to_cam), width, height)
        renderer.scene.camera.set_projection(np.array(intrinsics), near, 1000.0, width, height)
        start = time.perf_counter()
        np.asarray(renderer.render_to_image())
        if round:
            seconds.append(time.perf_counter() - start)
print(json.dumps(seconds))
"""


def open3d_seconds(scene: Scene, cameras: Cameras, rounds: int, timeout: float) -> list[float]:
    """Seconds of each frame that Open3D's splat renderer draws, after a round that warms up: forward only, with Mesa's llvmpipe
    where there is no GPU. In a process of its own, which may abort.

    Raises:
        RuntimeError: if it cannot draw on this machine, or not in time; without Vulkan it needs the Debian packages libvulkan1
            and mesa-vulkan-drivers (tools/system_packages.sh).
    """
    with tempfile.TemporaryDirectory() as folder:
        ply, views = Path(folder) / "scene.ply", Path(folder) / "views.json"
        means, quats, scales, opacities, colors = scene.tensors()
        save_ply(Gaussians(means, quats, scales.log(), logit(opacities), rgb_to_sh(colors)), ply)
        description = {"width": cameras.width, "height": cameras.height}
        description |= {"world_to_cam": cameras.world_to_cam.tolist(), "intrinsics": cameras.intrinsics.tolist()}
        views.write_text(json.dumps(description))
        command = [sys.executable, "-c", OPEN3D, str(ply), str(views), str(rounds), str(OPEN3D_NEAR_PLANE)]
        try:
            process = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
        except subprocess.TimeoutExpired as error:
            raise RuntimeError(f"Open3D did not finish in {timeout:.0f} s") from error
    lines = [line for line in process.stdout.splitlines() if line.startswith("[")]
    if not lines:
        raise RuntimeError(f"Open3D cannot draw here (tools/system_packages.sh?): {process.stderr.strip()[-200:]}")
    return json.loads(lines[-1])
