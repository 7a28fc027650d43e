"""What moved while a run's windows were filled, as files: a .ply for each frame of a window in which something did."""

from __future__ import annotations

import re
from pathlib import Path

from splatmem.explore.loop import ExploreState
from splatmem.explore.motion import MovingPart
from splatmem.io.ply import load_ply, save_ply

FOLDER = "motion"
NAME = re.compile(r"window(\d+)_moment(\d+\.\d+)\.ply")


def write_motion(folder: Path, state: ExploreState) -> None:
    """Writes what moved in the last window, and takes it out of the state: a run reads it from its files, so that one that was
    interrupted gives the same film."""
    for part in state.moving:
        (folder / FOLDER).mkdir(exist_ok=True)
        name = f"window{len(state.windows):04d}_moment{part.moment:010.4f}.ply"
        save_ply(part.gaussians, folder / FOLDER / name, compact=True)
    state.moving.clear()


def read_motion(folder: Path) -> list[MovingPart]:
    """What ``write_motion`` wrote, in the order of the windows."""
    files = ((NAME.fullmatch(file.name), file) for file in sorted((folder / FOLDER).glob("*.ply")))
    return [MovingPart(float(match[2]), load_ply(file)) for match, file in files if match is not None]
