"""What goes on above and below a picture."""

import math

import pytest
import torch
from splatmem.extrapolate.above_below import MAX_INCLINATION, extend_above_and_below
from splatmem.extrapolate.azimuth import AzimuthRange
from splatmem.extrapolate.room_layout import RoomLayout
from splatmem.gaussians import Gaussians
from splatmem.gaussians.lift import lift
from splatmem.geometry.cameras import Cameras

WIDTH, HEIGHT, FOV = 64, 36, 70.0
DOWN = torch.tensor([0.0, 1.0, 0.0])
FLOOR_AT, CEILING_AT, WALL_AT = 1.0, -1.2, 3.0
EVERYWHERE = (-math.pi / 2, math.pi / 2)


def box(floor_seen: bool = True, ceiling_seen: bool = False) -> RoomLayout:
    seen = torch.tensor([True, True, ceiling_seen, floor_seen, True, True])
    high = torch.tensor([4.0, FLOOR_AT, WALL_AT])
    return RoomLayout(torch.eye(3), torch.tensor([-4.0, CEILING_AT, -3.0]), high, torch.rand(6, 8, 8, 3), seen)


@pytest.fixture(params=[0.0, 25.0, -25.0], ids=["level", "looking down", "looking up"])
def view(request) -> Cameras:
    pitch = math.radians(request.param)
    pose = torch.eye(4)
    pose[1:3, 1:3] = torch.tensor([[math.cos(pitch), math.sin(pitch)], [-math.sin(pitch), math.cos(pitch)]])
    return Cameras.from_fov(pose[None], FOV, WIDTH, HEIGHT)


def lifted(view: Cameras, depth: torch.Tensor) -> Gaussians:
    rgb = torch.rand(HEIGHT, WIDTH, 3, generator=torch.Generator().manual_seed(0))
    return lift(rgb, depth, view, torch.ones(HEIGHT, WIDTH, dtype=torch.bool))


def beyond(view: Cameras, room: RoomLayout, reach: tuple[float, float] = EVERYWHERE) -> tuple[Gaussians, torch.Tensor]:
    """What is beyond the rims, and how far below the horizon it lies."""
    view_range = AzimuthRange.of(view, DOWN)
    made = extend_above_and_below(lifted(view, room.render(view).depth[0]), view, view_range, room, reach)
    return made, view_range.inclination(made.means)


def test_nothing_of_it_lies_in_the_picture(view) -> None:
    made, _ = beyond(view, box())
    pixels, depth = view.project(made.means)
    x, y = pixels[0].unbind(-1)
    inside = (depth[0] > 0) & (x > 1) & (x < WIDTH - 1) & (y > 1) & (y < HEIGHT - 1)
    assert len(made) > 200
    assert not inside.any()


def test_walls_stand_upright_and_floors_lie_level() -> None:
    view = Cameras.from_fov(torch.eye(4)[None], FOV, WIDTH, HEIGHT)
    made, inclination = beyond(view, box())
    above, below = (made.means[chosen] for chosen in (inclination < 0, inclination > 0))
    # What lies under the narrow Gaussians of a surface lies a hundredth behind it.
    assert (above[:, 2] - WALL_AT).abs().max() < 0.04
    assert above[:, 1].min() < CEILING_AT, "a ceiling that was not seen does not end the wall"
    assert (below[:, 1] - FLOOR_AT).abs().max() < 0.02
    assert below[:, 2].min() < 2.3, "the floor goes on towards the camera's feet"


def test_a_floor_goes_on_to_the_feet() -> None:
    view = Cameras.from_fov(torch.eye(4)[None], FOV, WIDTH, HEIGHT)
    made, inclination = beyond(view, box())
    rim = math.atan(math.tan(math.radians(FOV / 2)) * HEIGHT / WIDTH)
    ahead = AzimuthRange.of(view, DOWN).azimuth(made.means).abs() < 0.2
    steps = inclination[ahead & (inclination > rim)].sort().values
    assert steps[-1] > MAX_INCLINATION - 0.05
    assert steps.diff().max() < 0.05, "strips follow each other without gaps"
    assert (made.means[inclination > rim, 1] - FLOOR_AT).abs().max() < 0.02
    assert made.normals[inclination > rim, 1].max() < -0.99


def test_a_floor_that_was_not_seen_goes_on_for_half_the_picture() -> None:
    view = Cameras.from_fov(torch.eye(4)[None], FOV, WIDTH, HEIGHT)
    _, inclination = beyond(view, box(floor_seen=False))
    rim = math.atan(math.tan(math.radians(FOV / 2)) * HEIGHT / WIDTH)
    assert inclination.max() < 2.1 * rim


def test_nothing_leaves_through_a_ceiling_that_was_seen(view) -> None:
    made, _ = beyond(view, box(ceiling_seen=True))
    assert made.means[:, 1].min() > CEILING_AT - 1e-3
    assert made.means[:, 1].max() < FLOOR_AT + 1e-3


def test_what_stands_before_the_wall_does_not_go_on() -> None:
    view, room = Cameras.from_fov(torch.eye(4)[None], FOV, WIDTH, HEIGHT), box()
    depth = room.render(view).depth[0]
    post = slice(24, 40)
    depth[:, post] = 1.0
    made = extend_above_and_below(lifted(view, depth), view, AzimuthRange.of(view, DOWN), room, EVERYWHERE)
    azimuth = AzimuthRange.of(view, DOWN).azimuth(made.means)
    hidden = math.atan(6 / 32 * math.tan(math.radians(FOV / 2)))  # the inner part of what the post covers
    assert len(made) > 200
    assert not (azimuth.abs() < hidden).any()


def test_the_picture_goes_on_without_a_step() -> None:
    """Just outside the rim stands what is just inside it, with its colour and its distance."""
    view, room = Cameras.from_fov(torch.eye(4)[None], FOV, WIDTH, HEIGHT), box()
    scene = lifted(view, room.render(view).depth[0])
    made = extend_above_and_below(scene, view, AzimuthRange.of(view, DOWN), room, EVERYWHERE)
    pixels, _ = view.project(made.means)
    inside, _ = view.project(scene.means)
    near = torch.nonzero((pixels[0, :, 1] > HEIGHT) & (pixels[0, :, 1] < HEIGHT + 1))[:, 0]
    assert len(near) > WIDTH / 2
    for index in near.tolist():
        beside = (inside[0] - torch.tensor([pixels[0, index, 0], HEIGHT - 1.0])).norm(dim=-1) < 1.6
        sources = scene.select(beside)
        assert (sources.means - made.means[index]).norm(dim=-1).min() < 0.25 * made.means[index].norm()
        assert (sources.rgb - made.rgb[index]).abs().amax(-1).min() < 1e-5


def test_reach_limits_it() -> None:
    view = Cameras.from_fov(torch.eye(4)[None], FOV, WIDTH, HEIGHT)
    _, inclination = beyond(view, box(), reach=(-0.5, 0.45))
    assert -0.5 <= inclination.min() < -0.4
    assert 0.4 < inclination.max() <= 0.45
