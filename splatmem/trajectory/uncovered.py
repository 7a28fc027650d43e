"""How far a camera may swing round a photo's subject before too much of what it sees would have to be made.

From aside, gaps open between things and what is behind them. What was made there, however good, is no longer the photo: the
default swing ends where the gaps would cover more than a share of what the photo still shows.
"""

from __future__ import annotations

import math

from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.geometry.cameras import Cameras
from splatmem.memory import SpatialMemory
from splatmem.trajectory.presets import ARC_DEGREES, make_path

MOST_UNCOVERED = 0.08
"""Share of the picture between what the photo shows that gaps may cover."""
TAKEN_AWAY = 0.01
"""The same share, seen from the photo's own place, from which on it is the hole of a removal: no swing opens that."""
SMALLEST_ARC = math.radians(10)
"""Swing to a side that is always made."""
STEPS = 144
"""Views on a circle round the subject, of which those near the photo are looked at."""
WIDTH = 192
"""Pixels across the views in which gaps are looked for."""


def uncovered_shares(memory: SpatialMemory, cameras: Cameras) -> Float[Tensor, " v"]:
    """For each view, how much of what lies between what the memory knows is a gap: 0 for a view that knows nothing."""
    known = memory.coverage(cameras.coarse(WIDTH))[0]
    between = _from_left(known) & _from_left(known.flip(2)).flip(2)
    return (between & ~known).flatten(1).float().sum(1) / between.flatten(1).float().sum(1).clamp_min(1)


def swings_borne(memory: SpatialMemory, subject_distance: float) -> tuple[float, float]:
    """How far a camera may swing to the right and to the left, in radians: ``SMALLEST_ARC`` at least.

    Args:
        memory: as it was given, with nothing that was made.
        subject_distance: distance from the photo's camera of what the camera goes round.
    """
    camera = memory.views[0].camera
    circle = make_path(
        "orbit", STEPS, scale=memory.scale, subject_distance=subject_distance, fov_x_degrees=camera.fov_x_degrees,
        width=camera.width, height=camera.height, down=memory.down,
    ).cameras  # fmt: skip
    counts = range(1, 1 + math.floor(ARC_DEGREES * STEPS / 360))
    hole = float(uncovered_shares(memory, camera))
    most = MOST_UNCOVERED + (hole if hole > TAKEN_AWAY else 0.0)
    right, left = (
        _first_torn(uncovered_shares(memory, circle[[way * count % STEPS for count in counts]]), most) for way in (1, -1)
    )
    return max(SMALLEST_ARC, right * 2 * math.pi / STEPS), max(SMALLEST_ARC, left * 2 * math.pi / STEPS)


def _first_torn(shares: Float[Tensor, " v"], most: float) -> int:
    """How many views come before the first in which gaps cover more than a share."""
    return int((shares <= most).cumprod(0).sum())


def _from_left(known: Bool[Tensor, "v h w"]) -> Bool[Tensor, "v h w"]:
    """Pixels with something known to their left in the row."""
    return known.cummax(dim=2).values
