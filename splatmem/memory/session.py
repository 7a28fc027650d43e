"""A memory on disk: safetensors and JSON, versioned, checked, replaced whole.

memory/session.json           format version, checksums, cameras, progress
memory/gaussians.safetensors  raw parameters under the names of ``Gaussians``
memory/views.safetensors      the written frames: rgb, depth, written mask
memory/latents.safetensors    the Gaussians that carry features, where there are some
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from splatmem.gaussians import Gaussians
from splatmem.geometry.cameras import Cameras
from splatmem.io.atomic import staged_directory
from splatmem.memory import SpatialMemory, StoredView

FORMAT = "splatmem-session"
VERSION = 1
INDEX, GAUSSIANS, VIEWS = "session.json", "gaussians.safetensors", "views.safetensors"
LATENTS = "latents.safetensors"


def previous_snapshot(folder: Path) -> Path:
    """Where the snapshot before the last one is kept."""
    return folder.with_name(folder.name + ".previous")


def _next_snapshot(folder: Path) -> Path:
    return folder.with_name(folder.name + ".next")


def has_session(folder: Path) -> bool:
    """Whether ``load_session`` finds a snapshot, whole or not."""
    folder = folder.absolute()
    return folder.is_dir() or previous_snapshot(folder).is_dir()


def save_session(memory: SpatialMemory, folder: Path, progress: dict[str, Any] | None = None) -> None:
    """Writes a snapshot; the one before is kept beside it, so that one whole snapshot exists at any time.

    Args:
        folder: takes the new snapshot's place when all of it is written.
        progress: JSON values to be kept with the memory.
    """
    folder = folder.absolute()
    staging = _next_snapshot(folder)
    with staged_directory(staging, overwrite=True) as staged:
        _save_tensors(_parameters(memory.gaussians), staged / GAUSSIANS)
        if memory.feature_gaussians is not None:
            _save_tensors(_parameters(memory.feature_gaussians), staged / LATENTS)
        _save_tensors(_view_tensors(memory.views), staged / VIEWS)
        index = {
            "format": FORMAT,
            "version": VERSION,
            "scale": memory.scale,
            "given": memory.num_given_views,
            "metric": memory.metric,
            "num_feature_views": memory.num_feature_views,
            "views": [_view_entry(view) for view in memory.views],
            "files": {file.name: _checksum(file) for file in sorted(staged.iterdir())},
            "progress": progress or {},
        }
        (staged / INDEX).write_text(json.dumps(index, indent=1), encoding="utf-8")
    previous = previous_snapshot(folder)
    if folder.exists():
        shutil.rmtree(previous, ignore_errors=True)
        os.replace(folder, previous)
    os.replace(staging, folder)


def drop_previous_snapshot(folder: Path) -> None:
    """Forgets the older snapshot of a finished run, and one that a killed run had not put in its place yet."""
    folder = folder.absolute()
    for other in (previous_snapshot(folder), _next_snapshot(folder)):
        shutil.rmtree(other, ignore_errors=True)


def load_session(folder: Path) -> tuple[SpatialMemory, dict[str, Any]]:
    """The memory and the progress kept with it; the older snapshot, with a warning, if the last one is damaged.

    Raises:
        ValueError: there is no session, it is damaged (the message names the file), or from a newer version.
    """
    folder = folder.absolute()
    previous = previous_snapshot(folder)
    if not has_session(folder):
        raise ValueError(f"there is no session in {folder}: expected the memory/ folder that 'splatmem flyaround' writes")
    if not folder.is_dir():  # killed while the new snapshot took its place
        return _load(previous)
    try:
        return _load(folder)
    except DamagedSessionError as damage:
        if not previous.is_dir():
            raise
        warnings.warn(f"{damage}; the snapshot before it is used", stacklevel=2)
        return _load(previous)


class DamagedSessionError(ValueError):
    """A file of a session is missing or not what was written."""


def _load(folder: Path) -> tuple[SpatialMemory, dict[str, Any]]:
    index = _read_index(folder / INDEX)
    for name, expected in index["files"].items():
        file = folder / name
        if not file.is_file() or _checksum(file) != expected:
            raise DamagedSessionError(
                f"the session is damaged: {file} is missing or was changed (scene.ply may still be whole)"
            )
    try:
        gaussians = Gaussians(**load_file(folder / GAUSSIANS))
        views = _views(index["views"], load_file(folder / VIEWS))
        latents = Gaussians(**load_file(folder / LATENTS)) if LATENTS in index["files"] else None
    except (SafetensorError, KeyError, TypeError) as error:
        raise DamagedSessionError(f"the session in {folder} is damaged: {error}") from error
    given, num_feature_views, metric = index.get("given", 1), index.get("num_feature_views", 0), index.get("metric", False)
    memory = SpatialMemory(gaussians, views, float(index["scale"]), given, latents, num_feature_views, metric)
    return memory, index["progress"]


def _read_index(file: Path) -> dict[str, Any]:
    try:
        index = json.loads(file.read_text(encoding="utf-8"))
        version = int(index["version"])
        if index["format"] != FORMAT:
            raise KeyError("format")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedSessionError(f"the session is damaged: {file} cannot be read ({error})") from error
    if version > VERSION:
        raise ValueError(
            f"{file} was written by a newer splatmem (session version {version}, this one reads up to {VERSION}): "
            "update splatmem, or open the scene.ply beside it"
        )
    return index


def _checksum(file: Path) -> dict[str, Any]:
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    return {"bytes": file.stat().st_size, "sha256": digest}


def _save_tensors(tensors: dict[str, torch.Tensor], file: Path) -> None:
    try:
        save_file(tensors, file)
    except SafetensorError as error:
        # What the system answered stands in the text only: "... No space left on device (os error 28)".
        number = re.search(r"\(os error (\d+)\)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1])), str(file)) from error


def _parameters(gaussians: Gaussians) -> dict[str, torch.Tensor]:
    return {name: value.detach().cpu().contiguous() for name, value in vars(gaussians).items() if value is not None}


def _view_tensors(views: list[StoredView]) -> dict[str, torch.Tensor]:
    tensors = {}
    for number, view in enumerate(views):
        for name in ("rgb", "depth", "written"):
            tensors[f"{number:04d}.{name}"] = getattr(view, name).cpu().contiguous()
        # As tensors, since JSON would not keep every bit of a float.
        tensors[f"{number:04d}.world_to_cam"] = view.camera.world_to_cam.clone(memory_format=torch.contiguous_format)
        tensors[f"{number:04d}.intrinsics"] = view.camera.intrinsics.clone(memory_format=torch.contiguous_format)
    return tensors


def _view_entry(view: StoredView) -> dict[str, Any]:
    return {"size": [view.camera.width, view.camera.height], "gaussians": list(view.gaussians)}


def _views(entries: list[dict[str, Any]], tensors: dict[str, torch.Tensor]) -> list[StoredView]:
    views = []
    for number, entry in enumerate(entries):

        def stored(name: str, number: int = number) -> torch.Tensor:
            return tensors[f"{number:04d}.{name}"]

        camera = Cameras(stored("world_to_cam"), stored("intrinsics"), *entry["size"])
        first, last = entry["gaussians"]
        views.append(StoredView(camera, stored("rgb"), stored("depth"), stored("written"), (first, last)))
    return views
