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
    frames, size = (6, (96, 64)) if context.tiny else (96, (512, 288))
    report = flyaround(
        photo=assets.path(PHOTO), out=demo_folder(context, device), frames=frames, size=size, device=device, overwrite=True
    )
    row: dict[str, Any] = {"device": device, **{name: report[name] for name in FIGURES}}
    context.record(row)
    context.record({"device": device, **{f"{name}, s": seconds for name, seconds in report["seconds"].items()}})
    other = demo_folder(context, "cpu") / REPORT
    if device != "cpu" and other.is_file():
        _compare(context, json.loads(other.read_text(encoding="utf-8")))


def _compare(context: Context, on_cpu: dict[str, Any]) -> None:
    """The figures of the run on the CPU, and how near its film is to the device's."""
    films = [torch.from_numpy(read_video(demo_folder(context, where) / "video.mp4")) for where in (context.device, "cpu")]
    values = [psnr(from_uint8(a), from_uint8(b)) for a, b in zip(*films, strict=True)]
    context.record(
        {
            "device": "cpu",
            **{name: on_cpu[name] for name in FIGURES},
            "film against the device's, dB": sum(values) / len(values),
        }
    )
