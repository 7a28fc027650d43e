"""Paths round a subject: a full circle where there is room, else as far round as there is.

In each direction the path keeps the largest radius that is clear, up to the photo camera's own distance; over the directions
the radius changes smoothly. Where some directions are blocked, the path swings to both sides as far as it is clear, and closes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

DIRECTIONS = 120
"""Into which a full circle is divided to look for room."""
RADII = 33
MIN_RADIUS = 0.5
"""Share of the asked radius below which a path counts as blocked in a direction."""
SMOOTH_DEGREES = 9.0
"""Standard deviation over which the radius is smoothed."""
FULL_CIRCLE = 360.0
WIDEST_SWING = 60.0
"""Degrees to either side up to which a path swings where it cannot go all the way round: from farther aside the subject's
surfaces are seen edge-on, and what is made of them is no longer like it."""
BLOCKED = "the way round is blocked"
FROM_BEHIND = "from behind one would mostly look at what the photo does not show"
UNCOVERED = "farther aside too much would show that the photo does not"
SMALLEST_SWING = 4.0
"""Degrees to one side below which a path does not swing there at all."""

Free = Callable[[Float[Tensor, "p 3"]], Bool[Tensor, " p"]]


@dataclass(frozen=True)
class Extent:
    """How far a path goes round its subject.

    Attributes:
        asked_degrees, degrees: range of the directions from which it looks at the subject, as asked and as made.
        min_radius, mean_radius: share of the asked radius, over the path.
    """

    asked_degrees: float
    degrees: float
    min_radius: float
    mean_radius: float

    def to_json(self) -> dict[str, float]:
        """The extent as reports hold it."""
        return {
            "asked_degrees": round(self.asked_degrees, 1),
            "degrees": round(self.degrees, 1),
            "min_radius_share": round(self.min_radius, 3),
            "mean_radius_share": round(self.mean_radius, 3),
        }


@dataclass(frozen=True)
class Round:
    """A closed path round a subject in polar coordinates.

    Attributes:
        centre, reach: of the swing, in radians; a reach of pi or more is a full circle.
        radii: share of the asked radius at ``DIRECTIONS`` directions, from -pi on.
        asked_degrees: range of directions that was asked for.
        hindrance: why it does not go farther, to follow "since".
    """

    centre: float
    reach: float
    radii: Float[np.ndarray, " n"]
    asked_degrees: float
    hindrance: str = BLOCKED

    @property
    def is_full(self) -> bool:
        """Whether it is a full circle."""
        return self.reach >= math.pi

    def angles(self, phase: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """Directions of the path at phases 0..1: radians to the right, 0 at the photo's camera, where phase 0 is."""
        if self.is_full:
            return 2 * math.pi * phase
        if self.reach == 0:
            return torch.zeros_like(phase)
        begin = math.asin(max(-1.0, min(1.0, -self.centre / self.reach)))
        return self.centre + self.reach * (2 * math.pi * phase + begin).sin()

    def radius(self, angles: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """Share of the asked radius in directions."""
        places = np.linspace(-math.pi, math.pi, DIRECTIONS + 1)
        values = np.append(self.radii, self.radii[0])
        wrapped = (angles.numpy() + math.pi) % (2 * math.pi) - math.pi
        from scipy import ndimage  # not with the module: other paths do without

        spline = ndimage.map_coordinates(
            np.pad(values[:-1], 8, mode="wrap"), [8 + (wrapped - places[0]) / (places[1] - places[0])], order=3
        )
        return torch.from_numpy(spline).to(angles)

    def extent(self) -> Extent:
        """How far round it goes."""
        angles = self.angles(torch.linspace(0, 1, 4 * DIRECTIONS, dtype=torch.float64))
        radii = self.radius(angles)
        degrees = FULL_CIRCLE if self.is_full else float((angles.max() - angles.min()).rad2deg())
        return Extent(self.asked_degrees, degrees, float(radii.min().clamp(0, 1)), float(radii.mean().clamp(0, 1)))


def plan_round(
    position: Callable[[Float[Tensor, " n"], Float[Tensor, " n"]], Float[Tensor, "n 3"]],
    is_free: Free,
    *,
    swing: float | None = None,
    borne: tuple[float, float] | None = None,
    min_radius: float = MIN_RADIUS,
    whole: bool = True,
) -> Round:
    """The path that goes farthest round.

    Args:
        position: places in the world of directions (radians) and shares of the asked radius.
        is_free: where a camera may be.
        swing: radians to either side that are asked for; None: a full circle.
        borne: radians to the right and to the left beyond which a swing does not go even where it is free.
        min_radius: share of the asked radius that the path keeps everywhere.
        whole: whether it may be a full circle.
    """
    asked = FULL_CIRCLE if swing is None else 2 * math.degrees(swing)
    clear = _clear_radii(position, is_free, min_radius)
    radii = _smooth_below(np.maximum(clear, min_radius))
    directions = np.linspace(-math.pi, math.pi, DIRECTIONS, endpoint=False)
    free = is_free(position(torch.from_numpy(directions), torch.from_numpy(radii)).float()).numpy()
    front = DIRECTIONS // 2
    free[front] = True  # there the photo was taken
    if swing is None and whole and free.all():
        return Round(0.0, math.pi, radii, asked)
    largest = math.radians(WIDEST_SWING) if swing is None else swing
    limit = max(1, math.ceil(largest / (directions[1] - directions[0])))
    right, left = (
        next((i - 1 for i in range(1, limit + 1) if not free[(front + way * i) % DIRECTIONS]), limit) for way in (1, -1)
    )
    blocked = [min(largest, count * 2 * math.pi / DIRECTIONS) for count in (right, left)]
    blocked = [end if math.degrees(end) >= SMALLEST_SWING else 0.0 for end in blocked]
    ends = blocked if borne is None else [min(pair) for pair in zip(blocked, borne, strict=True)]
    hindrance = FROM_BEHIND if swing is None and free.all() else BLOCKED if ends == blocked else UNCOVERED
    return Round((ends[0] - ends[1]) / 2, sum(ends) / 2, radii, asked, hindrance)


def _clear_radii(
    position: Callable[[Float[Tensor, " n"], Float[Tensor, " n"]], Float[Tensor, "n 3"]], is_free: Free, min_radius: float
) -> Float[np.ndarray, " n"]:
    """In each direction the largest clear radius, 0 where none of ``min_radius`` or more is."""
    directions = torch.linspace(-math.pi, math.pi, DIRECTIONS + 1, dtype=torch.float64)[:-1]
    radii = torch.linspace(min_radius, 1, RADII, dtype=torch.float64)
    grid = torch.cartesian_prod(directions, radii)
    free = is_free(position(grid[:, 0], grid[:, 1]).float()).view(DIRECTIONS, RADII)
    free[DIRECTIONS // 2, -1] = True
    return torch.where(free, radii, 0.0).amax(1).numpy()


def _smooth_below(clear: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """A smooth closed curve that stays below ``clear``, except at the photo's direction, where it is 1."""
    sigma = SMOOTH_DEGREES * DIRECTIONS / 360
    from scipy import ndimage

    low = ndimage.minimum_filter1d(clear, 2 * round(1.5 * sigma) + 1, mode="wrap")
    smooth = ndimage.gaussian_filter1d(low, sigma, mode="wrap")
    front = DIRECTIONS // 2
    away = (np.arange(DIRECTIONS) - front) / (1.5 * sigma)
    return smooth + (1 - smooth[front]) * np.exp(-0.5 * away**2)
