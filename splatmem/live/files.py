"""Files that a browser may name: those of the scene's folder, and what is uploaded, which is read and not kept."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from splatmem.geometry.cameras import Cameras
from splatmem.geometry.world import World
from splatmem.io.atomic import atomic_path
from splatmem.io.colmap import save_colmap
from splatmem.io.transforms_json import save_transforms_json
from splatmem.io.tum import save_tum
from splatmem.io.viewer_paths import save_viewer_path
from splatmem.jobs.shots import read_shots, shot_trajectory
from splatmem.live.storyboard import Shot, Storyboard
from splatmem.scene import Scene

SHOTS, NERFSTUDIO, COLMAP, TUM = "shots (splatmem film)", "nerfstudio camera_path.json", "COLMAP", "TUM"
PATH_KINDS = (SHOTS, NERFSTUDIO, COLMAP, TUM)
FILMS, PATHS = "films", "paths"  # folders in the scene's
NAME = re.compile(r"[\w][\w .-]{0,99}", re.UNICODE)
UPLOADS = (".yaml", ".yml", ".json", ".txt", ".npz")


def inside(folder: Path, name: str) -> Path:
    """The file of a name within a folder.

    Raises:
        ValueError: the name leads out of the folder, or is no name of a file.
    """
    if not NAME.fullmatch(name) or ".." in name:
        raise ValueError(f"a name is of letters, digits, spaces, dots and dashes, got {name!r:.60}")
    file = folder / name
    if file.is_symlink() or not file.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{name!r} leads out of the scene's folder")
    return file


def free_name(folder: Path, stem: str, suffix: str) -> Path:
    """A file in a folder, which is made, that is not there yet: ``film_001.mp4``, say."""
    folder.mkdir(exist_ok=True)
    if folder.is_symlink():
        raise ValueError(f"{folder} is a link, and leads out of the scene's folder")
    number = 1
    while (file := folder / f"{stem}_{number:03d}{suffix}").exists():
        number += 1
    return file


def save_path(board: Storyboard, kind: str, folder: Path, size: tuple[int, int], world: World) -> Path:
    """Writes the shots, in the world of what the scene was made from; returns the file or folder.

    Args:
        folder: of the scene.
        size: width and height of the pictures.

    Raises:
        ValueError: a shot is no path.
        OSError: it cannot be written.
    """
    cameras = world.from_memory(board.cameras(*size))
    if kind == NERFSTUDIO:
        file = free_name(folder / PATHS, "camera_path", ".json")
        save_viewer_path(cameras, file, board.fps)
    elif kind == TUM:
        file = free_name(folder / PATHS, "tum", ".txt")
        save_tum(cameras, file, board.fps)
    elif kind == COLMAP:
        file = free_name(folder / PATHS, "colmap", "")
        file.mkdir()
        save_colmap(cameras, file)
    else:
        file = free_name(folder / PATHS, "shots", ".yaml")
        entries = []
        for number, shot in enumerate(board.shots, start=1):
            path = file.with_name(f"{file.stem}_{number:02d}.json")
            save_transforms_json(world.from_memory(shot.cameras(board.fps, *size)), path)
            entries.append({"path": path.name} | ({"prompt": shot.prompt} if shot.prompt else {}))
        with atomic_path(file) as temporary:
            temporary.write_text(yaml.safe_dump({"shots": entries}, sort_keys=False), encoding="utf-8")
    return file


@contextmanager
def uploaded(name: str, content: bytes) -> Iterator[Path]:
    """A file with what was uploaded, as long as the block lasts.

    Raises:
        ValueError: its name is not of a kind that is read.
    """
    suffix = Path(name).suffix.lower()
    if suffix not in UPLOADS:
        raise ValueError(f"{name!r:.60}: expected a path file that ends in {', '.join(UPLOADS)}")
    with tempfile.TemporaryDirectory(prefix="splatmem-") as folder:
        # COLMAP's text is known by its name; no other name of the browser's is used.
        file = Path(folder) / ("images.txt" if Path(name).name == "images.txt" else f"upload{suffix}")
        file.write_bytes(content)
        yield file


def read_path(file: Path, scene: Scene, board: Storyboard, name: str) -> tuple[Shot, ...]:
    """The shots of a file: one, or those of a shots file.

    Raises:
        ValueError: it is no path, or malformed.
    """
    if file.suffix.lower() in (".yaml", ".yml"):
        text = file.read_text(encoding="utf-8", errors="replace")
        if "shots" in text and "keyframes" not in text:
            return tuple(
                _of_cameras(shot_trajectory(shot, scene, None).cameras, f"{name} {number}", board.fps, shot.prompt or "")
                for number, shot in enumerate(read_shots(file, board.fps), start=1)
            )
    return (_of_cameras(scene.trajectory(file).cameras, name, board.fps, ""),)


def _of_cameras(cameras: Cameras, name: str, fps: float, prompt: str) -> Shot:
    shot = Shot.of_cameras(name, cameras, 1 / fps)
    return Shot(shot.name, shot.keys, shot.closed, prompt)


def path_files(folder: Path) -> list[str]:
    """Names of the path files that were saved in a scene's folder."""
    paths = folder / PATHS
    if not paths.is_dir() or paths.is_symlink():
        return []
    return sorted(entry.name for entry in paths.iterdir() if entry.suffix in UPLOADS or entry.is_dir())
