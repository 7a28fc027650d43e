"""A scene: its memory, the models that make it, and how it came to be. The command line, jobs and Python all hold one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from splatmem.config import Config, load_preset
from splatmem.depth import DepthEstimator
from splatmem.explore.beginnings import begin_memory, begin_posed_memory, field_of_view
from splatmem.explore.loop import ExploreSettings, ExploreState, explore
from splatmem.explore.models import Models
from splatmem.explore.planner import Planner
from splatmem.geometry.cameras import Cameras, identity_camera
from splatmem.inpaint import VideoInpainter
from splatmem.inpaint.diffusers.first_frame import make_first_frame
from splatmem.inpaint.protocol import Traits
from splatmem.io.atomic import staged_directory
from splatmem.io.source import Source, read_source
from splatmem.memory import MemoryReading, SpatialMemory
from splatmem.memory.film import FilmFigures, film_memory
from splatmem.memory.session import load_session, save_session
from splatmem.models.hardware import choose_device, drawing_device, release
from splatmem.models.needs import require_models
from splatmem.render.gsplat_kernels import why_gsplat_cannot_draw
from splatmem.seeds import usable_seed
from splatmem.timing import StageClock
from splatmem.trajectory.trajectory import Trajectory, trajectory_from

KIND = "scene"  # for the mark of a saved scene's folder
MEMORY_FOLDER = "memory"
DEFAULT_SIZE = (512, 288)
PathLike = str | Path | Cameras | Trajectory


class Announce(Protocol):
    """Receives the progress of work: the stage's name and the share of it that is done, 0..1."""

    def __call__(self, stage: str, share: float) -> None: ...


def silent(stage: str, share: float) -> None:
    """Announces nothing."""


@dataclass(frozen=True)
class Step:
    """One step of a scene's history.

    Attributes:
        operation: ``begin`` or ``explore``.
        details: JSON values: what it was done with.
        views: the memory's views after it.
    """

    operation: str
    details: dict[str, Any]
    views: int


@dataclass
class Scene:
    """A memory that can be explored, filmed, saved and opened again.

    Attributes:
        memory: what is known.
        models: what makes the unseen.
        preset, overrides: whose configuration the models were loaded by.
        seed: of all that is made.
        prompt: what the scene shows, for models that read words.
        source: the name of what it was made from.
        settings: how the unseen is made.
        notes: sentences for a reader, such as that the field of view was assumed.
        history: what was done, in order.
        clock: seconds by stage of all that was done.
    """

    memory: SpatialMemory
    models: Models
    preset: str = "embedded"
    overrides: tuple[str, ...] = ()
    seed: int = 0
    prompt: str = ""
    source: str = ""
    settings: ExploreSettings = field(default_factory=ExploreSettings)
    notes: list[str] = field(default_factory=list)
    history: list[Step] = field(default_factory=list)
    clock: StageClock = field(default_factory=StageClock)

    # ------------------------------------------------------------------------------------------------ beginnings

    @staticmethod
    def from_photo(
        photo: str | Path | Float[Tensor, "h w 3"],
        size: tuple[int, int] = DEFAULT_SIZE,
        preset: str = "embedded",
        seed: int = 0,
        *,
        fov: float | None = None,
        prompt: str = "",
        **options: Any,
    ) -> Scene:
        """The scene that a photo shows.

        Args:
            photo: a file; or sRGB in 0..1, ``[h, w, 3]``, which then gives the size.
            size: width and height of its pictures.
            preset: which models; see ``splatmem models list``.
            seed: of all that is made.
            fov: horizontal field of view in degrees; found out if not given.
            prompt: what the scene shows, for models that read words.
            **options: see ``begin``.

        Raises:
            ValueError: the photo, the preset or an option cannot be used.
            FileNotFoundError: there is no such photo.
        """
        given = isinstance(photo, Tensor)
        source = Source("photo", photo[None], fov) if given else read_source(Path(photo), None, *size, fov)
        return Scene.begin(source, preset, seed, fov=fov, prompt=prompt, **options)

    @staticmethod
    def from_pictures(
        source: str | Path,
        size: tuple[int, int] = DEFAULT_SIZE,
        preset: str = "embedded",
        seed: int = 0,
        *,
        poses: str | Path | None = None,
        fov: float | None = None,
        prompt: str = "",
        **options: Any,
    ) -> Scene:
        """The scene that posed pictures show: a folder with transforms.json or a COLMAP model, or a video with ``poses``.

        Args: see ``from_photo``.
        """
        read = read_source(Path(source), None if poses is None else Path(poses), *size, fov)
        return Scene.begin(read, preset, seed, fov=fov, prompt=prompt, **options)

    @staticmethod
    def from_prompt(
        prompt: str, size: tuple[int, int] = DEFAULT_SIZE, preset: str = "wan-vace-1.3b", seed: int = 0, **options: Any
    ) -> Scene:
        """A scene from words: the preset's text-to-image model makes the first frame.

        Args: see ``from_photo``.
        """
        return Scene.begin(size, preset, seed, prompt=prompt, **options)

    @staticmethod
    def begin(
        source: Source | tuple[int, int],
        preset: str = "embedded",
        seed: int = 0,
        *,
        fov: float | None = None,
        prompt: str = "",
        overrides: Sequence[str] = (),
        low_vram: bool = False,
        device: str = "auto",
        inpainter: VideoInpainter | None = None,
        depth: DepthEstimator | None = None,
        planner: Planner | None = None,
        settings: ExploreSettings | None = None,
        clock: StageClock | None = None,
        announce: Announce = silent,
    ) -> Scene:
        """A scene from pictures that were read, or, given a size alone, from words.

        Args:
            source: pictures, or width and height of one to be made from ``prompt``.
            preset, overrides, low_vram, device: which models, and where they run.
            seed: of all that is made.
            fov: horizontal field of view in degrees; found out if not given.
            prompt: what the scene shows.
            inpainter, depth, planner: to be used instead of the preset's.
            settings: how the unseen is made.
            clock: to which the seconds of each stage are added.
            announce: told of the progress.

        Raises:
            ValueError: the preset or an option cannot be used, or a model is missing; the message says what to do.
        """
        device = choose_device(device)
        config = load_preset(preset, overrides)
        config = config.with_low_vram() if low_vram else config
        clock, settings = clock or StageClock(), settings or ExploreSettings()
        if inpainter is None or depth is None:
            require_models(config, preset, tuple(overrides), first_frame=isinstance(source, tuple))
        if isinstance(source, tuple):
            announce("making the first frame", 0.0)
            with clock.stage("fill"):
                source = picture_from_words(config, device, prompt, *source, seed)
        models = Models(config, device, inpainter=inpainter, depth=depth, planner=planner)
        announce("loading the models", 0.0)
        with clock.stage("load"):
            traits, estimate_depth = Traits.of(models.inpainter), models.depth
        announce("lifting the photo" if source.cameras is None else "lifting the pictures", 0.0)
        draws_on = drawing_device(device)
        if source.cameras is not None:
            memory, notes = begin_posed_memory(
                source.rgb, source.cameras, estimate_depth, settings, clock, draws_on,
                lambda share: announce("lifting the pictures", share), source.usable, source.one_picture,
            )  # fmt: skip
        else:
            with clock.stage("depth"):
                degrees, notes = field_of_view(source.rgb, fov or source.fov_x_degrees, estimate_depth)
            camera = identity_camera(degrees, source.rgb.shape[2], source.rgb.shape[1])
            memory = begin_memory(source.rgb[0], camera, estimate_depth, settings, clock, draws_on)
        scene = Scene(memory, models, preset, tuple(overrides), seed, prompt, source.name, settings, clock=clock)
        scene.remark(*source.notes, *notes)
        if prompt and not traits.reads_prompt:
            scene.remark(f"{traits.name} reads no words: the prompt did not reach it")
        if device != draws_on == "cpu":
            reason = f": {why_gsplat_cannot_draw()}" if device == "cuda" else ""
            scene.remark(f"{device} ran the models, the CPU drew the Gaussians{reason}")
        scene._record("begin", pictures=len(source.rgb))
        return scene

    # ------------------------------------------------------------------------------------------------ operations

    def explore(
        self,
        path: PathLike,
        frames: int = 96,
        *,
        state: ExploreState | None = None,
        generator: torch.Generator | None = None,
        announce: Announce = silent,
        progress: Callable[[float], None] | None = None,
        after_window: Callable[[ExploreState], None] | None = None,
    ) -> ExploreState:
        """Makes what a path will show and the memory does not know.

        Args:
            path: a preset's name, a path file, cameras, or a trajectory.
            frames: number of cameras of a preset.
            state, generator: of an exploration to go on with.
            announce: told of the progress.
            progress: told the unknown share before every window.
            after_window: called when a window has become part of the memory.

        Raises:
            ValueError: there is no such path; or an own inpainter gave back what cannot be used.
        """
        trajectory = self.trajectory(path, frames)
        explored = sum(step.operation == "explore" for step in self.history)
        first: list[float] = []

        def told(unknown_share: float) -> None:
            first.append(unknown_share)
            announce("making the unseen", 1 - unknown_share / max(first[0], 1e-6))
            if progress is not None:
                progress(unknown_share)

        state = explore(
            self.memory,
            trajectory,
            self.models.inpainter,
            self.models.depth,
            seed=self.seed + explored,
            generator=generator,
            settings=self.settings,
            planner=self.models.planner,
            state=state,
            prompt=self.prompt,
            clock=self.clock,
            progress=told,
            after_window=after_window,
        )
        self.remark(*state.notes)
        self._record("explore", path=trajectory.name, frames=len(trajectory), generated_frames=state.generated_frames)
        return state

    def film(
        self,
        path: PathLike,
        file: str | Path,
        fps: float = 24.0,
        frames: int = 96,
        size: tuple[int, int] | None = None,
        fov: float | None = None,
        announce: Announce = silent,
    ) -> FilmFigures:
        """Writes a film (H.264) of what the memory knows along a path; nothing is made.

        Args:
            path: a preset's name, a path file, cameras, or a trajectory.
            file: the .mp4 to write.
            fps: frames per second.
            frames: number of cameras of a preset.
            size: width and height; the scene's own by default. Another shape shows the middle.
            fov: horizontal field of view in degrees; the scene's own at this shape by default.
            announce: told of the progress.

        Raises:
            ValueError: there is no such path.
            OSError: the file cannot be written.
        """
        trajectory = self.trajectory(path, frames, size, fov)
        return film_memory(self.memory, trajectory.cameras, Path(file), fps, self.clock, announce)

    def render(self, cameras: Cameras | Trajectory) -> MemoryReading:
        """What cameras see of the memory, and what of it is known."""
        return self.memory.read(cameras.cameras if isinstance(cameras, Trajectory) else cameras)

    def trajectory(
        self, path: PathLike, frames: int = 96, size: tuple[int, int] | None = None, fov: float | None = None
    ) -> Trajectory:
        """The cameras that a user means by a preset's name, a path file, cameras, or a trajectory.

        Raises:
            ValueError: there is no such preset or file, or the file is malformed.
        """
        return trajectory_from(path, self, frames, size, fov)

    # -------------------------------------------------------------------------------------------------- on disk

    def save(self, folder: str | Path, overwrite: bool = False) -> None:
        """Writes the scene into a folder, whole or not at all; ``Scene.open`` reads it.

        Raises:
            ValueError: the folder holds something else, or a scene and ``overwrite`` is not set.
            OSError: it cannot be written.
        """
        with staged_directory(Path(folder), KIND, overwrite=overwrite) as staged:
            save_session(self.memory, staged / MEMORY_FOLDER, {"scene": self.record()})

    @staticmethod
    def open(
        folder: str | Path,
        *,
        device: str = "auto",
        inpainter: VideoInpainter | None = None,
        depth: DepthEstimator | None = None,
        planner: Planner | None = None,
        settings: ExploreSettings | None = None,
    ) -> Scene:
        """A scene that ``save`` or ``splatmem flyaround`` wrote. Its models are loaded when something is made.

        Args:
            folder: that was written.
            device: where the models run.
            inpainter, depth, planner: to be used instead of those that it was made with.
            settings: how the unseen is made.

        Raises:
            ValueError: there is no scene, or it is damaged; the message names the file.
        """
        memory, progress = load_session(session_folder(folder))
        return Scene.restored(
            memory, progress["scene"], device, inpainter=inpainter, depth=depth, planner=planner, settings=settings
        )

    def record(self) -> dict[str, Any]:
        """All but the memory, as JSON values; ``restored`` takes it."""
        return {
            "source": self.source,
            "preset": self.preset,
            "overrides": list(self.overrides),
            "seed": self.seed,
            "prompt": self.prompt,
            "notes": self.notes,
            "history": [asdict(step) for step in self.history],
        }

    @staticmethod
    def restored(
        memory: SpatialMemory,
        record: dict[str, Any],
        device: str = "auto",
        *,
        config: Config | None = None,
        inpainter: VideoInpainter | None = None,
        depth: DepthEstimator | None = None,
        planner: Planner | None = None,
        settings: ExploreSettings | None = None,
        clock: StageClock | None = None,
    ) -> Scene:
        """A scene from its memory and its ``record``."""
        device = choose_device(device)
        overrides = tuple(record["overrides"])
        config = config or load_preset(record["preset"], overrides)
        return Scene(
            memory=memory.to(drawing_device(device)),
            models=Models(config, device, inpainter=inpainter, depth=depth, planner=planner),
            preset=record["preset"],
            overrides=overrides,
            seed=record["seed"],
            prompt=record["prompt"],
            source=record["source"],
            settings=settings or ExploreSettings(),
            notes=list(record["notes"]),
            history=[Step(**step) for step in record["history"]],
            clock=clock or StageClock(),
        )

    def remark(self, *notes: str) -> None:
        """Adds notes, each once."""
        self.notes = list(dict.fromkeys([*self.notes, *notes]))

    def _record(self, operation: str, **details: Any) -> None:
        self.history.append(Step(operation, details, len(self.memory.views)))

    def __repr__(self) -> str:
        made = len(self.memory.views) - self.memory.num_given_views
        return f"Scene of {self.source or 'pictures'} ({self.preset}, seed {self.seed}, {made} frames made): {self.memory}"


def session_folder(scene: str | Path) -> Path:
    """Where a scene's folder keeps its memory.

    Raises:
        ValueError: there is no such folder.
    """
    scene = Path(scene)
    folder = scene / MEMORY_FOLDER if (scene / MEMORY_FOLDER).is_dir() else scene
    if not folder.is_dir():
        raise ValueError(f"{scene} is not a folder made by 'splatmem flyaround'")
    return folder


def picture_from_words(config: Config, device: str, prompt: str, width: int, height: int, seed: int) -> Source:
    """The first frame of a scene without a photo.

    Raises:
        ValueError: the configuration names no text-to-image model, or it cannot be loaded.
    """
    generator = torch.Generator().manual_seed(usable_seed(seed))
    rgb = make_first_frame(config.first_frame, config.hardware, device, prompt, width, height, generator)
    release(device)
    return Source(prompt, rgb[None], notes=[f"the first frame was made by {config.first_frame.model}"])
