"""What making a scene small did to it, in figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import UInt8

from splatmem.geometry.sampling import evenly_spread
from splatmem.jobs.export import film_of
from splatmem.metrics import psnr
from splatmem.pixels import from_uint8, to_uint8
from splatmem.report.figures import summary
from splatmem.report.units import file_size
from splatmem.scene import Scene

FRAMES = 8  # of the film, that are compared
SAME = 100.0  # dB, of pictures without any difference


@dataclass(frozen=True)
class Looks:
    """A scene's size, and what it shows.

    Attributes:
        gaussians: how many.
        memory_bytes: of the scene in main memory.
        photo_psnr: of the photo's own view against the photo, dB.
        frames: some of the film's.
    """

    gaussians: int
    memory_bytes: int
    photo_psnr: float
    frames: tuple[UInt8[np.ndarray, "h w 3"], ...]


def looks(scene: Scene) -> Looks:
    """What a scene is now."""
    memory, film = scene.memory, film_of(scene)
    frames = tuple(to_uint8(memory.film(film[index])[0][0]) for index in evenly_spread(len(film), FRAMES))
    photo = min(memory.photo_fidelity().psnr, SAME)
    return Looks(len(memory.gaussians), memory.nbytes, photo, frames)


def compared(before: Looks, after: Looks) -> dict[str, Any]:
    """What a report of the change holds: figures before and after, and PSNR of the film's frames after it against before."""
    pairs = zip(before.frames, after.frames, strict=True)
    return {
        "gaussians": {"before": before.gaussians, "after": after.gaussians},
        "memory_bytes": {"before": before.memory_bytes, "after": after.memory_bytes},
        "photo_psnr": {"before": before.photo_psnr, "after": after.photo_psnr},
        "film_psnr": summary([psnr(from_uint8(new), from_uint8(old)) for old, new in pairs]),
    }


def sentence(report: dict[str, Any]) -> str:
    """What a report of ``compared`` says to a user."""
    gaussians, memory, photo, film = (report[name] for name in ("gaussians", "memory_bytes", "photo_psnr", "film_psnr"))
    return (
        f"{gaussians['before']:,} Gaussians became {gaussians['after']:,}, {file_size(memory['before'])} in memory "
        f"{file_size(memory['after'])}; film {film['mean']:.1f} dB (worst frame {film['min']:.1f}) against what it was, "
        f"photo {photo['before']:.1f} dB before, {photo['after']:.1f} now"
    )
