"""Which parts of a depth map are sky: what the depth model says, held against where sky can be and what it looks like.

Depth models lift a clear sky as a wall where they are not sure. Sky lies above the horizon, and it ends at an edge, not within
a smooth region: one that is sky in part is sky as a whole. A large smooth blue region along a picture's upper edge is sky even
where the model sees a surface. Where the model also tells what pixels show, its word counts: a lake in the haze is as smooth
and as pale as the sky above it.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, UInt8
from scipy import ndimage
from torch import Tensor

from splatmem.classes import PixelClass
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.push_pull import push_pull

HORIZON = 0.02  # tangent below the horizon up to which sky may reach, for the error of gravity
LOWEST, MOSTLY = 0.25, 0.6  # the same for a patch that the model saw, of which this share lies above the horizon
JOINED = 0.02  # of the picture's width: patches that lie as close are one sky, which a cable parts
SMALLEST_SKY = 0.002  # share of the picture that a patch of sky covers at least
EDGE = 0.025  # step of a colour from pixel to pixel, in a picture 512 pixels wide, from which it is an edge
# Share of a smooth region that must be sky for all of it to be: of a blue one, of a pale one, and of any other, such as a wall.
SEEDED_BLUE, SEEDED_PALE, SEEDED = 0.3, 0.5, 0.7
SAME_COLOUR = 0.06  # difference of colours, in the mean over the channels, up to which a pixel beside the sky belongs to it
RIM = 4  # pixels beside the sky that may belong to it, in a picture 512 pixels wide
BLUE = 1.25  # ratio of blue to red from which a region counts as blue
BLUE_AREA, BLUE_TOP = 0.08, 0.4  # shares of the picture and of its upper edge that a blue sky covers at least
ALL_BLUE, ALL_BRIGHT = 0.5, 0.4  # share of a picture, and blue at its lower edge, from which all is sky: no lake is as bright
SOLID = (PixelClass.FLOOR, PixelClass.WALL, PixelClass.GROUND, PixelClass.BUILDING)  # what a sky does not reach into
PALE = 0.25  # saturation up to which what is enclosed by sky is a cloud
SPECK = 0.01  # share of the picture up to which anything enclosed by sky is far away: a bird, a kite


def plausible_sky(
    depth: Float[Tensor, "h w"],
    camera: Cameras,
    down: Float[Tensor, "3"],
    rgb: Float[Tensor, "h w 3"],
    class_logits: Float[Tensor, "k p q"] | None = None,
) -> Float[Tensor, "h w"]:
    """The depth map with infinite depth where the sky is, and nowhere else.

    Where the model saw sky that cannot be, depth is continued from around. A picture without any finite depth comes back as
    it is.

    Args:
        depth: z-depth, ``inf`` for sky.
        camera: the one camera that saw it.
        down: unit vector of gravity in the world.
        rgb: the picture, 0..1.
        class_logits: what the model says that the picture shows, as a ``DepthPrediction`` has it; None: it says nothing.
    """
    told = ~torch.isfinite(depth)
    if told.all():
        return depth
    rays = camera.world_rays()[0]
    drop = (rays @ down) / rays.norm(dim=-1)
    above = (drop <= HORIZON).numpy()
    # Gravity is a guess in the open air: a sky that the model saw may end lower, one that it saw in a lake may not.
    joined = ndimage.binary_dilation(told.numpy(), np.ones((3, 3), bool), max(1, round(JOINED * depth.shape[1] / 2)))
    patches, count = _labelled(joined)
    patches = np.where(told.numpy(), patches, 0)
    above |= (_means(above, patches, count) >= MOSTLY)[patches] & told.numpy() & (drop <= LOWEST).numpy()
    if class_logits is not None:
        classes = _classes(class_logits, depth.shape)
        above |= _from_upper_edge(told.numpy() & (classes == PixelClass.SKY))
        above &= told.numpy() | ~np.isin(classes, [int(kind) for kind in SOLID])
    sky = torch.from_numpy(_completed(_large(told.numpy() & above), above, rgb.numpy()))
    if not told.any() and not sky.any():
        return depth
    finite = ~told & ~sky
    if not finite.any():
        return torch.full_like(depth, torch.inf)
    filled = push_pull(torch.where(finite, 1 / depth, 0.0)[None, None], finite.float()[None, None])[0, 0]
    return torch.where(sky, torch.inf, torch.where(told, 1 / filled.clamp_min(1e-6), depth))


def _completed(sky: Bool[np.ndarray, "h w"], above: Bool[np.ndarray, "h w"], rgb: Float[np.ndarray, "h w 3"]) -> np.ndarray:
    """The sky with the smooth regions that it reaches into, its islands and its rims."""
    unit = max(1.0, rgb.shape[1] / 512)
    smooth = _steps(rgb) < EDGE / unit
    everywhere = _blue(smooth, rgb)
    if everywhere.mean() >= ALL_BLUE and everywhere[-1].mean() >= BLUE_TOP and rgb[-1, everywhere[-1], 2].mean() >= ALL_BRIGHT:
        above = np.ones_like(above)  # the camera looks up: the horizon lies below the picture
    smooth &= above
    sky = sky | _blue(smooth, rgb)
    if not sky.any():
        return sky
    regions, count = _labelled(smooth)
    blue, pale = (_means(kind, regions, count) for kind in (rgb[..., 2] - rgb[..., :2].max(-1), _saturation(rgb)))
    wanted = np.where(blue > 0, SEEDED_BLUE, np.where(pale <= PALE, SEEDED_PALE, SEEDED))
    shares = _means(sky, regions, count)
    shares[0] = 0.0
    sky = sky | (shares >= wanted)[regions]
    sky = _with_rims(sky, above, rgb, round(RIM * unit))
    return _with_islands(sky, above, rgb)


def _classes(class_logits: Float[Tensor, "k p q"], shape: tuple[int, ...]) -> UInt8[np.ndarray, "h w"]:
    """The likeliest class of each pixel."""
    shares = F.interpolate(class_logits.softmax(0)[None], size=shape, mode="bilinear", align_corners=False)[0]
    shares[PixelClass.UNKNOWN] = 0.0  # never trained
    return shares.argmax(0).to(torch.uint8).numpy()


def _from_upper_edge(sky: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """Patches of sky that reach the picture's upper edge: the sky itself, and neither a lake nor a window."""
    patches, _ = _labelled(sky)
    return np.isin(patches, np.unique(patches[0])[np.unique(patches[0]) > 0])


def _steps(rgb: Float[np.ndarray, "h w 3"]) -> Float[np.ndarray, "h w"]:
    """The largest step of a colour from a pixel to its neighbours, after noise is smoothed away."""
    calm = ndimage.gaussian_filter(rgb, (1.0, 1.0, 0.0), mode="nearest")
    return np.maximum(*(np.abs(ndimage.correlate1d(calm, [-0.5, 0, 0.5], axis=axis)).max(-1) for axis in (0, 1)))


def _blue(smooth: Bool[np.ndarray, "h w"], rgb: Float[np.ndarray, "h w 3"]) -> Bool[np.ndarray, "h w"]:
    """Smooth blue regions that cover much of the picture and of its upper edge."""
    red, green, blue = (ndimage.gaussian_filter(rgb[..., channel], 1.0) for channel in range(3))
    regions, count = _labelled(smooth & (blue > BLUE * red) & (blue >= green) & (green >= 0.9 * red))
    areas = np.bincount(regions.ravel(), minlength=count + 1) / regions.size
    # The outermost rows are often of another colour: the edge of a scan, the rim of a lens.
    tops = np.bincount(regions[: max(1, regions.shape[0] // 20)].max(0), minlength=count + 1) / regions.shape[1]
    found = (areas >= BLUE_AREA) & (tops >= BLUE_TOP)
    found[0] = False
    return found[regions]


def _with_rims(
    sky: Bool[np.ndarray, "h w"], above: Bool[np.ndarray, "h w"], rgb: Float[np.ndarray, "h w 3"], width: int
) -> Bool[np.ndarray, "h w"]:
    """The sky with the pixels beside it that have its colour."""
    nearest = np.zeros((2, *sky.shape), np.int32)
    for _ in range(width):
        ndimage.distance_transform_edt(~sky, return_distances=False, return_indices=True, indices=nearest)
        beside = ndimage.binary_dilation(sky, np.ones((3, 3), bool)) & ~sky & above
        sky = sky | (beside & (np.abs(rgb - rgb[nearest[0], nearest[1]]).mean(-1) < SAME_COLOUR))
    return sky


def _with_islands(
    sky: Bool[np.ndarray, "h w"], above: Bool[np.ndarray, "h w"], rgb: Float[np.ndarray, "h w 3"]
) -> Bool[np.ndarray, "h w"]:
    """The sky with what it encloses, all above the horizon: specks, clouds, and what has its colours."""
    regions, count = _labelled(~sky, np.ones((3, 3), int))
    if not count:
        return sky
    grounded = _means(~above, regions, count) > 0
    areas = np.bincount(regions.ravel(), minlength=count + 1) / regions.size
    pale = _means(_saturation(rgb), regions, count) <= PALE
    blue = _means(rgb[..., 2] - rgb[..., 0], regions, count) > 0
    enclosed = ~grounded & ((areas <= SPECK) | pale | blue)
    enclosed[0] = False
    return sky | enclosed[regions]


def _labelled(where: Bool[np.ndarray, "h w"], neighbours: np.ndarray | None = None) -> tuple[np.ndarray, int]:
    """The number of each pixel's region, 0 outside of all, and how many regions there are."""
    regions = np.zeros(where.shape, np.int32)
    ndimage.label(where, neighbours, output=regions)
    return regions, int(regions.max(initial=0))


def _means(values: np.ndarray, regions: np.ndarray, count: int) -> np.ndarray:
    """The mean of values over each region, by its number from 0 to ``count``."""
    sums = np.bincount(regions.ravel(), values.ravel(), minlength=count + 1)
    return sums / np.maximum(np.bincount(regions.ravel(), minlength=count + 1), 1)


def _saturation(rgb: Float[np.ndarray, "h w 3"]) -> Float[np.ndarray, "h w"]:
    """0 for grey, 1 for a pure colour."""
    return 1 - rgb.min(-1) / np.maximum(rgb.max(-1), 1e-3)


def _large(sky: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """Patches of some size."""
    regions, _ = _labelled(sky)
    large = np.bincount(regions.ravel()) >= SMALLEST_SKY * sky.size
    large[0] = False
    return large[regions]
