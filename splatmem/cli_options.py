"""What each command of the command line takes: a dataclass for each, which tyro turns into its options and its help."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

Source = Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="PHOTO|SCENE|VIDEO")]
Scene = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]
Folder = Annotated[Path, tyro.conf.arg(metavar="DIR")]
Size = tyro.conf.arg(metavar="WIDTHxHEIGHT")
Device = Literal["auto", "cpu", "cuda", "mps"]
Overrides = Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(name="set", metavar="SECTION.KEY=VALUE")]
Preset = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="PRESET")]
PathName = Annotated[str, tyro.conf.arg(metavar="NAME|FILE")]


@dataclass(frozen=True, kw_only=True)
class Flyaround:
    """A photo in (or posed pictures, or words): a film along a camera path, the scene as a Gaussian splat .ply, and a session
    out."""

    source: Source = None
    """A photo that Pillow reads; or a folder with pictures and a transforms.json or a COLMAP model, whose world the path
    then goes through; or a video, with --poses. Without one, --prompt makes the first frame."""
    out: Folder
    """Folder for the results; it appears when all of it is there."""
    prompt: str = ""
    """What the scene shows, for models that read it; without a photo it makes the first frame."""
    poses: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """A camera for each frame of a video: transforms.json, COLMAP or TUM."""
    path: PathName = "turn"
    """turn, orbit, arc, spiral, dolly, or a path file (transforms.json, COLMAP, TUM, keyframes)."""
    frames: int = 96
    """Length of the film. Path files with poses for every frame bring their own."""
    size: Annotated[str, Size] = "512x288"
    """Of the film in pixels; even numbers. The photo's middle is cut to this shape."""
    fps: float = 24.0
    """Frames per second."""
    fov: Annotated[str, tyro.conf.arg(metavar="auto|DEGREES")] = "auto"
    """Horizontal field of view in degrees; auto reads it from the photo's EXIF data, asks a depth model that tells it, or
    takes 60."""
    seed: int = 0
    """The same seed gives the same film on the same machine."""
    preset: str = "embedded"
    """Which models: the name of a file in configs/, without its ending."""
    overrides: Overrides = ()
    """Change what the preset says, such as inpainter.steps=20 or depth.model=FOLDER; may be given several times."""
    device: Device = "auto"
    """Where the models and the rasterizer run (with mps the rasterizer runs on the CPU)."""
    low_vram: bool = False
    """For a GPU with little memory: models wait in main memory and come layer by layer, pictures are coded in tiles."""
    resume: bool = False
    """Go on with an interrupted run; --low-vram and what else is a matter of room may change."""
    overwrite: bool = False
    """Replace a finished run in the folder, or an interrupted one."""


@dataclass(frozen=True)
class Render:
    """Films a finished scene along another path; nothing is generated."""

    scene: Scene
    """A folder made by flyaround."""
    out: Annotated[Path, tyro.conf.arg(metavar="FILE.mp4")]
    """The video to write."""
    path: PathName = "turn"
    """turn, orbit, arc, spiral, dolly, or a path file."""
    frames: int = 96
    """Length of the film. Path files with poses for every frame bring their own."""
    size: Annotated[str, Size] = "scene"
    """In pixels; the scene's own size if not given."""
    fps: float = 24.0
    """Frames per second."""
    overwrite: bool = False
    """Replace an existing file."""


@dataclass(frozen=True)
class Export:
    """Writes a finished scene as a Gaussian splat .ply (3DGS convention)."""

    scene: Scene
    """A folder made by flyaround."""
    file: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FILE.ply")]
    """The file to write."""
    compact: bool = False
    """Leave out normals and zero coefficients: 17 properties instead of 62."""
    overwrite: bool = False
    """Replace an existing file."""


@dataclass(frozen=True)
class Inspect:
    """Shows a scene's memory in Open3D as points, with the cameras that wrote it."""

    scene: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR|FILE.ply")]
    """A folder made by flyaround, or a Gaussian splat .ply."""
    screenshot: Annotated[Path | None, tyro.conf.arg(metavar="FILE.png")] = None
    """Write a picture instead of opening a window; needs no display."""


@dataclass(frozen=True)
class Evaluate:
    """Makes films of scenes from their first frame alone, by several methods, and measures them against the truth."""

    scenes: tyro.conf.Positional[tuple[Path, ...]]
    """Folders with transforms.json (nerfstudio's convention), images and, where known, 16-bit depth PNGs in millimetres; or
    stereo pairs (*_left.png, *_right.png, stereodemo_calibration.json): their folder, or the left pictures."""
    out: Path
    """Folder for evaluate.json, report.html and sheets; it appears when all of it is there."""
    preset: str = "embedded"
    """Whose models are evaluated: the name of a file in configs/."""
    overrides: Overrides = ()
    """Change what the preset says; may be given several times."""
    methods: str = "all"
    """all, or some of embedded, telea, navier_stokes, push_pull, smear, patchmatch, no_memory, separated by commas; or
    photo_alone, which makes nothing and tells of depth in a fraction of the time."""
    frames: int | None = None
    """How many of a scene's frames to take, evenly spread; all by default."""
    size: str | None = None
    """Width x height of the films; that of each scene's pictures by default."""
    seed: int = 0
    """The same seed gives the same films on the same machine."""
    device: Device = "auto"
    """Where the models run."""
    overwrite: bool = False
    """Replace an earlier evaluation in the folder."""


@dataclass(frozen=True)
class ModelsList:
    """The presets, what each needs and whether its models are here."""


@dataclass(frozen=True)
class ModelsInfo:
    """What one preset needs: models, sizes, licences, GPU memory, and where they are."""

    preset: Preset
    """The name of a file in configs/."""
    overrides: Overrides = ()
    """Change what the preset says; may be given several times."""


@dataclass(frozen=True)
class ModelsDownload:
    """Fetches a preset's models, or one model, into the hub's cache: safetensors, settings and tokenizers only."""

    preset: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="PRESET|OWNER/NAME")]
    """The name of a file in configs/, or a hub id."""
    overrides: Overrides = ()
    """Change what the preset says; may be given several times."""
    variant: str | None = None
    """Of a hub id's weights, such as fp16."""


@dataclass(frozen=True)
class ModelsCheck:
    """Says whether a preset's models are whole, without loading them; exits with 2 if they are not."""

    preset: Preset
    """The name of a file in configs/."""
    overrides: Overrides = ()
    """Change what the preset says; may be given several times."""
    local: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """A model's folder, or a folder with a folder for each model, to be checked instead of the cache."""


@dataclass(frozen=True)
class Models:
    """The models of presets: which there are, what they need, whether they are here."""

    action: (
        Annotated[ModelsList, tyro.conf.subcommand("list")]
        | Annotated[ModelsInfo, tyro.conf.subcommand("info")]
        | Annotated[ModelsDownload, tyro.conf.subcommand("download")]
        | Annotated[ModelsCheck, tyro.conf.subcommand("check")]
    )


@dataclass(frozen=True)
class Doctor:
    """Says what this machine can use, and what to do about the rest."""


Command = (
    Annotated[Flyaround, tyro.conf.subcommand("flyaround")]
    | Annotated[Render, tyro.conf.subcommand("render")]
    | Annotated[Export, tyro.conf.subcommand("export")]
    | Annotated[Inspect, tyro.conf.subcommand("inspect")]
    | Annotated[Evaluate, tyro.conf.subcommand("evaluate")]
    | Annotated[Models, tyro.conf.subcommand("models")]
    | Annotated[Doctor, tyro.conf.subcommand("doctor")]
)
