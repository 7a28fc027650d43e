"""A guess for what was never seen: the planes of the seen surfaces, extended to a closed box of a room.

Floor, ceiling and walls are found as the six sides of a box whose axes follow the dominant normals of the known
surfaces (the Manhattan-world assumption, Coughlan & Yuille 1999). Sides that were seen stand where they were seen; the
others are set by the sides that were. Each side carries a coarse texture of the colours found on it, smoothly extended.
Rendered into a view it gives whole frames of colour and depth, from which an inpainter can start.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from splatmem.geometry.cameras import Cameras
from splatmem.geometry.push_pull import push_pull

TEXTURE_SIZE = 64
WORLD_DOWN = (0.0, 1.0, 0.0)
WALLS = (0, 1, 4, 5)
CEILING, FLOOR = 2, 3
BACKGROUND = 0.75  # of the room's depth: what is farther than this belongs to its sides, not to the things in it
MIN_EVIDENCE = 12  # points on a side from which it counts as seen
# From 24 rooms of tools/build_validation.py, where the distance behind a camera and that ahead correlate with -0.5: metres
# behind a camera that has AHEAD metres ahead, and the exponent for other distances up to FARTHEST; beyond it both grow alike.
BEHIND, AHEAD, SLOPE, FARTHEST = 2.2, 2.0, -0.35, 4.0
HEIGHT = 2.5  # metres from floor to ceiling, at least, where no ceiling is seen: what was taken for a floor may be a table
SIDE_COLOUR_WEIGHT = 0.02  # of the guessed colour against a seen one


@dataclass(frozen=True)
class LayoutReading:
    """A layout rendered into ``t`` views.

    Attributes:
        depth: z-depth, ``[t, h, w]``.
        position: where the pixel's ray leaves the room, in room coordinates scaled to -1..1, ``[t, h, w, 3]``.
        axis: the room's axis along which it does, ``[t, h, w]``.
        textures: of the room's sides.
    """

    depth: Float[Tensor, "t h w"]
    position: Float[Tensor, "t h w 3"]
    axis: Int[Tensor, "t h w"]
    textures: Float[Tensor, "6 s s 3"]

    @property
    def rgb(self) -> Float[Tensor, "t h w 3"]:
        """Colours of the sides, 0..1; looked up when they are asked for, since most readers want the shape alone."""
        side = 2 * self.axis + (self.position.gather(-1, self.axis[..., None])[..., 0] > 0)
        return _sample(self.textures, side, *_side_coordinates(self.position, self.axis))


@dataclass(frozen=True)
class RoomLayout:
    """A closed box with textured sides.

    Attributes:
        axes: rows are the room's axes in the world (x sideways, y down, z ahead), orthonormal ``[3, 3]``.
        low, high: bounds of the box along the axes, ``[3]``.
        textures: sRGB of the sides -x, +x, -y (ceiling), +y (floor), -z, +z, ``[6, s, s, 3]``.
        seen: which of the sides stand where something was seen; the others are guesses, ``[6]``.
    """

    axes: Float[Tensor, "3 3"]
    low: Float[Tensor, "3"]
    high: Float[Tensor, "3"]
    textures: Float[Tensor, "6 s s 3"]
    seen: Bool[Tensor, " 6"]

    @property
    def bounds(self) -> Float[Tensor, " 6"]:
        """Positions of the six sides along their own axes."""
        return torch.stack([self.low, self.high], dim=1).flatten()

    def render(self, cameras: Cameras) -> LayoutReading:
        """Casts the rays of the pixels from inside the box onto its sides; a camera outside stands at the side."""
        directions = cameras.world_rays() @ self.axes.T
        margin = 2e-4 * (self.high - self.low)
        origins = (cameras.centers @ self.axes.T)[:, None, None].clamp(self.low + margin, self.high - margin)
        safe = torch.where(directions.abs() < 1e-6, torch.full_like(directions, 1e-6), directions)
        exits = torch.where(safe > 0, self.high - origins, self.low - origins) / safe
        distance, axis = exits.min(dim=-1)
        position = 2 * (origins + distance[..., None] * directions - self.low) / (self.high - self.low) - 1
        return LayoutReading(distance, position, axis, self.textures)


def fit_room_layout(
    points: Float[Tensor, "n 3"],
    normals: Float[Tensor, "n 3"],
    rgb: Float[Tensor, "n 3"],
    interior: Float[Tensor, "p 3"],
    down: Float[Tensor, "3"] | None = None,
    metric: bool = False,
) -> RoomLayout:
    """Fits the box to surface points that were seen.

    Args:
        points: surface points in the world (y roughly down), equally weighted: give pixels, not areas.
        normals: unit normals that face the camera which saw the point.
        rgb: colours of the points, 0..1.
        interior: positions that must lie inside the room: the cameras, seen and to come.
        down: the direction of gravity if it is known; else the level surfaces vote for it.
        metric: whether the unit is the metre: how far walls are from a camera that does not see them is known in metres.
    """
    axes = _room_axes(normals, down)
    local, local_normals, inside = points @ axes.T, normals @ axes.T, interior @ axes.T
    low, high, seen = _bounds(local, local_normals, inside, metric)
    return RoomLayout(axes, low, high, _textures(local, local_normals, rgb, low, high), seen)


def _room_axes(normals: Float[Tensor, "n 3"], down: Float[Tensor, "3"] | None) -> Float[Tensor, "3 3"]:
    """Rows side, down and ahead: down as given or from the level surfaces, ahead from the upright ones modulo 90 degrees."""
    down = _voted_down(normals) if down is None else down
    horizontal = normals[(normals @ down).abs() < 0.35]
    ahead = F.normalize(normals.new_tensor([0.0, 0.0, 1.0]) - down * down[2], dim=0)
    side = torch.linalg.cross(down, ahead)
    if len(horizontal) > 0.03 * len(normals):
        angle = torch.atan2(horizontal @ side, horizontal @ ahead)
        heading = _dominant_quarter_angle(angle)
        ahead, side = (
            ahead * heading.cos() + side * heading.sin(),
            side * heading.cos() - ahead * heading.sin(),
        )
    return torch.stack([side, down, ahead])


def _voted_down(normals: Float[Tensor, "n 3"]) -> Float[Tensor, "3"]:
    """The mean of the normals near the world's down or up, found again within ever narrower cones."""
    down = normals.new_tensor(WORLD_DOWN)
    for threshold in (0.80, 0.92, 0.97):
        alignment = normals @ down
        near = alignment.abs() > threshold
        if near.float().mean() < 0.03:
            break
        # The world's own down has a vote too, so that a few tilted surfaces do not tilt the room.
        votes = (normals[near] * alignment[near, None].sign()).sum(0) + 0.05 * len(normals) * down
        down = F.normalize(votes, dim=0)
    return down


def _dominant_quarter_angle(angle: Float[Tensor, " n"]) -> Float[Tensor, ""]:
    """The mode of ``angle`` modulo 90 degrees, in -45..45 degrees, from a smooth_bins circular histogram."""
    bins = 45
    quarter = (angle / (torch.pi / 2)) % 1.0
    counts = torch.bincount((quarter * bins).long().clamp(max=bins - 1), minlength=bins).float()
    kernel = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0])
    smooth = F.conv1d(F.pad(counts[None, None], (2, 2), mode="circular"), kernel[None, None])[0, 0]
    centre = (smooth.argmax() + 0.5) / bins
    offset = (quarter - centre + 0.5) % 1.0 - 0.5
    near = offset.abs() < 3 / bins
    refined = centre + (offset[near].mean() if near.any() else 0.0)
    return (((refined + 0.5) % 1.0) - 0.5) * torch.pi / 2


def _bounds(
    local: Float[Tensor, "n 3"], normals: Float[Tensor, "n 3"], inside: Float[Tensor, "p 3"], metric: bool
) -> tuple[Float[Tensor, "3"], Float[Tensor, "3"], Bool[Tensor, " 6"]]:
    """Positions of the six sides along the room's axes, and which of them were seen."""
    centre = inside.mean(0)
    scale = (local - centre).norm(dim=-1).median().clamp_min(1e-12)
    distance = torch.zeros(6)
    seen = torch.zeros(6, dtype=torch.bool)
    for side in range(6):
        axis, sign = side // 2, 1.0 if side % 2 else -1.0
        reach = sign * (local[:, axis] - centre[axis])
        found = _wall_distance(reach, normals[:, axis] * sign < -0.75, scale)
        seen[side] = found is not None
        distance[side] = found if found is not None else torch.quantile(reach, 0.98).clamp_min(0.0)
    horizontal = torch.tensor([0, 1, 4, 5])
    known_walls = distance[horizontal][seen[horizontal]]
    typical = known_walls.median() if len(known_walls) else scale
    usual = _unseen_distance(typical) if metric else 0.75 * typical
    for side in horizontal.tolist():
        if not seen[side]:
            # An unseen wall stands beyond all that was seen toward it, and no nearer than a room of this size has it.
            distance[side] = torch.maximum(1.1 * distance[side], usual)
    if not seen[3]:
        distance[3] = torch.maximum(distance[3], 0.45 * typical)  # floor: eye height over a common room's half width
    if not seen[2]:
        distance[2] = torch.maximum(distance[2], 0.75 * distance[3])  # ceiling: 2.6 m over an eye height of 1.5 m
        if metric:
            distance[2] = torch.maximum(distance[2], HEIGHT - distance[3])
    # A guessed wall keeps more distance from the cameras than a seen one, which is moved only where a camera would touch it.
    margin = scale * torch.where(seen, 0.12, torch.tensor([0.5, 0.5, 0.12, 0.12, 0.5, 0.5]))
    low = torch.minimum(centre - distance[0::2], inside.amin(0) - margin[0::2])
    high = torch.maximum(centre + distance[1::2], inside.amax(0) + margin[1::2])
    return low, high, seen


def _unseen_distance(typical: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """How far, in metres, a wall that a camera does not see is from it, when those that it sees are at ``typical``."""
    room = typical.clamp(max=FARTHEST)
    return BEHIND * (room / AHEAD) ** SLOPE * typical / room


def _wall_distance(
    reach: Float[Tensor, " n"], facing: Bool[Tensor, " n"], scale: Float[Tensor, ""]
) -> Float[Tensor, ""] | None:
    """Distance of the farthest well-supported plane that faces the room, or None if there is none."""
    candidates = reach[facing & (reach > 0.05 * scale)]
    if len(candidates) < max(24, 0.015 * len(reach)):
        return None
    bins = 40
    top = torch.quantile(candidates, 0.99)
    index = (candidates / top * bins).long().clamp(max=bins - 1)
    counts = F.avg_pool1d(torch.bincount(index, minlength=bins).float()[None], 3, 1, 1)[0]
    strong = torch.nonzero(counts > 0.2 * counts.max())[:, 0].max()
    support = candidates[(index - strong).abs() <= 1]
    return torch.maximum(support.median(), torch.quantile(reach, 0.90))


def _side_coordinates(position: Float[Tensor, "*n 3"], axis: Tensor) -> tuple[Float[Tensor, "*n"], Float[Tensor, "*n"]]:
    """Texture coordinates in -1..1 on the side that is normal to ``axis``: the other two room coordinates."""
    x, y, z = position.unbind(-1)
    u = torch.where(axis == 0, z, x)
    v = torch.where(axis == 1, z, y)
    return u, v


def _sample(textures: Float[Tensor, "6 s s 3"], side: Tensor, u: Tensor, v: Tensor) -> Float[Tensor, "*n 3"]:
    """Bilinear lookup in the texture of each point's side."""
    size = textures.shape[1]
    x = ((u + 1) / 2 * size - 0.5).clamp(0, size - 1.001)
    y = ((v + 1) / 2 * size - 0.5).clamp(0, size - 1.001)
    x0, y0 = x.long(), y.long()
    fx, fy = (x - x0)[..., None], (y - y0)[..., None]
    top = textures[side, y0, x0] * (1 - fx) + textures[side, y0, x0 + 1] * fx
    bottom = textures[side, y0 + 1, x0] * (1 - fx) + textures[side, y0 + 1, x0 + 1] * fx
    return top * (1 - fy) + bottom * fy


def _textures(
    local: Float[Tensor, "n 3"],
    normals: Float[Tensor, "n 3"],
    rgb: Float[Tensor, "n 3"],
    low: Float[Tensor, "3"],
    high: Float[Tensor, "3"],
) -> Float[Tensor, "6 s s 3"]:
    """Mean colours of the points that lie on each side, extended over the whole side."""
    size = TEXTURE_SIZE
    position = 2 * (local - low) / (high - low) - 1
    colour, weight = torch.zeros(6, size * size, 3), torch.zeros(6, size * size, 1)
    evidence = torch.zeros(6)
    for side in range(6):
        axis, sign = side // 2, 1.0 if side % 2 else -1.0
        near = (position[:, axis] * sign > 0.84) & (normals[:, axis] * sign < -0.5)
        u, v = _side_coordinates(position[near], torch.tensor(axis))
        column = ((u + 1) / 2 * size).long().clamp(0, size - 1)
        row = ((v + 1) / 2 * size).long().clamp(0, size - 1)
        colour[side].index_add_(0, row * size + column, rgb[near])
        weight[side].index_add_(0, row * size + column, torch.ones(int(near.sum()), 1))
        evidence[side] = near.sum()
    known = (weight > 0).float().view(6, 1, size, size)
    grid = (colour / weight.clamp_min(1)).view(6, size, size, 3).permute(0, 3, 1, 2)
    guess = _side_means(colour.sum(1), weight.sum(1), evidence, rgb)[:, :, None, None].repeat(1, 1, size, size)
    if evidence[list(WALLS)].sum() > MIN_EVIDENCE:
        guess[list(WALLS)] = _height_profile(grid[list(WALLS)], known[list(WALLS)])[None, :, :, None]
    # A guess of small weight everywhere decides far from what was seen and hardly counts near it.
    strength = torch.where(known > 0, known, torch.full_like(known, SIDE_COLOUR_WEIGHT))
    return push_pull(torch.where(known > 0, grid, guess), strength).permute(0, 2, 3, 1).contiguous()


def _height_profile(walls: Float[Tensor, "4 3 s s"], known: Float[Tensor, "4 1 s s"]) -> Float[Tensor, "3 s"]:
    """Mean colour of all walls at each height: skirting, panelling and shade go on around the room."""
    share = known.sum((0, 3))
    profile = (walls * known).sum((0, 3)) / share.clamp_min(1)
    filled = push_pull(profile[None, :, :, None], (share > 0).float()[None, :, :, None])[0, :, :, 0]
    return F.avg_pool1d(F.pad(filled[None], (2, 2), mode="replicate"), 5, 1)[0]


def _side_means(
    colour: Float[Tensor, "6 3"],
    weight: Float[Tensor, "6 1"],
    evidence: Float[Tensor, " 6"],
    rgb: Float[Tensor, "n 3"],
) -> Float[Tensor, "6 3"]:
    """Mean colour of each side; a side never seen borrows: walls from walls, the ceiling from lightened walls."""
    means = colour / weight.clamp_min(1)
    overall = rgb.mean(0) if len(rgb) else torch.full((3,), 0.5)
    walls = [s for s in WALLS if evidence[s] > MIN_EVIDENCE]
    wall = means[walls].mean(0) if walls else overall
    borrowed = {2: 0.6 * wall + 0.4 * wall.max() + 0.08, 3: 0.7 * overall}
    for side in range(6):
        if evidence[side] <= MIN_EVIDENCE:
            means[side] = borrowed.get(side, wall).clamp(0, 1)
    return means
