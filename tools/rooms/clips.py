"""Clips on disk: one ``.npz`` each for training, or a folder in nerfstudio's convention for evaluation."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8, UInt16
from numpy import ndarray
from PIL import Image

MAX_DEPTH_METRES = 65.0
"""Farther surfaces are stored at this depth: 16 bits of millimetres end at 65.535 m."""


@dataclass(frozen=True, eq=False)
class Clip:
    """Posed RGB-D frames.

    Attributes:
        rgb: display values.
        depth_mm: z-depth in millimetres, 0 = sky or none.
        cam_to_world: OpenGL camera-to-world matrices, metres.
        fov_x_degrees: horizontal field of view; pixels are square, the principal point is the centre.
        kind: of the camera path (orbit, pan360, dolly, walk).
    """

    rgb: UInt8[ndarray, "v h w 3"]
    depth_mm: UInt16[ndarray, "v h w"]
    cam_to_world: Float[ndarray, "v 4 4"]
    fov_x_degrees: float
    kind: str

    def __post_init__(self) -> None:
        views, height, width = self.depth_mm.shape if self.depth_mm.ndim == 3 else (-1, -1, -1)
        expected = {"rgb": ((views, height, width, 3), np.uint8), "depth_mm": ((views, height, width), np.uint16)}
        for name, (shape, dtype) in expected.items():
            array = getattr(self, name)
            if array.shape != shape or array.dtype != dtype:
                raise ValueError(f"a clip's {name} should be {np.dtype(dtype).name} {shape}, got {array.dtype} {array.shape}")
        if self.cam_to_world.shape != (views, 4, 4):
            raise ValueError(f"a clip of {views} views needs cam_to_world {(views, 4, 4)}, got {self.cam_to_world.shape}")


def depth_to_millimetres(depth: Float[ndarray, "*any"]) -> UInt16[ndarray, "*any"]:
    """Depth in metres (0 = none) as stored."""
    return np.round(np.clip(depth, 0.0, MAX_DEPTH_METRES) * 1000.0).astype(np.uint16)


def write_clip(clip: Clip, path: Path) -> None:
    """Writes a compressed ``.npz`` with rgb, depth_mm, c2w, fovx and kind; it appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
        try:
            np.savez_compressed(
                file,
                rgb=clip.rgb,
                depth_mm=clip.depth_mm,
                c2w=clip.cam_to_world.astype(np.float32),
                fovx=np.float64(clip.fov_x_degrees),
                kind=np.str_(clip.kind),
            )
            file.close()
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise


def read_clip(path: Path) -> Clip:
    """Reads what ``write_clip`` wrote.

    Raises:
        ValueError: the file is damaged or no clip.
    """
    try:
        with np.load(path) as data:
            return Clip(data["rgb"], data["depth_mm"], data["c2w"], float(data["fovx"]), str(data["kind"]))
    except (KeyError, EOFError, zipfile.BadZipFile, ValueError) as error:
        raise ValueError(f"{path} is not a whole clip ({error}); render it again with tools/render_rooms.py") from error


def export_scene(clip: Clip, folder: Path) -> None:
    """Writes a clip as ``write_scene`` does."""
    write_scene(folder, clip.rgb, clip.depth_mm, clip.cam_to_world, clip.fov_x_degrees, clip.kind)


def write_scene(
    folder: Path,
    rgb: UInt8[ndarray, "v h w 3"],
    depth_mm: UInt16[ndarray, "v h w"] | None,
    cam_to_world: Float[ndarray, "v 4 4"],
    fov_x_degrees: float,
    kind: str,
) -> None:
    """Writes ``transforms.json``, ``images/*.png`` and, where depth is known, ``depth/*.png`` (16 bits, millimetres) as
    nerfstudio reads them; see ``Clip`` for the arguments.

    The folder appears whole or not at all, and replaces one of the same name.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        scene = Path(temporary) / folder.name
        (scene / "images").mkdir(parents=True)
        frames: list[dict[str, object]] = []
        for index, (picture, pose) in enumerate(zip(rgb, cam_to_world, strict=True)):
            name = f"images/frame_{index:05d}.png"
            Image.fromarray(picture).save(scene / name)
            frames.append({"file_path": name, "transform_matrix": pose.tolist()})
        if depth_mm is not None:
            (scene / "depth").mkdir()
            for index, depth in enumerate(depth_mm):
                name = f"depth/frame_{index:05d}.png"
                Image.fromarray(depth).save(scene / name)
                frames[index]["depth_file_path"] = name
        height, width = rgb.shape[1:3]
        transforms = _intrinsics(width, height, fov_x_degrees) | {"path_kind": kind, "frames": frames}
        (scene / "transforms.json").write_text(json.dumps(transforms, indent=2))
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(scene, folder)


def _intrinsics(width: int, height: int, fov_x_degrees: float) -> dict[str, object]:
    focal = 0.5 * width / np.tan(np.radians(fov_x_degrees) / 2)
    return {
        "camera_model": "PINHOLE",
        "w": width,
        "h": height,
        "fl_x": float(focal),
        "fl_y": float(focal),
        "cx": width / 2,
        "cy": height / 2,
        "depth_unit_scale_factor": 0.001,
    }
