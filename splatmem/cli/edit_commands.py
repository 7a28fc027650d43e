"""What the commands that change a scene do, given their parsed options, and what they print."""

from __future__ import annotations

from splatmem.jobs.edit_options import ChangeOptions, FilmOptions
from splatmem.report.progress import RunProgress


def change(options: ChangeOptions, progress: RunProgress) -> None:
    from splatmem.jobs.edit import change as make

    made = make(options, progress)
    for note in made.notes:
        progress.say(f"note: {note}")
    progress.say(f"{made.told}: {made.folder} ({' > '.join(made.history)})")
    progress.result(folder=str(made.folder.resolve()), history=list(made.history))


def film(options: FilmOptions, progress: RunProgress) -> None:
    from splatmem.jobs.edit import film as make

    made = make(options, progress)
    for note in made.notes:
        progress.say(f"note: {note}")
    unknown = 100 * made.film.unknown_fraction
    progress.say(f"{made.frames} frames, {made.generated_frames} made for them, {unknown:.2f} % unknown: {options.out}")
    progress.result(file=str(options.out.resolve()), frames=made.frames, unknown_fraction=made.film.unknown_fraction)
