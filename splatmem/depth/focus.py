"""What is in focus before a blurred background is nearer than that.

A depth model may take what is blurred around a sharp flower for a surface at hand with a hole in it. Blur tells otherwise:
where little is sharp and blur surrounds it on nearly all sides, it is what the photo was taken of, and what is blurred around
it lies behind. Sharpness is the contrast at a pixel's size in units of that at a few pixels: a plain wall has neither.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy import ndimage
from torch import Tensor

from splatmem.geometry.connected import numbered_parts

FINE, COARSE, AROUND = 1.0, 4.0, 5.0
"""Standard deviations, in pixels of a picture 320 wide, of what is smoothed away for the two contrasts, and of their means."""
FAINT = 0.004
"""Contrast, in 0..1, that is taken for noise."""
SHARP, BLURRED = 0.4, 0.32
"""Ratio of the contrasts from which a place is in focus, and up to which it is not."""
SMALLEST, LARGEST = 0.03, 0.5
"""Share of the picture that the sharp thing covers."""
RING = 0.1
"""Width of what is looked at around it, as a share of the picture's width."""
SURROUNDED = 0.8
"""Share of that which must be blurred."""
ALONE = 0.6
"""Share of all that is sharp that must belong to the thing."""
CONTRAST = 0.012
"""Coarse contrast of what surrounds it, at least: before a plain wall nothing is told by blur."""
EDGE, OUTLINE = 3, 0.4
"""Pixels inside and outside of its outline whose mean colours are compared, and how far apart they are on average, at least:
where focus ends within a surface there is no such step."""
CUTS = 3
"""Rounds in which the outline is found."""
BEFORE = 0.15
"""By how much of log depth a mended thing stands before what surrounds it."""
RELIEF = 0.15
"""Range of its own log depth, at most."""


def sharp_before_blurred(depth: Float[Tensor, "h w"], rgb: Float[Tensor, "h w 3"]) -> Float[Tensor, "h w"]:
    """The depth map with a thing in focus before the blurred background that surrounds it, if it was behind that; its relief is
    turned around with it.

    Args:
        depth: z-depth, ``inf`` for sky.
        rgb: the picture, 0..1.
    """
    finite = torch.isfinite(depth)
    thing = in_focus(rgb)
    if thing is None or not finite[thing].all():
        return depth
    ring = _around(thing) & finite
    log_depth = torch.where(finite, depth, 1.0).log()
    own, beside = log_depth[thing].median(), log_depth[ring].median()
    if own <= beside:
        return depth
    relief = (own - log_depth).clamp(-RELIEF / 2, RELIEF / 2)
    nearest = log_depth[ring].quantile(0.1)
    return torch.where(thing, (nearest - BEFORE + relief).exp(), depth)


def in_focus(rgb: Float[Tensor, "h w 3"]) -> Bool[Tensor, "h w"] | None:
    """The one thing in focus that a blurred background surrounds; None if there is no such thing."""
    grey, unit = rgb.mean(-1).numpy(), rgb.shape[1] / 320
    calm, smooth = (ndimage.gaussian_filter(grey, width * unit) for width in (FINE, COARSE))
    fine, coarse = (np.sqrt(ndimage.gaussian_filter(band**2, AROUND * unit)) for band in (grey - calm, calm - smooth))
    ratio = fine / (coarse + FAINT)
    parts = torch.from_numpy(numbered_parts(ratio > SHARP))
    areas = torch.bincount(parts.flatten())
    areas[0] = 0
    largest = int(areas.argmax())
    if not SMALLEST <= float(areas[largest]) / ratio.size <= LARGEST or areas[largest] < ALONE * areas.sum():
        return None
    place = torch.from_numpy(ndimage.binary_fill_holes((parts == largest).numpy()))
    ring = _around(place).numpy()
    # Means over a neighbourhood reach beyond an outline.
    ring &= ~_grown(place.numpy(), round(AROUND * unit))
    if not ring.any() or (ratio[ring] < BLURRED).mean() < SURROUNDED or coarse[ring].mean() < CONTRAST:
        return None
    thing = _outlined(place, rgb, round(AROUND * unit))
    across = thing[:, [0, -1]].any(0).all() or thing[[0, -1]].any(1).all()  # a plane in focus through a slanted surface
    return None if across or _step_of_colour(thing, rgb) < OUTLINE else thing


def _around(place: Bool[Tensor, "h w"]) -> Bool[Tensor, "h w"]:
    away = torch.from_numpy(np.asarray(ndimage.distance_transform_edt(~place.numpy())))
    return ~place & (away <= RING * place.shape[1])


def _grown(where: Bool[np.ndarray, "h w"], pixels: int) -> Bool[np.ndarray, "h w"]:
    return np.asarray(ndimage.binary_dilation(where, iterations=pixels))


def _step_of_colour(thing: Bool[Tensor, "h w"], rgb: Float[Tensor, "h w 3"]) -> float:
    """Mean distance of the colours inside and outside of a thing's outline."""
    where, size = thing.numpy(), 2 * EDGE + 1
    outline = where & _grown(~where, 1)
    means = []
    for side in (where, ~where):
        weight = ndimage.uniform_filter(side.astype(np.float32), size)
        sums = np.stack([ndimage.uniform_filter(rgb[..., channel].numpy() * side, size) for channel in range(3)], axis=-1)
        means.append(sums[outline] / np.maximum(weight[outline], 1e-6)[:, None])
    return float(np.linalg.norm(means[0] - means[1], axis=-1).mean()) if outline.any() else 0.0


def _outlined(place: Bool[Tensor, "h w"], rgb: Float[Tensor, "h w 3"], reach: int) -> Bool[Tensor, "h w"]:
    """A roughly known thing up to where the picture's colours change (GrabCut; Rother et al. 2004)."""
    import cv2

    where = place.numpy()
    mask = np.where(where, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    mask[~_grown(~where, 2 * reach)] = cv2.GC_FGD
    mask[~_grown(where, reach)] = cv2.GC_BGD
    if not (mask == cv2.GC_FGD).any() or not (mask == cv2.GC_BGD).any():
        return place
    cv2.setRNGSeed(0)
    picture = (rgb.numpy() * 255).round().astype(np.uint8)
    cv2.grabCut(picture, mask, None, np.zeros((1, 65)), np.zeros((1, 65)), CUTS, cv2.GC_INIT_WITH_MASK)  # type: ignore[call-overload]
    found = np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD))
    return torch.from_numpy(ndimage.binary_fill_holes(ndimage.binary_opening(found)))
