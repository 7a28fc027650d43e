"""Times the CPU rasterizer on three scenes: forward, and forward with backward, in milliseconds.

The scenes are those that the package meets: surfaces lifted from depth, one flat Gaussian per pixel of several views (150k and
500k), and what optimisation from photos leaves (200k: all sizes, half of them faint). Run it on a quiet machine, with
OMP_WAIT_POLICY=passive: torch's idle threads otherwise spin for milliseconds on the cores that the kernels want.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import tyro
from splatmem.cameras import Cameras
from splatmem.gaussians import rotations_to_quats
from splatmem.render import rasterization
from splatmem.render.extension import load_kernels
from torch import Tensor

ROOM_LOW, ROOM_HIGH = torch.tensor([-4.0, -1.5, -5.0]), torch.tensor([4.0, 1.5, 5.0])  # metres, y down
BOXES = torch.tensor(
    [
        [[-2.5, 0.3, 1.0], [-1.2, 1.5, 2.4]],
        [[0.8, -0.2, 2.2], [2.0, 1.5, 3.0]],
        [[-0.6, 0.7, -2.6], [0.7, 1.5, -1.4]],
        [[2.6, -0.9, -1.0], [3.4, 1.5, 0.6]],
    ]
)
FOV_X_DEGREES = 65.0


@dataclass
class Scene:
    name: str
    means: Tensor
    quats: Tensor
    scales: Tensor
    opacities: Tensor


@dataclass
class Options:
    """What to time."""

    sizes: tuple[str, ...] = ("512x288", "960x544")
    """Image sizes."""
    threads: tuple[int, ...] = (1, 2)
    """Numbers of threads."""
    channels: int = 3
    """Colour channels; the depth is drawn as one more."""
    repeats: int = 9
    """Runs of each case; the fastest counts."""
    instruction_set: str | None = None
    """One of those that this processor has, instead of the best."""


def cast_rays(origin: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    """Distances (in units of ``directions``) to the walls or boxes of the room, and the surfaces' normals."""
    rows = torch.arange(len(directions))
    inverse = 1 / torch.where(directions.abs() < 1e-9, 1e-9, directions)
    far = torch.maximum((ROOM_LOW - origin) * inverse, (ROOM_HIGH - origin) * inverse)
    distance, axis = far.min(dim=1)
    for low, high in BOXES:
        a, b = (low - origin) * inverse, (high - origin) * inverse
        enter, enter_axis = torch.minimum(a, b).max(dim=1)
        hit = (enter < torch.maximum(a, b).amin(dim=1)) & (enter > 1e-3) & (enter < distance)
        distance, axis = torch.where(hit, enter, distance), torch.where(hit, enter_axis, axis)
    normals = torch.zeros_like(directions)
    normals[rows, axis] = -directions[rows, axis].sign()
    return distance, normals


def cameras(count: int, width: int, height: int) -> Cameras:
    """A walk through the room that looks left and right."""
    cam_to_world = torch.eye(4).repeat(count, 1, 1)
    for i in range(count):
        yaw = 0.25 * math.sin(1.7 * i) + (0.18 * i if i > 3 else 0.0)
        c, s = math.cos(yaw), math.sin(yaw)
        cam_to_world[i, :3, :3] = torch.tensor([[c, 0, s], [0, 1, 0], [-s, 0, c]])
        cam_to_world[i, :3, 3] = torch.tensor([1.2 * math.sin(0.5 * i), -0.1, -2.2 + 0.28 * i])
    return Cameras.from_fov(cam_to_world, FOV_X_DEGREES, width, height)


def lifted_scene(count: int) -> Scene:
    """Flat Gaussians of one pixel's footprint on the surfaces seen from several views at 512x288."""
    generator = torch.Generator().manual_seed(0)
    views = cameras(math.ceil(count / (512 * 288)) + 1, 512, 288)
    focal = views.focal[0, 0]
    means, quats, scales = [], [], []
    for origin, rays in zip(views.centers, views.world_rays().flatten(1, 2), strict=True):
        distance, normals = cast_rays(origin, rays)  # the rays have z = 1 in the camera: this is the depth
        noise = 0.004 * torch.randn(len(rays), 1, generator=generator)
        means.append(origin + rays * distance[:, None] + normals * noise)
        quats.append(facing(normals))
        footprint = (distance / focal)[:, None] * torch.tensor([1.0, 1.0, 0.1])
        scales.append(footprint * (0.9 + 0.2 * torch.rand(len(rays), 1, generator=generator)))
    total = len(means) * 512 * 288
    keep = torch.randperm(total, generator=generator)[:count].sort().values
    opacities = 0.9 + 0.09 * torch.rand(count, generator=generator)
    return Scene(
        f"lifted {count // 1000}k",
        torch.cat(means)[keep],
        torch.cat(quats)[keep],
        torch.cat(scales)[keep],
        opacities,
    )


def facing(normals: Tensor) -> Tensor:
    """Quaternions whose local z axis is the normal."""
    helper = torch.where(normals[:, :1].abs() > 0.9, torch.tensor([0.0, 1, 0]), torch.tensor([1.0, 0, 0]))
    x = torch.nn.functional.normalize(torch.cross(helper, normals, dim=1), dim=1)
    return rotations_to_quats(torch.stack([x, torch.cross(normals, x, dim=1), normals], dim=-1))


def trained_scene(count: int = 200_000) -> Scene:
    """Gaussians of all sizes and shapes, on the surfaces and floating before them, with opacities of all kinds."""
    generator = torch.Generator().manual_seed(1)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    directions = normal(count, 3)
    directions[:, 2] = directions[:, 2].abs() + 0.3
    directions = torch.nn.functional.normalize(directions, dim=1)
    origin = torch.tensor([0.0, 0.0, -1.5])
    distance, _ = cast_rays(origin, directions)
    floating = torch.rand(count, generator=generator) < 0.2
    nearer = distance * (0.3 + 0.7 * torch.rand(count, generator=generator))
    distance = torch.where(floating, nearer, distance + 0.03 * normal(count))
    size = torch.exp(math.log(0.015) + 0.8 * normal(count))
    scales = size[:, None] * torch.exp(0.6 * normal(count, 3))
    scales.scatter_(1, scales.argmin(1, keepdim=True), 0.2 * scales.amin(1, keepdim=True))
    means = origin + directions * distance[:, None]
    return Scene(f"trained {count // 1000}k", means, normal(count, 4), scales, torch.sigmoid(2 * normal(count)))


def fastest(run: Callable[[], object], repeats: int) -> float:
    """Milliseconds of the fastest of several runs."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return 1e3 * min(times)


def time_case(scene: Scene, width: int, height: int, options: Options) -> tuple[float, float]:
    """Milliseconds for one view: forward, and forward with backward; the mean over three views."""
    views = cameras(3, width, height)
    leaves = [t.clone().requires_grad_() for t in (scene.means, scene.quats, scene.scales, scene.opacities)]
    leaves.append(torch.rand(len(scene.means), options.channels).requires_grad_())
    grad_image = torch.randn(1, height, width, options.channels + 1)
    grad_alpha = torch.randn(1, height, width, 1)
    forward, both = [], []
    for i in range(len(views)):
        camera = (views.world_to_cam[i : i + 1], views.intrinsics[i : i + 1], width, height)

        def draw(camera=camera) -> tuple[Tensor, Tensor]:
            return rasterization(*leaves, *camera, render_mode="RGB+D")[:2]

        def draw_and_back(draw=draw) -> None:
            torch.autograd.grad(draw(), leaves, (grad_image, grad_alpha))

        with torch.no_grad():
            forward.append(fastest(draw, options.repeats))
        both.append(fastest(draw_and_back, options.repeats))
    return sum(forward) / len(forward), sum(both) / len(both)


def main(options: Options) -> None:
    kernels = load_kernels()
    if options.instruction_set is not None:
        kernels.use_instruction_set(options.instruction_set)
    print(f"{kernels.instruction_set()}, {options.channels} channels, depth and alpha; milliseconds per view")
    print(f"{'scene':14} {'size':>9} {'threads':>7} {'forward':>9} {'+ backward':>10}")
    for scene in (lifted_scene(150_000), lifted_scene(500_000), trained_scene()):
        for size in options.sizes:
            width, height = (int(side) for side in size.split("x"))
            for threads in options.threads:
                torch.set_num_threads(threads)
                forward, both = time_case(scene, width, height, options)
                print(f"{scene.name:14} {size:>9} {threads:7} {forward:9.1f} {both:10.1f}", flush=True)


if __name__ == "__main__":
    main(tyro.cli(Options))
