"""Changes of finished scenes: a folder in, the change, the folder or another one out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from splatmem.edit.selection import Selection
from splatmem.explore.loop import ExploreState
from splatmem.geometry.cameras import Cameras
from splatmem.io.ply import save_ply
from splatmem.io.splats.endings import is_splat_file
from splatmem.jobs.edit_options import (
    ChangeOptions,
    CompactOptions,
    CropOptions,
    DuplicateOptions,
    ExtendOptions,
    FilmOptions,
    MergeOptions,
    MoveOptions,
    PickOptions,
    RecolourOptions,
    RedoOptions,
    RemoveOptions,
    UndoOptions,
)
from splatmem.jobs.export import film_of, write_splats
from splatmem.jobs.made_small import compared, looks, sentence
from splatmem.jobs.shots import read_shots, shot_trajectory
from splatmem.memory.film import FilmFigures, film_memory
from splatmem.report.figures import write_json
from splatmem.scene import Announce, Scene, silent
from splatmem.trajectory.trajectory import Trajectory

SPLATS = "scene.ply"
HANDED_ON = ("scene.spz", "scene.html")  # written with a scene that is made small
COMPACT_REPORT = "compact.json"
MEGABYTE = 10**6


@dataclass(frozen=True)
class Change:
    """What a change did.

    Attributes:
        told: a sentence.
        history: the operations of the scene after it.
        folder: where the scene is.
        notes: sentences for a reader.
    """

    told: str
    history: tuple[str, ...]
    folder: Path
    notes: tuple[str, ...] = ()


@contextmanager
def changed(options: ChangeOptions) -> Iterator[Scene]:
    """A scene to be changed; at the end of the block it is written, whole or not at all."""
    scene = _opened(options)
    if options.undo_budget is not None:
        scene.timeline.budget = round(options.undo_budget * MEGABYTE)
    yield scene
    write_back(scene, options.scene, options.out, options.overwrite)


def _opened(options: ChangeOptions) -> Scene:
    if is_splat_file(options.scene) and options.scene.is_file():
        poses = options.poses if isinstance(options, ExtendOptions) else None
        return Scene.from_splats(options.scene, poses=poses, device=options.device)
    return Scene.open(options.scene, device=options.device)


def write_back(scene: Scene, folder: Path, out: Path | None, overwrite: bool = False) -> None:
    """Saves a scene where it came from, or into another folder, with its Gaussians as a .ply beside it where there was one."""
    scene.save(out, overwrite=overwrite) if out is not None else scene.save()
    target = folder if out is None else out
    if out is not None or (target / SPLATS).is_file():
        save_ply(scene.memory.gaussians, target / SPLATS, world=scene.memory.world)


def change(options: ChangeOptions, announce: Announce = silent) -> Change:
    """Carries out a change of a scene.

    Raises:
        ValueError: options or a scene that cannot be used; the scene is as it was.
        OSError: files cannot be read or written.
    """
    options.check()
    with changed(options) as scene:
        notes = len(scene.notes)
        if isinstance(options, CompactOptions):
            large = looks(scene)
            scene.compact(announce)
            figures = compared(large, looks(scene))
            told = sentence(figures)
        else:
            told, figures = _apply(scene, options, announce), None
        announce("writing the scene", 0.0)
    folder = options.scene if options.out is None else options.out
    if figures is not None:
        for name in HANDED_ON:
            write_splats(scene.memory, folder / name, film_of(scene))
        write_json(figures, folder / COMPACT_REPORT)
    return Change(told, tuple(step.operation for step in scene.history), folder, tuple(scene.notes[notes:]))


def _apply(scene: Scene, options: ChangeOptions, announce: Announce) -> str:
    before = len(scene.memory.gaussians)
    if isinstance(options, ExtendOptions):
        state = scene.extend(options.path, options.frames, prompt=options.prompt, announce=announce)
        return f"{state.generated_frames} frames made; {len(scene.memory.gaussians):,} Gaussians"
    if isinstance(options, UndoOptions):
        scene.undo(options.steps, windows=options.windows)
        return "undone"
    if isinstance(options, RedoOptions):
        scene.redo(options.steps)
        return "done again"
    if isinstance(options, MergeOptions):
        matrix = None if options.transform is None else [options.transform[row : row + 4] for row in (0, 4, 8)]
        other = Scene.open(options.other, device=options.device)
        scene.merge(other, options.by or (0.0,) * 3, options.turn, options.scale, transform=matrix)
        return f"{len(scene.memory.gaussians) - before:,} Gaussians added"
    assert isinstance(options, PickOptions)
    selection = picked(scene, options)
    if isinstance(options, RemoveOptions):
        announce("taking it away", 0.0)
        gone = scene.remove(selection, fill=not options.no_fill)
        return f"{gone:,} Gaussians taken away, {len(scene.memory.gaussians) - before + gone:,} made"
    if isinstance(options, CropOptions):
        return f"{scene.crop(selection):,} Gaussians taken away"
    if isinstance(options, RecolourOptions):
        tint = (1.0, 1.0, 1.0) if options.tint is None else (options.tint[0], options.tint[1], options.tint[2])
        scene.recolour(selection, options.exposure, options.saturation, tint)
        return "recoloured"
    assert isinstance(options, MoveOptions | DuplicateOptions)
    copy = isinstance(options, DuplicateOptions)
    fill = not (isinstance(options, MoveOptions) and options.no_fill)
    scene.transform(selection, options.by or (0.0,) * 3, options.turn, options.scale, copy=copy, fill=fill)
    return "a copy was put in" if copy else "moved"


def picked(scene: Scene, options: PickOptions) -> Selection:
    """The part of a scene that options mean.

    Raises:
        ValueError: there is no such frame or selection.
    """
    chosen = scene.select(
        box=None if options.box is None else (options.box[:3], options.box[3:]),
        sphere=None if options.sphere is None else (options.sphere[:3], options.sphere[3]),
        half_space=None if options.half_space is None else (options.half_space[:3], options.half_space[3]),
        at=options.at,
        region=None if options.region is None else pairs(options.region),
        camera=view_of(scene, options.frame),
        named=options.named,
        all_of=options.intersect,
    )
    chosen = chosen.grown(options.grow) if options.grow else chosen
    chosen = ~chosen if options.invert else chosen
    if options.save_as is not None:
        scene.save_selection(options.save_as, chosen)
    return chosen


def pairs(values: Sequence[float]) -> list[tuple[float, float]]:
    return list(zip(values[::2], values[1::2], strict=True))


def view_of(scene: Scene, frame: int | None) -> Cameras | None:
    """The camera of a frame of the film that a scene was made for; None for the first picture's.

    Raises:
        ValueError: there is no such frame.
    """
    if frame is None:
        return None
    if scene.film_cameras is None:
        raise ValueError("the scene was made for no film, so that --frame means nothing: leave it out for the first picture")
    if not 0 <= frame < len(scene.film_cameras):
        raise ValueError(f"--frame is 0 to {len(scene.film_cameras) - 1}, got {frame}")
    return scene.film_cameras[frame]


@dataclass(frozen=True)
class FilmReport:
    """What was filmed.

    Attributes:
        film: its figures.
        frames: its length.
        states: how each shot was filled; empty where nothing was to be.
        notes: sentences for a reader.
    """

    film: FilmFigures
    frames: int
    states: tuple[ExploreState, ...]
    notes: tuple[str, ...]

    @property
    def generated_frames(self) -> int:
        return sum(state.generated_frames for state in self.states)


def film(options: FilmOptions, announce: Announce = silent) -> FilmReport:
    """Writes a film of shots; what they show and the memory does not know is made first and saved with the scene.

    Raises:
        ValueError: options, shots or a scene that cannot be used.
        OSError: files cannot be read or written.
    """
    options.check()
    shots = read_shots(options.shots, options.fps)
    scene = Scene.open(options.scene, device=options.device)
    trajectories = [shot_trajectory(shot, scene, options.size) for shot in shots]
    states, notes = [], [note for made in trajectories for note in made.notes]
    if not options.no_fill:
        for number, (shot, made) in enumerate(zip(shots, trajectories, strict=True), start=1):
            announce(f"making the unseen of shot {number}", 0.0)
            states.append(fill_for(scene, made, shot.prompt))
        if any(state.generated_frames for state in states):
            write_back(scene, options.scene, None)
        scene.models.release()
    cameras = Cameras.cat([made.cameras for made in trajectories])
    figures = film_memory(scene.memory, cameras, options.out, options.fps, scene.clock, announce)
    return FilmReport(figures, len(cameras), tuple(states), tuple(dict.fromkeys(notes)))


def fill_for(
    scene: Scene,
    film: Trajectory,
    prompt: str | None,
    announce: Announce = silent,
    after_window: Callable[[ExploreState], None] | None = None,
) -> ExploreState:
    """Extends a scene by what a film will show. The film may be of another size: the scene is extended at its own."""
    first = scene.memory.views[0].camera
    if (film.cameras.width, film.cameras.height) != (first.width, first.height):
        cameras = film.cameras.resized(first.width, first.height)
        film = Trajectory(cameras, film.moments, film.name)
    if len(film) == 1:
        film = Trajectory(film.cameras[torch.tensor([0, 0])], name=film.name)
    return scene.extend(film, prompt=prompt, announce=announce, after_window=after_window)
