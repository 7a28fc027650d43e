"""The command line: parses, calls, prints."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich.console import Console

from splatmem import commands
from splatmem.progress import RunProgress

# Read when PyTorch loads its OpenMP, later: waiting threads sleep, so that they do not hold up the kernels' own.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130
console = Console(stderr=True)


@dataclass(frozen=True)
class Flyaround:
    """One photo in: a film along a camera path, the scene as a Gaussian splat .ply, and a session out."""

    photo: tyro.conf.Positional[Path]
    """The photo: any image file that Pillow reads."""
    out: Path
    """Folder for the results; it appears when all of it is there."""
    path: str = "turn"
    """turn, orbit, arc, spiral, dolly, or a path file (transforms.json, COLMAP, TUM, keyframes)."""
    frames: int = 96
    """Length of the film. Path files with poses for every frame bring their own."""
    size: str = "512x288"
    """Width x height of the film in pixels; even numbers."""
    fps: float = 24.0
    """Frames per second."""
    fov: str = "auto"
    """Horizontal field of view in degrees; auto reads it from the photo's EXIF data, or takes 60."""
    seed: int = 0
    """The same seed gives the same film on the same machine."""
    preset: str = "embedded"
    """Which models: the name of a file in configs/."""
    overrides: Annotated[
        tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(name="set", metavar="SECTION.KEY=VALUE")
    ] = ()
    """Change what the preset says, such as inpainter.steps=20 or depth.model=FOLDER; may be given several times."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the models and the rasterizer run."""
    resume: bool = False
    """Go on with an interrupted run."""
    overwrite: bool = False
    """Replace what is in the folder."""


@dataclass(frozen=True)
class Render:
    """Films a finished scene along another path; nothing is generated."""

    scene: tyro.conf.Positional[Path]
    """A folder made by flyaround."""
    out: Path
    """The video file, .mp4."""
    path: str = "turn"
    """turn, orbit, arc, spiral, dolly, or a path file."""
    frames: int = 96
    """Length of the film."""
    size: str | None = None
    """Width x height in pixels; the scene's own size by default."""
    fps: float = 24.0
    """Frames per second."""
    overwrite: bool = False
    """Replace an existing file."""


@dataclass(frozen=True)
class Export:
    """Writes a finished scene as a Gaussian splat .ply (3DGS convention)."""

    scene: tyro.conf.Positional[Path]
    """A folder made by flyaround."""
    file: tyro.conf.Positional[Path]
    """The .ply to write."""
    compact: bool = False
    """Leave out normals and zero coefficients: 17 properties instead of 62."""
    overwrite: bool = False
    """Replace an existing file."""


@dataclass(frozen=True)
class Inspect:
    """Shows a scene's memory in Open3D as points, with the cameras that wrote it."""

    scene: tyro.conf.Positional[Path]
    """A folder made by flyaround, or a .ply."""
    screenshot: Path | None = None
    """Write a picture to this .png instead of opening a window; needs no display."""


@dataclass(frozen=True)
class Evaluate:
    """Makes films of scenes from their first frame alone, by several methods, and measures them against the truth."""

    scenes: tyro.conf.Positional[tuple[Path, ...]]
    """Folders with transforms.json (nerfstudio's convention), images and, where known, 16-bit depth PNGs in millimetres."""
    out: Path
    """Folder for evaluate.json, report.html and sheets; it appears when all of it is there."""
    preset: str = "embedded"
    """Whose models are evaluated: the name of a file in configs/."""
    overrides: Annotated[
        tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(name="set", metavar="SECTION.KEY=VALUE")
    ] = ()
    """Change what the preset says; may be given several times."""
    methods: str = "all"
    """all, or some of embedded, telea, navier_stokes, push_pull, smear, patchmatch, no_memory, separated by commas."""
    frames: int | None = None
    """How many of a scene's frames to take, evenly spread; all by default."""
    size: str | None = None
    """Width x height of the films; that of each scene's pictures by default."""
    seed: int = 0
    """The same seed gives the same films on the same machine."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the models and the rasterizer run."""
    overwrite: bool = False
    """Replace an earlier evaluation in the folder."""


@dataclass(frozen=True)
class Doctor:
    """Says what this machine can use, and what to do about the rest."""


Command = (
    Annotated[Flyaround, tyro.conf.subcommand("flyaround")]
    | Annotated[Render, tyro.conf.subcommand("render")]
    | Annotated[Export, tyro.conf.subcommand("export")]
    | Annotated[Inspect, tyro.conf.subcommand("inspect")]
    | Annotated[Evaluate, tyro.conf.subcommand("evaluate")]
    | Annotated[Doctor, tyro.conf.subcommand("doctor")]
)


def main(arguments: list[str] | None = None) -> None:
    """Entry point; exits with 2 on bad input and 130 when interrupted."""
    command: Any = tyro.cli(Command, prog="splatmem", args=arguments)  # type: ignore[arg-type]
    # A termination request ends like Ctrl-C: the last finished window is on disk, and the run can be resumed.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(run(command))
    except KeyboardInterrupt:
        resumable = isinstance(command, Flyaround)
        hint = "; what was finished is kept: run the same command with --resume to go on" if resumable else ""
        console.print(f"interrupted{hint}")
        sys.exit(EXIT_INTERRUPTED)
    except (ValueError, OSError) as error:
        console.print(f"[bold red]error:[/] {_plain(error)}", highlight=False, soft_wrap=True)
        sys.exit(EXIT_BAD_INPUT)


def run(command: Any) -> int:
    """Carries out a parsed command; returns the exit status."""
    if isinstance(command, Doctor):
        return commands.doctor(Console())
    with RunProgress(console) as progress:
        if isinstance(command, Flyaround):
            commands.flyaround(command, progress)
        elif isinstance(command, Render):
            commands.render(command, progress)
        elif isinstance(command, Export):
            commands.export(command)
        elif isinstance(command, Evaluate):
            commands.evaluate(command, progress)
        else:
            commands.inspect(command)
    return 0


def _plain(error: Exception) -> str:
    from rich.markup import escape

    return escape(str(error) or type(error).__name__)
