"""Copies that would stand in the cameras' way."""

import math

import pytest
import torch
from splatmem.extrapolate.clearance import LEAST_POINTS, MOST, clear_of, moved_clear
from splatmem.extrapolate.room_layout import RoomLayout
from splatmem.extrapolate.view_copies import AzimuthRange
from splatmem.gaussians import Gaussians
from splatmem.gaussians.lift import lift

from copies_of_a_room import DOWN, FLOOR_AT, HEIGHT, WIDTH, around, box, view

CLEARANCE = 0.4


def copies_of_a_room(distance: float = 2.5) -> tuple[RoomLayout, Gaussians, AzimuthRange]:
    """A wall all around at about ``distance``, with a floor."""
    room, camera = box(side=distance, ahead=distance), view()
    _, copies, view_range = around(room, camera)
    return room, copies, view_range


def test_a_wall_beside_a_camera_is_moved_out_whole() -> None:
    room, copies, view_range = copies_of_a_room()
    place = torch.tensor([[0.0, 0.0, -2.3]])
    assert (~clear_of(copies, place, CLEARANCE)).sum() > 10 * LEAST_POINTS
    moved = moved_clear(copies, view_range, room, place, CLEARANCE)
    assert len(moved) == len(copies)
    assert (~clear_of(moved, place, CLEARANCE)).sum() < 0.1 * (~clear_of(copies, place, CLEARANCE)).sum()
    assert torch.allclose(view_range.azimuth(moved.means), view_range.azimuth(copies.means), atol=1e-4)
    high = copies.means[:, 1] < 0
    assert torch.allclose(view_range.inclination(moved.means)[high], view_range.inclination(copies.means)[high], atol=1e-4)


def test_the_floor_stays_level() -> None:
    room, copies, view_range = copies_of_a_room()
    moved = moved_clear(copies, view_range, room, torch.tensor([[0.0, 0.0, -2.3]]), CLEARANCE)
    floor = (copies.means[:, 1] - FLOOR_AT).abs() < 1e-2
    assert (moved.means[floor] - copies.means[floor]).norm(dim=1).max() > 0.15
    assert (moved.means[floor, 1] - FLOOR_AT).abs().max() < 2e-2


def test_in_other_directions_all_stays() -> None:
    room, copies, view_range = copies_of_a_room()
    moved = moved_clear(copies, view_range, room, torch.tensor([[0.0, 0.0, -2.3]]), CLEARANCE)
    elsewhere = view_range.azimuth(copies.means).abs() < math.radians(120)
    assert torch.allclose(moved.means[elsewhere], copies.means[elsewhere], atol=1e-5)


def test_what_the_view_shows_stays() -> None:
    """There copies go on above and below the picture: moved, they would not fit it."""
    room, camera = box(), view()
    seen = lift(torch.rand(HEIGHT, WIDTH, 3), room.render(camera).depth[0], camera, torch.ones(HEIGHT, WIDTH, dtype=torch.bool))
    moved = moved_clear(seen, AzimuthRange.of(camera, DOWN), room, torch.tensor([[0.0, 0.0, 2.9]]), CLEARANCE)
    assert moved is seen


@pytest.mark.parametrize("place", [[0.0, 0.0, 0.0], [0.0, 0.0, -1.5]])
def test_clear_cameras_change_nothing(place) -> None:
    room, copies, view_range = copies_of_a_room()
    assert moved_clear(copies, view_range, room, torch.tensor([place]), CLEARANCE) is copies


def test_nothing_is_moved_farther_than_the_limit() -> None:
    """A camera far beyond the wall is no reason to move that there: what is in its way is cut, as before."""
    room, copies, view_range = copies_of_a_room(distance=0.5)
    far = MOST * 0.5 * 2
    things = copies.select(view_range.azimuth(copies.means).abs() > 2.5)
    moved = moved_clear(things, view_range, room, torch.tensor([[0.0, 0.0, -0.5], [0.0, 0.0, -far]]), CLEARANCE)
    ratio = view_range.distance(moved.means) / view_range.distance(things.means)
    assert ratio.max() == pytest.approx(MOST, rel=1e-3)
