"""What works on this machine, what each lack means, and what to do about it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from splatmem.cli.version import own_version
from splatmem.models.main_memory import fitting_size, free_main_memory

DEFAULT_SIZE = (512, 288)  # of a film
MIN_DISK = 0.3  # GB that a film of the default size and its scene take, with room to spare
CPU_TORCH = "pip install torch --index-url https://download.pytorch.org/whl/cpu"
CUDA_TORCH = "install a CUDA build of PyTorch: see docs/install.md, GPU"


@dataclass(frozen=True)
class Finding:
    """One thing that splatmem can use.

    Attributes:
        name: what it is.
        usable: whether it works here.
        state: what was found.
        needed: whether every run needs it.
        lack: what does not work without it; empty where it is usable.
        advice: what to do if it is wanted; empty when there is nothing to do.
    """

    name: str
    usable: bool
    state: str
    needed: bool = False
    lack: str = ""
    advice: str = ""


def examine() -> list[Finding]:
    """Tries everything that a run may need. Nothing that is missing ends it, PyTorch included."""
    examinations: tuple[Callable[[], Finding], ...] = (
        _python, _processor, _memory, _disk, _torch, _cpu_kernels, _video, _models, _cuda, _open3d, _viewer, _heif,
    )  # fmt: skip
    return [examination() for examination in examinations]


def _python() -> Finding:
    return Finding("Python", True, f"{platform.python_version()}, splatmem {own_version()}, {platform.platform()}", needed=True)


def _processor() -> Finding:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Finding("processor", True, f"{_processor_name()}, {cores} of {os.cpu_count()} cores for this process", needed=True)


def _memory() -> Finding:
    free = free_main_memory()
    if free is None:
        return Finding("memory", True, "how much is free is not known on this system", needed=True)
    state = f"{free / 2**30:.1f} GiB free"
    size = fitting_size(*DEFAULT_SIZE, free)
    if size == DEFAULT_SIZE:
        return Finding("memory", True, state, needed=True)
    fits = (
        "no film fits"
        if size is None
        else f"films of up to {size[0]}x{size[1]} fit, {DEFAULT_SIZE[0]}x{DEFAULT_SIZE[1]} does not"
    )
    advice = "end other programs" + ("" if size is None else f", or give --size {size[0]}x{size[1]}")
    return Finding("memory", size is not None, state, True, fits, advice)


def _disk() -> Finding:
    here = Path.cwd()
    try:
        free = shutil.disk_usage(here).free / 1e9
    except OSError as error:
        return Finding("disk", False, f"{here}: {error.strerror}", True, "no film can be written here", "go to another folder")
    if not os.access(here, os.W_OK):
        return Finding("disk", True, f"{here} may not be written to", True, "", "give --out a folder elsewhere")
    lack = "" if free >= MIN_DISK else f"a film and its scene take about {MIN_DISK:g} GB"
    return Finding(
        "disk", not lack, f"{free:.1f} GB free in {here}", True, lack, "free space, or go to another disk" if lack else ""
    )


def _torch() -> Finding:
    lack = "nothing can be computed"
    try:
        import torch
    except ImportError as error:
        state = "not installed" if importlib.util.find_spec("torch") is None else f"does not load: {_first_line(error)}"
        return Finding("PyTorch", False, state, True, lack, CPU_TORCH)
    build = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built for the CPU"
    advice = ""
    if torch.version.cuda is None and _has_nvidia_driver():
        advice = f"there is an NVIDIA driver, which this build cannot use; to use the GPU {CUDA_TORCH}"
    return Finding("PyTorch", True, f"{torch.__version__}, {build}, {torch.get_num_threads()} threads", True, "", advice)


def _cpu_kernels() -> Finding:
    name = "rasterizer on the CPU"
    try:
        from splatmem.render.extension import load_kernels

        return Finding(name, True, f"compiled kernels, here with {load_kernels().instruction_set()}", needed=True)
    except ImportError as error:
        advice = "install PyTorch first" if importlib.util.find_spec("torch") is None else str(error)
        return Finding(name, False, "the compiled kernels do not load", True, "no scene can be drawn", advice)


def _video() -> Finding:
    try:
        import av
        from av.codec import Codec
    except ImportError as error:
        state = f"PyAV is not installed, or does not load ({_first_line(error)})"
        return Finding("H.264 video", False, state, True, "no film can be written", "pip install av")
    try:
        Codec("libx264", "w")
    except Exception as error:
        state, advice = f"PyAV has no libx264 ({_first_line(error)})", "pip install --force-reinstall av"
        return Finding("H.264 video", False, state, True, "no film can be written", advice)
    return Finding("H.264 video", True, f"PyAV {av.__version__} with libx264", needed=True)


def _models() -> Finding:
    from splatmem import assets

    missing = []
    for folder in ("models/inpaint-places", "models/depth-small"):
        try:
            assets.path(folder)
        except FileNotFoundError:
            missing.append(folder)
    if missing:
        state, advice = (
            f"missing: {', '.join(missing)}",
            "install splatmem anew, in a checkout: pip install --force-reinstall --no-deps .",
        )
        return Finding("embedded models", False, state, True, "the preset 'embedded' does not run", advice)
    return Finding("embedded models", True, "for filling and for depth, as they come with the package", needed=True)


def _cuda() -> Finding:
    name, lack = "GPU (CUDA with gsplat)", "the CPU does all the work; presets with big models need a GPU"
    try:
        import torch
    except ImportError:
        return Finding(name, False, "PyTorch is missing", lack=lack)
    if not torch.cuda.is_available():
        driver = _has_nvidia_driver()
        state = "PyTorch sees no CUDA device" + ("" if driver else "; there is no NVIDIA driver either")
        return Finding(name, False, state, lack=lack, advice=CUDA_TORCH if driver else "")
    if importlib.util.find_spec("gsplat") is None:
        return Finding(name, False, "gsplat is not installed", lack="the CPU draws the Gaussians", advice="pip install gsplat")
    from torch.utils.cpp_extension import CUDA_HOME

    if importlib.util.find_spec("gsplat.csrc") is None and CUDA_HOME is None:
        return Finding(
            name,
            False,
            "gsplat compiles its kernels at their first use, and there is no CUDA toolkit",
            lack="the models run on the GPU all the same, the CPU draws the Gaussians",
            advice=f"install the toolkit (nvcc) that fits PyTorch's CUDA {torch.version.cuda}",
        )
    free, total = torch.cuda.mem_get_info()
    return Finding(name, True, f"{torch.cuda.get_device_name()}, {free / 2**30:.1f} of {total / 2**30:.1f} GiB free")


def _open3d() -> Finding:
    name, lack = "Open3D", "splatmem inspect does not work"
    if importlib.util.find_spec("open3d") is None:
        return Finding(name, False, "not installed", lack=lack, advice="pip install 'splatmem[inspect-cpu]'")
    try:
        import open3d
    except (ImportError, OSError) as error:
        return Finding(
            name, False, _first_line(error), lack=lack, advice="apt-get install libusb-1.0-0 libgl1 libegl1 libgomp1"
        )
    return Finding(name, True, f"Open3D {open3d.__version__}, for splatmem inspect")


def _viewer() -> Finding:
    try:
        return Finding("viser", True, f"viser {importlib.metadata.version('viser')}, for viewing in a browser")
    except importlib.metadata.PackageNotFoundError:
        return Finding("viser", False, "not installed", lack="there is no view in a browser", advice="pip install viser")


def _heif() -> Finding:
    name = "HEIC photos"
    try:
        return Finding(name, True, f"pillow-heif {importlib.metadata.version('pillow-heif')}")
    except importlib.metadata.PackageNotFoundError:
        lack = "photos of phones that end in .heic cannot be read"
        return Finding(name, False, "pillow-heif is not installed", lack=lack, advice="pip install 'splatmem[heif]'")


def _processor_name() -> str:
    """The operating system: Linux and macOS by the name that people know; else what Python tells."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _has_nvidia_driver() -> bool:
    """Whether the system has NVIDIA's driver, whatever PyTorch can do with it."""
    return shutil.which("nvidia-smi") is not None or (sys.platform == "linux" and Path("/proc/driver/nvidia").exists())


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
