"""A first look at a film that is being made: a picture in the unfinished folder, written anew after each window."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from splatmem.geometry.sampling import evenly_spread
from splatmem.io.atomic import atomic_path
from splatmem.jobs.run_state import Run
from splatmem.pixels import to_uint8
from splatmem.report.sheet import UNKNOWN_COLOUR

NAME = "preview.jpg"
FRAMES, COLUMNS = 8, 4
TILE_WIDTH = 192


class Preview:
    """Frames of the film as the memory shows them so far; what is not known yet is pink.

    It stands in the folder of the unfinished run, never in the finished one, and nothing depends on it: where it cannot be
    written, the run goes on.

    Args:
        folder: of the unfinished run.
        told: is told the file when it is there for the first time; without anybody to tell, none is written.
    """

    def __init__(self, folder: Path, told: Callable[[Path], None] | None) -> None:
        self.file, self._told, self._first = folder / NAME, told, True

    def show(self, run: Run) -> None:
        """Writes the picture of the run as it stands."""
        if self._told is None:
            return
        cameras = run.film.cameras[evenly_spread(len(run.film), FRAMES)].coarse(TILE_WIDTH)
        rgb, known = run.scene.memory.film(cameras)
        frames = to_uint8(torch.where(known[..., None], rgb, torch.tensor(UNKNOWN_COLOUR)))
        blank = np.full_like(frames[0], 255)
        frames = [*frames, *[blank] * (-len(frames) % COLUMNS)]
        rows = [np.concatenate(frames[first : first + COLUMNS], axis=1) for first in range(0, len(frames), COLUMNS)]
        with suppress(OSError):
            with atomic_path(self.file) as temporary:
                Image.fromarray(np.concatenate(rows)).save(temporary, quality=88)
            if self._first:
                self._told(self.file)
                self._first = False

    def remove(self) -> None:
        """Takes the picture away: the film is there."""
        self.file.unlink(missing_ok=True)
