"""Writes a scene in every format and reads it back: the table of docs/formats.md.

    python tools/measure_formats.py room          # a folder made by flyaround, or a file of splats

For each format: bytes, the library that writes and reads it, and PSNR of the scene after reading back against the scene as it
is, drawn from the first camera and from 20 degrees aside of it, round what it looks at (the lower of both). Both are composited
plainly over black, as viewers do: a film decides for each pixel whether it is known, and a few pixels at the rim of the unknown
that are decided otherwise would count for more than all that a format loses.
"""

from __future__ import annotations

import math
import sys
import tempfile
from pathlib import Path

import torch
from splatmem.gaussians import Gaussians
from splatmem.gaussians.draw import rasterize
from splatmem.geometry.cameras import Cameras
from splatmem.io.splats.endings import FORMATS
from splatmem.io.splats.files import load_splats
from splatmem.jobs.export import film_of, opened, write_splats
from splatmem.metrics import psnr

LIBRARIES = {".ply": "plyfile", ".glb": "pygltflib", ".usdc": "usd-core", ".usdz": "usd-core", ".html": "this package"}
OTHERS = "gaussforge"
SEVERE = 99.0  # dB from which pictures are the same but for rounding
ASIDE = math.radians(20)


def aside(camera: Cameras, distance: float) -> Cameras:
    """The camera moved 20 degrees round a point straight ahead of it."""
    cos, sin = math.cos(ASIDE), math.sin(ASIDE)
    turn = torch.eye(4)
    turn[0, 0], turn[0, 2], turn[2, 0], turn[2, 2] = cos, -sin, sin, cos
    to, back = torch.eye(4), torch.eye(4)
    to[2, 3], back[2, 3] = -distance, distance
    return Cameras((back @ turn @ to) @ camera.world_to_cam, camera.intrinsics, camera.width, camera.height)


@torch.no_grad()
def pictures(gaussians: Gaussians, cameras: list[Cameras]) -> list[torch.Tensor]:
    return [rasterize(gaussians, camera).rgb[0].clamp(0, 1) for camera in cameras]


def measure(scene: Path) -> None:
    opened_scene = opened(scene)
    memory, film = opened_scene.memory, film_of(opened_scene)
    first = memory.views[0].camera
    cameras = [first, aside(first, memory.scale)]
    before = pictures(memory.gaussians, cameras)
    print(f"{scene}: {len(memory.gaussians):,} Gaussians, {first.width}x{first.height}\n")
    print("| ending | opens in | size | written and read by | PSNR after reading back | axes in the file |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for ending, compact in ((".ply", False), (".ply", True), *((name, False) for name in FORMATS if name != ".ply")):
            told, file = FORMATS[ending], Path(folder) / f"scene{ending}"
            write_splats(memory, file, film, compact=compact)
            value = "read by a browser alone"
            if told.readable:
                after = pictures(load_splats(file), cameras)
                worst = min(psnr(a, b) for a, b in zip(after, before, strict=True))
                value = "exact" if worst > SEVERE else f"{worst:.1f} dB"
            name, axes = f"`{ending}`" + " with `--compact`" * compact, "y up" if told.y_up else "3DGS"
            size, library = f"{file.stat().st_size / 1e6:.1f} MB", LIBRARIES.get(ending, OTHERS)
            print(f"| {name} | {told.opens_in} | {size} | {library} | {value} | {axes} |", flush=True)
            file.unlink()


if __name__ == "__main__":
    torch.set_num_threads(1)
    measure(Path(sys.argv[1]))
