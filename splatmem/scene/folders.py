"""Where a scene lies on disk."""

from __future__ import annotations

from pathlib import Path

KIND = "scene"  # for the mark of a saved scene's folder
MEMORY_FOLDER = "memory"


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
