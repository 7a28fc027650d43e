"""A run as it stands, on disk and back."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass, field
from typing import Any

import torch

from splatmem.explore.loop import ExploreState
from splatmem.geometry.cameras import Cameras
from splatmem.memory import SpatialMemory
from splatmem.memory.session import SessionStore
from splatmem.timing import StageClock


@dataclass
class Run:
    """A run as it stands: all that its next step needs, and all that a session keeps."""

    memory: SpatialMemory
    path: Cameras
    generator: torch.Generator
    state: ExploreState
    clock: StageClock
    seed: int
    """Of the generator, and of what is imagined around the given views."""
    started: float
    """When it began by ``time.perf_counter``, as if it had never been interrupted."""
    coverage: list[float] = field(default_factory=list)
    """Unknown share of the path before each window."""
    notes: list[str] = field(default_factory=list)
    """Sentences for the report."""

    def remark(self, *notes: str) -> None:
        """Adds notes, each once."""
        self.notes = list(dict.fromkeys([*self.notes, *notes]))


def save_run(session: SessionStore, run: Run, fingerprint: dict[str, Any]) -> None:
    """Saves the session, with all that an interrupted run needs to go on to the same bytes.

    Args:
        session: where.
        run: as it stands.
        fingerprint: what must be the same when it is resumed, as JSON values.
    """
    progress = {
        "options": fingerprint,
        "windows": run.state.windows,
        # Floats go through JSON whole: Python writes the shortest text that reads back as the same number.
        "border_steps": run.state.border_steps,
        "finished": run.state.finished,
        "seed": run.seed,
        "generator": base64.b64encode(run.generator.get_state().numpy().tobytes()).decode(),
        "coverage": run.coverage,
        "notes": run.notes,
        "seconds": {"total": time.perf_counter() - run.started, **run.clock.seconds},
        "size": [run.path.width, run.path.height],
    }
    path = {"world_to_cam": run.path.world_to_cam, "intrinsics": run.path.intrinsics}
    session.save(run.memory, progress, path)


def resume_run(session: SessionStore, fingerprint: dict[str, Any], device: str, clock: StageClock, started: float) -> Run:
    """The run as its last finished window left it.

    Args:
        session: of the run.
        fingerprint: as of ``save_run``.
        device: where the memory's Gaussians are to lie.
        clock: to which the seconds of before are added.
        started: when the continuation began, by ``time.perf_counter``.

    Raises:
        ValueError: the session is damaged, was begun with other options, or is not that of a run.
    """
    memory, progress, path = session.load()
    begun = progress.get("options", {})
    changed = [key for key in fingerprint if begun.get(key) != fingerprint[key]]
    if changed:
        was = ", ".join(f"{key} = {begun.get(key)}" for key in changed)
        raise ValueError(f"the interrupted run was begun with other options ({was}); give those, or --overwrite")
    try:
        cameras = Cameras(path["world_to_cam"], path["intrinsics"], *progress["size"])
        generator = torch.Generator().manual_seed(progress["seed"])
        generator.set_state(torch.frombuffer(bytearray(base64.b64decode(progress["generator"])), dtype=torch.uint8))
        state = ExploreState(progress["windows"], progress["border_steps"], progress["finished"])
        seconds = dict(progress["seconds"])
        earlier = seconds.pop("total", 0.0)
        # The planner looks again at the state that the last window left: its coverage is noted anew.
        coverage = progress["coverage"][: len(state.windows) + state.finished]
        notes, seed = progress["notes"], progress["seed"]
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"{session.folder} does not hold an interrupted run ({error}): give --overwrite to start anew"
        ) from error
    for name, spent in seconds.items():
        clock.seconds[name] += spent
    memory = memory.to(device)
    return Run(memory, cameras, generator, state, clock, seed, started - earlier, coverage, notes)
