"""What the machine can do at most, measured by small loops, and what a scene asks of it.

The roofs: multiply-adds on independent chains that stay in registers; the kernels' own 2^x likewise; reading and copying 64 MB
a thread. What a scene asks for is counted by the kernels' projection, binning and blending themselves, in a build of their own
whose compositing stage counts (roofs.cpp).
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import torch
from splatmem.geometry.cameras import Cameras

from rasterizer_bench import compile
from rasterizer_bench.scenes import Scene

TRIES = 12
CHANNELS = 4
STAGES = ("project", "sort_and_bin", "composite_forward", "composite_backward", "project_backward")

# Additions and multiplications of one blend of a pixel (a multiply-add counts two, a comparison or a choice one), as they stand
# in csrc/blocks.h and the two compositing stages: those of every pixel, and those of each channel more.
FORWARD_OPERATIONS = 32, 2
BACKWARD_OPERATIONS = 59, 4


@dataclass(frozen=True)
class Roofs:
    """Per second, on so many threads."""

    threads: int
    operations: float
    exponentials: float
    read: float
    copied: float


@dataclass(frozen=True)
class Work:
    """What one view asks for."""

    gaussians: int
    visible: int
    pairs: int  # (Gaussian, tile) that compositing looks at, before every pixel of the tile has stopped
    blocks: int  # (Gaussian, 4x4 block of pixels) that are blended
    pixels: int  # (Gaussian, pixel) to which something is added


def library() -> ctypes.CDLL:
    names = ("memory", "project", "rasterizer", "dispatch", "processor", "sort_and_bin", "threads")
    csrc = compile.ROOT / "csrc"
    sources = [compile.ROOT / "tools" / "rasterizer_bench" / "roofs.cpp", *(csrc / f"{name}.cpp" for name in names)]
    loaded = compile.load("roofs", sources, "-DSPLATMEM_ISA=baseline", f"-I{csrc}")
    for name in ("multiply_add_rate", "exp2_rate", "bandwidth"):
        getattr(loaded, name).restype = ctypes.c_double
    return loaded


def measure(threads: int) -> Roofs:
    """The best of several tries of each loop."""
    loops = library()
    return Roofs(
        threads,
        max(loops.multiply_add_rate(threads) for _ in range(TRIES)),
        max(loops.exp2_rate(threads) for _ in range(TRIES)),
        max(loops.bandwidth(threads, 0) for _ in range(TRIES // 3)),
        max(loops.bandwidth(threads, 1) for _ in range(TRIES // 3)),
    )


def count_work(scene: Scene, cameras: Cameras, view: int, threads: int) -> Work:
    tensors = [t.contiguous() for t in scene.tensors()]
    camera = [cameras.world_to_cam[view].contiguous(), cameras.intrinsics[view].contiguous()]
    counts = torch.zeros(4, dtype=torch.int64)

    def pointer(tensor: torch.Tensor) -> ctypes.c_void_p:
        return ctypes.c_void_p(tensor.data_ptr())

    library().count_work(
        *map(pointer, tensors),
        ctypes.c_int64(len(scene.means)),
        scene.colors.shape[1],
        *map(pointer, camera),
        cameras.width,
        cameras.height,
        threads,
        pointer(counts),
    )
    return Work(len(scene.means), *counts.tolist())


def least_seconds(work: Work, width: int, height: int, roofs: Roofs) -> dict[str, float]:
    """The least time of each stage of RGB and depth at the machine's roofs: bytes that must come and go, or operations of the
    blends.

    Bytes: six floats of every Gaussian are read, and eight more of the visible ones; a record of 64 bytes and 20 more is
    written per visible Gaussian, and 16 are read again by binning; a pair of 12 bytes is written and read, then listed with 8;
    slots of 64 bytes are written and read; gradients of 14 floats are written.
    """
    lanes = 16 * work.blocks

    def blend(operations: tuple[int, int]) -> float:
        return lanes * (operations[0] + operations[1] * CHANNELS) / roofs.operations

    return {
        "project": (24 * work.gaussians + 116 * work.visible) / roofs.copied,
        "sort_and_bin": (16 * work.visible + 32 * work.pairs) / roofs.copied,
        "composite_forward": blend(FORWARD_OPERATIONS) + 4 * (CHANNELS + 1) * width * height / roofs.copied,
        "composite_backward": blend(BACKWARD_OPERATIONS) + 64 * work.pairs / roofs.copied,
        "project_backward": (64 * work.pairs + 116 * work.visible + 56 * work.gaussians) / roofs.copied,
    }
