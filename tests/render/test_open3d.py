"""The kernels against an independent renderer: Open3D's Gaussian splats, drawn from a .ply in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from splatmem.gaussians.container import rgb_to_sh
from splatmem.render import rasterization

WIDTH, HEIGHT, FOCAL = 256, 192, 200.0
MIN_PSNR = 45.0

DRAW = """
import sys
import numpy as np, open3d as o3d
ply, out, width, height, focal = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])
splats = o3d.t.io.read_point_cloud(ply)
renderer = o3d.visualization.rendering.OffscreenRenderer(width, height)
material = o3d.visualization.rendering.MaterialRecord()
material.shader = "gaussianSplat"
renderer.scene.set_background([0, 0, 0, 1])
renderer.scene.view.set_post_processing(False)
renderer.scene.add_geometry("splats", splats, material)
intrinsics = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
renderer.setup_camera(intrinsics, np.eye(4), width, height)
np.save(out, np.asarray(renderer.render_to_image())[..., :3])
"""


@pytest.mark.skipif(find_spec("open3d") is None, reason="needs open3d")
def test_open3d_draws_the_same_picture(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    count = 3000
    means = (torch.rand(count, 3, generator=generator) - 0.5) * torch.tensor([4.0, 3.0, 3.0]) + torch.tensor([0, 0, 4.0])
    quats = torch.nn.functional.normalize(torch.randn(count, 4, generator=generator), dim=-1)
    log_scales = torch.randn(count, 3, generator=generator) * 0.4 - 2.7
    logits = torch.randn(count, generator=generator) * 1.5
    rgb = torch.rand(count, 3, generator=generator)

    write_ply(tmp_path / "splats.ply", means, quats, log_scales, logits, rgb)
    arguments = [tmp_path / "splats.ply", tmp_path / "image.npy", WIDTH, HEIGHT, FOCAL]
    process = subprocess.run(
        [sys.executable, "-c", DRAW, *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False
    )
    if not (tmp_path / "image.npy").exists():
        pytest.skip(f"Open3D cannot draw on this machine: {process.stderr.strip()[-200:]}")
    theirs = torch.from_numpy(np.load(tmp_path / "image.npy").astype(np.float32) / 255)

    intrinsics = torch.tensor([[[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]]])
    image, _, _ = rasterization(
        means, quats, log_scales.exp(), logits.sigmoid(), rgb, torch.eye(4)[None], intrinsics, WIDTH, HEIGHT
    )
    psnr = -10 * (image[0].clamp(0, 1) - theirs).square().mean().log10().item()
    assert psnr >= MIN_PSNR, f"{psnr:.1f} dB"


def write_ply(path: Path, means, quats, log_scales, logits, rgb) -> None:
    """A splat .ply in the convention of 3DGS."""
    from plyfile import PlyData, PlyElement

    names = [
        *("x", "y", "z", "nx", "ny", "nz"), *(f"f_dc_{i}" for i in range(3)), "opacity",
        *(f"scale_{i}" for i in range(3)), *(f"rot_{i}" for i in range(4)),
    ]  # fmt: skip
    parts = [means, torch.zeros_like(means), rgb_to_sh(rgb)[:, 0], logits[:, None], log_scales, quats]
    vertices = np.zeros(len(means), dtype=[(name, "f4") for name in names])
    for name, column in zip(names, torch.cat(parts, dim=1).T, strict=True):
        vertices[name] = column.numpy()
    PlyData([PlyElement.describe(vertices, "vertex")]).write(path)
