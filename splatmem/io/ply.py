"""3D Gaussian splats as .ply files in the layout of the first implementation (INRIA, Kerbl et al. 2023).

The layout holds 62 float32 properties: position, normal, ``f_dc_0..2`` (constant SH band), ``f_rest_0..44`` (higher bands,
channel by channel: first all of red), opacity before the sigmoid, logarithms of the scales, rotation ``wxyz``.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from splatmem.gaussians import Gaussians
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.world import World
from splatmem.io.atomic import atomic_path
from splatmem.io.drawable import drawable
from splatmem.io.ply_header import require_whole

ROWS_AT_ONCE = 2**15  # that are put together before they are written
FULL_BANDS = 16  # SH coefficients per channel in the full layout
REQUIRED = (
    *("x", "y", "z", "f_dc_0", "f_dc_1", "f_dc_2", "opacity"),
    *("scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"),
)
CAMERA_ELEMENTS = {"intrinsic": 9, "extrinsic": 16, "image_size": 2}


def save_ply(gaussians: Gaussians, path: str | Path, compact: bool = False, world: World | None = None) -> None:
    """Writes a binary little-endian .ply that splat viewers and importers open; ``features`` are not part of the format.

    Args:
        gaussians: what to write; rotations are normalised on the way.
        path: the file; it appears whole.
        compact: leave out the normals and the SH bands that the Gaussians do not have, which most readers can do without.
        world: in which the cameras were given, if that is another than the Gaussians': the header's comment
            ``world_from_scene`` says how they lie in it, 4x4 by rows.

    Raises:
        ValueError: a parameter is NaN or infinite.
        OSError: the file cannot be written.
    """
    gaussians = gaussians.to("cpu").detach()
    require_finite(gaussians)
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        _write(stream, gaussians, compact, world)


def ply_bytes(gaussians: Gaussians) -> bytes:
    """The bytes of a compact .ply, for programs that take these.

    Raises:
        ValueError: a parameter is NaN or infinite.
    """
    gaussians = gaussians.to("cpu").detach()
    require_finite(gaussians)
    stream = io.BytesIO()
    _write(stream, gaussians, compact=True, world=None)
    return stream.getvalue()


def require_finite(gaussians: Gaussians) -> None:
    """Raises ``ValueError`` where a parameter is NaN or infinite."""
    parameters = (gaussians.means, gaussians.quats, gaussians.log_scales, gaussians.opacity_logits, gaussians.sh)
    finite = torch.stack([values.float().isfinite().flatten(1).all(1) if values.ndim > 1 else values.float().isfinite()
                          for values in parameters]).all(0)  # fmt: skip
    if not finite.all():
        wrong = int((~finite).sum())
        raise ValueError(f"{wrong} of {len(finite)} Gaussians have a parameter that is NaN or infinite; remove them first")


def _write(stream: io.BufferedIOBase, gaussians: Gaussians, compact: bool, world: World | None) -> None:
    """Writes a file some rows at a time: most of a full one are zeros, which would fill more memory than the scene does."""
    from plyfile import PlyData, PlyElement

    layout = np.dtype([(name, "<f4") for _, names in _columns(gaussians.select(slice(0, 0)), compact) for name in names])
    rows = np.broadcast_to(np.zeros(1, layout), len(gaussians))  # for the header, which counts them
    vertices = PlyElement.describe(rows, "vertex")
    header = PlyData([vertices], text=False, byte_order="<", comments=_world_comments(world)).header
    stream.write(f"{header}\n".encode("ascii"))
    for first in range(0, len(gaussians), ROWS_AT_ONCE):
        columns = _columns(gaussians.select(slice(first, first + ROWS_AT_ONCE)), compact)
        values = torch.cat([column.float() for column, _ in columns], dim=1).contiguous()
        stream.write(values.numpy().astype("<f4", copy=False).data)


def _world_comments(world: World | None) -> list[str]:
    if world is None or world.is_memory:
        return []
    return ["world_from_scene " + " ".join(repr(value) for value in world.world_from_memory.flatten().tolist())]


def _columns(gaussians: Gaussians, compact: bool) -> list[tuple[Float[Tensor, "n c"], list[str]]]:
    """Values and property names in the file's order."""
    rest = gaussians.sh[:, 1:]
    if not compact:
        rest = torch.nn.functional.pad(rest, (0, 0, 0, FULL_BANDS - 1 - rest.shape[1]))
    channel_major = rest.transpose(1, 2).flatten(1)
    quats = torch.nn.functional.normalize(gaussians.quats, dim=-1)
    identity = torch.tensor([1.0, 0.0, 0.0, 0.0]).to(quats)
    quats = torch.where(gaussians.quats.norm(dim=-1, keepdim=True) > 0, quats, identity)
    columns = [
        (gaussians.means, ["x", "y", "z"]),
        (gaussians.normals, ["nx", "ny", "nz"]),
        (gaussians.sh[:, 0], _numbered("f_dc", 3)),
        (channel_major, _numbered("f_rest", channel_major.shape[1])),
        (gaussians.opacity_logits[:, None], ["opacity"]),
        (gaussians.log_scales, _numbered("scale", 3)),
        (quats, _numbered("rot", 4)),
    ]
    return [c for c in columns if not (compact and c[1] == ["nx", "ny", "nz"])]


def _numbered(name: str, count: int) -> list[str]:
    return [f"{name}_{i}" for i in range(count)]


def load_ply(path: str | Path) -> Gaussians:
    """Reads a splat .ply of any SH degree, with or without normals; trailing SH bands that are all zero are dropped.

    What cannot be drawn is left out; ``read_ply`` also says what that was.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not a .ply, is truncated, or holds something else than Gaussian splats; the message says what.
    """
    return read_ply(path)[0]


def read_ply(path: str | Path) -> tuple[Gaussians, list[str]]:
    """What ``load_ply`` gives, with notes on Gaussians that were left out (see ``splatmem.io.drawable``)."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    require_whole(path)
    return parse_ply(path, path)


def parse_ply(source: Path | bytes, path: Path) -> tuple[Gaussians, list[str]]:
    """What ``read_ply`` gives, of a file that is whole, or of its bytes; ``path`` is named in messages."""
    from plyfile import PlyData

    try:
        elements = {e.name: e for e in PlyData.read(io.BytesIO(source) if isinstance(source, bytes) else str(source))}
    except OSError:
        raise
    except Exception as error:  # damaged files end in errors of many kinds
        raise ValueError(f"{path}: expected a whole .ply file, but it cannot be read: {error}") from error
    if "chunk" in elements:
        raise ValueError(f"{path} is a compressed .ply, which load_splats reads")
    if "vertex" not in elements:
        raise ValueError(f"{path}: expected an element 'vertex', got {', '.join(elements) or 'nothing'}")
    table = elements["vertex"].data
    missing = [name for name in REQUIRED if name not in (table.dtype.names or ())]
    if missing:
        raise ValueError(f"{path} holds no Gaussian splats (a plain point cloud or mesh?): it lacks {', '.join(missing)}")
    with np.errstate(over="ignore", invalid="ignore"):  # what leaves float32 becomes infinite, and is left out as such
        gaussians, notes = drawable(_gaussians(table, path))
    if len(table) and not len(gaussians):
        raise ValueError(f"{path} holds no Gaussian that can be drawn: {'; '.join(notes)}")
    return gaussians, notes


def read_ply_normals(path: str | Path) -> Float[Tensor, "n 3"] | None:
    """Unit normals of the Gaussians that ``read_ply`` gives; None where the file has none, or some of them are zero."""
    from plyfile import PlyData

    table = PlyData.read(str(path))["vertex"].data
    if not {"nx", "ny", "nz"} <= set(table.dtype.names or ()):
        return None
    normals = torch.from_numpy(np.stack([np.asarray(table[name], np.float32) for name in ("nx", "ny", "nz")], axis=-1))
    with np.errstate(over="ignore", invalid="ignore"):
        kept = drawable(_gaussians(table, Path(path)).with_values(features=normals))[0].features
    lengths = None if kept is None else kept.norm(dim=-1, keepdim=True)
    if kept is None or lengths is None or not (lengths.isfinite() & (lengths > 1e-6)).all():
        return None
    return kept / lengths


def read_ply_camera(path: str | Path) -> Cameras | None:
    """The camera that saw what a file holds, where it says so as SHARP does (Mescheder et al. 2025), in elements ``intrinsic``,
    ``extrinsic`` (world to camera, both by rows) and ``image_size``; None where it does not, or says something impossible."""
    from plyfile import PlyData

    elements = {element.name: element.data for element in PlyData.read(str(path)) if element.name in CAMERA_ELEMENTS}
    values = {name: np.asarray(data[name], np.float64) for name, data in elements.items() if name in (data.dtype.names or ())}
    if {name: len(value) for name, value in values.items()} != CAMERA_ELEMENTS:
        return None
    width, height = (int(side) for side in values["image_size"])
    intrinsics, extrinsics = (torch.from_numpy(values[name]).float() for name in ("intrinsic", "extrinsic"))
    try:
        return Cameras(extrinsics.reshape(1, 4, 4), intrinsics.reshape(1, 3, 3), width, height)
    except ValueError:
        return None


def _gaussians(table: np.ndarray, path: Path) -> Gaussians:
    def read(*names: str) -> Tensor:
        try:
            return torch.from_numpy(np.stack([np.asarray(table[name], np.float32) for name in names], axis=-1))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path}: expected one number for each of the properties {', '.join(names)}") from error

    count = sum(name.startswith("f_rest_") for name in table.dtype.names or ())
    if count not in (0, 9, 24, 45):
        raise ValueError(f"{path}: expected 0, 9, 24 or 45 properties f_rest_* (SH degree 0 to 3), got {count}")
    sh = read(*_numbered("f_dc", 3))[:, None]
    if count:
        absent = [name for name in _numbered("f_rest", count) if name not in (table.dtype.names or ())]
        if absent:
            raise ValueError(f"{path}: expected the properties f_rest_0 to f_rest_{count - 1}, it lacks {absent[0]}")
        rest = read(*_numbered("f_rest", count)).unflatten(1, (3, count // 3)).transpose(1, 2)
        used = 1 + int(rest.ne(0).any(dim=-1).any(dim=0).nonzero().amax()) if rest.any() else 0
        bands = next(k for k in (1, 4, 9, 16) if k > used)
        sh = torch.cat([sh, rest[:, : bands - 1]], dim=1)
    scales, quats = read(*_numbered("scale", 3)), read(*_numbered("rot", 4))
    return Gaussians(read("x", "y", "z"), quats, scales, read("opacity")[:, 0], sh.contiguous())
