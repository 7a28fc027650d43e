"""How far the default swing goes: as far as the photo covers what it would show."""

from __future__ import annotations

import math

import pytest
import torch
from jaxtyping import Float
from splatmem.geometry.cameras import Cameras, identity_camera
from splatmem.memory import SpatialMemory
from splatmem.trajectory.trajectory import Trajectory
from splatmem.trajectory.uncovered import MOST_UNCOVERED, SMALLEST_ARC, swings_borne, uncovered_shares
from torch import Tensor

WIDTH, HEIGHT = 96, 54
CAMERA = identity_camera(60.0, WIDTH, HEIGHT)


def memory_of(depth: Float[Tensor, "h w"]) -> SpatialMemory:
    memory = SpatialMemory()
    rgb = torch.rand(HEIGHT, WIDTH, 3, generator=torch.Generator().manual_seed(0))
    memory.write(rgb, depth, CAMERA, torch.ones(HEIGHT, WIDTH, dtype=torch.bool))
    return memory


def wall_with_post(columns: slice) -> Float[Tensor, "h w"]:
    """A wall at 6, and a post before it at 2."""
    depth = torch.full((HEIGHT, WIDTH), 6.0)
    depth[:, columns] = 2.0
    return depth


def test_before_a_wall_the_whole_swing_is_borne() -> None:
    right, left = swings_borne(memory_of(torch.full((HEIGHT, WIDTH), 4.0)), 4.0)
    assert math.degrees(right) == pytest.approx(30)
    assert math.degrees(left) == pytest.approx(30)


def test_gaps_behind_a_thing_end_the_swing() -> None:
    memory = memory_of(wall_with_post(slice(36, 60)))
    right, left = swings_borne(memory, 2.0)
    assert SMALLEST_ARC <= right < math.radians(30)
    assert left == pytest.approx(right, abs=math.radians(5))


def test_each_side_has_its_own_end() -> None:
    """A near half of the picture hides the far half only from the other side."""
    memory = memory_of(wall_with_post(slice(0, 48)))
    right, left = swings_borne(memory, 4.0)
    assert abs(right - left) > math.radians(5)


def test_uncovered_is_what_opens_between_known_pixels() -> None:
    memory = memory_of(wall_with_post(slice(36, 60)))
    aside = torch.eye(4).repeat(3, 1, 1)
    aside[:, 0, 3] = torch.tensor([0.0, 0.2, 0.8])
    shares = uncovered_shares(memory, Cameras.from_fov(aside, 60.0, WIDTH, HEIGHT))
    assert shares[0] < 0.01
    assert shares[0] < shares[1] < shares[2]
    assert shares[2] > MOST_UNCOVERED


def test_the_report_says_why_an_arc_is_short() -> None:
    arc = Trajectory.preset("arc", memory_of(wall_with_post(slice(36, 60))), frames=16)
    assert arc.extent is not None
    assert arc.extent.degrees < 0.9 * arc.extent.asked_degrees
    assert "the photo does not" in arc.notes[0]


def test_the_hole_of_a_removal_does_not_shorten_the_swing() -> None:
    depth = torch.full((HEIGHT, WIDTH), 4.0)
    memory = SpatialMemory()
    rgb = torch.rand(HEIGHT, WIDTH, 3, generator=torch.Generator().manual_seed(0))
    unknown = torch.ones(HEIGHT, WIDTH, dtype=torch.bool)
    unknown[:, 40:54] = False  # as if what was there had been taken away: more than gaps may cover
    memory.write(rgb, depth, CAMERA, unknown)
    assert uncovered_shares(memory, CAMERA) > MOST_UNCOVERED
    assert [math.degrees(side) for side in swings_borne(memory, 4.0)] == pytest.approx([30, 30])
