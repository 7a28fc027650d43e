"""What this machine can use, and what to do about the rest."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing that splatmem can use.

    Attributes:
        name: what it is.
        usable: whether it works here.
        state: what was found.
        advice: what to do if it is wanted; empty when there is nothing to do.
    """

    name: str
    usable: bool
    state: str
    advice: str = ""


def examine() -> list[Finding]:
    """Tries everything that a run may need."""
    return [_cpu_kernels(), _cuda(), _video(), _models(), _open3d(), _viewer()]


def _cpu_kernels() -> Finding:
    import torch

    try:
        from splatmem.render.extension import load_kernels

        name = load_kernels().instruction_set()
    except ImportError as error:
        return Finding("rasterizer on the CPU", False, "the compiled extension does not load", str(error))
    cores = os.cpu_count() or 1
    return Finding("rasterizer on the CPU", True, f"{name}, {torch.get_num_threads()} threads on {cores} cores")


def _cuda() -> Finding:
    import torch

    if not torch.cuda.is_available():
        return Finding(
            "CUDA with gsplat", False, "PyTorch sees no CUDA device", "the CPU is used; on a GPU install a CUDA PyTorch"
        )
    if importlib.util.find_spec("gsplat") is None:
        return Finding("CUDA with gsplat", False, "gsplat is not installed", "pip install gsplat")
    from torch.utils.cpp_extension import CUDA_HOME

    if importlib.util.find_spec("gsplat.csrc") is None and CUDA_HOME is None:
        return Finding(
            "CUDA with gsplat",
            False,
            "gsplat compiles its kernels at their first use, and there is no CUDA toolkit",
            "the models run on the GPU all the same, Gaussians are drawn on the CPU; install the toolkit (nvcc) that fits "
            f"PyTorch's CUDA {torch.version.cuda}",
        )
    free, total = torch.cuda.mem_get_info()
    return Finding(
        "CUDA with gsplat", True, f"{torch.cuda.get_device_name()}, {free / 2**30:.1f} of {total / 2**30:.1f} GiB free"
    )


def _video() -> Finding:
    try:
        import av
        from av.codec import Codec

        Codec("libx264", "w")
    except Exception as error:
        return Finding("H.264 video", False, f"PyAV has no libx264 ({error})", "pip install --force-reinstall av")
    return Finding("H.264 video", True, f"PyAV {av.__version__} with libx264")


def _models() -> Finding:
    from splatmem import assets

    missing = []
    for folder in ("models/inpaint-small", "models/depth-small"):
        try:
            assets.path(folder)
        except FileNotFoundError:
            missing.append(folder)
    if missing:
        return Finding("embedded models", False, f"missing: {', '.join(missing)}", "install splatmem anew: pip install .")
    return Finding("embedded models", True, "small preview models for inpainting and depth")


def _open3d() -> Finding:
    if importlib.util.find_spec("open3d") is None:
        return Finding(
            "Open3D (splatmem inspect)",
            False,
            "not installed",
            "pip install 'splatmem[inspect-cpu]' or 'splatmem[inspect]'",
        )
    try:
        import open3d
    except (ImportError, OSError) as error:
        return Finding("Open3D (splatmem inspect)", False, str(error), "apt-get install libusb-1.0-0 libgl1")
    return Finding("Open3D (splatmem inspect)", True, f"Open3D {open3d.__version__}")


def _viewer() -> Finding:
    if importlib.util.find_spec("viser") is None:
        return Finding("viser", False, "not installed", "pip install viser")
    return Finding("viser", True, "installed")
