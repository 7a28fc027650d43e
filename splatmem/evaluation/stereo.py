"""Real stereo pairs as scenes of two views: the film begins with the left picture, and its second frame is the right one.

A folder holds rectified pairs ``NAME_left.png``, ``NAME_right.png`` and, for all of them, ``stereodemo_calibration.json`` as
the package stereodemo lays them out: ``width``, ``height``, ``fx``, ``fy``, ``cx0`` and ``cx1`` (principal points of the left
and the right picture), ``cy`` in pixels, ``baseline_meters``, and, if some of the left picture is no picture,
``left_image_rect_normalized`` (left, top, right, bottom of what is one, as shares of its size).

Depth comes from semi-global matching (Hirschmüller 2008), in both pictures, where the two agree within a pixel. Depth of flat
regions is a guess even there, and that of far ones is too coarse, so the photo's own depth is judged (and its scale taken) on
textured pixels nearer than 8 m alone.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray

from splatmem.evaluation.scenes import Scene, Truth, compared_size, resampled
from splatmem.geometry.cameras import Cameras
from splatmem.io.photo import load_photo
from splatmem.io.posed import picture_size, require_shape
from splatmem.io.text import is_number

CALIBRATION = "stereodemo_calibration.json"
LEFT, RIGHT = "_left", "_right"
DISPARITIES = 160  # pixels of disparity that are tried
MIN_DISPARITY = 1.5  # pixels; what is farther is not told
AGREEMENT = 1.0  # pixels by which the two pictures' disparities may differ
TEXTURE = 25.0  # of the horizontal Sobel filter in grey levels, within two pixels of which depth is judged
FARTHEST = 8.0  # metres up to which the photo's depth is judged


@dataclass(frozen=True)
class Calibration:
    """The calibration of all pairs in a folder, in pixels and metres; ``valid`` are left, top, right, bottom of the left
    picture, 0..1."""

    size: tuple[int, int]
    focal: tuple[float, float]
    centres_x: tuple[float, float]
    centre_y: float
    baseline: float
    valid: tuple[float, float, float, float]

    @staticmethod
    def read(file: Path) -> Calibration:
        """Raises ``ValueError`` where the file is missing, damaged or lacks a number."""
        if not file.is_file():
            raise ValueError(f"{file.parent} holds no stereo pairs: expected {file.name} and *{LEFT}.png, *{RIGHT}.png")
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{file} is no JSON: {error}") from error

        def number(key: str, otherwise: float | None = None) -> float:
            value: Any = content.get(key, otherwise) if isinstance(content, dict) else None
            if not is_number(value):
                raise ValueError(f"{file}: expected the number {key!r}, got {value!r}")
            return float(value)

        fx = number("fx")
        size = int(number("width")), int(number("height"))
        baseline = number("baseline_meters")
        if min(fx, baseline, *size) <= 0:
            raise ValueError(f"{file}: 'fx', 'baseline_meters', 'width' and 'height' must be positive")
        valid = content.get("left_image_rect_normalized", [0, 0, 1, 1])
        if not (isinstance(valid, list) and len(valid) == 4 and all(is_number(value) for value in valid)):
            raise ValueError(f"{file}: 'left_image_rect_normalized' holds four numbers, got {valid!r}")
        cx = number("cx0", size[0] / 2)
        left, top, right, bottom = map(float, valid)
        return Calibration(
            size, (fx, number("fy", fx)), (cx, number("cx1", cx)), number("cy", size[1] / 2), baseline,
            (left, top, right, bottom),
        )  # fmt: skip

    def cameras(self) -> Cameras:
        """The left camera, which is the identity, and the right one beside it."""
        world_to_cam, intrinsics = torch.eye(4).repeat(2, 1, 1), torch.eye(3).repeat(2, 1, 1)
        world_to_cam[1, 0, 3] = -self.baseline
        intrinsics[:, 0, 0], intrinsics[:, 1, 1] = self.focal
        intrinsics[:, 0, 2], intrinsics[:, 1, 2] = torch.tensor(self.centres_x), self.centre_y
        return Cameras(world_to_cam, intrinsics, *self.size)


@dataclass(frozen=True)
class Matched:
    """Depth of both pictures by matching, metres, ``inf`` where it is not told; and where the left one's may be judged by."""

    depth: Float[ndarray, "2 h w"]
    judged: Bool[ndarray, "h w"]


def pairs_in(folder: Path) -> list[Path]:
    """The left pictures of a folder's pairs; empty for a folder without calibration."""
    if not (folder / CALIBRATION).is_file():
        return []
    return [left for left in sorted(folder.glob(f"*{LEFT}.png")) if right_of(left).is_file()]


def right_of(left: Path) -> Path:
    return left.with_name(left.name.replace(LEFT, RIGHT))


def load_pair(left: Path, *, size: tuple[int, int] | None = None) -> Scene:
    """A pair as a scene.

    Args:
        left: its left picture.
        size: (width, height) of the film; that of the pictures by default. Pictures of another shape are cropped to it.

    Raises:
        ValueError: a file is missing, damaged or does not fit the others; the message names it.
    """
    calibration = Calibration.read(left.parent / CALIBRATION)
    right = right_of(left)
    if not right.is_file() or right == left:
        raise ValueError(f"{left}: there is no right picture {right.name}")
    for picture in (left, right):
        require_shape(picture, picture_size(picture), calibration.size, left.parent / CALIBRATION)
    own = calibration.size
    width, height = size or own
    rgb = [load_photo(picture, *own).rgb for picture in (left, right)]
    matched = match(rgb, calibration)
    path = cropped(calibration.cameras(), width, height)
    shown = compared_size(own, (width, height))
    depth = torch.stack([resampled(view, shown) for view in matched.depth])
    photo_depth = resampled(matched.depth[0], (width, height))
    judged = resampled(np.where(matched.judged, 1.0, np.inf), (width, height)) == 1
    return Scene(
        name=left.stem.removesuffix(LEFT),
        photo=load_photo(left, width, height).rgb,
        path=path,
        photo_depth=photo_depth,
        photo_measured=torch.isfinite(photo_depth) & judged,
        truth=Truth(
            path.resized(*shown),
            torch.stack([load_photo(picture, *shown).rgb for picture in (left, right)]),
            depth,
            torch.isfinite(depth),
        ),
    )


def cropped(cameras: Cameras, width: int, height: int) -> Cameras:
    """Cameras of the middle of the pictures at another size, as ``load_photo`` cuts it out."""
    scale = max(width / cameras.width, height / cameras.height)
    intrinsics = cameras.intrinsics.clone()
    intrinsics[:, :2] *= scale
    intrinsics[:, 0, 2] -= (scale * cameras.width - width) / 2
    intrinsics[:, 1, 2] -= (scale * cameras.height - height) / 2
    return Cameras(cameras.world_to_cam, intrinsics, width, height)


def match(rgb: Sequence[torch.Tensor], calibration: Calibration) -> Matched:
    """Depth of a pair by semi-global matching, from the left to the right and back.

    Args:
        rgb: the left and the right picture at the calibration's size, 0..1, ``[h, w, 3]``.
    """
    import cv2

    left, right = (cv2.cvtColor((view * 255).round().to(torch.uint8).numpy(), cv2.COLOR_RGB2GRAY) for view in rgb)
    # Backwards, the pictures change places and are mirrored: matching looks to one side only.
    forth, back = _disparity(left, right), _disparity(right[:, ::-1], left[:, ::-1])[:, ::-1]
    shift = calibration.centres_x[0] - calibration.centres_x[1]  # of the pictures' middles, which is no disparity
    column = np.arange(left.shape[1])
    depths = []
    for own, other, direction in ((forth, back, -1), (back, forth, 1)):
        there = np.clip((column[None] + direction * own).round().astype(int), 0, left.shape[1] - 1)
        agrees = (own > MIN_DISPARITY) & (np.abs(np.take_along_axis(other, there, 1) - own) < AGREEMENT)
        depth = calibration.focal[0] * calibration.baseline / np.maximum(own - shift, 0.1)
        depths.append(np.where(agrees, depth, np.inf))
    width, height = calibration.size
    x0, y0, x1, y1 = np.array(calibration.valid) * [width, height, width, height]
    row = np.arange(height)
    picture = (column + 0.5 > x0) & (column + 0.5 < x1) & ((row + 0.5 > y0) & (row + 0.5 < y1))[:, None]
    depths[0][~picture] = np.inf
    edges = (np.abs(cv2.Sobel(left, cv2.CV_32F, 1, 0)) > TEXTURE).astype(np.uint8)
    textured = cv2.dilate(edges, np.ones((5, 5), np.uint8)) > 0
    return Matched(np.stack(depths).astype(np.float32), textured & (depths[0] < FARTHEST))


def _disparity(left: UInt8[ndarray, "h w"], right: UInt8[ndarray, "h w"]) -> Float[ndarray, "h w"]:
    """Disparity of the left picture in pixels, negative where there is none."""
    import cv2

    matcher = cv2.StereoSGBM.create(
        minDisparity=0, numDisparities=DISPARITIES, blockSize=5, P1=8 * 25, P2=32 * 25, disp12MaxDiff=1, preFilterCap=0,
        uniquenessRatio=10, speckleWindowSize=100, speckleRange=2, mode=cv2.STEREO_SGBM_MODE_SGBM,
    )  # fmt: skip
    found = matcher.compute(np.ascontiguousarray(left), np.ascontiguousarray(right))
    return found.astype(np.float32) / 16  # sixteenths of a pixel
