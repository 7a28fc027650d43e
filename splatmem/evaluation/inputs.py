"""What ``splatmem evaluate`` takes as scenes: folders with transforms.json, stereo pairs, folders of stereo pairs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from splatmem.evaluation.scenes import Scene, load_scene
from splatmem.evaluation.stereo import LEFT, load_pair, pairs_in


def each_scene(given: Sequence[Path]) -> list[Path]:
    """The scenes that were given, folders of stereo pairs replaced by the left pictures of their pairs."""
    return [scene for path in given for scene in (pairs_in(path) or [path])]


def scene_name(scene: Path) -> str:
    """Name of a scene: that of its folder, or of the pair."""
    return scene.stem.removesuffix(LEFT) if scene.is_file() else scene.resolve().name


def open_scene(scene: Path, *, frames: int | None = None, size: tuple[int, int] | None = None) -> Scene:
    """Reads a scene: see ``load_scene`` and ``load_pair``; a pair has two frames, however many are wanted.

    Raises:
        ValueError: it is none, or a file of it is missing or damaged.
    """
    if scene.is_file():
        if not scene.stem.endswith(LEFT):
            raise ValueError(f"{scene} is no scene: expected a folder, or the left picture *{LEFT}.png of a stereo pair")
        return load_pair(scene, size=size)
    return load_scene(scene, frames=frames, size=size)
