"""A run as it stands, on disk and back."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from splatmem.explore.loop import ExploreState
from splatmem.geometry.cameras import Cameras
from splatmem.memory import SpatialMemory
from splatmem.memory.session import load_session, save_session
from splatmem.timing import StageClock


@dataclass
class Run:
    """A run as it stands: all that its next step needs, and all that a session keeps."""

    memory: SpatialMemory
    path: Cameras
    generator: torch.Generator
    state: ExploreState
    clock: StageClock
    started: float
    """When it began by ``time.perf_counter``, as if it had never been interrupted."""
    coverage: list[float] = field(default_factory=list)
    """Unknown share of the path before each window."""
    notes: list[str] = field(default_factory=list)
    """Sentences for the report."""

    def remark(self, *notes: str) -> None:
        """Adds notes, each once."""
        self.notes = list(dict.fromkeys([*self.notes, *notes]))


def save_run(folder: Path, run: Run, identity: dict[str, Any]) -> None:
    """Saves the session, with all that an interrupted run needs to go on to the same bytes.

    Args:
        folder: of the session.
        run: as it stands.
        identity: what must be the same when it is resumed, as JSON values.
    """
    progress = {
        "options": identity,
        "windows": run.state.windows,
        "border_steps": run.state.border_steps,
        "finished": run.state.finished,
        "generator": run.generator.get_state().tolist(),
        "coverage": run.coverage,
        "notes": run.notes,
        "seconds": {"total": time.perf_counter() - run.started, **run.clock.seconds},
        # Floats go through JSON whole: Python writes the shortest text that reads back as the same number.
        "path": {
            "world_to_cam": run.path.world_to_cam.double().tolist(),
            "intrinsics": run.path.intrinsics.double().tolist(),
            "size": [run.path.width, run.path.height],
        },
    }
    save_session(run.memory, folder, progress)


def resume_run(folder: Path, identity: dict[str, Any], device: str, clock: StageClock, started: float) -> Run:
    """The run as its last finished window left it.

    Args:
        folder: of the session.
        identity: as of ``save_run``.
        device: where the memory's Gaussians are to lie.
        clock: to which the seconds of before are added.
        started: when the continuation began, by ``time.perf_counter``.

    Raises:
        ValueError: the session is damaged, or was begun with other options.
    """
    memory, progress = load_session(folder)
    begun = progress["options"]
    changed = [key for key in identity if begun.get(key) != identity[key]]
    if changed:
        was = ", ".join(f"{key} = {begun.get(key)}" for key in changed)
        raise ValueError(f"the interrupted run was begun with other options ({was}); give those, or --overwrite")
    path = progress["path"]
    cameras = Cameras(torch.tensor(path["world_to_cam"]), torch.tensor(path["intrinsics"]), *path["size"])
    generator = torch.Generator()
    generator.set_state(torch.tensor(progress["generator"], dtype=torch.uint8))
    state = ExploreState(progress["windows"], progress["border_steps"], progress["finished"])
    earlier = progress["seconds"].pop("total", 0.0)
    for name, seconds in progress["seconds"].items():
        clock.seconds[name] += seconds
    # The planner looks again at the state that the last window left: its coverage is noted anew.
    coverage = progress["coverage"][: len(state.windows) + state.finished]
    memory = memory.to(device)
    return Run(memory, cameras, generator, state, clock, started - earlier, coverage, progress["notes"])
