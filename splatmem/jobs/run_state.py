"""A run as it stands, on disk and back."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass, field
from typing import Any

import torch

from splatmem.config import Config
from splatmem.explore.loop import ExploreState
from splatmem.geometry.cameras import Cameras
from splatmem.memory.session import SessionStore
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


def save_run(session: SessionStore, run: Run, fingerprint: dict[str, Any]) -> None:
    """Saves the session, with all that an interrupted run needs to go on to the same bytes.

    Args:
        session: where.
        run: as it stands.
        fingerprint: what must be the same when it is resumed, as JSON values.
    """
    cameras = run.film.cameras
    progress = {
        "scene": run.scene.record(growing=False),
        "options": fingerprint,
        "finished": run.state.finished,
        "exploration_notes": run.state.notes,
        "generator": base64.b64encode(run.generator.get_state().numpy().tobytes()).decode(),
        "seconds": {"total": time.perf_counter() - run.started, **run.scene.clock.seconds},
        "film": run.film.name,
        "size": [cameras.width, cameras.height],
    }
    path = {"world_to_cam": cameras.world_to_cam, "intrinsics": cameras.intrinsics}
    # Floats go through JSON whole: Python writes the shortest text that reads back as the same number.
    lists = {
        "windows": run.state.windows, "border_steps": run.state.border_steps, "coverage": run.coverage,
        "counts": run.scene.history[-1].windows,
    }  # fmt: skip
    session.save(run.scene.memory, progress, path, lists=lists)


def resume_run(
    session: SessionStore,
    fingerprint: dict[str, Any],
    config: Config,
    device: str,
    parts: dict[str, Any],
    clock: StageClock,
    started: float,
) -> Run:
    """The run as its last finished window left it.

    Args:
        session: of the run.
        fingerprint: as of ``save_run``.
        config: of the models.
        device: where they run.
        parts: the inpainter, depth estimator, planner and settings that are to be used instead, or None for each.
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
        step = progress["scene"]["history"][-1]
        if step.get("unfinished"):
            step["windows"], step["details"]["moments"] = progress["counts"], list(progress["windows"])
        scene = Scene.restored(memory, progress["scene"], device, config=config, clock=clock, **parts)
        film = Trajectory(Cameras(path["world_to_cam"], path["intrinsics"], *progress["size"]), name=progress["film"])
        generator = torch.Generator()
        generator.set_state(torch.frombuffer(bytearray(base64.b64decode(progress["generator"])), dtype=torch.uint8))
        state = ExploreState(progress["windows"], progress["border_steps"], progress["finished"], progress["exploration_notes"])
        seconds = dict(progress["seconds"])
        earlier = seconds.pop("total", 0.0)
        # The planner looks again at the state that the last window left: its coverage is noted anew.
        coverage = progress["coverage"][: len(state.windows) + state.finished]
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"{session.folder} does not hold an interrupted run ({error}): give --overwrite to start anew"
        ) from error
    for name, spent in seconds.items():
        clock.seconds[name] += spent
    return Run(scene, film, generator, state, started - earlier, coverage)
