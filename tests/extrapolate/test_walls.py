"""Where copies of a view stand in the rest of a room."""

from dataclasses import replace

import pytest
import torch
from splatmem.extrapolate.scene import extrapolate_scene
from splatmem.extrapolate.view_copies import AzimuthRange
from splatmem.extrapolate.walls import AHEAD, BEHIND, MOST_NEARER, ROOM_DEPTHS, SLOPE, stand_as_walls
from splatmem.gaussians import Gaussians
from splatmem.geometry.cameras import Cameras
from splatmem.memory import SpatialMemory

from copies_of_a_room import DOWN, FLOOR_AT, HEIGHT, WIDTH, around, box, view


def test_a_wall_beside_the_picture_goes_on_as_a_plane() -> None:
    room, camera = box(), view(turned=30)
    seen, copies, view_range = around(room, camera)
    moved = stand_as_walls(copies, seen, view_range, room, scale=2.0)
    azimuth = view_range.azimuth(copies.means)
    beside = (
        (azimuth > view_range.right + 0.1)
        & (azimuth < view_range.right + 0.4)
        & (view_range.inclination(copies.means).abs() < 0.2)
    )
    off = (moved.means[beside, 0] - 1.5).abs()
    assert beside.sum() > 20
    assert off.median() < 0.1 < (copies.means[beside, 0] - 1.5).abs().median()


def behind(copies: Gaussians, view_range: AzimuthRange) -> torch.Tensor:
    return (view_range.azimuth(copies.means).abs() > 2.6) & (view_range.inclination(copies.means).abs() < 0.2)


@pytest.mark.parametrize("ahead", [1.0, 1.6, 2.4])
def test_the_more_lies_ahead_the_less_lies_behind(ahead) -> None:
    room, camera = box(side=2.5, ahead=ahead, floor_seen=False), view()
    seen, copies, view_range = around(room, camera)
    moved = stand_as_walls(copies, seen, view_range, room, scale=ahead)
    there = behind(copies, view_range)
    expected = BEHIND * (view_range.distance(seen.means).median() / AHEAD) ** SLOPE
    assert view_range.distance(moved.means[there]).median() == pytest.approx(float(expected), rel=0.15)


def test_a_straight_wall_closes_the_room() -> None:
    room, camera = box(side=2.5, ahead=1.6, floor_seen=False), view()
    seen, copies, view_range = around(room, camera)
    moved = stand_as_walls(copies, seen, view_range, room, scale=1.6)
    back = (view_range.azimuth(copies.means).abs() > 2.7) & (view_range.inclination(copies.means).abs() < 0.2)
    assert back.sum() > 100
    depth = -moved.means[back, 2]
    assert depth.std() < 0.02 * depth.mean()
    assert depth.std() < 0.4 * view_range.distance(moved.means[back]).std()


def test_it_comes_only_so_much_nearer() -> None:
    room, camera = box(side=3.0, ahead=4.0), view()
    seen, copies, view_range = around(room, camera)
    moved = stand_as_walls(copies, seen, view_range, room, scale=3.0)
    ratio = view_range.distance(moved.means) / view_range.distance(copies.means)
    assert ratio.min() >= MOST_NEARER - 1e-4
    assert ratio[behind(copies, view_range)].median() < 0.8


def test_floors_stay_level_and_walls_upright() -> None:
    room, camera = box(side=2.5, ahead=2.8), view()
    seen, copies, view_range = around(room, camera)
    moved = stand_as_walls(copies, seen, view_range, room, scale=2.0)
    floor = (copies.means[:, 1] - FLOOR_AT).abs() < 1e-2
    assert floor.sum() > 100
    assert (moved.means[floor, 1] - FLOOR_AT).abs().max() < 2e-2
    wall = (view_range.distance(copies.means) - 2.8).abs() < 0.05
    factors = view_range.distance(moved.means[wall]) / view_range.distance(copies.means[wall])
    low = copies.means[wall, 1] > 0.5
    assert low.sum() > 10
    assert abs(factors[low & (factors < 0.9)].median() - factors[~low & (factors < 0.9)].median()) < 0.05


def test_above_the_eye_directions_are_kept() -> None:
    room, camera = box(side=2.5, ahead=1.2), view()
    seen, copies, view_range = around(room, camera)
    moved = stand_as_walls(copies, seen, view_range, room, scale=1.5)
    above = copies.means[:, 1] < 0
    directions = [torch.nn.functional.normalize(x.means[above] - view_range.center, dim=1) for x in (copies, moved)]
    assert ((moved.means - copies.means).norm(dim=1) > 0.3).any()
    assert (directions[0] - directions[1]).abs().max() < 1e-4
    assert (moved.log_scales[above] - copies.log_scales[above]).abs().max() > 0.1


def test_what_is_close_by_stays() -> None:
    """A thing that stands at a tenth of the wall's distance is hardly moved."""
    room, camera = box(side=2.5, ahead=3.5), view()
    depth = room.render(camera).depth[0]
    depth[20:34, 40:56] = 0.35
    seen, copies, view_range = around(room, camera, depth)
    moved = stand_as_walls(copies, seen, view_range, room, scale=2.0)
    ratio = view_range.distance(moved.means) / view_range.distance(copies.means)
    thing = view_range.distance(copies.means) < 0.5
    assert thing.sum() > 20
    assert (ratio[thing] - 1).abs().max() < 0.1
    assert ratio.min() < 0.75


def test_outdoors_all_stays() -> None:
    far = ROOM_DEPTHS[1] * 1.2
    room, camera = box(side=2 * far, ahead=far, floor_seen=False), view()
    seen, copies, view_range = around(room, camera)
    moved = stand_as_walls(copies, seen, view_range, room, scale=far)
    assert torch.allclose(moved.means, copies.means, atol=1e-4)


def test_where_nothing_tells_a_distance_all_stays() -> None:
    room, camera = box(), view()
    _, copies, view_range = around(room, camera)
    assert stand_as_walls(copies, copies.select(slice(0, 0)), view_range, room, scale=2.0) is copies


def test_only_a_metric_memory_has_them_moved() -> None:
    """Without metres nobody knows how far away a room's walls are."""
    room, camera = box(side=2.5, ahead=1.0), view()
    seen = room.render(camera)
    memory = SpatialMemory(metric=True)
    memory.write(seen.rgb[0], seen.depth[0], camera, torch.ones(HEIGHT, WIDTH, dtype=torch.bool))
    cameras = Cameras.cat([view(90.0 * quarter) for quarter in range(4)])
    metric, unknown = (extrapolate_scene(replace(memory, metric=metric), cameras, 0).copies for metric in (True, False))
    view_range = AzimuthRange.of(camera, DOWN)

    def median(copies: SpatialMemory) -> float:
        return float(view_range.distance(copies.gaussians.means[behind(copies.gaussians, view_range)]).median())

    assert median(unknown) == pytest.approx(1.05, rel=0.2)
    assert median(metric) > 1.6 * median(unknown)
