"""Gaussian splats as binary glTF (.glb) with Khronos's ratified extension KHR_gaussian_splatting.

Source: https://github.com/KhronosGroup/glTF/tree/main/extensions/2.0/Khronos/KHR_gaussian_splatting. A primitive of points
holds the positions, unit quaternions ``xyzw``, linear scales, opacities in 0..1 and the coefficients of spherical harmonics.
Axes are glTF's: x right, y up, z backward. A camera, animated where there is a film, lies beside them.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from splatmem.gaussians import Gaussians
from splatmem.gaussians.container import logit
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.rotations import rotations_to_quats
from splatmem.io.atomic import atomic_path
from splatmem.io.drawable import MOST_OPAQUE, drawable
from splatmem.io.splats.axes import half_turn_about_x, without_empty_bands
from splatmem.io.y_up_cameras import camera_matrices_y_up, fov_y

if TYPE_CHECKING:
    import pygltflib

EXTENSION = "KHR_gaussian_splatting"
FLOAT, BYTE, UNSIGNED_BYTE, SHORT, UNSIGNED_SHORT = 5126, 5120, 5121, 5122, 5123
STORED = {FLOAT: "<f4", BYTE: "i1", UNSIGNED_BYTE: "u1", SHORT: "<i2", UNSIGNED_SHORT: "<u2"}
WIDTHS = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}
SHAPES = {width: name for name, width in WIDTHS.items()}


def write_glb(gaussians: Gaussians, path: Path, cameras: Cameras | None, fps: float) -> list[str]:
    """Writes a file that viewers open upright, and with cameras one from which to look at it: the first, moving along the film.

    Raises:
        ValueError: a parameter is NaN or infinite.
        OSError: the file cannot be written.
    """
    import pygltflib

    turned = half_turn_about_x(without_empty_bands(gaussians.to("cpu").detach()))
    attributes = {
        "POSITION": turned.means,
        f"{EXTENSION}:ROTATION": torch.nn.functional.normalize(turned.quats, dim=-1).roll(-1, dims=-1),
        f"{EXTENSION}:SCALE": turned.scales,
        f"{EXTENSION}:OPACITY": turned.opacities[:, None],
    }
    for band in range(turned.sh.shape[1]):
        degree = math.isqrt(band)
        attributes[f"{EXTENSION}:SH_DEGREE_{degree}_COEF_{band - degree**2}"] = turned.sh[:, band]
    if not all(values.isfinite().all() for values in attributes.values()):
        raise ValueError("some Gaussians have a parameter that is NaN or infinite; remove them first")
    document = pygltflib.GLTF2(
        asset=pygltflib.Asset(version="2.0", generator="splatmem"),
        scene=0, scenes=[pygltflib.Scene(nodes=[0])], nodes=[pygltflib.Node(name="splats", mesh=0)],
        extensionsUsed=[EXTENSION],
    )  # fmt: skip
    parts = _Parts(document)
    primitive = pygltflib.Primitive(
        attributes={name: parts.add(values.numpy(), bounds=name == "POSITION") for name, values in attributes.items()},  # type: ignore[arg-type]
        mode=pygltflib.POINTS,
        extensions={EXTENSION: {"kernel": "ellipse", "colorSpace": "srgb_rec709_display"}},
    )
    document.meshes = [pygltflib.Mesh(primitives=[primitive])]
    if cameras is not None:
        _add_camera(document, parts, cameras, fps)
    document.buffers = [pygltflib.Buffer(byteLength=len(parts.content))]
    document.set_binary_blob(bytes(parts.content))
    with atomic_path(path) as temporary:
        temporary.write_bytes(b"".join(document.save_to_bytes()))
    return []


class _Parts:
    """The binary part of a file, and the accessors into it."""

    def __init__(self, document: pygltflib.GLTF2) -> None:
        self.document, self.content = document, bytearray()

    def add(self, values: np.ndarray, bounds: bool = False) -> int:
        """Appends rows of float32; returns the accessor's number."""
        import pygltflib

        rows = np.ascontiguousarray(values, dtype="<f4")
        view = pygltflib.BufferView(buffer=0, byteOffset=len(self.content), byteLength=rows.nbytes)
        self.document.bufferViews.append(view)
        self.content += rows.tobytes()
        limits: dict[str, Any] = {"min": rows.min(0).tolist(), "max": rows.max(0).tolist()} if bounds and len(rows) else {}
        accessor = pygltflib.Accessor(
            bufferView=len(self.document.bufferViews) - 1,
            componentType=FLOAT,
            count=len(rows),
            type=SHAPES[rows.shape[1]],
            **limits,
        )
        self.document.accessors.append(accessor)
        return len(self.document.accessors) - 1


def _add_camera(document: pygltflib.GLTF2, parts: _Parts, cameras: Cameras, fps: float) -> None:
    import pygltflib

    poses = camera_matrices_y_up(cameras)
    quats = _continuous(rotations_to_quats(poses[:, :3, :3])).roll(-1, dims=-1)
    places = poses[:, :3, 3]
    lens = pygltflib.Perspective(aspectRatio=cameras.width / cameras.height, yfov=fov_y(cameras)[0], znear=0.01)
    document.cameras = [pygltflib.Camera(type="perspective", perspective=lens, name="first view")]
    node = pygltflib.Node(name="camera", camera=0, translation=places[0].tolist(), rotation=quats[0].tolist())
    document.nodes.append(node)
    document.scenes[0].nodes = [*(document.scenes[0].nodes or []), 1]
    if len(cameras) > 1:
        times = parts.add(np.arange(len(cameras), dtype=np.float32)[:, None] / fps, bounds=True)
        samplers = [pygltflib.AnimationSampler(input=times, output=parts.add(v.numpy())) for v in (places, quats)]
        channels = [
            pygltflib.AnimationChannel(sampler=number, target=pygltflib.AnimationChannelTarget(node=1, path=name))
            for number, name in enumerate(("translation", "rotation"))
        ]
        document.animations = [pygltflib.Animation(name="film", samplers=samplers, channels=channels)]


def _continuous(quats: torch.Tensor) -> torch.Tensor:
    """The same rotations, each as the one of its two quaternions that is nearer to the one before."""
    flips = torch.where((quats[1:] * quats[:-1]).sum(-1) < 0, -1.0, 1.0).cumprod(0)
    return torch.cat([quats[:1], quats[1:] * flips[:, None].to(quats)])


def read_glb(path: Path) -> tuple[Gaussians, list[str]]:
    """The Gaussians of all primitives with the extension, where their nodes place them; and notes on those left out.

    Raises:
        ValueError: it is no whole .glb, or holds no Gaussian splats.
        OSError: the file cannot be read.
    """
    import pygltflib

    with path.open("rb") as file:
        head = file.read(12)
    if len(head) < 12 or head[:4] != b"glTF" or struct.unpack("<I", head[8:])[0] > path.stat().st_size:
        raise ValueError(f"{path}: expected a whole .glb file, but it is cut short or something else")
    try:
        document = pygltflib.GLTF2().load_binary(str(path))
        found = [] if document is None else _splats(document)
    except OSError:
        raise
    except Exception as error:  # damaged files end in errors of many kinds
        raise ValueError(f"{path}: expected a whole .glb file, but it cannot be read: {error}") from error
    if not found:
        raise ValueError(f"{path} holds no Gaussian splats: no primitive has the extension {EXTENSION}")
    gaussians, notes = drawable(Gaussians.cat(found))
    return half_turn_about_x(gaussians), notes


def _splats(document: pygltflib.GLTF2) -> list[Gaussians]:
    blob: bytes = document.binary_blob() or b""

    def accessor(number: int) -> torch.Tensor:
        return torch.from_numpy(_rows(document, blob, number))

    found = []
    for node in document.nodes or []:
        if node.mesh is None:
            continue
        for primitive in document.meshes[node.mesh].primitives:
            extension = (primitive.extensions or {}).get(EXTENSION)
            if extension is None:
                continue
            if extension.get("extensions"):
                raise ValueError(f"splats packed by {', '.join(extension['extensions'])} are not read")
            if _is_placed(node):
                raise ValueError("splats in a node that moves, turns or scales them are not read: apply its transform first")
            found.append(_gaussians(vars(primitive.attributes), accessor))
    return found


def _is_placed(node: pygltflib.Node) -> bool:
    rests = {"translation": [0, 0, 0], "rotation": [0, 0, 0, 1], "scale": [1, 1, 1], "matrix": np.eye(4).flatten().tolist()}
    return any(getattr(node, name) is not None and list(getattr(node, name)) != rest for name, rest in rests.items())


def _gaussians(attributes: dict[str, int], accessor: Callable[[int], torch.Tensor]) -> Gaussians:
    def read(name: str) -> torch.Tensor:
        if attributes.get(f"{EXTENSION}:{name}") is None:
            raise ValueError(f"it lacks the attribute {EXTENSION}:{name}")
        return accessor(attributes[f"{EXTENSION}:{name}"])

    bands = [read("SH_DEGREE_0_COEF_0")]
    for degree in range(1, 4):
        if f"{EXTENSION}:SH_DEGREE_{degree}_COEF_0" not in attributes:
            break
        bands += [read(f"SH_DEGREE_{degree}_COEF_{number}") for number in range(2 * degree + 1)]
    return Gaussians(
        accessor(attributes["POSITION"]),
        read("ROTATION").roll(1, dims=-1),
        read("SCALE").log(),
        logit(read("OPACITY")[:, 0].clamp(0, MOST_OPAQUE)),
        torch.stack(bands, dim=1),
    )


def _rows(document: pygltflib.GLTF2, blob: bytes, number: int) -> np.ndarray:
    """An accessor's values as float32, ``[n, c]``; whole numbers count as parts of their largest."""
    accessor = document.accessors[number]
    if accessor.bufferView is None:
        raise ValueError(f"accessor {number} has no values in the file")
    view = document.bufferViews[accessor.bufferView]
    stored, width = np.dtype(STORED[accessor.componentType]), WIDTHS[accessor.type]
    start = (view.byteOffset or 0) + (accessor.byteOffset or 0)
    stride = view.byteStride or stored.itemsize * width
    if accessor.count < 0 or start + (accessor.count - 1) * stride + stored.itemsize * width > len(blob):
        raise ValueError("an accessor reaches beyond the file")
    rows = np.ndarray((accessor.count, width), stored, blob, start, (stride, stored.itemsize))
    if stored.kind == "f":
        return rows.astype(np.float32)
    return np.maximum(rows.astype(np.float32) / np.iinfo(stored).max, -1.0)
