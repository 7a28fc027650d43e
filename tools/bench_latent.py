"""Times the two roads by which a window's conditioning reaches Wan VACE: rendered and encoded, or read in latents.

    python tools/bench_latent.py                                          # what a small machine bears: minutes on two cores
    python tools/bench_latent.py --size 832x480 --frames 49 --device cuda

The autoencoder is Wan's at its real configuration; its weights are random, which changes neither time nor memory. The pixel
road is diffusers' own ``prepare_video_latents``. Both roads need the window's pictures too, to put the known back in the end.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import tyro
from rich.console import Console
from rich.table import Table
from splatmem import assets
from splatmem.cli.commands import parse_size
from splatmem.config import HardwareConfig, InpainterConfig
from splatmem.depth import load_depth_estimator
from splatmem.explore.beginnings import begin_memory
from splatmem.explore.feature_gaussians import encode_views, read_latents
from splatmem.explore.loop import ExploreSettings
from splatmem.geometry.cameras import Cameras, identity_camera
from splatmem.inpaint.diffusers.time_groups import grow_over_groups
from splatmem.inpaint.diffusers.vace_pipeline import MemoryVACEPipeline
from splatmem.inpaint.diffusers.wan_vace import WanVACEInpainter
from splatmem.inpaint.diffusers.windows import GREY
from splatmem.io.photo import load_photo
from splatmem.memory import SpatialMemory
from splatmem.models.hardware import choose_device, drawing_device
from splatmem.timing import StageClock

Result = TypeVar("Result")
MEBIBYTE = 2**20


@dataclass
class Options:
    """What to time."""

    size: str = "416x240"
    """Width x height of the window's frames, multiples of 16."""
    frames: int = 9
    """Frames of the window, 4k + 1."""
    turn: float = 12.0
    """Degrees that the camera turns over the window."""
    threads: int = 2
    """Of the CPU."""
    repeats: int = 5
    """Of what takes less than seconds; the fastest counts. The autoencoder runs once."""
    device: str = "auto"
    """Where it runs."""


@dataclass(frozen=True)
class Road:
    """Seconds and bytes of one window, by one road.

    Attributes:
        read: seconds in which the memory is read.
        made: seconds from there to the conditioning.
        carried: bytes that are read from the memory for it.
        working: bytes by which the process grew meanwhile.
    """

    read: float
    made: float
    carried: int
    working: int

    @property
    def seconds(self) -> float:
        return self.read + self.made


def main(options: Options) -> None:
    torch.set_num_threads(options.threads)
    console, device = Console(), choose_device(options.device)
    width, height = parse_size(options.size)
    inpainter = real_size_inpainter(options.frames, device)
    memory = memory_of_photo(width, height, device)
    cameras = turning(memory.views[0].camera, options.frames, options.turn)
    once = {"encode one given picture": seconds_of(lambda: encode_views(memory, inpainter))}
    latent, from_latents, grey = latent_road(memory, inpainter, cameras, options.repeats)
    once["encode a grey window"] = grey
    pixel, from_pixels = pixel_road(memory, inpainter, cameras, options.repeats)
    show(console, options, pixel, latent, once, memory)
    console.print(differences(memory, inpainter, cameras, from_pixels, from_latents))


def real_size_inpainter(frames: int, device: str) -> WanVACEInpainter:
    """Wan's autoencoder at its real configuration; the transformer, which has no part in this, is a stub of its class."""
    from diffusers import AutoencoderKLWan, UniPCMultistepScheduler, WanVACETransformer3DModel

    torch.manual_seed(0)
    stub = WanVACETransformer3DModel(
        num_attention_heads=1, attention_head_dim=12, text_dim=8, freq_dim=8, ffn_dim=8, num_layers=1, vace_layers=[0]
    )
    scheduler: Any = UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0)
    vae: Any = AutoencoderKLWan().eval()
    parts: dict[str, Any] = {"tokenizer": None, "text_encoder": None}
    pipeline = MemoryVACEPipeline(**parts, vae=vae, scheduler=scheduler, transformer=stub)
    settings = InpainterConfig(window_frames=frames, conditioning="latents", revise=0.0)
    return WanVACEInpainter(pipeline.to(device), settings, HardwareConfig(), device, "bench")


def memory_of_photo(width: int, height: int, device: str) -> SpatialMemory:
    photo = load_photo(assets.path("photos/interior_table.jpg"), width, height)
    camera = identity_camera(60, width, height)
    depth = load_depth_estimator("embedded", device=device)
    settings = ExploreSettings(photo_refine_steps=10)
    return begin_memory(photo.rgb, camera, depth, settings, StageClock(), drawing_device(device))


def turning(camera: Cameras, frames: int, degrees: float) -> Cameras:
    """The camera turning to the right in place."""
    poses = torch.eye(4).repeat(frames, 1, 1)
    angles = torch.linspace(0, degrees, frames).deg2rad()
    poses[:, 0, 0] = poses[:, 2, 2] = angles.cos()
    poses[:, 0, 2], poses[:, 2, 0] = angles.sin(), -angles.sin()
    return Cameras.from_fov(poses, camera.fov_x_degrees, camera.width, camera.height)


def latent_road(
    memory: SpatialMemory, inpainter: WanVACEInpainter, cameras: Cameras, repeats: int
) -> tuple[Road, torch.Tensor, float]:
    """The road, its conditioning, and the seconds of what is made once for all windows of a size."""
    known = memory.read(cameras).known
    wanted, seen = grow_over_groups(~known, 4), torch.zeros_like(known)
    before = peak_bytes()
    latents = read_latents(memory, inpainter, cameras)
    read = min(seconds_of(lambda: read_latents(memory, inpainter, cameras)) for _ in range(repeats))
    grown = peak_bytes() - before
    grey = seconds_of(lambda: inpainter.conditioning(latents, wanted, seen))
    made = min(seconds_of(lambda: inpainter.conditioning(latents, wanted, seen)) for _ in range(repeats))
    carried = latents.features.nbytes + latents.known.nbytes + latents.trust.nbytes
    return Road(read, made, carried, grown), inpainter.conditioning(latents, wanted, seen), grey


def pixel_road(memory: SpatialMemory, inpainter: WanVACEInpainter, cameras: Cameras, repeats: int) -> tuple[Road, torch.Tensor]:
    """The road and its conditioning."""
    read = min(seconds_of(lambda: memory.read(cameras)) for _ in range(repeats))
    before = peak_bytes()
    reading = memory.read(cameras)
    wanted = grow_over_groups(~reading.known, 4)
    video = (2 * torch.where(wanted[..., None], GREY, reading.rgb) - 1).permute(3, 0, 1, 2)[None].to(inpainter.device)
    mask = wanted[None, None].expand_as(video).float().to(inpainter.device)
    inpainter.pipeline.conditioning = None
    conditioning = []
    with torch.no_grad():
        made = seconds_of(lambda: conditioning.append(inpainter.pipeline.prepare_video_latents(video, mask, [[]])))
    carried = reading.rgb.nbytes + reading.known.nbytes + reading.trust.nbytes
    return Road(read, made, carried, peak_bytes() - before), conditioning[0].cpu()


def seconds_of(task: Callable[[], object]) -> float:
    started = time.perf_counter()
    task()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started


def peak_bytes() -> int:
    """Most memory so far: of the GPU where there is one, else of the process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def show(console: Console, options: Options, pixel: Road, latent: Road, once: dict[str, float], memory: SpatialMemory) -> None:
    window = Table(
        f"{options.frames} frames of {options.size}",
        "render + encode",
        "read latents",
        "ratio",
        title="conditioning of a window",
    )
    for name, unit, value in (
        ("reading the memory", "s", lambda road: road.read),
        ("from there to the conditioning", "s", lambda road: road.made),
        ("together", "s", lambda road: road.seconds),
        ("read from the memory", "MiB", lambda road: road.carried / MEBIBYTE),
        ("growth of the peak memory", "MiB", lambda road: road.working / MEBIBYTE),
    ):
        a, b = value(pixel), value(latent)
        window.add_row(f"{name} [{unit}]".replace("[", r"\["), f"{a:.3f}", f"{b:.3f}", f"{a / b:.1f}" if b > 0 else "")
    console.print(window)
    assert memory.feature_gaussians is not None
    colour, latents = memory.gaussians.nbytes, memory.feature_gaussians.nbytes
    kept = Table("kept in the memory", "Gaussians", "MiB", title="memory")
    kept.add_row("colour", f"{len(memory.gaussians):,}", f"{colour / MEBIBYTE:.2f}")
    kept.add_row("latents, half precision", f"{len(memory.feature_gaussians):,}", f"{latents / MEBIBYTE:.2f}")
    kept.add_row("both, in units of colour alone", "", f"{(colour + latents) / colour:.2f}")
    console.print(kept)
    console.print("once: " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in once.items()))


def differences(
    memory: SpatialMemory, inpainter: WanVACEInpainter, cameras: Cameras, pixels: torch.Tensor, latents: torch.Tensor
) -> str:
    """How far the two roads' latents are apart where all is known, relative to the latents' own spread."""
    known = read_latents(memory, inpainter, cameras).known
    channels = inpainter.pipeline.vae.config.z_dim
    told = []
    for index in range(pixels.shape[2]):
        a, b = (x[0, :channels, index][:, known[index]] for x in (pixels, latents))
        told.append(f"{float((a - b).std() / a.std()):.2f}")
    return "difference of the two roads' latents in known cells, in standard deviations, by latent frame: " + ", ".join(told)


if __name__ == "__main__":
    main(tyro.cli(Options))
