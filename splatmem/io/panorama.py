"""Equirectangular panoramas as posed pictures: a whole turn that is known, cut into perspective views from one place.

A panorama's columns are directions around the vertical axis, its rows elevations; the middle of the picture is where the first
view looks, unless the file names another heading. GPano data (https://developers.google.com/streetview/spherical-metadata) say
that a picture is a panorama, and which part of the sphere it holds; without them a whole one is recognised by what all show.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from splatmem.geometry.cameras import Cameras
from splatmem.geometry.push_pull import push_pull
from splatmem.io.pictures import Picture
from splatmem.io.posed import PosedPictures

TWO_TO_ONE = 0.01  # of the ratio of the sides
SEAM_NOISE, SEAM_FACTOR = 0.02, 3.0  # how far the left and the right edge may differ: this, and so many steps between columns
POLE_SPREAD = 0.05  # standard deviation within the top and the bottom row, which are one point each
SEAM_CONTENT = 0.03  # standard deviation along the edge: a frame of one colour is no seam
EDGE_WIDTH = 512  # panoramas are looked at in this width

FOV_X = 75.0  # of a level view, in degrees, where none is asked for
LEVEL_FOVS = (40.0, 110.0)  # what may be asked for
TILTED_FOV = 115.0  # of a view up or down, along its longer side
TILT = 52.0  # degrees
TILTED = 3  # views up, and as many down
OVERLAP = 0.6  # of a level view's width, from one to the next
MIN_SHOWN = 0.25  # of a view, that a part of a panorama must show
DETAIL = 1.5  # pixels of the panorama for each pixel in a view's middle


@dataclass(frozen=True)
class Sphere:
    """Which part of a whole panorama of ``width x height`` pixels a picture holds, from ``left`` and ``top`` on; and how many
    degrees to the right of the panorama's middle the first view looks."""

    width: float
    height: float
    left: float
    top: float
    ahead: float = 0.0


def recognised(picture: Picture, name: str) -> tuple[Sphere | None, list[str]]:
    """The sphere of a panorama; None for an ordinary picture. And a note on what was decided, where there was a doubt."""
    width, height = picture.image.size
    told = _told_sphere(picture.xmp, width, height)
    if told is not None:
        return told, [f"{name} is an equirectangular panorama, as its GPano data say: it was cut into views of a turn"]
    if abs(width / (2 * height) - 1) > TWO_TO_ONE:
        return None, []
    if b"GPano" not in picture.xmp and _closes(picture.image):
        note = (
            f"{name} was taken for an equirectangular panorama: it is 2:1, its sides meet, and its top and bottom are one "
            "point each; it was cut into views of a whole turn"
        )
        return Sphere(width, height, 0, 0), [note]
    return None, [f"{name} is 2:1, but no equirectangular panorama: its sides do not meet; it was taken as an ordinary photo"]


def cut_panorama(
    picture: Picture, sphere: Sphere, notes: list[str], width: int, height: int, fov_x_degrees: float | None
) -> PosedPictures:
    """Views at a size that together show the whole sphere, as far as the picture holds it.

    Args:
        sphere, notes: as ``recognised`` told them.
        width, height: of the views.
        fov_x_degrees: of the level ones.

    Raises:
        ValueError: the picture holds too little of the sphere for any view.
    """
    cameras = panorama_cameras(width, height, min(max(fov_x_degrees or FOV_X, LEVEL_FOVS[0]), LEVEL_FOVS[1]))
    image, sphere = _reduced(picture.image, sphere, float(cameras.focal.max()))
    pixels = np.asarray(image)
    views = [_view(pixels, sphere, cameras[index]) for index in range(len(cameras))]
    kept = [index for index, (_, shown) in enumerate(views) if shown.mean() >= MIN_SHOWN]
    if not kept:
        raise ValueError("the panorama holds too little of the sphere for a view: cut a picture out of it instead")
    rgb = torch.stack([torch.from_numpy(views[index][0]).float() / 255 for index in kept])
    usable = torch.stack([torch.from_numpy(views[index][1]) for index in kept])
    if usable.all():
        return PosedPictures(rgb, cameras[kept], len(kept), None, notes)
    continued = push_pull(rgb.permute(0, 3, 1, 2) * usable[:, None], usable[:, None].float()).permute(0, 2, 3, 1)
    return PosedPictures(torch.where(usable[..., None], rgb, continued), cameras[kept], len(kept), usable, notes)


def panorama_cameras(width: int, height: int, fov_x_degrees: float) -> Cameras:
    """Level cameras around a whole turn, the first along +z, then some that look up and some that look down."""
    count = math.ceil(360 / (OVERLAP * fov_x_degrees))
    level = Cameras.from_fov(torch.stack([_turned(360 * i / count, 0) for i in range(count)]), fov_x_degrees, width, height)
    half = math.tan(math.radians(TILTED_FOV / 2)) * min(1, width / height)
    tilted = [_turned(360 * i / TILTED, tilt) for tilt in (TILT, -TILT) for i in range(TILTED)]
    return Cameras.cat([level, Cameras.from_fov(torch.stack(tilted), math.degrees(2 * math.atan(half)), width, height)])


def _turned(azimuth: float, elevation: float) -> Float[Tensor, "4 4"]:
    """Cam-to-world of a camera turned to the right and then up, in degrees; y points down."""
    a, e = math.radians(azimuth), math.radians(elevation)
    around = torch.tensor([[math.cos(a), 0, math.sin(a)], [0, 1, 0], [-math.sin(a), 0, math.cos(a)]], dtype=torch.float64)
    up = torch.tensor([[1, 0, 0], [0, math.cos(e), -math.sin(e)], [0, math.sin(e), math.cos(e)]], dtype=torch.float64)
    pose = torch.eye(4, dtype=torch.float64)
    pose[:3, :3] = around @ up
    return pose


def _view(pixels: np.ndarray, sphere: Sphere, camera: Cameras) -> tuple[np.ndarray, np.ndarray]:
    """What a camera in the sphere's middle sees, and which pixels of it the picture holds."""
    import cv2

    rays = camera.world_rays()[0].numpy()
    x, y, z = (rays[..., axis] for axis in range(3))
    azimuth, elevation = np.arctan2(x, z), np.arctan2(-y, np.hypot(x, z))
    height, width = pixels.shape[:2]
    column = ((azimuth + math.radians(sphere.ahead)) / (2 * math.pi) + 0.5) % 1 * sphere.width - sphere.left
    row = (0.5 - elevation / math.pi) * sphere.height - sphere.top
    whole = width >= sphere.width - 1
    if whole:
        column = column % sphere.width
        pixels = np.concatenate([pixels[:, -2:], pixels, pixels[:, :2]], axis=1)  # what lies beyond the seam, for interpolation
    shown = (row >= 0) & (row <= height) & (whole | ((column >= 0) & (column <= width)))
    places = (column + (1.5 if whole else -0.5)).astype(np.float32), (row - 0.5).astype(np.float32)
    return cv2.remap(pixels, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), shown


def _reduced(image: Image.Image, sphere: Sphere, focal: float) -> tuple[Image.Image, Sphere]:
    """The panorama at no more detail than views of this focal length show; finer ones would alias."""
    share = min(1.0, DETAIL * 2 * math.pi * focal / sphere.width)
    if share == 1.0 and max(image.size) < 30_000:  # OpenCV's places end at 32767
        return image, sphere
    size = (max(1, round(share * image.size[0])), max(1, round(share * image.size[1])))
    x, y = size[0] / image.size[0], size[1] / image.size[1]
    reduced = image.resize(size, Image.Resampling.LANCZOS)
    return reduced, Sphere(sphere.width * x, sphere.height * y, sphere.left * x, sphere.top * y, sphere.ahead)


def _told_sphere(xmp: bytes, width: int, height: int) -> Sphere | None:
    """What of the sphere the picture covers, by its GPano data; None where they are missing, implausible or speak of another
    projection."""
    projection = re.search(rb"GPano:ProjectionType\s*(?:=\s*[\"']|>)\s*(\w+)", xmp)
    if projection is None or projection[1].lower() != b"equirectangular":
        return None

    def number(name: bytes, default: float) -> float:
        found = re.search(rb"GPano:" + name + rb"\s*(?:=\s*[\"']|>)\s*(-?[0-9.]{1,12})", xmp)
        try:
            return default if found is None else float(found[1])
        except ValueError:
            return default

    held = number(b"CroppedAreaImageWidthPixels", width), number(b"CroppedAreaImageHeightPixels", height)
    full = number(b"FullPanoWidthPixels", 0), number(b"FullPanoHeightPixels", 0)
    if min(full) <= 0:
        full = (max(width, 2 * height), max(height, width / 2)) if held == (width, height) else (held[0], held[0] / 2)
    if min(held) <= 0 or held[0] > full[0] * 1.01 or held[1] > full[1] * 1.01 or abs(full[0] / full[1] - 2) > 0.1:
        return None
    left = number(b"CroppedAreaLeftPixels", (full[0] - held[0]) / 2)
    top = number(b"CroppedAreaTopPixels", (full[1] - held[1]) / 2)
    x, y = width / held[0], height / held[1]  # the file may have been scaled since
    heading = number(b"PoseHeadingDegrees", 0.0)  # of the picture's middle; both are measured from north
    ahead = number(b"InitialViewHeadingDegrees", heading) - heading
    return Sphere(full[0] * x, full[1] * y, left * x, top * y, ahead)


def _closes(image: Image.Image) -> bool:
    """Whether the left and the right edge of a picture meet, and its top and bottom rows are one colour each."""
    small = np.asarray(image.resize((EDGE_WIDTH, EDGE_WIDTH // 2), Image.Resampling.BOX)).astype(np.float32) / 255
    top, bottom = (np.asarray(image.crop((0, row, image.width, row + 1))) for row in (0, image.height - 1))
    poles = max(float(row.std(axis=1).max()) / 255 for row in (top, bottom))
    steps = float(np.abs(np.diff(small, axis=1)).mean())
    seam = float(np.abs(small[:, 0] - small[:, -1]).mean())
    content = float(small[:, 0].std(axis=0).max())
    return poles <= POLE_SPREAD and seam <= SEAM_NOISE + SEAM_FACTOR * steps and content >= SEAM_CONTENT
