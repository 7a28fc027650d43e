import math

import pytest
import torch
from splatmem.cameras import Cameras
from splatmem.inpaint.surroundings import Look, Surroundings, imagine_surroundings

from textured_room import room, turn

VIEWS = turn(8, width=64, height=36)

PILLAR = torch.tensor([0.6, 2.2])  # x and z of a pillar in the room, 0.4 m across


def scene(cameras: Cameras) -> tuple[torch.Tensor, torch.Tensor]:
    """True colour and depth of the test room with a bright pillar in it."""
    drawn = room().render(cameras)
    rays = cameras.world_rays()
    origin = cameras.centers[:, None, None]
    across = rays[..., [0, 2]]
    along = ((PILLAR - origin[..., [0, 2]]) * across).sum(-1) / across.square().sum(-1)
    miss = (origin[..., [0, 2]] + along[..., None] * across - PILLAR).norm(dim=-1)
    hit = (along > 0) & (miss < 0.2)
    return torch.where(hit[..., None], 0.95, drawn.rgb), torch.where(hit, along, drawn.depth)


def look_with(field_of_view: float):
    """Knows what a camera at the origin sees within a field of view ahead."""

    def look(cameras: Cameras) -> Look:
        rgb, depth = scene(cameras)
        points = cameras.unproject(depth)
        azimuth = torch.atan2(points[..., 0], points[..., 2])
        known = (azimuth.abs() < math.radians(field_of_view / 2)) & ((points[..., 1] / points[..., 2].abs()).abs() < 0.5)
        return Look(rgb, depth, known)

    return look


@pytest.fixture(scope="module")
def imagined() -> Surroundings:
    return imagine_surroundings(look_with(80), room(), torch.zeros(3), VIEWS, torch.Generator().manual_seed(0))


def test_what_is_known_comes_back(imagined):
    camera = VIEWS[0]
    reading = imagined.render(camera)
    rgb, depth = scene(camera)
    background = depth > 3.0  # the pillar is foreground: behind it, the wall is imagined
    inner = torch.zeros_like(background)
    inner[:, 6:-6, 6:-6] = True
    assert (reading.rgb - rgb).abs()[background & inner].mean() < 0.03
    assert ((reading.depth / depth).log().abs()[background & inner]).median() < 0.03


def test_behind_a_thing_lies_the_wall(imagined):
    camera = VIEWS[0]
    _, depth = scene(camera)
    thing = depth < 3.0
    reading = imagined.render(camera)
    assert reading.depth[thing].median() > 2.8
    assert (reading.rgb[thing].mean(-1) < 0.9).float().mean() > 0.8


def test_a_whole_turn_is_filled_plausibly(imagined):
    reading = imagined.render(VIEWS)
    assert torch.isfinite(reading.rgb).all()
    assert torch.isfinite(reading.depth).all()
    assert reading.depth.min() > 0.3
    behind = reading.rgb[4]
    assert behind.std() > 0.5 * scene(VIEWS[0])[0].std()


def test_parallax_follows_the_relief(imagined):
    """From another place the known wall is seen where it stands."""
    pose = torch.eye(4)
    pose[0, 3] = -0.4
    camera = Cameras.from_fov(pose[None], 50.0, 64, 36)
    reading = imagined.render(camera)
    _, depth = scene(camera)
    middle = (depth > 3.0)[:, 10:-10, 20:-20]
    assert ((reading.depth / depth).log().abs()[:, 10:-10, 20:-20][middle]).median() < 0.05


def test_copied_things_leave_room_for_the_path():
    poses = torch.eye(4).repeat(12, 1, 1)
    for index in range(12):
        angle = 2 * math.pi * index / 12
        poses[index, :3, 3] = torch.tensor([1.2 * math.sin(angle), 0.0, -1.2 + 1.2 * math.cos(angle)])
    cameras = Cameras.from_fov(poses, 60.0, 48, 27)
    made = imagine_surroundings(look_with(80), room(), torch.zeros(3), cameras, torch.Generator().manual_seed(0))
    outward = made.render(cameras).depth
    assert outward.min() > 0.25


def test_sky_stays_sky():
    def look(cameras: Cameras) -> Look:
        seen = look_with(80)(cameras)
        up = cameras.world_rays()[..., 1] < -0.1
        return Look(seen.rgb, torch.where(up, torch.inf, seen.depth), seen.known)

    made = imagine_surroundings(look, room(), torch.zeros(3), VIEWS, torch.Generator().manual_seed(0))
    depth = made.render(VIEWS).depth
    assert torch.isinf(depth[0, :5]).float().mean() > 0.9
    assert torch.isinf(depth[4, :5]).float().mean() > 0.5
    assert torch.isfinite(depth[:, 25:]).all()
