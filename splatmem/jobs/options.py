"""What each job takes: dataclasses that the command line turns into its options and its help. Needs no PyTorch."""

from __future__ import annotations

import difflib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from splatmem.config import Config, load_preset, preset_names
from splatmem.io.cameras.kinds import CameraKind, kind_of
from splatmem.io.home import expanded
from splatmem.io.splats.endings import READABLE, format_of, is_splat_file
from splatmem.jobs.option_types import (
    Device,
    FieldOfView,
    FilmSeconds,
    OutputFolder,
    Overrides,
    PathName,
    SceneOrSplats,
    SceneSize,
    Size,
    Words,
    check_film,
    check_target,
)
from splatmem.trajectory.names import PRESET_NAMES

Source = Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="PHOTO|SCENE|VIDEO")]
MAY_CHANGE = ("out", "seconds", "preset", "overrides", "low_vram", "resume", "overwrite")  # when a run is resumed


@dataclass(frozen=True, kw_only=True)
class FlyaroundOptions:
    """A photo in (or posed pictures, or words): a film along a camera path, the scene as a Gaussian splat .ply, and a session
    out. Two runs with equal options on one machine give the same film and scene, byte for byte."""

    source: Source = None
    """A photo, or a panorama of a whole turn; or a folder with pictures and a transforms.json or a COLMAP model, whose world
    the path then goes through; or a video, with --poses. Without one, --prompt makes the first frame."""
    out: OutputFolder
    """Folder for the results; it appears when all of it is there."""
    prompt: str = ""
    """What the scene shows, for models that read it; without a photo it makes the first frame."""
    poses: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """A camera for each frame of a video: transforms.json, COLMAP or TUM."""
    path: PathName = "turn"
    """turn, orbit, arc, spiral, dolly, or a path file (transforms.json, COLMAP, TUM, KITTI, keyframes)."""
    frames: int = 96
    """Length of the film. Path files with poses for every frame bring their own."""
    seconds: FilmSeconds = None
    """Length of the film in seconds, instead of --frames."""
    size: Size = (512, 288)
    """Of the film in pixels; even numbers. The photo's middle is cut to this shape."""
    fps: float = 24.0
    """Frames per second."""
    fov: FieldOfView = None
    """Horizontal field of view in degrees; auto reads it from the photo's EXIF data, asks a depth model that tells it, or
    takes 60."""
    seed: int = 0
    """Any whole number; the same seed gives the same film on the same machine."""
    preset: str = "embedded"
    """Which models: the name of a file in configs/, without its ending."""
    overrides: Overrides = ()
    """Change what the preset says, such as inpainter.steps=20 or depth.model=FOLDER; may be given several times."""
    device: Device = "auto"
    """Where the models and the rasterizer run (with mps the rasterizer runs on the CPU)."""
    low_vram: bool = False
    """For a GPU with little memory: models wait in main memory and come layer by layer, pictures are coded in tiles."""
    keep_motion: bool = False
    """Keep in the film what moves within a window of a video model. The scene stands still in either case: what moves is not
    written into it, and lies in motion/ frame by frame."""
    resume: bool = False
    """Go on with an interrupted run; --low-vram and what else is a matter of memory may change."""
    overwrite: bool = False
    """Replace a finished run in the folder, or an interrupted one."""

    def __post_init__(self) -> None:
        paths_from_text(self, "source", "out", "poses")
        frames_from_seconds(self)

    def check(self) -> None:
        """Raises ``ValueError`` or ``FileNotFoundError`` for what can be known to be wrong before any work."""
        check_film(self.frames, self.size, self.fps)
        check_length(self)
        check_path(self.path)
        if self.resume and self.overwrite:
            raise ValueError("--resume and --overwrite exclude each other")
        if self.poses is not None and self.source is None:
            raise ValueError("--poses are those of a video: give the video too")
        if self.source is not None and not self.resume and not self.source.exists():
            raise FileNotFoundError(f"there is no photo {self.source}{_nearest_file(self.source)}")
        self.config()

    def config(self) -> Config:
        """The preset with what was changed of it.

        Raises:
            ValueError: see ``load_preset``; or there is nothing to begin with.
        """
        config = load_preset(self.preset, self.overrides)
        if self.source is None and not self.prompt.strip() and not self.resume:
            raise ValueError("nothing to begin with: give a photo, a folder of posed pictures, or --prompt with words")
        if self.source is None and config.first_frame.model is None and not self.resume:
            able = [name for name in preset_names() if load_preset(name).first_frame.model is not None]
            raise ValueError(
                f"the preset {self.preset} makes no pictures from words: give a photo, another --preset "
                f"({', '.join(able)}), or --set first_frame.model=DIR_OR_ID"
            )
        return config.with_low_vram() if self.low_vram else config

    def fingerprint(self, config: Config) -> dict[str, Any]:
        """What must be the same when a run is resumed, as JSON values."""
        values = {key: value for key, value in asdict(self).items() if key not in MAY_CHANGE}
        return json.loads(json.dumps(values | config.result(), default=str))


@dataclass(frozen=True, kw_only=True)
class RenderOptions:
    """Films a finished scene along another path; nothing is generated, unless --fill asks for it."""

    scene: SceneOrSplats
    """A folder made by flyaround, or a file of Gaussian splats (docs/formats.md)."""
    out: Annotated[Path, tyro.conf.arg(metavar="FILE.mp4")]
    """The video to write."""
    path: PathName = "turn"
    """turn, orbit, arc, spiral, dolly, or a path file."""
    frames: int = 96
    """Length of the film. Path files with poses for every frame bring their own."""
    seconds: FilmSeconds = None
    """Length of the film in seconds, instead of --frames."""
    size: SceneSize = None
    """In pixels; the scene's own size if not given. Another shape shows the middle: a portrait keeps the height of the view."""
    fps: float = 24.0
    """Frames per second."""
    fov: FieldOfView = None
    """Horizontal field of view in degrees, where a path file does not tell it; auto takes the scene's own at this shape."""
    fill: bool = False
    """Make first what the path shows and the memory does not know; it becomes part of the scene."""
    prompt: Words = None
    """With --fill: what is to be seen there, for models that read it."""
    device: Device = "auto"
    """With --fill: where the models run."""
    overwrite: bool = False
    """Replace an existing file."""

    def __post_init__(self) -> None:
        paths_from_text(self, "scene", "out")
        frames_from_seconds(self)

    def check(self) -> None:
        """Raises ``ValueError`` for what can be known to be wrong before any work."""
        check_target(self.out, ".mp4", self.overwrite)
        check_film(self.frames, self.size, self.fps)
        check_length(self)
        check_path(self.path)
        check_scene_or_splats(self.scene)
        if self.fill and is_splat_file(self.scene):
            raise ValueError(f"{self.scene} is a file: make a scene of it first, with splatmem extend {self.scene} --out DIR")


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """Writes a scene for other programs, in the format that the file's ending names; docs/formats.md says which is for what."""

    scene: SceneOrSplats
    """A folder made by flyaround, or a file of Gaussian splats."""
    file: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")] = None
    """The file to write: .ply, .compressed.ply, .splat, .ksplat, .spz, .sog, .glb, .usdc, .usdz, or .html, a page with a
    viewer that needs no network."""
    dataset: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """A folder to write what 3DGS trainers read: the film's frames, their cameras (transforms.json and COLMAP) and points."""
    compact: bool = False
    """Of a .ply: leave out normals and zero coefficients, 17 properties instead of 62 and a quarter of the size. .spz and .sog
    are 20 to 30 times smaller than the .ply, and rounded."""
    overwrite: bool = False
    """Replace an existing file, or a data set that was written before."""

    def __post_init__(self) -> None:
        paths_from_text(self, "scene", "file", "dataset")

    def check(self) -> None:
        """Raises ``ValueError`` for what can be known to be wrong before any work."""
        if self.file is None and self.dataset is None:
            raise ValueError("say what to write: a FILE, or --dataset DIR")
        if self.file is not None:
            ending = format_of(self.file).ending
            if self.compact and ending != ".ply":
                raise ValueError(f"--compact is a choice of .ply files: {ending} has one layout")
            check_target(self.file, None, self.overwrite)
        check_scene_or_splats(self.scene)


@dataclass(frozen=True, kw_only=True)
class CamerasOptions:
    """Writes the cameras of a scene's film, or of another path through it, for other programs."""

    scene: SceneOrSplats
    """A folder made by flyaround, or a file of Gaussian splats."""
    file: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")]
    """camera_path.json (nerfstudio), transforms.json, NAME.supersplat.json, a TUM .txt, a Blender script .py, an OpenUSD .usda,
    or a folder for a COLMAP model."""
    kind: CameraKind | None = None
    """What to write, where the name does not say it."""
    path: Annotated[str | None, tyro.conf.arg(metavar="NAME|FILE")] = None
    """turn, orbit, arc, spiral, dolly, or a path file; the film's own cameras if not given."""
    frames: int = 96
    """Length of the path."""
    fps: float = 24.0
    """Frames per second, where the format holds times."""
    overwrite: bool = False
    """Replace an existing file."""

    def __post_init__(self) -> None:
        paths_from_text(self, "scene", "file")

    def check(self) -> None:
        """Raises ``ValueError`` for what can be known to be wrong before any work."""
        if (self.kind or kind_of(self.file)) != "colmap":
            check_target(self.file, None, self.overwrite)
        check_film(self.frames, None, self.fps)
        if self.path is not None:
            check_path(self.path)
        check_scene_or_splats(self.scene)


@dataclass(frozen=True, kw_only=True)
class InspectOptions:
    """Shows a scene's memory in Open3D as points, with the cameras that wrote it."""

    scene: SceneOrSplats
    """A folder made by flyaround, or a file of Gaussian splats (docs/formats.md)."""
    screenshot: Annotated[Path | None, tyro.conf.arg(metavar="FILE.png")] = None
    """Write a picture instead of opening a window; needs no display."""
    colour: Literal["photo", "provenance", "trust", "depth", "normals", "age"] = "photo"
    """photo: the scene's own. provenance: which step made it. age: which step and window. trust: how densely it was seen, for
    the first camera. depth: how far it lies from there. normals: where it faces. Of a file: photo, depth or normals."""

    def check(self) -> None:
        """Raises ``ValueError`` for what can be known to be wrong before any work."""
        if is_splat_file(self.scene) and self.colour in ("provenance", "trust", "age"):
            raise ValueError(f"{self.scene.name} does not say who made it: --colour {self.colour} is for a scene's folder")
        if self.screenshot is not None:
            check_target(self.screenshot, ".png", overwrite=True)
        check_scene_or_splats(self.scene)


def paths_from_text(options: Any, *names: str) -> None:
    """Turns the fields of these names into ``Path`` where text was given."""
    for name in names:
        value = getattr(options, name)
        if isinstance(value, str):
            object.__setattr__(options, name, Path(value))


def frames_from_seconds(options: Any) -> None:
    """Sets ``frames`` of options that have ``seconds``, unless both were given: ``check_length`` compares them then."""
    if options.seconds is not None and options.frames == type(options).frames:
        object.__setattr__(options, "frames", frames_of(options.seconds, options.fps))


def check_length(options: Any) -> None:
    """Raises ``ValueError`` where ``frames`` and ``seconds`` do not agree."""
    if options.seconds is None or options.frames == frames_of(options.seconds, options.fps):
        return
    raise ValueError(
        f"--seconds {options.seconds:g} at {options.fps:g} frames per second are {frames_of(options.seconds, options.fps)} "
        f"frames, not {options.frames}: give either --seconds or --frames"
    )


def frames_of(seconds: float, fps: float) -> int:
    """The number of frames of a film; 2 at least."""
    return max(2, round(min(seconds * fps, 1e9)))


def check_path(path: str) -> None:
    """Raises ``ValueError`` for what is neither a preset's name nor a file that is there."""
    if path in PRESET_NAMES or expanded(path).exists():
        return
    near = difflib.get_close_matches(path, PRESET_NAMES, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise ValueError(f"unknown path {path!r}{hint}: neither a preset ({', '.join(PRESET_NAMES)}) nor a file that is there")


def check_scene(scene: Path) -> None:
    """Raises ``ValueError`` for what cannot be a scene's folder."""
    if not scene.is_dir():
        raise ValueError(f"{scene} is not a folder made by 'splatmem flyaround'{_nearest_file(scene)}")


def check_scene_or_splats(scene: Path) -> None:
    """Raises ``ValueError`` for what is neither a scene's folder nor a file of Gaussian splats."""
    if scene.is_file():
        if not is_splat_file(scene):
            raise ValueError(f"{scene}: expected a scene's folder, or a file of splats that ends in {', '.join(READABLE)}")
    elif is_splat_file(scene) and not scene.exists():
        raise ValueError(f"there is no file {scene}{_nearest_file(scene)}")
    else:
        check_scene(scene)


def _nearest_file(missing: Path) -> str:
    """A hint at a file or folder beside a missing one whose name is nearly the same."""
    try:
        names = [entry.name for entry in missing.absolute().parent.iterdir()]
    except OSError:
        return ""
    near = difflib.get_close_matches(missing.name, names, n=1, cutoff=0.75)
    return f" (did you mean {missing.with_name(near[0])}?)" if near else ""
