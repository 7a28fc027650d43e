"""Films a finished scene along another path."""

from __future__ import annotations

from dataclasses import dataclass

from splatmem.jobs.options import RenderOptions
from splatmem.memory.film import FilmFigures, film_memory
from splatmem.memory.session import load_session
from splatmem.scene import Announce, session_folder, silent
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
    """

    film: FilmFigures
    frames: int
    seconds: float
    notes: tuple[str, ...]


def render(options: RenderOptions, announce: Announce = silent) -> RenderReport:
    """Writes ``options.out``; nothing is generated, and no model is loaded.

    Raises:
        ValueError: options or a scene that cannot be used.
        OSError: the file cannot be written.
    """
    options.check()
    memory = load_session(session_folder(options.scene))[0]
    trajectory = trajectory_from(options.path, memory, options.frames, options.size, options.fov)
    clock = StageClock()
    film = film_memory(memory, trajectory.cameras, options.out, options.fps, clock, announce)
    return RenderReport(film, len(trajectory), clock.seconds["render"] + clock.seconds["encode"], trajectory.notes)
