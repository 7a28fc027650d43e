"""Cameras in NumPy's .npz, as video models with camera control keep them: ``w2c`` or ``c2w`` with OpenCV's axes, and ``K``."""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch

from splatmem.geometry.cameras import Cameras
from splatmem.geometry.poses import require_rigid, rigid_inverse
from splatmem.io.intrinsics import LARGEST_SIDE, Intrinsics, intrinsics_to_cameras

WORLD_TO_CAM = ("w2c", "w2cs", "world_to_cam", "viewmats", "extrinsics")
CAM_TO_WORLD = ("c2w", "c2ws", "cam_to_world")
INTRINSICS = ("k", "ks", "intrinsics", "intrinsic")
WIDTH, HEIGHT = ("width", "w"), ("height", "h")
LARGEST_ARRAY = 64 * 2**20  # bytes
MOST_ARRAYS = 64
ENTRY = ".npy"


def load_npz(path: Path, *, width: int, height: int, fov_x_degrees: float) -> Cameras:
    """Reads ``w2c`` or ``c2w`` ``[n, 4|3, 4]`` and, where it is there, ``K`` (``[3, 3]``, ``[n, 3, 3]`` or fx, fy, cx, cy).

    The size that ``K`` is for is told by ``width`` and ``height``; else it is taken to be twice the principal point.

    Raises:
        ValueError: no such arrays, of other shapes, not finite or not rigid; the message names the file.
    """
    arrays = _arrays(path)
    outwards, inwards = _first(arrays, WORLD_TO_CAM), _first(arrays, CAM_TO_WORLD)
    given = outwards if outwards is not None else inwards
    if given is None:
        held = ", ".join(sorted(arrays)) or "nothing"
        raise ValueError(f"{path}: expected an array w2c or c2w with the cameras' poses, it holds {held}"[:400])
    poses = _poses(given, path)
    world_to_cam = poses if outwards is not None else rigid_inverse(poses)
    intrinsics = _first(arrays, INTRINSICS)
    if intrinsics is None:
        lenses = [Intrinsics.from_fov(fov_x_degrees, width, height)] * len(poses)
    else:
        lenses = _lenses(intrinsics, len(poses), [_first(arrays, WIDTH), _first(arrays, HEIGHT)], path)
    return intrinsics_to_cameras(world_to_cam, lenses, width, height, str(path))


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """The numeric arrays by their names in small letters; none is allocated before its length is known."""
    found: dict[str, np.ndarray] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist()[:MOST_ARRAYS]:
                name = entry.filename.removesuffix(ENTRY).lower()
                if not entry.filename.endswith(ENTRY) or name not in _KNOWN:
                    continue
                with archive.open(entry) as member:
                    content = member.read(LARGEST_ARRAY + 1)
                if len(content) > LARGEST_ARRAY:
                    raise ValueError(f"the array {name} has more than {LARGEST_ARRAY >> 20} MiB")
                found[name] = _array(content, name)
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise ValueError(f"{path}: expected NumPy's .npz with cameras, but it cannot be read: {error}") from error
    return found


_KNOWN = frozenset((*WORLD_TO_CAM, *CAM_TO_WORLD, *INTRINSICS, *WIDTH, *HEIGHT))


def _array(content: bytes, name: str) -> np.ndarray:
    stream = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, kind = read(stream)
        values = np.frombuffer(content, np.uint8, offset=stream.tell())
        count = 1
        for side in shape:
            count *= side
        if kind.kind not in "fiu" or count * kind.itemsize != len(values):
            raise ValueError("its header does not fit its length, or it holds no numbers")
        array = values.view(kind).reshape(shape, order="F" if fortran else "C")
    except Exception as error:  # the header is an expression that NumPy parses
        raise ValueError(f"the array {name} is damaged ({' '.join(str(error).split())[:200]})") from error
    return array.astype(np.float64)


def _first(arrays: dict[str, np.ndarray], names: tuple[str, ...]) -> np.ndarray | None:
    return next((arrays[name] for name in names if name in arrays), None)


def _poses(given: np.ndarray, path: Path) -> torch.Tensor:
    squeezed = given[0] if given.ndim == 4 and len(given) == 1 else given
    if squeezed.ndim != 3 or squeezed.shape[1] not in (3, 4) or squeezed.shape[2] != 4 or not len(squeezed):
        raise ValueError(f"{path}: expected poses of shape [n, 4, 4] or [n, 3, 4], got {list(given.shape)}")
    poses = np.tile(np.eye(4), (len(squeezed), 1, 1))
    poses[:, : squeezed.shape[1]] = squeezed
    return require_rigid(torch.from_numpy(poses), str(path))


def _lenses(given: np.ndarray, count: int, size: list[np.ndarray | None], path: Path) -> list[Intrinsics]:
    squeezed = given[0] if given.ndim == 4 and len(given) == 1 else given
    if squeezed.ndim >= 2 and squeezed.shape[-2:] == (3, 3):
        rows = squeezed[..., [0, 1, 0, 1], [0, 1, 2, 2]]
    elif squeezed.shape[-1:] == (4,):
        rows = squeezed
    else:
        raise ValueError(f"{path}: expected intrinsics as 3x3 matrices or rows of fx, fy, cx, cy, got {list(given.shape)}")
    rows = rows.reshape(-1, 4)
    if len(rows) not in (1, count) or not np.isfinite(rows).all():
        raise ValueError(f"{path}: expected finite intrinsics, one for all or for each of {count} poses, got {len(rows)}")
    rows = np.broadcast_to(rows, (count, 4))
    told = [None if side is None or side.size != 1 else float(side.reshape(-1)[0]) for side in size]
    lenses = []
    for fx, fy, cx, cy in rows.tolist():
        width, height = (told[0] or 2 * cx), (told[1] or 2 * cy)
        if not (1 <= width <= LARGEST_SIDE and 1 <= height <= LARGEST_SIDE):
            raise ValueError(
                f"{path}: expected intrinsics in pixels with the principal point in the picture, got {[fx, fy, cx, cy]}"
            )
        lens = Intrinsics(fx, fy, cx, cy, round(width), round(height))
        lens.check(str(path))
        lenses.append(lens)
    return lenses
