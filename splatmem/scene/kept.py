"""How a scene is saved into a folder, and opened again."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from splatmem.config import Config, load_preset
from splatmem.depth import DepthEstimator
from splatmem.edit.history import COMPACTING, Timeline
from splatmem.explore.loop import ExploreSettings
from splatmem.explore.models import Models
from splatmem.explore.planner import Planner
from splatmem.geometry.cameras import Cameras
from splatmem.inpaint import VideoInpainter
from splatmem.io.atomic import staged_directory
from splatmem.io.ownership import locked
from splatmem.memory import SpatialMemory
from splatmem.memory.session import SessionStore
from splatmem.models.hardware import choose_device, drawing_device
from splatmem.scene.folders import KIND, MEMORY_FOLDER, session_folder
from splatmem.scene.state import SceneState
from splatmem.timing import StageClock

AnyScene = TypeVar("AnyScene", bound="KeptScene")


class KeptScene(SceneState):
    """A scene on disk."""

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

    @classmethod
    def open(
        cls: type[AnyScene],
        folder: str | Path,
        *,
        device: str = "auto",
        inpainter: VideoInpainter | None = None,
        depth: DepthEstimator | None = None,
        planner: Planner | None = None,
        settings: ExploreSettings | None = None,
    ) -> AnyScene:
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
        scene = cls.restored(
            memory, progress["scene"], device, inpainter=inpainter, depth=depth, planner=planner, settings=settings
        )
        if "timeline" in progress:
            scene.timeline = Timeline.read(progress["timeline"], store)
        if "intrinsics" in fixed:
            scene.film_cameras = Cameras(fixed["world_to_cam"], fixed["intrinsics"], *progress["size"])
        scene._store = store
        return scene

    @classmethod
    def restored(
        cls: type[AnyScene],
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
    ) -> AnyScene:
        """A scene from its memory and its ``record``."""
        device = choose_device(device)
        overrides = tuple(record["overrides"])
        config = config or load_preset(record["preset"], overrides)
        scene = cls(
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
