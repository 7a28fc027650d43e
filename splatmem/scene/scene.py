"""The scene as an object: how it begins, what is made of it, shown of it and kept of it.

Its attributes and its history are in ``splatmem.scene.state``, its edits in ``splatmem.scene.edits``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

import torch
from jaxtyping import Float
from torch import Tensor

from splatmem.config import Config, load_preset
from splatmem.depth import DepthEstimator
from splatmem.edit.history import ADDING, COMPACTING, Timeline, counts
from splatmem.explore.live import LiveInpainter, look
from splatmem.explore.loop import ExploreSettings, ExploreState, explore
from splatmem.explore.models import Models
from splatmem.explore.planner import Planner
from splatmem.geometry.cameras import Cameras
from splatmem.inpaint import VideoInpainter
from splatmem.io.atomic import staged_directory
from splatmem.io.ownership import locked
from splatmem.io.source import Source, read_source
from splatmem.memory import MemoryReading, SpatialMemory
from splatmem.memory.film import FilmFigures, film_memory
from splatmem.memory.session import SessionStore
from splatmem.models.hardware import choose_device, drawing_device
from splatmem.scene.announce import MAKING_THE_UNSEEN, Announce, silent
from splatmem.scene.beginnings import BeginOptions, begin, begin_from_splats
from splatmem.scene.edits import SceneEdits
from splatmem.scene.folders import KIND, MEMORY_FOLDER, session_folder
from splatmem.timing import StageClock
from splatmem.trajectory.trajectory import Trajectory, trajectory_from

DEFAULT_SIZE = (512, 288)
PathLike = str | Path | Cameras | Trajectory


class Scene(SceneEdits):
    """A memory that can be explored, edited, filmed, saved and opened again; ``SceneState`` lists its attributes."""

    # ------------------------------------------------------------------------------------------------ beginnings

    @staticmethod
    def from_photo(
        photo: str | Path | Float[Tensor, "h w 3"],
        size: tuple[int, int] = DEFAULT_SIZE,
        preset: str = "embedded",
        seed: int = 0,
        **options: Unpack[BeginOptions],
    ) -> Scene:
        """The scene that a photo shows.

        Args:
            photo: a file; or sRGB in 0..1, ``[h, w, 3]``, which then gives the size.
            size: width and height of its pictures.
            preset: which models; see ``splatmem models list``.
            seed: of all that is made.
            **options: see ``splatmem.scene.beginnings.BeginOptions``.

        Raises:
            ValueError: the photo, the preset or an option cannot be used.
            FileNotFoundError: there is no such photo.
        """
        fov = options.get("fov")
        given = isinstance(photo, Tensor)
        source = Source("photo", photo[None], fov) if given else read_source(Path(photo), None, *size, fov)
        return Scene.begin(source, preset, seed, **options)

    @staticmethod
    def from_pictures(
        source: str | Path,
        size: tuple[int, int] = DEFAULT_SIZE,
        preset: str = "embedded",
        seed: int = 0,
        *,
        poses: str | Path | None = None,
        **options: Unpack[BeginOptions],
    ) -> Scene:
        """The scene that posed pictures show: a folder with transforms.json or a COLMAP model, or a video with ``poses``.

        Args: see ``from_photo``.
        """
        read = read_source(Path(source), None if poses is None else Path(poses), *size, options.get("fov"))
        return Scene.begin(read, preset, seed, **options)

    @staticmethod
    def from_splats(
        file: str | Path,
        size: tuple[int, int] = DEFAULT_SIZE,
        preset: str = "embedded",
        seed: int = 0,
        *,
        poses: str | Path | None = None,
        fov: float | None = None,
        prompt: str = "",
        overrides: Sequence[str] = (),
        device: str = "auto",
        inpainter: VideoInpainter | None = None,
        depth: DepthEstimator | None = None,
        settings: ExploreSettings | None = None,
    ) -> Scene:
        """The scene of a file of Gaussian splats from elsewhere, to be explored, extended and edited like any other.

        Args:
            file: of any format that ``load_splats`` reads.
            size: width and height of the scene's pictures.
            preset: which models; see ``splatmem models list``.
            seed: of all that is made.
            poses: cameras that saw it, in its world: transforms.json, COLMAP and the like. Without them, sides are told by the
                file's normals, or by cameras all around.
            fov: horizontal field of view in degrees where no cameras are given; 60 if None.
            prompt: what the scene shows, for models that read words.
            overrides, device, inpainter, depth, settings: see ``splatmem.scene.beginnings.BeginOptions``.

        Raises:
            ValueError: the file holds no Gaussians that can be drawn, or an option cannot be used.
            FileNotFoundError: there is no such file.
        """
        begun = begin_from_splats(
            Path(file), size, preset, poses=None if poses is None else Path(poses), fov=fov, overrides=overrides, device=device,
            inpainter=inpainter, depth=depth,
        )  # fmt: skip
        scene = Scene(
            begun.memory, begun.models, preset, tuple(overrides), seed, prompt, begun.source, settings or ExploreSettings()
        )
        scene.remark(*begun.notes)
        scene._record("import", gaussians=len(begun.memory.gaussians), views=len(begun.memory.views))
        return scene

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
        source: Source | tuple[int, int], preset: str = "embedded", seed: int = 0, **options: Unpack[BeginOptions]
    ) -> Scene:
        """A scene from pictures that were read, or, given a size alone, from words.

        Args:
            source: pictures, or width and height of one to be made from ``prompt``.
            preset: which models.
            seed: of all that is made.
            **options: see ``splatmem.scene.beginnings.BeginOptions``.

        Raises:
            ValueError: the preset or an option cannot be used, or a model is missing; the message says what to do.
        """
        begun = begin(source, preset, seed, **options)
        prompt, overrides = options.get("prompt", ""), tuple(options.get("overrides", ()))
        scene = Scene(
            begun.memory, begun.models, preset, overrides, seed, prompt, begun.source, begun.settings,
            clock=begun.clock, moving=begun.moving,
        )  # fmt: skip
        scene.remark(*begun.notes)
        scene._record("begin", pictures=begun.pictures, seed=seed, prompt=prompt)
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
        return self._explore("explore", path, frames, self.prompt, state, generator, announce, progress, after_window)

    def extend(
        self, path: PathLike, frames: int = 96, *, prompt: str | None = None, announce: Announce = silent
    ) -> ExploreState:
        """Goes on with the scene: what a path will show and the memory does not know is made. If that fails or is interrupted,
        the scene is as it was.

        Args:
            path: a preset's name, a path file, cameras, or a trajectory.
            frames: number of cameras of a preset.
            prompt: what is to be seen there, for models that read words; the scene's own if None.
            announce: told of the progress.

        Raises:
            ValueError: there is no such path; or an own inpainter gave back what cannot be used.
        """
        with self._whole():
            words = self.prompt if prompt is None else prompt
            return self._explore("extend", path, frames, words, None, None, announce, None, None)

    def _explore(
        self,
        operation: str,
        path: PathLike,
        frames: int,
        prompt: str,
        state: ExploreState | None,
        generator: torch.Generator | None,
        announce: Announce,
        progress: Callable[[float], None] | None,
        after_window: Callable[[ExploreState], None] | None,
    ) -> ExploreState:
        trajectory = self.trajectory(path, frames)
        if not (state is not None and self.history[-1].unfinished):
            seed = self.seed + sum(step.operation in ADDING for step in self.history)
            self._record(operation, path=trajectory.name, frames=len(trajectory), seed=seed, prompt=prompt)
            self.history[-1] = replace(self.history[-1], unfinished=True)
        if generator is None:
            generator = torch.Generator().manual_seed(self.history[-1].details["seed"])
        first: list[float] = []

        def told(unknown_share: float) -> None:
            first.append(unknown_share)
            announce(MAKING_THE_UNSEEN, 1 - unknown_share / max(first[0], 1e-6))
            if progress is not None:
                progress(unknown_share)

        def written(now: ExploreState) -> None:
            self._note_windows(now)
            if after_window is not None:
                after_window(now)

        state = explore(
            self.memory,
            trajectory,
            self.models.inpainter,
            self.models.depth,
            seed=self.seed,  # the surroundings stay the same from step to step
            generator=generator,
            settings=self.settings,
            planner=self.models.planner,
            state=state,
            prompt=prompt,
            clock=self.clock,
            progress=told,
            after_window=written,
        )
        self.remark(*state.notes)
        self.timeline.ahead.clear()
        return state

    def _note_windows(self, state: ExploreState) -> None:
        """Brings the step that is being done, and the makers, up to the windows that were written."""
        step = self.history[-1]
        windows = list(step.windows)
        if len(state.windows) > len(windows):
            windows.append(list(counts(self.memory)))
            self.makers = self.makers.grown(len(self.memory.gaussians), len(self.history) - 1, len(windows) - 1)
        details = step.details | {"generated_frames": state.generated_frames, "moments": [list(w) for w in state.windows]}
        views, gaussians, features = counts(self.memory)
        self.history[-1] = replace(
            step, details=details, views=views, gaussians=gaussians, features=features, windows=windows,
            unfinished=not state.finished,
        )  # fmt: skip

    def prepare_to_look(self, camera: Cameras) -> None:
        """Does what the first ``look`` at a place would do before it makes anything: loads the models, and has the inpainter
        find out what may lie around.

        Args:
            camera: one camera; what it sees need not be unknown.
        """
        _ = self.models.depth
        with self.clock.stage("fill"):
            self._looking().for_camera(self.memory, camera)
        with self.clock.stage("refine"):  # the first gradient that PyTorch is asked for makes it import a great deal
            one = torch.ones(1, requires_grad=True)
            torch.autograd.grad(2 * one, one, torch.ones(1))

    def _looking(self) -> LiveInpainter:
        if self._live is None:
            self._live = LiveInpainter(self.models.inpainter, self.seed)
        changed = next((step for step in reversed(self.history) if step.operation != "look"), None)
        if changed is not self._looked_after:  # what found no place may find one now
            self._live.left.clear()
            self._looked_after = changed
        return self._live

    def look(
        self, camera: Cameras, *, prompt: str | None = None, after_window: Callable[[], None] | None = None
    ) -> ExploreState:
        """Fills what a camera shows and the memory does not know, and its neighbourhood; its path need not be known.

        Nothing is made, and no step recorded, where nearly all of the view is known.

        Args:
            camera: one camera.
            prompt: what is to be seen there, for models that read words; the scene's own if None.
            after_window: called when a window has become part of the memory; what it raises takes all of them back.
        """
        with self._whole():
            words, place = self.prompt if prompt is None else prompt, len(self.history)
            seed = self.seed + sum(step.operation in ADDING for step in self.history)
            notes = len(self.notes)
            state = look(
                self.memory, camera, self._looking(), self.models.depth, generator=torch.Generator().manual_seed(seed),
                settings=self.settings, clock=self.clock, prompt=words, after_window=after_window,
            )  # fmt: skip
            self.remark(*state.notes)
            if state.windows:
                self._record("look", notes_before=notes, seed=seed, prompt=words, generated_frames=state.generated_frames)
                self.history[place] = replace(self.history[place], windows=[list(counts(self.memory))])
                self.timeline.ahead.clear()
            return state

    # ------------------------------------------------------------------------------------------------ looking

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

    def save(self, folder: str | Path | None = None, overwrite: bool = False) -> None:
        """Writes the scene into a folder, whole or not at all; ``Scene.open`` reads it.

        Args:
            folder: where to; None: into the folder that it was opened from or saved into last, where only what is new is
                written.
            overwrite: replace a scene in the folder.

        Raises:
            ValueError: the folder holds something else, or a scene and ``overwrite`` is not set; or the scene in its folder was
                changed by someone else meanwhile.
            OSError: it cannot be written.
        """
        if folder is None:
            if self._store is None:
                raise ValueError("the scene has no folder yet: name one")
            with locked(self._store.folder):
                if not self._store.is_current():
                    raise ValueError(f"the scene in {self._store.folder} was changed since it was opened: open it again")
                self._write(self._store)
            return
        with staged_directory(Path(folder), KIND, overwrite=overwrite) as staged:
            store = SessionStore(staged / MEMORY_FOLDER)
            self._write(store)
        store.folder = Path(folder).resolve() / MEMORY_FOLDER
        self._store = store

    def _write(self, store: SessionStore) -> None:
        film, fixed = self.film_cameras, {}
        if film is not None:
            fixed = {"world_to_cam": film.world_to_cam, "intrinsics": film.intrinsics}
        progress: dict[str, Any] = {"scene": self.record(), "timeline": self.timeline.write(store, fixed)}
        if film is not None:
            progress["size"] = [film.width, film.height]
        packing = any(step.operation == COMPACTING for step in self.history)
        store.save(self.memory, progress, fixed, self.timeline.numbers, packing)

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
        store = SessionStore(session_folder(folder))
        memory, progress, fixed = store.load()
        scene = Scene.restored(
            memory, progress["scene"], device, inpainter=inpainter, depth=depth, planner=planner, settings=settings
        )
        if "timeline" in progress:
            scene.timeline = Timeline.read(progress["timeline"], store)
        if "intrinsics" in fixed:
            scene.film_cameras = Cameras(fixed["world_to_cam"], fixed["intrinsics"], *progress["size"])
        scene._store = store
        return scene

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
        scene = Scene(
            memory=memory.to(drawing_device(device)),
            models=Models(config, device, inpainter=inpainter, depth=depth, planner=planner),
            preset=record["preset"],
            overrides=overrides,
            seed=record["seed"],
            settings=settings or ExploreSettings(),
            clock=clock or StageClock(),
        )
        scene._take(record)
        return scene

    def __repr__(self) -> str:
        made = len(self.memory.views) - self.memory.num_given_views
        return f"Scene of {self.source or 'pictures'} ({self.preset}, seed {self.seed}, {made} frames made): {self.memory}"
