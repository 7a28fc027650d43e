"""Writes a scene for other programs: splats, a page, a data set to train on, cameras."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from splatmem.geometry.cameras import Cameras
from splatmem.io.cameras.files import save_cameras
from splatmem.io.cameras.kinds import CameraKind
from splatmem.io.splats.endings import format_of, is_splat_file
from splatmem.io.splats.files import save_splats
from splatmem.jobs.dataset import write_dataset
from splatmem.jobs.options import CamerasOptions, ExportOptions
from splatmem.memory import SpatialMemory
from splatmem.scene import Announce, Scene, silent


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        gaussians: how many Gaussians the scene has.
        lines: sentences for the user, one for each thing that was written.
        notes: what the formats could not hold.
    """

    gaussians: int
    lines: tuple[str, ...]
    notes: tuple[str, ...]


def export(options: ExportOptions, announce: Announce = silent) -> Exported:
    """Writes ``options.file`` and ``options.dataset``.

    Raises:
        ValueError: options or a scene that cannot be used.
        OSError: the files cannot be written.
    """
    options.check()
    scene = opened(options.scene)
    lines, notes = [], list(scene.notes) if is_splat_file(options.scene) else []
    if options.file is not None:
        notes += write_splats(scene.memory, options.file, film_of(scene), compact=options.compact)
        megabytes = options.file.stat().st_size / 10**6
        lines.append(
            f"{len(scene.memory.gaussians):,} Gaussians, {megabytes:.1f} MB, {format_of(options.file).axes}: {options.file}"
        )
    if options.dataset is not None:
        if scene.film_cameras is None:
            raise ValueError(f"{options.scene} has no film whose frames could be written: --dataset is for flyaround's folders")
        points = write_dataset(scene.memory, scene.film_cameras, options.dataset, options.overwrite, announce)
        lines.append(f"{len(scene.film_cameras)} frames with cameras, and {points:,} points: {options.dataset}")
    return Exported(len(scene.memory.gaussians), tuple(lines), tuple(notes))


def write_splats(memory: SpatialMemory, file: Path, film: Cameras, *, compact: bool = False, fps: float = 24.0) -> list[str]:
    """Writes a memory's Gaussians by the file's ending, with all that the format can hold beside them; returns notes."""
    given = None
    if format_of(file).ending == ".html":
        given = torch.arange(len(memory.gaussians)) < memory.views[memory.num_given_views - 1].gaussians[1]
    return save_splats(memory.gaussians, file, compact=compact, cameras=film, fps=fps, world=memory.world, given=given)


def export_cameras(options: CamerasOptions) -> tuple[int, CameraKind]:
    """Writes ``options.file``; returns how many cameras it holds, and their kind.

    Raises:
        ValueError: options or a scene that cannot be used.
        OSError: the file cannot be written.
    """
    options.check()
    scene = opened(options.scene)
    if options.path is None and scene.film_cameras is None:
        raise ValueError(f"{options.scene} has no film of its own: say which path with --path")
    cameras = film_of(scene) if options.path is None else scene.trajectory(options.path, options.frames).cameras
    kind = save_cameras(cameras, options.file, options.kind, options.fps, options.overwrite)
    return len(cameras), kind


def opened(scene: Path) -> Scene:
    """A scene's folder, or a file of splats, as a scene; no model is loaded."""
    if is_splat_file(scene) and scene.is_file():
        return Scene.from_splats(scene, device="cpu")
    return Scene.open(scene, device="cpu")


def film_of(scene: Scene) -> Cameras:
    """The cameras of the film that a scene was made for, or that of its first picture."""
    return scene.memory.views[0].camera if scene.film_cameras is None else scene.film_cameras
