"""Thin things before the sky stand whole: cables, masts, lattice towers.

What is thinner than a depth model's patches it sees in part as sky, and in part as a broad surface with the sky beside it on
it. The picture tells better: before a plain background whatever differs from it is something else. A connected thin thing then
stands upright at one distance, that of what the model saw of it, and what the model saw beside it is the background again.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Float32, Int
from scipy import ndimage
from torch import Tensor

from splatmem.geometry.connected import numbered_parts
from splatmem.geometry.filters import dilate
from splatmem.geometry.push_pull import push_pull
from splatmem.threads import side_by_side

OPEN = 0.2
"""Share of the picture's upper edge that is sky in the open: what stands before a window's sky is a part of the window."""
THIN = 0.08
"""How wide a thin thing may be in the depth map, as a share of the picture's width: two of a depth model's patches, since it
sees the sky beside it as a part of it."""
NEARER = 0.3
"""Difference of log depth by which it stands before what shows on both sides of it: what is less is a step of one surface."""
SKY = 4.0
"""Sky counts as so many times as far as the farthest surface."""
DIFFERENT = 0.06
"""Difference of a colour (root mean square over the channels) from the background's from which it is not the background."""
ROUGH = 3.0
"""The same in units of what the background itself differs by around it: clouds have edges too."""
REDUCED, REDUCED_WIDTH = 4, 128
"""The background's colours are found at the picture's size over the first, and in larger pictures at about so many pixels
across: medians around each of them cost the fourth power of the width."""
GAP = 0.01
"""Up to so far apart, as a share of the picture's width, two parts are one thing: a joint may have the sky's colour."""
LONG = 0.1
"""How long a thin thing is at least, as a share of the picture's height: what is shorter is a bird or a wisp of cloud."""
SLENDER = 6.0
"""Its length in units of the width of its parts, at least."""
RIM = 0.5
"""Share of such a difference that makes a pixel beside it one that shows both."""
PART = 0.2
"""Share of its outline on a surface as far away of which it is a part: a roof's edge is no thing of its own."""
SEEN = 0.02
"""Share of it of which the model saw more than sky."""


def with_thin_things(
    depth: Float[Tensor, "h w"], rgb: Float[Tensor, "h w 3"]
) -> tuple[Float[Tensor, "h w"], Bool[Tensor, "h w"]]:
    """The depth map with thin things before the sky at one distance each and nothing of the sky on them; and their pixels.

    Args:
        depth: z-depth, ``inf`` for sky.
        rgb: the picture, 0..1.
    """
    sky, finite = torch.isinf(depth), torch.isfinite(depth)
    if sky[0].float().mean() < OPEN or not finite.any():
        return depth, torch.zeros_like(sky)
    size = 2 * max(2, round(THIN * depth.shape[1] / 2)) + 1
    farthest = depth[finite].max()
    log_depth = torch.where(finite, depth, SKY * farthest).log()
    behind = torch.from_numpy(np.maximum(*(ndimage.grey_closing(log_depth.numpy(), axes) for axes in ((1, size), (size, 1)))))
    broad = (behind - log_depth > NEARER) & finite
    beside = ~torch.from_numpy(ndimage.binary_dilation(broad.numpy(), np.ones((3, 3), bool)))
    share = push_pull(sky[None, None].float(), beside[None, None].float())[0, 0]
    before_sky = torch.where(beside, sky, share > 0.5)
    unlike, plain = torch.zeros_like(log_depth), torch.zeros_like(sky)
    backgrounds = (before_sky, ~before_sky)
    found = side_by_side(lambda background: unlike_around(rgb, background & beside, size), backgrounds)
    for background, (differs, rough) in zip(backgrounds, found, strict=True):
        unlike = torch.where(background, differs, unlike)
        plain |= background & (rough < DIFFERENT)
    rims = unlike > RIM
    numbers = _slender((unlike > 1) & ((before_sky & _closed(before_sky & (unlike <= 1), size)) | broad))
    thin, made = torch.zeros_like(sky), depth.clone()
    for number in range(1, int(numbers.max()) + 1):
        own = numbers == number
        seen = own & broad
        if (own & before_sky).sum() <= 0.5 * own.sum() or seen.sum() < SEEN * own.sum():
            continue
        distance = log_depth[seen].median()
        around = dilate(own[None], 1)[0]
        joined = finite & ~broad & ((log_depth - distance).abs() < NEARER)
        if (around & ~own & joined).sum() <= PART * (around & ~own).sum():
            own |= around & rims & (before_sky | broad)
            thin |= own
            made[own] = distance.exp()
    # What the model saw beside them.
    halo = broad & plain & ~thin & _touched(broad, thin)
    level = push_pull(torch.where(finite, 1 / depth, 0.0)[None, None], (finite & beside)[None, None].float())[0, 0]
    return torch.where(halo, torch.where(before_sky, torch.inf, 1 / level.clamp_min(1e-6)), made), thin


def thin_in_the_sky(depth: Float[Tensor, "h w"], rgb: Float[Tensor, "h w 3"]) -> Bool[Tensor, "h w"]:
    """What is thin and unlike the sky around it, though it is as far away: wires, and wisps of cloud."""
    sky = torch.isinf(depth)
    if sky[0].float().mean() < OPEN:
        return torch.zeros_like(sky)
    size = 2 * max(2, round(THIN * depth.shape[1] / 2)) + 1
    unlike, _ = unlike_around(rgb, sky, size)
    return _slender(sky & (unlike > 1)) > 0


def unlike_around(
    rgb: Float[Tensor, "h w 3"], background: Bool[Tensor, "h w"], size: int
) -> tuple[Float[Tensor, "h w"], Float[Tensor, "h w"]]:
    """How much each pixel differs from the background around it, in units of what makes it something else; and how much that
    background itself differs as a rule."""
    if not background.any():
        return torch.zeros(rgb.shape[:2]), torch.full(rgb.shape[:2], torch.inf)
    shape = rgb.shape[:2]
    reduced = max(REDUCED, shape[1] // REDUCED_WIDTH)
    window = 2 * (size // reduced) + 1
    small = tuple(max(1, length // reduced) for length in shape)
    weight = F.interpolate(background[None, None].float(), size=small, mode="area")
    colours = F.interpolate(rgb.permute(2, 0, 1)[None] * background, size=small, mode="area") / weight.clamp_min(1e-6)
    filled = push_pull(colours, (weight > 0.5).float())[0]
    smooth = torch.from_numpy(np.stack([_medians(channel, window) for channel in filled.numpy()]))
    smooth = F.interpolate(smooth[None], size=shape, mode="bilinear", align_corners=False)[0]
    difference = (rgb.permute(2, 0, 1) - smooth).square().mean(0).sqrt()
    own = F.interpolate((difference * background)[None, None], size=small, mode="area") / weight.clamp_min(1e-6)
    own = push_pull(own, (weight > 0.5).float())[0, 0].numpy()
    rough = torch.from_numpy(_medians(own, window))
    rough = F.interpolate(rough[None, None], size=shape, mode="bilinear", align_corners=False)[0, 0]
    return difference / (ROUGH * rough).clamp_min(DIFFERENT), rough


def _medians(image: Float32[np.ndarray, "h w"], size: int) -> Float32[np.ndarray, "h w"]:
    """The median of each pixel's square of ``size`` pixels along a side, odd; beyond its edges the picture is mirrored.

    SciPy's ``median_filter`` gives the same and takes more than twice as long.
    """
    around = np.lib.stride_tricks.sliding_window_view(np.pad(image, size // 2, mode="symmetric"), (size, size))
    middle = size * size // 2
    return np.partition(around.reshape(*image.shape, size * size), middle, axis=-1)[..., middle]


def _closed(mask: Bool[Tensor, "h w"], size: int) -> Bool[Tensor, "h w"]:
    """A mask with what it has on both sides, less than ``size`` pixels apart along a row or a column: the far shore below a sky
    is not before it."""
    padded = np.pad(mask.numpy(), size).view(np.uint8)
    both = [np.asarray(ndimage.grey_closing(padded, axes)) for axes in ((1, size), (size, 1))]
    return torch.from_numpy(np.logical_or(*both)[size:-size, size:-size])


def _slender(mask: Bool[Tensor, "h w"]) -> Int[Tensor, "h w"]:
    """Numbers of connected parts that are long and of narrow pieces; 0 for all others."""
    size = 2 * max(1, round(GAP * mask.shape[1])) + 1
    joined = ndimage.grey_closing(np.pad(mask.numpy(), size).view(np.uint8), size)[size:-size, size:-size]
    numbers = numbered_parts(joined > 0) * mask.numpy()
    inside = np.asarray(ndimage.distance_transform_edt(np.pad(mask.numpy(), 1)))[1:-1, 1:-1]
    kept = np.zeros(numbers.max() + 1, np.int64)
    for number, place in enumerate(ndimage.find_objects(numbers), start=1):
        part = numbers[place] == number
        length, wide = float(np.hypot(*part.shape)), 4 * inside[place][part].mean()
        if length >= max(LONG * len(mask), SLENDER * wide):
            kept[number] = kept.max() + 1
    return torch.from_numpy(kept[numbers])


def _touched(parts: Bool[Tensor, "h w"], by: Bool[Tensor, "h w"]) -> Bool[Tensor, "h w"]:
    """The connected parts of a mask that have pixels of another."""
    numbers = numbered_parts(parts.numpy())
    found = np.unique(numbers[by.numpy()])
    return torch.from_numpy(np.isin(numbers, found[found > 0]))
