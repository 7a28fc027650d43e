"""What the jobs take that change a finished scene. Needs no PyTorch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from splatmem.io.splats.endings import is_splat_file
from splatmem.jobs.option_types import (
    Device,
    PathName,
    SceneFolder,
    SceneOrSplats,
    SceneSize,
    Words,
    check_film,
    check_target,
    one_word,
)
from splatmem.jobs.options import check_path, check_scene, check_scene_or_splats, paths_from_text


def parse_numbers(text: str, counts: Callable[[int], bool], expected: str) -> tuple[float, ...]:
    """Numbers between commas.

    Raises:
        ValueError: they are none, or not as many as expected.
    """
    try:
        values = tuple(float(word) for word in text.split(","))
    except ValueError:
        values = ()
    if not counts(len(values)) or not all(map(math.isfinite, values)):
        raise ValueError(f"expected {expected} between commas, got {text!r}")
    return values


def _numbers(counts: Callable[[int], bool], metavar: str) -> Any:
    def spell(value: tuple[float, ...] | None) -> str:
        return "none" if value is None else ",".join(f"{v:g}" for v in value)

    return one_word(lambda text: parse_numbers(text, counts, metavar), spell, metavar)


Point = Annotated[tuple[float, ...] | None, _numbers(lambda n: n == 3, "X,Y,Z")]
Corners = Annotated[tuple[float, ...] | None, _numbers(lambda n: n == 6, "X,Y,Z,X,Y,Z")]
Ball = Annotated[tuple[float, ...] | None, _numbers(lambda n: n == 4, "X,Y,Z,R")]
Plane = Annotated[tuple[float, ...] | None, _numbers(lambda n: n == 4, "NX,NY,NZ,D")]
Pixel = Annotated[tuple[float, ...] | None, _numbers(lambda n: n >= 2 and n % 2 == 0, "X,Y[,X,Y...]")]
Pixels = Annotated[tuple[float, ...] | None, _numbers(lambda n: n >= 4 and n % 2 == 0, "X,Y,X,Y,...")]
Colour = Annotated[tuple[float, ...] | None, _numbers(lambda n: n == 3, "R,G,B")]
Matrix = Annotated[tuple[float, ...] | None, _numbers(lambda n: n in (12, 16), "R11,R12,R13,T1,R21,...")]
Name = Annotated[str | None, tyro.conf.arg(metavar="NAME")]
OptionalFolder = Annotated[Path | None, tyro.conf.arg(metavar="DIR")]


@dataclass(frozen=True, kw_only=True)
class ChangeOptions:
    """What every change of a scene takes."""

    scene: SceneFolder
    """A folder made by flyaround, or that another change was written to."""
    out: OptionalFolder = None
    """Where the changed scene goes; into its own folder if not given. All that was done before can be undone there too."""
    overwrite: bool = False
    """Replace a scene in --out."""
    device: Device = "auto"
    """Where the models and the rasterizer run."""
    undo_budget: Annotated[float | None, tyro.conf.arg(metavar="MB")] = None
    """How much the states before may take on disk, in megabytes; 1074 at first, then as it was set last."""

    def __post_init__(self) -> None:
        paths_from_text(self, "scene", "out")

    def check(self) -> None:
        """Raises ``ValueError`` for what can be known to be wrong before any work."""
        check_scene(self.scene)
        if self.undo_budget is not None and not (math.isfinite(self.undo_budget) and self.undo_budget >= 0):
            raise ValueError(f"--undo-budget is a number of megabytes from 0 on, got {self.undo_budget}")


@dataclass(frozen=True, kw_only=True)
class ExtendOptions(ChangeOptions):
    """Goes on with a scene: what a path shows and the memory does not know is made."""

    scene: SceneOrSplats
    """A folder made by flyaround or by another change; or a file of Gaussian splats from elsewhere, with --out."""
    path: PathName = "turn"
    """turn, orbit, arc, spiral, dolly, or a path file."""
    frames: int = 96
    """Length of the path. Path files with poses for every frame bring their own."""
    prompt: Words = None
    """What is to be seen there, for models that read it; the scene's own words if not given."""
    poses: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """The cameras of a file of splats: those that saw it (transforms.json, COLMAP), in its own world."""

    def __post_init__(self) -> None:
        paths_from_text(self, "scene", "out", "poses")

    def check(self) -> None:
        if is_splat_file(self.scene) and not self.scene.is_dir():
            check_scene_or_splats(self.scene)
            if self.out is None:
                raise ValueError(f"{self.scene} is a file: name a folder for the scene with --out")
        else:
            super().check()
        check_film(self.frames, None, 24.0)
        check_path(self.path)


@dataclass(frozen=True, kw_only=True)
class UndoOptions(ChangeOptions):
    """Undoes the last step of a scene, exactly; redo takes that back."""

    steps: int = 1
    """How many steps."""
    windows: int = 0
    """Instead, how many windows of the last step, which must be an exploration."""

    def check(self) -> None:
        super().check()
        if self.steps < 1 or self.windows < 0:
            raise ValueError(f"--steps are 1 or more and --windows 0 or more, got {self.steps} and {self.windows}")


@dataclass(frozen=True, kw_only=True)
class RedoOptions(ChangeOptions):
    """Does again, exactly, what was undone last."""

    steps: int = 1
    """How many steps."""

    def check(self) -> None:
        super().check()
        if self.steps < 1:
            raise ValueError(f"--steps are 1 or more, got {self.steps}")


@dataclass(frozen=True, kw_only=True)
class FilmOptions:
    """Films a list of shots of a finished scene, with cuts between them; what they show and the memory does not know is made
    first, and becomes part of the scene."""

    scene: SceneFolder
    """A folder made by flyaround or by a change."""
    shots: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="SHOTS.yaml")]
    """A list under 'shots': {path: arc, frames: 48}, {path: FILE, fov: 40, seconds: 3}, ..."""
    out: Annotated[Path, tyro.conf.arg(metavar="FILE.mp4")]
    """The video to write."""
    no_fill: bool = False
    """Film what is known, and make nothing."""
    size: SceneSize = None
    """In pixels; the scene's own size if not given."""
    fps: float = 24.0
    """Frames per second."""
    device: Device = "auto"
    """Where the models and the rasterizer run."""
    overwrite: bool = False
    """Replace an existing file."""

    def __post_init__(self) -> None:
        paths_from_text(self, "scene", "shots", "out")

    def check(self) -> None:
        """Raises ``ValueError`` for what can be known to be wrong before any work."""
        check_target(self.out, ".mp4", self.overwrite)
        check_film(2, self.size, self.fps)
        check_scene(self.scene)
        if not self.shots.is_file():
            raise ValueError(f"there is no file {self.shots}")


@dataclass(frozen=True, kw_only=True)
class PickOptions(ChangeOptions):
    """A change of a part of a scene: which."""

    box: Corners = None
    """The space between two corners in the scene's world (x right, y down, z forward from the first picture)."""
    sphere: Ball = None
    """A middle and a radius in the scene's world."""
    half_space: Plane = None
    """All x with (NX,NY,NZ) . x >= D."""
    at: Pixel = None
    """The thing at a pixel of the view, or those at several."""
    region: Pixels = None
    """What shows inside a polygon of the view; two pixels are the corners of a rectangle."""
    frame: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """The view of --at and --region: a frame of the film that the scene was made for; the first picture if not given."""
    named: Name = None
    """A selection that was saved by --save-as."""
    intersect: bool = False
    """What --box, --sphere, ... have in common, instead of all of them together."""
    grow: float = 0.0
    """Grow the selection by this distance, or shrink it if negative, in the scene's unit of length."""
    invert: bool = False
    """All but the selection."""
    save_as: Name = None
    """Save the selection by a name."""

    def check(self) -> None:
        super().check()
        if all(v is None for v in (self.box, self.sphere, self.half_space, self.at, self.region, self.named)):
            raise ValueError("say which part: --box, --sphere, --half-space, --at, --region or --named")


@dataclass(frozen=True, kw_only=True)
class RemoveOptions(PickOptions):
    """Takes a thing away, and fills what it hid from its surroundings. With several of --box, --sphere, ... all of them go."""

    no_fill: bool = False
    """Leave what was behind it unknown."""


@dataclass(frozen=True, kw_only=True)
class PlaceOptions(PickOptions):
    """Where a part of a scene goes."""

    by: Point = None
    """How far, in the scene's world."""
    turn: float = 0.0
    """Degrees about the vertical through its middle, to the right as seen from above."""
    scale: float = 1.0
    """Its size, about its middle."""


@dataclass(frozen=True, kw_only=True)
class MoveOptions(PlaceOptions):
    """Moves, turns and scales a part of a scene; where it was, the surroundings go on."""

    no_fill: bool = False
    """Leave what was behind it unknown."""


@dataclass(frozen=True, kw_only=True)
class DuplicateOptions(PlaceOptions):
    """Puts a copy of a part of a scene elsewhere."""


@dataclass(frozen=True, kw_only=True)
class RecolourOptions(PickOptions):
    """Changes the colours of a part of a scene."""

    exposure: float = 0.0
    """Stops: 1 doubles the light."""
    saturation: float = 1.0
    """0 is grey, 1 as it is, 2 twice as colourful."""
    tint: Colour = None
    """Factors for red, green and blue light."""


@dataclass(frozen=True, kw_only=True)
class CropOptions(PickOptions):
    """Keeps the selection, and takes all else away."""


@dataclass(frozen=True, kw_only=True)
class CompactOptions(ChangeOptions):
    """Makes a scene small: merges Gaussians that no view tells apart, fits the rest to what the scene showed, and packs all.

    A third to a fifth of the Gaussians are left, and pictures change little. It takes two to five times as long as making the
    scene. Neither this nor what was done before can be undone afterwards: with --out the scene itself stays as it is."""


@dataclass(frozen=True, kw_only=True)
class MergeOptions(ChangeOptions):
    """Puts another scene into a scene."""

    other: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR2")]
    """The scene that is put into the first one."""
    by: Point = None
    """Where the other scene's first camera comes to stand, in the scene's world."""
    turn: float = 0.0
    """Degrees by which the other scene is turned about the vertical through its first camera, to the right."""
    scale: float = 1.0
    """Size of the other scene."""
    transform: Matrix = None
    """Instead of --by, --turn and --scale: the 3x4 or 4x4 matrix, row by row, that takes points of the other scene's world to
    this one's; a rotation, one scale and a shift."""

    def __post_init__(self) -> None:
        paths_from_text(self, "scene", "out", "other")

    def check(self) -> None:
        super().check()
        check_scene(self.other)
        if not self.scale > 0:
            raise ValueError(f"--scale is above 0, got {self.scale}")
        if self.transform is not None and (self.by is not None or self.turn or self.scale != 1):
            raise ValueError("--transform says all of the other scene's place: leave out --by, --turn and --scale")
