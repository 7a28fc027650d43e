"""Serves a folder with a small scene, in a process of its own that can be killed: a red block before a striped wall.

python tests/live/serving.py FOLDER PORT
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import thing_before_wall
import torch
from splatmem.config import load_preset
from splatmem.depth import DepthPrediction
from splatmem.explore.models import Models
from splatmem.live.application import Application
from splatmem.scene import Scene


def flat_depth(images: torch.Tensor, fov_x_degrees: float | None = None) -> DepthPrediction:
    """The same depth everywhere, to be aligned with what is known."""
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
    print(application.address, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
