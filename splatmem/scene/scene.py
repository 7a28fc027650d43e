"""The scene as an object: how it begins, and what is shown of it.

Its attributes and its history are in ``splatmem.scene.state``, its edits in ``splatmem.scene.edits``; how it grows is in
``splatmem.scene.growing``, and how it is saved and opened in ``splatmem.scene.kept``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Unpack

from jaxtyping import Float
from torch import Tensor

from splatmem.depth import DepthEstimator
from splatmem.explore.loop import ExploreSettings
from splatmem.geometry.cameras import Cameras
from splatmem.inpaint import VideoInpainter
from splatmem.io.source import Source, read_source
from splatmem.memory import MemoryReading
from splatmem.memory.film import FilmFigures, film_memory
from splatmem.scene.announce import Announce, silent
from splatmem.scene.beginnings import BeginOptions, begin, begin_from_splats
from splatmem.scene.edits import SceneEdits
from splatmem.scene.growing import GrowingScene, PathLike
from splatmem.scene.kept import KeptScene
from splatmem.trajectory.trajectory import Trajectory

DEFAULT_SIZE = (512, 288)


class Scene(SceneEdits, GrowingScene, KeptScene):
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
            poses: cameras that saw it, in its world: transforms.json, COLMAP and the like. Without them, the file's own camera,
                if it has one as SHARP writes it; else sides are told by the file's normals, or by cameras all around.
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

    def __repr__(self) -> str:
        made = len(self.memory.views) - self.memory.num_given_views
        return f"Scene of {self.source or 'pictures'} ({self.preset}, seed {self.seed}, {made} frames made): {self.memory}"
