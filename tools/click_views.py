"""Views of tools/render_clicks.py as a photo of them would be lifted, and clicks on their things."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray
from scipy import ndimage
from splatmem.classes import PixelClasses
from splatmem.depth import DepthEstimator
from splatmem.depth.photo_depth import photo_depth
from splatmem.geometry.cameras import Cameras, identity_camera
from torch import Tensor

SHARES = (0.003, 0.3)  # of the picture that a clicked thing covers
INSIDE = 3  # pixels from a thing's outline that people click at least, where it is that wide


@dataclass(frozen=True)
class ClickView:
    """One view.

    Attributes:
        rgb: 0..1.
        depth, classes, down: as the depth estimator tells them.
        things: the true number of the thing that each pixel shows, 0 for the room itself.
        names: of the things, from number 1.
    """

    rgb: Float[Tensor, "h w 3"]
    depth: Float[Tensor, "h w"]
    classes: PixelClasses
    down: Float[Tensor, "3"]
    camera: Cameras
    things: UInt8[ndarray, "h w"]
    names: list[str]


@dataclass(frozen=True)
class Click:
    """A pixel, and the true thing there."""

    row: int
    column: int
    thing: Bool[ndarray, "h w"]
    name: str


def read_view(file: Path, estimator: DepthEstimator) -> ClickView:
    """A view with the estimator's depth, which is kept beside the file for the next time."""
    with np.load(file) as values:
        rgb = torch.from_numpy(values["rgb"].astype(np.float32) / 255)
        camera = identity_camera(float(values["fov_x_degrees"]), rgb.shape[1], rgb.shape[0])
        things, names = values["things"], [str(name) for name in values["names"]]
    kept = file.with_suffix(".depth.pt")
    if not kept.exists():
        told = photo_depth(rgb, camera, estimator)
        torch.save((told.depth, told.classes.labels, told.classes.things, told.down), kept)
    depth, labels, numbers, down = torch.load(kept)
    return ClickView(rgb, depth, PixelClasses(labels, numbers), down, camera, things, names)


def clicks_on(view: ClickView, rng: np.random.Generator, most: int = 6) -> Iterator[Click]:
    """A random pixel inside of each of up to ``most`` things."""
    count = 0
    for number in rng.permutation(np.unique(view.things[view.things > 0])):
        thing = view.things == number
        if count < most and SHARES[0] <= thing.mean() <= SHARES[1]:
            away = np.asarray(ndimage.distance_transform_edt(np.pad(thing, 1)))[1:-1, 1:-1]
            rows, columns = np.nonzero(away >= min(INSIDE, away.max()))
            index = int(rng.integers(len(rows)))
            yield Click(int(rows[index]), int(columns[index]), thing, view.names[number - 1])
            count += 1
