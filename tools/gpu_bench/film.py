"""Frames per second of a film of the demo's memory, against what the device's memory bandwidth would allow."""

from __future__ import annotations

import torch
from splatmem import assets
from splatmem.bench.context import Context, forget, now, peak_gib, seconds_of
from splatmem.gaussians.draw import in_batches
from splatmem.geometry.cameras import Cameras
from splatmem.io.source import read_source
from splatmem.memory import SpatialMemory
from splatmem.memory.film import film_memory
from splatmem.memory.session import load_session
from splatmem.memory.visibility import draw_known
from splatmem.render.rasterization import rasterization
from splatmem.scene import MEMORY_FOLDER, Scene
from splatmem.timing import StageClock
from splatmem.trajectory.trajectory import trajectory_from

from gpu_bench.embedded import PHOTO, demo_folder

SIZES = ((512, 288, 96), (1280, 720, 96), (1920, 1080, 48), (3840, 2160, 16))  # width, height, frames
TINY_SIZES = ((64, 36, 5),)
COPIED_BYTES = 2**30
# What has to be moved at least. A Gaussian: centre, rotation, scales, opacity and one band of colour, read once per view. A
# pair of a Gaussian and a tile: key and index, written once and read once, and the projected Gaussian that is fetched for it
# (place, conic, opacity, four channels). A pixel: four channels and alpha, written once.
BYTES_PER_GAUSSIAN = 4 * (3 + 4 + 3 + 1 + 3)
BYTES_PER_PAIR = 2 * (8 + 4) + 4 * (2 + 3 + 1 + 4)
BYTES_PER_PIXEL = 4 * 5


def run(context: Context) -> None:
    """Records a row for each size."""
    memory = _memory(context)
    bandwidth = _bandwidth(context)
    context.record({"gaussians": len(memory.gaussians), "bandwidth, GB/s": bandwidth / 1e9})
    for width, height, frames in TINY_SIZES if context.tiny else SIZES:
        forget(context.device)
        path = trajectory_from("turn", memory, frames, (width, height)).cameras
        drawn = seconds_of(lambda path=path: _draw(memory, path), context.device, repeats=2) / frames
        brought = seconds_of(lambda path=path: _bring(memory, path), context.device, repeats=1) / frames
        start = now(context.device)
        film_memory(memory, path, context.work / "film.mp4", 24.0, StageClock(), lambda stage, share: None)
        filmed = (now(context.device) - start) / frames
        pairs = _pairs(memory, path[slice(0, 1)])
        moved = BYTES_PER_GAUSSIAN * len(memory.gaussians) + BYTES_PER_PAIR * (pairs or 0) + BYTES_PER_PIXEL * width * height
        context.record({
            "size": f"{width}x{height}", "frames": frames, "drawn, frames/s": 1 / drawn,
            "brought to the host, frames/s": 1 / brought,
            "filmed and encoded, frames/s": 1 / filmed, "pairs of the first view": pairs, "MB to move per frame": moved / 1e6,
            "bound, frames/s": bandwidth / moved, "drawn, share of the bound": moved / bandwidth / drawn,
            "peak, GiB": peak_gib(context.device),
        })  # fmt: skip


def _memory(context: Context) -> SpatialMemory:
    """What a job has left; else a memory of its photo alone."""
    for where in (context.device, "cpu"):
        folder = demo_folder(context, where) / MEMORY_FOLDER
        if folder.is_dir():
            return load_session(folder)[0].to(context.device)
    width, height, _ = (TINY_SIZES if context.tiny else SIZES)[0]
    source = read_source(assets.path(PHOTO), None, width, height, None)
    return Scene.begin(source, device=context.device).memory.to(context.device)


def _draw(memory: SpatialMemory, path: Cameras) -> None:
    """The film's frames as they are drawn, left on the device."""
    with torch.no_grad():
        for views in in_batches(path):
            draw_known(memory.gaussians, views.to(memory.device))


def _bring(memory: SpatialMemory, path: Cameras) -> None:
    """The film's frames as bytes in main memory."""
    for views in in_batches(path):
        memory.film_bytes(views)


def _pairs(memory: SpatialMemory, camera: Cameras) -> int | None:
    """Pairs of a Gaussian and a tile of 16 pixels that it touches, by gsplat's account; None on the CPU."""
    scene, camera = memory.gaussians, camera.to(memory.device)
    if not scene.means.is_cuda:
        return None
    with torch.no_grad():
        meta = rasterization(
            scene.means, scene.quats, scene.scales, scene.opacities, scene.sh, camera.world_to_cam, camera.intrinsics,
            camera.width, camera.height, sh_degree=0,
        )[2]  # fmt: skip
    return len(meta["isect_ids"])


def _bandwidth(context: Context) -> float:
    """Bytes per second, read and written, of a copy."""
    source = torch.ones(COPIED_BYTES // (64 if context.tiny else 1), dtype=torch.uint8, device=context.device)
    target = torch.empty_like(source)
    return 2 * source.numel() / seconds_of(lambda: target.copy_(source), context.device, repeats=5)
