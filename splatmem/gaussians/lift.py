"""RGB-D pixels to Gaussians: one small, flat Gaussian per pixel, far fewer where the picture is smooth.

A Gaussian lies in the tangent plane of the surface and covers its pixels as seen from the camera that lifts it. None bridges
a depth edge: pixels between foreground and background are first snapped to one of the two. Infinite depth is put on a far
shell around the camera. Where the picture is rich in detail, Gaussians are narrow, and an underlay of wider ones a little
behind them covers what they let through.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, product

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from splatmem.gaussians import Gaussians
from splatmem.gaussians.container import logit, rgb_to_sh
from splatmem.gaussians.depth_edges import EDGE_SLOPE, before_an_edge, snap_depth_edges
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.filters import dilate, maximum
from splatmem.geometry.normals import surface_normals
from splatmem.geometry.rotations import rotations_to_quats
from splatmem.threads import side_by_side

THICKNESS = 0.15
"""Standard deviation along the normal, in pixels of the lifting view on the surface. It does not depend on how many pixels a
Gaussian stands for, so ``sampling_distance`` can be read back from the Gaussians."""

DARK = 0.05
"""Contrast is a share of the darker colour plus this, in 0..1: in black, noise is no contrast."""

UNDERLAY_REACH = 2.5
"""An underlay lies as far behind as its surface recedes over this many of its blocks: as far as its footprints reach."""

OUTLINE = 0.06
"""Relative difference of depth from which what lies behind is another surface than the underlay's own."""

OUTLINE_SLOPE = 0.006
"""The own surface is taken to recede by at least so much from block to block there: an underlay that lies nearer shows before
what it underlies. One that lies much farther behind hangs beside the thing, seen from aside."""

UNDERLAY_GAP = 0.5
"""And this many pixels farther, where the surface does not recede."""

LONGEST_FOCAL = 16.0
"""Focal length, in units of the longer side, up to which only a part of a view is looked at."""

REACH, STEP = 48, 16
"""Pixels around a selection that have a say in its Gaussians, and the size that blocks of pixels have at most."""

COVERING_SPREAD = 0.7
"""Gaussians with less spread than this let visibly much through between them where a camera comes near."""


@dataclass(frozen=True)
class LiftSettings:
    """How pixels become Gaussians."""

    far_radius: float = 100.0
    """Distance from the camera at which infinite depth is placed, in world units."""
    spread: float = 0.74
    """Standard deviation of a Gaussian on the surface, in units of the distance to its neighbours. With 0.74 the accumulated
    opacity of a surface is 0.99 or more however near a camera comes, without the help of a rasterizer's low-pass, which is
    nothing beside a magnified footprint. Less is sharper without refinement and shows cracks."""
    detail_spread: float = 0.3
    """``spread`` where the picture's contrast is strong: no colours, which cannot be darker than black, could make up for the
    blur of wide footprints there. What such narrow Gaussians let through is covered by an underlay."""
    faint_contrast: float = 0.06
    """Change of colour from pixel to pixel, as a share of the darker, up to which Gaussians are as wide as ``spread``."""
    strong_contrast: float = 0.4
    """Change of colour from pixel to pixel, as a share of the darker, from which Gaussians are as narrow as ``detail_spread``;
    between the two it is linear."""
    block_spread: float = 1.0
    """``spread`` of Gaussians that stand for blocks of pixels: smaller neighbours reach less far towards them."""
    underlay_block: int = 2
    """Most pixels along one side that share a Gaussian of the underlay: 1, 2, 4, 8 or 16; 0 for no underlay."""
    underlay_tolerance: float = 0.03
    """Pixels may share a Gaussian of the underlay if they lie on one plane up to this share of their depth."""
    underlay_spread: float = 0.77
    """Standard deviation of a Gaussian of the underlay, in units of the distance between the underlay's Gaussians."""
    outline_spread: float = 0.42
    """``underlay_spread`` along outlines of what lies in front, so that the underlay does not show beside them."""
    max_stretch: float = 4.0
    """Longest footprint on surfaces seen at a grazing angle, relative to one seen from the front."""
    opacity: float = 0.99
    """Rasterizers leave out the Gaussian that would take the light that passes below 1e-4 (gsplat, Kerbl et al. 2023): a more
    opaque one would be left out while more than a hundredth passes, and show as a dark pixel."""
    color_tolerance: float = 0.02
    """Pixels may share a Gaussian if their colours, in 0..1, change linearly over the picture up to this. Twice as much for
    blocks of two by two pixels saves a quarter of the Gaussians of a smooth picture, a tenth of those of a rich texture, and
    costs the latter two decibels."""
    depth_tolerance: float = 0.01
    """Pixels may share a Gaussian if they lie on one plane up to this share of their depth."""
    largest_block: int = 4
    """Most pixels along one side that share a Gaussian: 1, 2, 4, 8 or 16."""
    edge_slope: float = EDGE_SLOPE
    """Relative change of depth from pixel to pixel above which a narrow ramp counts as a smeared depth edge."""


def lift(
    rgb: Float[Tensor, "h w 3"],
    depth: Float[Tensor, "h w"],
    camera: Cameras,
    selected: Bool[Tensor, "h w"],
    *,
    features: Float[Tensor, "h w f"] | None = None,
    settings: LiftSettings = LiftSettings(),
) -> Gaussians:
    """Lifts the selected pixels of one view into the world.

    Args:
        rgb: sRGB in 0..1.
        depth: z-depth in world units; ``inf`` is sky and goes to the far shell. The whole view is needed, since normals and
            edges depend on the neighbours of the selected pixels.
        camera: the one camera that saw the view.
        selected: which pixels to lift.
        features: further channels that the Gaussians carry, of any floating type.

    Returns:
        Gaussians with one colour band; local +z faces the camera.

    Raises:
        ValueError: if sizes do not fit, or a selected pixel has a depth that is not positive.
    """
    _check(rgb, depth, camera, selected)
    part = _surroundings(selected, camera)
    rgb, depth, selected, camera = rgb[part], depth[part], selected[part], _part_of(camera, part)
    features = None if features is None else features[part]
    far_depth = settings.far_radius / camera.pixel_rays()[0].norm(dim=-1)
    sky = depth >= far_depth
    placed = torch.where(torch.isfinite(depth) & (depth > 0) & ~sky, depth, far_depth)
    snapped, lost = snap_depth_edges(placed, settings.edge_slope)
    sky = snapped >= 0.5 * far_depth
    snapped = torch.where(sky, far_depth, snapped)
    usable = selected & ~lost
    sizes = _block_sizes(settings.largest_block)

    def may_merge(block: int) -> Bool[Tensor, "rows columns"]:
        return _mergeable(rgb, snapped, usable, block, settings) & _far_from_others(selected, block)

    normals, detail, *mergeables = side_by_side(
        lambda work: work(),
        [
            lambda: surface_normals(torch.where(sky, torch.inf, snapped)[None], camera)[0],
            lambda: _detail_spreads(rgb, settings),
            *(partial(may_merge, block) for block in sizes),
        ],
    )
    left, singles, chosen = usable, usable, []
    for block, mergeable in zip(sizes, mergeables, strict=True):
        taken = mergeable & left[::block, ::block][: mergeable.shape[0], : mergeable.shape[1]]
        chosen.append(taken)
        left = left & ~_upsampled(taken, block, usable.shape)
        singles = left if block > 1 else singles

    def splats(block: int, taken: Bool[Tensor, "rows columns"]) -> list[Gaussians]:
        spreads = detail if block == 1 else torch.full(taken.shape, settings.block_spread).to(rgb)
        return [_splats(rgb, snapped, normals, features, taken, block, spreads, camera, settings)]

    def underlay() -> list[Gaussians]:
        if not settings.underlay_block:
            return []
        narrow = singles & (detail < COVERING_SPREAD)
        return _underlay(rgb, snapped, normals, features, usable, narrow, camera, settings)

    works = [partial(splats, block, taken) for block, taken in zip(sizes, chosen, strict=True)]
    under, *above = side_by_side(lambda work: work(), [underlay, *works])
    return Gaussians.cat(list(chain.from_iterable([*above, under])))


def _surroundings(selected: Bool[Tensor, "h w"], camera: Cameras) -> tuple[slice, slice]:
    """Rows and columns of the picture that what is selected depends on: as far as filters and footprints reach."""
    parts = []
    for axis, length in enumerate(selected.shape):
        some = torch.nonzero(selected.any(1 - axis))[:, 0].tolist() or [0]
        # Blocks of pixels begin at multiples of their size.
        parts.append(slice(max(0, some[0] - REACH) // STEP * STEP, min(length, some[-1] + 1 + REACH)))
    if float(camera.focal.max()) > LONGEST_FOCAL * max(part.stop - part.start for part in parts):
        return slice(0, selected.shape[0]), slice(0, selected.shape[1])  # a part would be no plausible camera's
    return parts[0], parts[1]


def _part_of(camera: Cameras, part: tuple[slice, slice]) -> Cameras:
    """The camera of a part of its picture."""
    rows, columns = part
    intrinsics = camera.intrinsics.clone()
    intrinsics[:, :2, 2] -= intrinsics.new_tensor([columns.start, rows.start])
    return Cameras(camera.world_to_cam, intrinsics, columns.stop - columns.start, rows.stop - rows.start)


def sampling_distance(gaussians: Gaussians) -> Float[Tensor, " n"]:
    """Size on the surface, in world units, of a pixel of the view that each Gaussian was lifted from (its longer side)."""
    return gaussians.log_scales[:, 2].exp() / THICKNESS


def _block_sizes(largest: int, name: str = "largest_block") -> list[int]:
    if largest not in (1, 2, 4, 8, 16):
        raise ValueError(f"{name} must be 1, 2, 4, 8 or 16, got {largest}")
    return [size for size in (16, 8, 4, 2, 1) if size <= largest]


def _mergeable(
    rgb: Float[Tensor, "h w 3"],
    depth: Float[Tensor, "h w"],
    usable: Bool[Tensor, "h w"],
    block: int,
    settings: LiftSettings,
) -> Bool[Tensor, "rows columns"]:
    """Which blocks of ``block`` x ``block`` pixels may become one Gaussian.

    Colour and inverse depth (that of a plane) must be linear in the image over a window of twice the size, since a Gaussian
    reaches over its neighbours; all pixels of the window inside the image must be usable.
    """
    if block == 1:
        return usable
    if min(usable.shape) < 2 * block:
        return torch.zeros(usable.shape[0] // block, usable.shape[1] // block, dtype=torch.bool, device=rgb.device)
    inverse = 1.0 / depth[None]
    values = torch.cat([inverse, rgb.permute(2, 0, 1)]) if settings.color_tolerance < torch.inf else inverse
    off = _off_plane(_by_place(values, block), _by_place(torch.ones_like(inverse), block), block)
    flat = off[0] < settings.depth_tolerance * F.avg_pool2d(inverse[None], block)[0, 0]
    blocked = F.max_pool2d((~usable).to(rgb)[None, None], 2 * block, block, padding=block // 2)[0, 0] > 0
    return ~blocked & flat & (off[1:] < settings.color_tolerance).all(0)


def _by_place(maps: Float[Tensor, "c h w"], block: int) -> Float[Tensor, "c s s rows columns"]:
    """Pixels of windows of twice the size of a block around each block, by their place in the window; 0 beside the picture.

    The pixels at one place of all windows lie together, so that sums and maxima over the windows run along memory.
    """
    rows, columns = maps.shape[1] // block, maps.shape[2] // block
    padded = F.pad(maps, (block // 2,) * 4)[:, : (rows + 1) * block, : (columns + 1) * block]
    cells = F.pixel_unshuffle(padded, block).unflatten(0, (-1, block, block))
    top, bottom = cells[..., :-1, :], cells[..., 1:, :]
    quarters = [torch.cat([half[..., :-1], half[..., 1:]], dim=2) for half in (top, bottom)]
    return torch.cat(quarters, dim=1)


def _far_from_others(selected: Bool[Tensor, "h w"], block: int) -> Bool[Tensor, "rows columns"]:
    """Blocks whose Gaussian ends, at three standard deviations, before pixels of the view that are not lifted.

    Those are known already. What is lifted beside them may stand in front of them, and would show in them.
    """
    if block == 1:
        return torch.ones_like(selected)
    near = dilate(~selected[None], 5 * block // 2)[0]
    return ~_any_in_blocks(near, block, torch.Size(side // block for side in selected.shape))


def _detail_spreads(rgb: Float[Tensor, "h w 3"], settings: LiftSettings) -> Float[Tensor, "h w"]:
    """Spread of each pixel's Gaussian: narrow where the picture changes much within two pixels of it."""
    if settings.detail_spread == settings.spread:
        return rgb.new_full(rgb.shape[:2], settings.spread)
    colour = rgb.permute(2, 0, 1).contiguous()
    low, high = -maximum(-colour, 3), maximum(colour, 3)
    contrast = maximum((0.5 * (high - low) / (low + DARK)).amax(0), 3)
    share = ((contrast - settings.faint_contrast) / (settings.strong_contrast - settings.faint_contrast)).clamp(0, 1)
    return torch.lerp(torch.full_like(share, settings.spread), torch.full_like(share, settings.detail_spread), share)


def _underlay(
    rgb: Float[Tensor, "h w 3"],
    depth: Float[Tensor, "h w"],
    normals: Float[Tensor, "h w 3"],
    features: Float[Tensor, "h w f"] | None,
    usable: Bool[Tensor, "h w"],
    narrow: Bool[Tensor, "h w"],
    camera: Cameras,
    settings: LiftSettings,
) -> list[Gaussians]:
    """Wide Gaussians a little behind narrow ones, which cover what those let through.

    They lie behind all that their footprints reach on their own surface, so that the view that is lifted shows them last.
    Along the outline of what lies in front they are small: wide ones would show beside it.
    """
    flatness = replace(settings, color_tolerance=torch.inf, depth_tolerance=settings.underlay_tolerance)
    pixel = float(1 / camera.focal.mean())
    parts = []
    for block in _block_sizes(settings.underlay_block, "underlay_block"):
        if min(usable.shape) < block:
            continue
        flat = _mergeable(rgb, depth, usable, block, flatness)
        outline = _any_in_blocks(before_an_edge(depth, block, settings.edge_slope), block, flat.shape)
        taken = flat & _any_in_blocks(narrow, block, flat.shape)
        if block > 2:
            taken = taken & ~outline
        slope = maximum(depth, 2 * block + 1) / depth - 1
        if block <= 2:
            # Before an outline the farthest is another surface. The own one recedes about as much as it rises.
            rise = depth * maximum(1 / depth, 2 * block + 1) - 1
            slope = torch.where(slope > OUTLINE, torch.minimum(slope, rise.clamp_min(OUTLINE_SLOPE)), slope).clamp_max(
                block * settings.edge_slope
            )
        behind = depth * (1 + UNDERLAY_REACH * slope + UNDERLAY_GAP * pixel)
        spreads = torch.where(outline, settings.outline_spread, settings.underlay_spread).to(rgb)
        parts.append(_splats(rgb, behind, normals, features, taken, block, spreads, camera, settings))
        narrow = narrow & ~_upsampled(taken, block, narrow.shape)
    return parts


def _any_in_blocks(mask: Bool[Tensor, "h w"], block: int, shape: torch.Size) -> Bool[Tensor, "rows columns"]:
    """Whether a mask holds anywhere in each block; ``shape`` is that of the blocks."""
    found = F.max_pool2d(mask.float()[None, None], block)[0, 0] > 0
    return found[: shape[0], : shape[1]]


def _off_plane(
    windows: Float[Tensor, "c s s rows columns"], valid: Float[Tensor, "1 s s rows columns"], block: int
) -> Float[Tensor, "c rows columns"]:
    """Largest deviation, where valid, from the linear function that fits the middle ``block`` x ``block`` of each window."""
    middle = range(block // 2, block // 2 + block)
    offsets = [place - (block - 0.5) for place in range(2 * block)]
    unit = block * sum(offsets[place] ** 2 for place in middle)
    mean, slope_x, slope_y = (torch.zeros_like(windows[:, 0, 0]) for _ in range(3))
    for y, x in product(middle, middle):
        pixels = windows[:, y, x]
        mean += pixels
        slope_x.add_(pixels, alpha=offsets[x] / unit)
        slope_y.add_(pixels, alpha=offsets[y] / unit)
    mean /= block**2
    most = torch.zeros_like(mean)
    for y, x in product(range(2 * block), range(2 * block)):
        plane = mean.add(slope_x, alpha=offsets[x]).add_(slope_y, alpha=offsets[y])
        torch.maximum(most, plane.sub_(windows[:, y, x]).abs_().mul_(valid[:, y, x]), out=most)
    return most


def _upsampled(blocks: Bool[Tensor, "rows columns"], block: int, shape: torch.Size) -> Bool[Tensor, "h w"]:
    full = blocks.repeat_interleave(block, 0).repeat_interleave(block, 1)
    return F.pad(full, (0, shape[1] - full.shape[1], 0, shape[0] - full.shape[0]))


def _splats(
    rgb: Float[Tensor, "h w 3"],
    depth: Float[Tensor, "h w"],
    normals: Float[Tensor, "h w 3"],
    features: Float[Tensor, "h w f"] | None,
    taken: Bool[Tensor, "rows columns"],
    block: int,
    spreads: Float[Tensor, "rows columns"],
    camera: Cameras,
    settings: LiftSettings,
) -> Gaussians:
    """One Gaussian for each taken block, with its spread and the block's mean colour, inverse depth and normal."""
    row, column = torch.nonzero(taken, as_tuple=True)
    color = _block_means(rgb, block, row, column)
    z = 1.0 / _block_means(1.0 / depth[..., None], block, row, column)[:, 0]
    normal = F.normalize(_block_means(normals, block, row, column), dim=-1)
    pixel = torch.stack([column, row], dim=-1).to(rgb) * block + block / 2
    focal, principal = camera.focal[0], camera.intrinsics[0, :2, 2]
    to_world = camera.world_to_cam[0, :3, :3]  # row vectors times this matrix turn from the camera into the world
    rays = F.pad((pixel - principal) / focal, (0, 1), value=1.0) @ to_world
    rotations, spacing = _tangent_frames(z, rays, normal, to_world[:2] / focal[:, None], settings.max_stretch)
    scales = torch.cat([block * spreads[row, column, None] * spacing, THICKNESS * spacing[:, :1]], dim=-1)
    return Gaussians(
        means=camera.centers[0] + z[:, None] * rays,
        quats=rotations_to_quats(rotations),
        log_scales=scales.log(),
        opacity_logits=torch.full_like(z, float(logit(settings.opacity))),
        sh=rgb_to_sh(color),
        features=None if features is None else _block_means(features, block, row, column),
    )


def _block_means(
    image: Float[Tensor, "h w c"], block: int, row: Int[Tensor, " n"], column: Int[Tensor, " n"]
) -> Float[Tensor, "n c"]:
    if block == 1:
        return image[row, column]
    return F.avg_pool2d(image.permute(2, 0, 1)[None], block)[0].permute(1, 2, 0)[row, column]


def _tangent_frames(
    z: Float[Tensor, " n"],
    rays: Float[Tensor, "n 3"],
    normals: Float[Tensor, "n 3"],
    ray_steps: Float[Tensor, "2 3"],
    max_stretch: float,
) -> tuple[Float[Tensor, "n 3 3"], Float[Tensor, "n 2"]]:
    """Axes along which a round spot in the image lies on each tangent plane, and the size of a pixel along them.

    The point under a pixel is ``z r`` with ``z = const / (n . r)``, so a step ``s`` of the ray moves it by
    ``z (s - r (n . s) / (n . r))``; the singular value decomposition of that map, in the plane, gives axes and sizes.

    Args:
        rays: directions in the world with camera depth 1, and ``ray_steps`` their change from pixel to pixel.

    Returns:
        Rotations local-to-world with the longer tangent axis first and the normal last; pixel sizes, the longer first.
    """
    along = (normals * rays).sum(-1, keepdim=True).clamp(max=0)
    along = torch.minimum(along, -rays.norm(dim=-1, keepdim=True) / max_stretch)
    helper = torch.zeros_like(normals).scatter(-1, normals.abs().argmin(-1, keepdim=True), 1.0)
    first = F.normalize(torch.linalg.cross(helper, normals), dim=-1)
    second = torch.linalg.cross(normals, first)
    moves = [z[:, None] * (step - rays * (normals @ step)[:, None] / along) for step in ray_steps]
    a, b = (torch.stack([(axis * move).sum(-1) for move in moves], -1) for axis in (first, second))
    aa, bb, ab = (a * a).sum(-1), (b * b).sum(-1), (a * b).sum(-1)
    root = torch.hypot(aa - bb, 2 * ab)
    angle = 0.5 * torch.atan2(2 * ab, aa - bb)[:, None]
    longer = angle.cos() * first + angle.sin() * second
    rotations = torch.stack([longer, torch.linalg.cross(normals, longer), normals], dim=-1)
    squares = 0.5 * torch.stack([aa + bb + root, aa + bb - root], dim=-1)
    floor = 1e-6 * squares[:, :1].clamp_min(1e-30)
    return rotations, torch.maximum(squares, floor).sqrt()


def _check(rgb: Tensor, depth: Tensor, camera: Cameras, selected: Tensor) -> None:
    h, w = camera.height, camera.width
    if len(camera) != 1:
        raise ValueError(f"one camera lifts one view, got {len(camera)} cameras")
    for name, value, shape in (("rgb", rgb, (h, w, 3)), ("depth", depth, (h, w)), ("selected", selected, (h, w))):
        if tuple(value.shape) != shape:
            raise ValueError(f"{name} must have the camera's size {shape}, got {tuple(value.shape)}")
    if selected.dtype != torch.bool:
        raise ValueError(f"selected must be a boolean mask, got {selected.dtype}")
    bad = selected & ~(depth > 0)
    if bad.any():
        raise ValueError(
            f"{int(bad.sum())} selected pixels have a depth that is not a positive number; leave them out of `selected`, "
            "or give sky the depth inf"
        )
    if not torch.isfinite(rgb[selected]).all():
        raise ValueError("rgb has values that are not finite at selected pixels")
