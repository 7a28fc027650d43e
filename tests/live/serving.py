"""Serves a folder with a small scene, in a process of its own that can be killed: a red block before a striped wall.

python tests/live/serving.py FOLDER PORT

As long as there is a file FOLDER.hold, windows that are begun do not end. From SIGUSR1 to SIGUSR2 no file can grow beyond a few
bytes, as on a disk that is full.
"""

from __future__ import annotations

import resource
import signal
import sys
import threading
import time
from pathlib import Path

import thing_before_wall
import torch
from splatmem.config import load_preset
from splatmem.depth import DepthPrediction
from splatmem.explore.models import Models
from splatmem.live.application import Application
from splatmem.scene import Scene

HOLD = Path(f"{sys.argv[1]}.hold")
FULL = 16  # bytes


def flat_depth(images: torch.Tensor, fov_x_degrees: float | None = None) -> DepthPrediction:
    """The same depth everywhere, to be aligned with what is known."""
    while HOLD.exists():
        time.sleep(0.05)
    return DepthPrediction(torch.full(images.shape[:-1], 2.5), True)


def begin(folder: Path) -> None:
    """Saves the scene."""

    scene = Scene(
        thing_before_wall.memory(), Models(load_preset("push-pull", ()), depth=flat_depth), "push-pull", source="wall"
    )
    scene._record("begin")
    scene.save(folder)


def main(folder: Path, port: int) -> None:
    if not folder.exists():
        begin(folder)
    application = Application(Scene.open(folder, device="cpu", depth=flat_depth), folder, port=port)
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGUSR1, lambda *_: resource.setrlimit(resource.RLIMIT_FSIZE, (FULL, unlimited[1])))
    signal.signal(signal.SIGUSR2, lambda *_: resource.setrlimit(resource.RLIMIT_FSIZE, unlimited))
    print(application.address, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
