"""The readers of files that users bring, each with sound files to damage and what must hold of whatever it accepts."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import ExifTags, Image, ImageCms, PngImagePlugin
from splatmem.gaussians import Gaussians
from splatmem.geometry.cameras import Cameras
from splatmem.io.colmap import save_colmap
from splatmem.io.path_files import load_path
from splatmem.io.photo import load_photo
from splatmem.io.ply import read_ply, save_ply
from splatmem.io.source import read_source
from splatmem.io.transforms_json import save_transforms_json
from splatmem.io.tum import save_tum
from splatmem.io.video import write_video
from splatmem.io.video_frames import survey_video

from scene_folders import there_and_back, write_colmap_binary

SIZE = (32, 24)
TARGET = {"width": 32, "height": 24, "fov_x_degrees": 60.0}


@dataclass(frozen=True)
class Parser:
    """A reader.

    Attributes:
        name: for the table.
        text: whether its files are text.
        prepare: writes a sound scene into a folder, and says which files are to be damaged, one at a time.
        read: reads it; what is accepted must be sound, else it raises ``AssertionError``.
    """

    name: str
    text: bool
    prepare: Callable[[Path], list[str]]
    read: Callable[[Path, str], None]


def cameras_are_sound(cameras: Cameras) -> None:
    assert len(cameras) >= 2
    assert (cameras.width, cameras.height) == SIZE
    assert cameras.world_to_cam.dtype == torch.float32
    assert cameras.world_to_cam.isfinite().all()
    assert cameras.intrinsics.isfinite().all()
    rotation = cameras.world_to_cam[:, :3, :3].double()
    assert (rotation @ rotation.transpose(1, 2) - torch.eye(3)).abs().max() < 1e-3
    assert (torch.linalg.det(rotation) > 0).all()
    assert (cameras.focal > 1e-3).all()
    assert (cameras.focal < 1e6).all()
    assert cameras.centers.isfinite().all()


def read_the_path(folder: Path, name: str) -> None:
    cameras_are_sound(load_path(folder / name, **TARGET))


def picture(seed: int = 0) -> Image.Image:
    v, u = np.mgrid[: SIZE[1], : SIZE[0]]
    return Image.fromarray(np.stack([u * 8 % 256, v * 10 % 256, (u + v + 40 * seed) * 4 % 256], axis=-1).astype(np.uint8))


# ------------------------------------------------------------------------------------------------ pictures and video


def write_photos(folder: Path) -> list[str]:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    details = exif.get_ifd(ExifTags.IFD.Exif)
    details[ExifTags.Base.FocalLengthIn35mmFilm] = 28
    details[ExifTags.Base.FocalLength] = 4.5
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    text = PngImagePlugin.PngInfo()
    text.add_text("workflow", "x" * 2000, zip=True)
    image, alpha = picture(), picture().convert("RGBA")
    alpha.putalpha(128)
    deep = Image.fromarray(np.arange(SIZE[0] * SIZE[1], dtype=np.uint16).reshape(SIZE[::-1]) * 80)
    image.save(folder / "a.jpg", exif=exif, icc_profile=profile)
    alpha.save(folder / "a.png", icc_profile=profile, pnginfo=text, exif=exif)
    image.quantize(16).save(folder / "p.png")
    deep.save(folder / "deep.png")
    deep.save(folder / "deep.tif")
    image.save(folder / "a.tif", compression="tiff_lzw", exif=exif)
    Image.fromarray(np.linspace(0, 1.01, SIZE[0] * SIZE[1], dtype=np.float32).reshape(SIZE[::-1])).save(folder / "f.tif")
    for name in ("a.webp", "a.bmp", "a.gif", "a.ppm", "a.jp2", "a.avif"):
        image.save(folder / name)
    image.convert("CMYK").save(folder / "c.jpg")
    return sorted(file.name for file in folder.iterdir())


def read_the_photo(folder: Path, name: str) -> None:
    photo = load_photo(folder / name, *SIZE)
    assert photo.rgb.shape == (SIZE[1], SIZE[0], 3)
    assert photo.rgb.isfinite().all()
    assert photo.rgb.min() >= 0
    assert photo.rgb.max() <= 1
    assert photo.fov_x_degrees is None or 5 <= photo.fov_x_degrees <= 150


def write_videos(folder: Path) -> list[str]:
    frames = np.stack([np.asarray(picture(seed)) for seed in range(6)])
    write_video(folder / "a.mp4", frames, 24, crf=30)
    return ["a.mp4"]


def read_the_video(folder: Path, name: str) -> None:
    survey = survey_video(folder / name)
    assert survey.count >= 1
    frames = list(survey.read(sorted({0, survey.count // 2, survey.count - 1})))
    assert all(frame.dtype == np.uint8 and frame.shape[2] == 3 for frame in frames)


# --------------------------------------------------------------------------------------------------- posed pictures


@cache
def jpeg(seed: int) -> bytes:
    buffer = io.BytesIO()
    picture(seed).save(buffer, "JPEG")
    return buffer.getvalue()


def write_pictures(folder: Path, names: list[str]) -> None:
    folder.mkdir(exist_ok=True)
    for seed, name in enumerate(names):
        (folder / name).write_bytes(jpeg(seed))


NAMES = [f"{index}.jpg" for index in range(7)]


def write_transforms(folder: Path) -> list[str]:
    write_pictures(folder / "images", NAMES)
    save_transforms_json(there_and_back(8, *SIZE, sway=0.4), folder / "transforms.json", [f"images/{name}" for name in NAMES])
    content = json.loads((folder / "transforms.json").read_text())
    content |= {"k1": 0.01, "k2": -0.002, "p1": 0.001, "is_fisheye": False}
    content["frames"][2]["mask_path"] = "images/0.jpg"
    (folder / "transforms.json").write_text(json.dumps(content))
    return ["transforms.json"]


def read_the_scene(folder: Path, _: str) -> None:
    source = read_source(folder, None, *SIZE, None)
    assert source.cameras is not None
    assert source.rgb.shape == (len(source.cameras), SIZE[1], SIZE[0], 3)
    assert source.rgb.isfinite().all()
    assert source.rgb.min() >= 0
    assert source.rgb.max() <= 1.001
    cameras_are_sound(Cameras.cat([source.cameras, source.cameras]))  # one picture is enough


def write_colmap_text(folder: Path) -> list[str]:
    write_pictures(folder / "images", NAMES)
    save_colmap(there_and_back(8, *SIZE, sway=0.4), folder, NAMES)
    lines = (folder / "images.txt").read_text().replace("\n\n", "\n1.5 2.5 -1 3.5 4.5 12\n")
    (folder / "images.txt").write_text(lines)
    (folder / "cameras.txt").write_text((folder / "cameras.txt").read_text().replace(" PINHOLE ", " OPENCV ", 1))
    first, *rest = (folder / "cameras.txt").read_text().splitlines()
    (folder / "cameras.txt").write_text("\n".join([first, rest[0] + " 0.01 0 0.001 0", *rest[1:]]))
    return ["images.txt", "cameras.txt"]


def write_colmap_bin(folder: Path) -> list[str]:
    write_pictures(folder / "images", NAMES)
    write_colmap_binary(there_and_back(8, *SIZE, sway=0.4), folder, NAMES)
    return ["images.bin", "cameras.bin"]


# -------------------------------------------------------------------------------------------------------------- paths


def write_transforms_path(folder: Path) -> list[str]:
    save_transforms_json(there_and_back(8, *SIZE, sway=0.4), folder / "p.json")
    return ["p.json"]


def write_tum(folder: Path) -> list[str]:
    save_tum(there_and_back(8, *SIZE, sway=0.4), folder / "p.txt")
    return ["p.txt"]


def write_kitti(folder: Path) -> list[str]:
    rows = there_and_back(8, *SIZE, sway=0.4).cam_to_world[:, :3].reshape(-1, 12)
    (folder / "p.txt").write_text("\n".join(" ".join(f"{value:.6g}" for value in row) for row in rows.tolist()) + "\n")
    return ["p.txt"]


KEYFRAMES = """# a path
closed: true
frames: 30
keyframes:
  - {position: [0, 0, 0], look_at: [0, 0, 2], fov: 60}
  - position: [1, 0, 1e-3]
    look_at: [0, 0, 2]
  - {position: [0, 0.2, 1], quaternion: [1, 0, 0, 0]}
"""


def write_keyframes(folder: Path) -> list[str]:
    (folder / "p.yaml").write_text(KEYFRAMES)
    return ["p.yaml"]


def write_npz(folder: Path) -> list[str]:
    cameras = there_and_back(8, *SIZE, sway=0.4)
    arrays = {"w2c": cameras.world_to_cam.numpy(), "K": cameras.intrinsics.numpy()}
    np.savez(folder / "p.npz", **arrays)
    np.savez_compressed(folder / "c.npz", **arrays, width=SIZE[0], height=SIZE[1])
    return ["p.npz", "c.npz"]


def write_viewer_path(folder: Path) -> list[str]:
    save_transforms_json(there_and_back(8, *SIZE, sway=0.4), folder / "t.json")
    matrices = [frame["transform_matrix"] for frame in json.loads((folder / "t.json").read_text())["frames"]]
    path = [{"camera_to_world": [value for row in matrix for value in row], "fov": 50, "aspect": 1.3} for matrix in matrices]
    content = {"camera_type": "perspective", "render_height": 24, "render_width": 32, "camera_path": path, "keyframes": []}
    (folder / "camera_path.json").write_text(json.dumps(content))
    return ["camera_path.json"]


def write_inria(folder: Path) -> list[str]:
    rows = []
    for index, pose in enumerate(there_and_back(8, *SIZE, sway=0.4).cam_to_world.tolist()):
        rotation, position = [row[:3] for row in pose[:3]], [row[3] for row in pose[:3]]
        lens = {"fx": 30.0, "fy": 31.0, "width": 32, "height": 24}
        rows.append({"id": index, "img_name": str(index), "position": position, "rotation": rotation, **lens})
    (folder / "cameras.json").write_text(json.dumps(rows))
    return ["cameras.json"]


# ------------------------------------------------------------------------------------------------------------- splats


def write_ply(folder: Path) -> list[str]:
    generator = torch.Generator().manual_seed(0)
    values = [torch.randn(12, size, generator=generator) for size in (3, 4, 3, 1)]
    sh = torch.randn(12, 4, 3, generator=generator)
    save_ply(Gaussians(*values[:3], values[3][:, 0], sh), folder / "a.ply")
    save_ply(Gaussians(*values[:3], values[3][:, 0], sh), folder / "compact.ply", compact=True)
    header, body = (folder / "compact.ply").read_bytes().split(b"end_header\n")
    rows = np.frombuffer(body, "<f4").reshape(12, -1)
    text = "\n".join(" ".join(f"{value:.5g}" for value in row) for row in rows.tolist())
    ascii_header = header.decode().replace("binary_little_endian", "ascii")
    (folder / "text.ply").write_text(f"{ascii_header}end_header\n{text}\n")
    return ["a.ply", "compact.ply", "text.ply"]


def read_the_splats(folder: Path, name: str) -> None:
    gaussians, notes = read_ply(folder / name)
    assert all(isinstance(note, str) for note in notes)
    for field in ("means", "quats", "log_scales", "opacity_logits", "sh"):
        assert getattr(gaussians, field).isfinite().all()
    assert gaussians.scales.isfinite().all()
    assert gaussians.rotations.isfinite().all()


PARSERS = (
    Parser("photo", False, write_photos, read_the_photo),
    Parser("video", False, write_videos, read_the_video),
    Parser("posed pictures, transforms.json", True, write_transforms, read_the_scene),
    Parser("posed pictures, COLMAP text", True, write_colmap_text, read_the_scene),
    Parser("posed pictures, COLMAP binary", False, write_colmap_bin, read_the_scene),
    Parser("path, transforms.json", True, write_transforms_path, read_the_path),
    Parser("path, TUM", True, write_tum, read_the_path),
    Parser("path, KITTI", True, write_kitti, read_the_path),
    Parser("path, keyframes in YAML", True, write_keyframes, read_the_path),
    Parser("path, npz", False, write_npz, read_the_path),
    Parser("path, camera_path.json", True, write_viewer_path, read_the_path),
    Parser("path, cameras.json of 3DGS", True, write_inria, read_the_path),
    Parser("splats, ply", False, write_ply, read_the_splats),
)
