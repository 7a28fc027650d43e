"""Seconds that windows of big models were measured to take on this machine, kept for later runs' estimates.

``splatmem models bench`` writes them. A result counts only for the same device, model and settings.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from splatmem.config import Config
from splatmem.io.atomic import atomic_path
from splatmem.io.home import home

FOLDER_VARIABLE = "SPLATMEM_CACHE"
FILE = "measured.json"


@dataclass(frozen=True)
class WindowSpeed:
    """What one window took.

    Attributes:
        device: the card's name.
        settings: what decides the speed, see ``speed_settings``.
        frames: how many the window had.
        seconds: for the window with all its steps.
        peak_gib: GiB that tensors held on the device at most; None where it is not counted.
    """

    device: str
    settings: dict[str, Any]
    frames: int
    seconds: float
    peak_gib: float | None


def device_name(device: str) -> str:
    """What a device is called, such as the model of the card."""
    return torch.cuda.get_device_name() if device == "cuda" else device


def speed_settings(config: Config, size: tuple[int, int]) -> dict[str, Any]:
    """What decides how long a window of a model takes: the model and what stands beside it or in the place of its parts, its
    steps and guidance, the size, and the hardware's use."""
    inpainter = config.inpainter
    return {
        "model": inpainter.model, "files": inpainter.files_of_parts(), "controlnet": inpainter.controlnet,
        "expander": inpainter.expander, "steps": inpainter.steps,
        "guided": inpainter.guidance is None or inpainter.guidance > 1,
        "min_pixels": inpainter.min_pixels, "max_pixels": inpainter.max_pixels, "references": inpainter.references,
        "size": list(size), "hardware": asdict(config.hardware),
    }  # fmt: skip


def measured_file() -> Path | None:
    """Where results are kept: in ``SPLATMEM_CACHE``, else below the home folder; None where there is neither."""
    given, own = os.environ.get(FOLDER_VARIABLE), home()
    if given:
        return Path(given) / FILE
    return None if own is None else own / ".cache" / "splatmem" / FILE


def keep(speed: WindowSpeed) -> Path | None:
    """Keeps a result in place of an older one of the same kind; returns the file, or None where there is no place for it.

    Raises:
        OSError: the file cannot be written.
    """
    file = measured_file()
    if file is None:
        return None
    others = [other for other in _kept(file) if _kind(other) != _kind(speed)]
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(file) as temporary:
        temporary.write_text(json.dumps([asdict(entry) for entry in [*others, speed]], indent=1) + "\n", encoding="utf-8")
    return file


def seconds_per_frame(config: Config, size: tuple[int, int], device: str) -> float | None:
    """Seconds that a frame of a window takes on this device, if that was measured with these settings; else None."""
    file = measured_file()
    if file is None:
        return None
    wanted = (device_name(device), speed_settings(config, size))
    found = [speed for speed in _kept(file) if _kind(speed) == wanted]
    return found[-1].seconds / found[-1].frames if found else None


def _kind(speed: WindowSpeed) -> tuple[str, dict[str, Any]]:
    return speed.device, speed.settings


def _kept(file: Path) -> list[WindowSpeed]:
    """The results of a file; none, if there is no such file or it is not one of ours."""
    try:
        return [WindowSpeed(**entry) for entry in json.loads(file.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError):
        return []
