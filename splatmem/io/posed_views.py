"""Views of posed pictures: a picture's file, its lens and its mask, read at the film's size without distortion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from PIL import Image, ImageOps
from torch import Tensor

from splatmem.geometry.push_pull import push_pull
from splatmem.io.distortion import Undistortion
from splatmem.io.intrinsics import Intrinsics
from splatmem.io.photo import photo_of
from splatmem.io.pictures import picture_size, read_mask, read_picture

SAME_SHAPE = 0.02  # two pictures whose aspect ratios differ by less than this show the same view


@dataclass(frozen=True)
class PosedView:
    """One picture.

    Attributes:
        file: of it.
        lens: that took it; its size counts, not how the picture's EXIF data would turn it.
        mask: a picture that is black where this one is not to be used; None: all of it is.
        source: the file that says so, for messages.
    """

    file: Path
    lens: Intrinsics
    mask: Path | None
    source: Path


def read_views(
    views: Sequence[PosedView], width: int, height: int
) -> tuple[Float[Tensor, "n h w 3"], Bool[Tensor, "n h w"] | None]:
    """Colours (sRGB in 0..1) at a size, cropped to its shape, and which pixels may be used; None where all may.

    Colours of what may not be used are continued from around: nothing of them is left.

    Raises:
        ValueError: a picture or a mask cannot be read, is of another shape than its lens, or its distortion cannot be undone.
    """
    maps: dict[tuple[Intrinsics, tuple[int, int]], Undistortion] = {}
    colours, usable = [], []
    for view in views:
        rgb, used = _read(view, width, height, maps)
        colours.append(rgb)
        usable.append(used)
    if all(used is None for used in usable):
        return torch.stack(colours), None
    everything = torch.ones(height, width, dtype=torch.bool)
    masks = torch.stack([everything if used is None else used for used in usable])
    rgb = torch.stack(colours)
    continued = push_pull(rgb.permute(0, 3, 1, 2) * masks[:, None], masks[:, None].float()).permute(0, 2, 3, 1)
    return torch.where(masks[..., None], rgb, continued), masks


def _read(
    view: PosedView, width: int, height: int, maps: dict[tuple[Intrinsics, tuple[int, int]], Undistortion]
) -> tuple[Float[Tensor, "h w 3"], Bool[Tensor, "h w"] | None]:
    picture = read_picture(view.file, upright=False).image
    require_shape(view.file, picture.size, (view.lens.width, view.lens.height), view.source)
    used = None
    if view.mask is not None:
        require_shape(view.mask, picture_size(view.mask), picture.size, view.file)
        used = read_mask(view.mask, *picture.size)
    if view.lens.distortion is not None:
        key = (view.lens, picture.size)
        if key not in maps:
            maps.clear()  # pictures of one lens follow each other, and its map is large
            lens = view.lens.at(*picture.size)
            maps[key] = Undistortion.of(
                view.lens.distortion, (lens.fx, lens.fy), (lens.cx, lens.cy), picture.size, str(view.source)
            )
        undo = maps[key]
        used = undo.mask(used) if used is not None else undo.shown
        picture = Image.fromarray(undo.picture(np.asarray(picture)))
    rgb = photo_of(picture, width, height)
    if used is None or used.all():
        return rgb, None
    # A pixel of the film is used where all that it is made of is.
    fitted = ImageOps.fit(Image.fromarray(used.astype(np.uint8) * 255), (width, height), Image.Resampling.LANCZOS)
    return rgb, torch.from_numpy(np.array(fitted) >= 254)


def require_shape(file: Path, size: Sequence[float], expected: Sequence[float], source: Path) -> None:
    """Raises ``ValueError`` unless ``size`` has the aspect ratio of ``expected``, which ``source`` states."""
    if not same_shape(size, expected):
        raise ValueError(
            f"{file} has {size[0]}x{size[1]} pixels: expected the shape of {expected[0]:g}x{expected[1]:g}, as {source} has it"
        )


def same_shape(size: Sequence[float], expected: Sequence[float]) -> bool:
    return abs(size[0] / size[1] * expected[1] / expected[0] - 1) <= SAME_SHAPE
