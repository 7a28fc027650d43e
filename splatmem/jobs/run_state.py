"""A run as it stands, on disk and back."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from splatmem.config import Config
from splatmem.explore.loop import ExploreState
from splatmem.geometry.cameras import Cameras
from splatmem.memory.session import load_session, save_session
from splatmem.scene import Scene
from splatmem.timing import StageClock
from splatmem.trajectory.trajectory import Trajectory


@dataclass
class Run:
    """A run as it stands: all that its next step needs, and all that a session keeps.

    Attributes:
        scene: its memory, its models and its notes.
        film: the trajectory that is filmed.
        generator: of the inpainter's randomness, in its present state.
        state: how far the exploration has come.
        started: when the run began by ``time.perf_counter``, as if it had never been interrupted.
        coverage: unknown share of the film before each window.
    """

    scene: Scene
    film: Trajectory
    generator: torch.Generator
    state: ExploreState
    started: float
    coverage: list[float] = field(default_factory=list)


def save_run(folder: Path, run: Run, fingerprint: dict[str, Any]) -> None:
    """Saves the session, with all that an interrupted run needs to go on to the same bytes.

    Args:
        folder: of the session.
        run: as it stands.
        fingerprint: what must be the same when it is resumed, as JSON values.
    """
    cameras = run.film.cameras
    progress = {
        "scene": run.scene.record(),
        "options": fingerprint,
        "windows": run.state.windows,
        "border_steps": run.state.border_steps,
        "finished": run.state.finished,
        "exploration_notes": run.state.notes,
        "generator": run.generator.get_state().tolist(),
        "coverage": run.coverage,
        "seconds": {"total": time.perf_counter() - run.started, **run.scene.clock.seconds},
        # Floats go through JSON whole: Python writes the shortest text that reads back as the same number.
        "film": {
            "name": run.film.name,
            "world_to_cam": cameras.world_to_cam.double().tolist(),
            "intrinsics": cameras.intrinsics.double().tolist(),
            "size": [cameras.width, cameras.height],
        },
    }
    save_session(run.scene.memory, folder, progress)


def resume_run(
    folder: Path,
    fingerprint: dict[str, Any],
    config: Config,
    device: str,
    parts: dict[str, Any],
    clock: StageClock,
    started: float,
) -> Run:
    """The run as its last finished window left it.

    Args:
        folder: of the session.
        fingerprint: as of ``save_run``.
        config: of the models.
        device: where they run.
        parts: the inpainter, depth estimator, planner and settings that are to be used instead, or None for each.
        clock: to which the seconds of before are added.
        started: when the continuation began, by ``time.perf_counter``.

    Raises:
        ValueError: the session is damaged, or was begun with other options.
    """
    memory, progress = load_session(folder)
    begun = progress["options"]
    changed = [key for key in fingerprint if begun.get(key) != fingerprint[key]]
    if changed:
        was = ", ".join(f"{key} = {begun.get(key)}" for key in changed)
        raise ValueError(f"the interrupted run was begun with other options ({was}); give those, or --overwrite")
    scene = Scene.restored(memory, progress["scene"], device, config=config, clock=clock, **parts)
    film = progress["film"]
    cameras = Cameras(torch.tensor(film["world_to_cam"]), torch.tensor(film["intrinsics"]), *film["size"])
    generator = torch.Generator()
    generator.set_state(torch.tensor(progress["generator"], dtype=torch.uint8))
    state = ExploreState(progress["windows"], progress["border_steps"], progress["finished"], progress["exploration_notes"])
    earlier = progress["seconds"].pop("total", 0.0)
    for name, seconds in progress["seconds"].items():
        clock.seconds[name] += seconds
    # The planner looks again at the state that the last window left: its coverage is noted anew.
    coverage = progress["coverage"][: len(state.windows) + state.finished]
    return Run(scene, Trajectory(cameras, name=film["name"]), generator, state, started - earlier, coverage)
