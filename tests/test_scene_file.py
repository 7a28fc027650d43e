"""scene.ply as the main job writes it: three readers that know nothing of this package draw the same picture from it."""

from __future__ import annotations

import math
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from plyfile import PlyData
from splatmem.gaussians.draw import rasterize
from splatmem.geometry.cameras import Cameras
from splatmem.memory import SpatialMemory
from splatmem.memory.session import load_session
from splatmem.metrics import psnr
from splatmem.render import rasterization

from render.oracle import Scene
from render.oracle import render as oracle
from render.test_open3d import DRAW

INRIA_ORDER = [
    *("x", "y", "z", "nx", "ny", "nz"),
    *(f"f_dc_{i}" for i in range(3)),
    *(f"f_rest_{i}" for i in range(45)),
    "opacity",
    *(f"scale_{i}" for i in range(3)),
    *(f"rot_{i}" for i in range(4)),
]
MIN_PSNR = 40.0
SH_C0 = 0.28209479177387814
NEAR_PLANE = 0.5  # nearer than anything in view
DRAW_FROM_WITHIN = DRAW.replace(
    "np.save", f"renderer.scene.camera.set_projection(intrinsics, {NEAR_PLANE}, 1000.0, width, height)\nnp.save"
)


@pytest.fixture(scope="module")
def scene(small_run: Path) -> Path:
    return small_run / "scene.ply"


@pytest.fixture(scope="module")
def memory(small_run: Path) -> SpatialMemory:
    return load_session(small_run / "memory")[0]


@pytest.fixture(scope="module")
def vertices(scene: Path) -> np.ndarray:
    return PlyData.read(str(scene))["vertex"].data


@pytest.fixture(scope="module")
def views(memory: SpatialMemory) -> Cameras:
    """The photo's view, larger than it was taken, and one aside and turned, from which the far shell is drawn too."""
    angle = math.radians(20)
    aside = torch.tensor(
        [[math.cos(angle), 0, math.sin(angle), 0.1], [0, 1, 0, -0.05], [-math.sin(angle), 0, math.cos(angle), 0], [0, 0, 0, 1]]
    )
    poses = torch.stack([torch.eye(4), aside])
    return Cameras.from_fov(poses, memory.views[0].fov_x_degrees, 192, 128)


@pytest.fixture(scope="module")
def ours(memory: SpatialMemory, views: Cameras) -> torch.Tensor:
    """The memory, drawn over black by this package."""
    return rasterize(memory.gaussians, views).rgb


def canonical(vertices: np.ndarray) -> dict[str, torch.Tensor]:
    """What every viewer of 3D Gaussian splats makes of the properties (Kerbl et al. 2023, ``GaussianModel.load_ply``)."""

    def columns(*names: str) -> torch.Tensor:
        return torch.from_numpy(np.stack([vertices[name] for name in names], axis=-1))

    rest = columns(*(f"f_rest_{i}" for i in range(45))).reshape(-1, 3, 15)
    return {
        "means": columns("x", "y", "z"),
        "scales": columns("scale_0", "scale_1", "scale_2").exp(),
        "quats": torch.nn.functional.normalize(columns("rot_0", "rot_1", "rot_2", "rot_3"), dim=-1),
        "opacities": columns("opacity")[:, 0].sigmoid(),
        "sh": torch.cat([columns("f_dc_0", "f_dc_1", "f_dc_2")[:, None], rest.transpose(1, 2)], dim=1),
    }


def test_properties_and_values(vertices: np.ndarray, memory: SpatialMemory) -> None:
    assert list(vertices.dtype.names or ()) == INRIA_ORDER
    assert all(vertices.dtype[name] == np.dtype("<f4") for name in INRIA_ORDER)
    splats = canonical(vertices)
    assert len(vertices) == len(memory.gaussians) > 1000
    assert all(values.isfinite().all() for values in splats.values())
    assert (splats["sh"][:, 1:] == 0).all()
    colours = 0.5 + SH_C0 * splats["sh"][:, 0]
    assert ((colours > -0.1) & (colours < 1.1)).float().mean() > 0.99
    assert (splats["opacities"] > 0.5).float().mean() > 0.9, "a logit, not an opacity"
    assert (splats["scales"].amax(-1) < 0.1 * memory.scale).float().mean() > 0.9, "a logarithm, not a size"
    normals = torch.from_numpy(np.stack([vertices[n] for n in ("nx", "ny", "nz")], -1))
    w, x, y, z = splats["quats"].unbind(-1)
    local_z = torch.stack([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)], -1)
    torch.testing.assert_close(normals, local_z, atol=1e-5, rtol=0)


def test_a_standard_loader_with_gsplat_s_call_draws_the_same_picture(
    vertices: np.ndarray, views: Cameras, ours: torch.Tensor
) -> None:
    splats = canonical(vertices)
    image, _, _ = rasterization(
        splats["means"], splats["quats"], splats["scales"], splats["opacities"], splats["sh"],
        views.world_to_cam, views.intrinsics, views.width, views.height, sh_degree=3,
    )  # fmt: skip
    assert psnr(image, ours) > 60


def test_gsplat_s_own_projection_draws_the_same_picture(vertices: np.ndarray, views: Cameras, memory: SpatialMemory) -> None:
    """gsplat's torch code projects, plain float64 compositing draws: none of this package's kernels take part."""
    splats = canonical(vertices)
    colours = 0.5 + SH_C0 * splats["sh"][:, 0]
    scene = Scene(splats["means"], splats["quats"], splats["scales"], splats["opacities"], colours)
    small = views.resized(30, 20)  # every Gaussian meets every pixel: few pixels
    image, _ = oracle(Scene(*(t.double() for t in scene.tensors())), small.world_to_cam, small.intrinsics, 30, 20)
    assert psnr(image.float(), rasterize(memory.gaussians, small).rgb) > 50


@pytest.mark.skipif(find_spec("open3d") is None, reason="needs Open3D: the extra 'inspect' or 'inspect-cpu'")
def test_open3d_draws_the_same_picture(scene: Path, views: Cameras, ours: torch.Tensor, tmp_path: Path) -> None:
    """In a process of its own: Open3D's renderer can end a process when a second one is made.

    A scene stands all around the camera. Open3D does not clamp the projection's Jacobian, as 3DGS does, and draws splats beside
    the camera as a haze over the picture: the near plane takes them away.
    """
    focal = views.focal[0, 0].item()
    arguments = [scene, tmp_path / "image.npy", views.width, views.height, focal]
    process = subprocess.run(
        [sys.executable, "-c", DRAW_FROM_WITHIN, *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False
    )
    if not (tmp_path / "image.npy").exists():
        pytest.skip(f"Open3D cannot draw splats here (Vulkan missing?): {process.stderr.strip()[-200:]}")
    theirs = torch.from_numpy(np.load(tmp_path / "image.npy").astype(np.float32) / 255)
    assert theirs.mean() > 0.1, "an empty picture"
    value = psnr(theirs, ours[0].clamp(0, 1))
    print(f"Open3D and this package: {value:.1f} dB")
    # Where a picture has detail its Gaussians are narrower than a pixel, and Open3D draws these a little otherwise.
    assert value >= MIN_PSNR - 2
