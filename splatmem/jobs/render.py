"""Films a finished scene along another path."""

from __future__ import annotations

from dataclasses import dataclass

from splatmem.edit.history import Step, views_before
from splatmem.io.splats.endings import is_splat_file
from splatmem.jobs.options import RenderOptions
from splatmem.memory.film import FilmFigures, film_memory
from splatmem.memory.session import load_session
from splatmem.scene.announce import Announce, silent
from splatmem.scene.folders import session_folder
from splatmem.timing import StageClock
from splatmem.trajectory.trajectory import trajectory_from


@dataclass(frozen=True)
class RenderReport:
    """What was filmed.

    Attributes:
        film: its figures.
        frames: its length.
        seconds: that drawing and encoding took.
        notes: sentences for a reader.
        generated_frames: frames that were made first.
    """

    film: FilmFigures
    frames: int
    seconds: float
    notes: tuple[str, ...]
    generated_frames: int = 0


def render(options: RenderOptions, announce: Announce = silent) -> RenderReport:
    """Writes ``options.out``; nothing is generated, and no model is loaded, unless the unknown is to be filled.

    Raises:
        ValueError: options or a scene that cannot be used.
        OSError: the file cannot be written.
    """
    options.check()
    clock, made, notes = StageClock(), 0, ()
    if options.fill:
        from splatmem.jobs.edit import fill_for, write_back
        from splatmem.scene import Scene

        scene = Scene.open(options.scene, device=options.device)
        trajectory = trajectory_from(options.path, scene, options.frames, options.size, options.fov)
        made = fill_for(scene, trajectory, options.prompt, announce).generated_frames
        if made:
            write_back(scene, options.scene, None)
        scene.models.release()
        memory = scene.memory
    elif is_splat_file(options.scene) and options.scene.is_file():
        from splatmem.scene import DEFAULT_SIZE, Scene

        scene = Scene.from_splats(options.scene, options.size or DEFAULT_SIZE, fov=options.fov, device="cpu")
        memory, notes = scene.memory, tuple(scene.notes)
        trajectory = trajectory_from(options.path, memory, options.frames, options.size, options.fov)
    else:
        memory, progress = load_session(session_folder(options.scene))
        history = [Step(**step) for step in progress.get("scene", {}).get("history", ())]
        known = views_before(history, options.path)
        trajectory = trajectory_from(options.path, memory, options.frames, options.size, options.fov, known)
    film = film_memory(memory, trajectory.cameras, options.out, options.fps, clock, announce)
    seconds = clock.seconds["render"] + clock.seconds["encode"]
    return RenderReport(film, len(trajectory), seconds, notes + trajectory.notes, made)
