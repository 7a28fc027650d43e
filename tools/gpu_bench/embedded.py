"""The job with the embedded models, end to end: a photo in, a film and a scene out, with its figures and seconds by stage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from splatmem import assets
from splatmem.bench.context import Context
from splatmem.io.video import read_video
from splatmem.jobs.flyaround import flyaround
from splatmem.jobs.output_folder import REPORT
from splatmem.metrics import psnr
from splatmem.pixels import from_uint8

PHOTO = "photos/interior_table.jpg"
FILM = "video.mp4"
FilmSize = tuple[int, int, int]  # frames, width, height
DEMO: FilmSize = (96, 512, 288)
WARM_UP: FilmSize = (6, 96, 64)
FIGURES = ("gaussians", "windows", "generated_frames", "unknown_fraction", "photo_psnr", "retention_psnr", "peak_gpu_bytes")


def run(context: Context) -> None:
    """On the device, into the folder from which the film is then taken."""
    _job(context, context.device)


def run_on_cpu(context: Context) -> None:
    """The same job on the CPU of the same machine, to compare its figures and seconds."""
    _job(context, "cpu")


def demo_folder(context: Context, device: str) -> Path:
    return context.work / f"demo-{device}"


def _job(context: Context, device: str) -> None:
    # The first job of a process also loads libraries and prepares the device.
    _record_seconds(context, device, WARM_UP, _make(context.work / f"warm-up-{device}", device, WARM_UP))
    size = WARM_UP if context.tiny else DEMO
    report = _make(demo_folder(context, device), device, size)
    context.record(_figures(device, report))
    _record_seconds(context, device, size, report)
    other = demo_folder(context, context.device if device == "cpu" else "cpu")
    if context.device != "cpu" and (other / REPORT).is_file():
        _compare(context)


def _make(out: Path, device: str, size: FilmSize) -> dict[str, Any]:
    frames, width, height = size
    return flyaround(photo=assets.path(PHOTO), out=out, frames=frames, size=(width, height), device=device, overwrite=True)


def _record_seconds(context: Context, device: str, size: FilmSize, report: dict[str, Any]) -> None:
    job = "{} frames of {}x{}".format(*size)
    context.record({"device": device, "job": job, **{f"{name}, s": value for name, value in report["seconds"].items()}})


def _figures(device: str, report: dict[str, Any]) -> dict[str, Any]:
    return {"device": device, **{name: report[name] for name in FIGURES}}


def _compare(context: Context) -> None:
    """The figures of both runs, and how near their films are to each other."""
    folders = {device: demo_folder(context, device) for device in (context.device, "cpu")}
    films = [torch.from_numpy(read_video(folder / FILM)) for folder in folders.values()]
    values = [psnr(from_uint8(a), from_uint8(b)) for a, b in zip(*films, strict=True)]
    for device, folder in folders.items():
        context.record(_figures(device, json.loads((folder / REPORT).read_text(encoding="utf-8"))))
    context.record({"film on the device against the CPU's, mean dB": sum(values) / len(values), "least, dB": min(values)})
