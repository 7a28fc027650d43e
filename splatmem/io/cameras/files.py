"""Writes cameras for other programs, by the kind of the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from splatmem.geometry.cameras import Cameras
from splatmem.io.atomic import staged_directory
from splatmem.io.cameras.blender import save_blender_script
from splatmem.io.cameras.kinds import CameraKind, kind_of
from splatmem.io.cameras.nerfstudio import save_nerfstudio_path
from splatmem.io.cameras.supersplat import save_supersplat_settings
from splatmem.io.cameras.usd import save_usd_camera
from splatmem.io.colmap import save_colmap
from splatmem.io.transforms_json import save_transforms_json
from splatmem.io.tum import save_tum

FOLDER_KIND = "cameras"  # for the mark of a folder
WRITERS: dict[CameraKind, Callable[[Cameras, Path, float], None]] = {
    "nerfstudio": save_nerfstudio_path,
    "transforms": lambda cameras, file, fps: save_transforms_json(cameras, file),
    "supersplat": save_supersplat_settings,
    "tum": save_tum,
    "blender": save_blender_script,
    "usd": save_usd_camera,
}


def save_cameras(
    cameras: Cameras, file: str | Path, kind: CameraKind | None = None, fps: float = 24.0, overwrite: bool = False
) -> CameraKind:
    """Writes cameras, whole or not at all; returns the kind of file.

    Args:
        cameras: of a film, a camera a frame.
        file: a file, or the folder of a COLMAP model.
        kind: what to write; told by the name if None (``splatmem.io.cameras.kinds``).
        fps: frames per second of the film.
        overwrite: replace a COLMAP folder that was written by this function.

    Raises:
        ValueError: the name stands for no kind, or a package is missing.
        OSError: it cannot be written.
    """
    file = Path(file)
    kind = kind_of(file) if kind is None else kind
    if kind == "colmap":
        with staged_directory(file, FOLDER_KIND, overwrite=overwrite) as staged:
            save_colmap(cameras, staged)
    else:
        WRITERS[kind](cameras, file, fps)
    return kind
