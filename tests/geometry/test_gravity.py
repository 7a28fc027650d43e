import math

import pytest
import torch
import torch.nn.functional as F
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.gravity import estimate_down

from textured_room import room


def upright_room(camera: Cameras) -> torch.Tensor:
    """The test room with posts along its walls."""
    points = camera.unproject(room().render(camera).depth)[0]
    stripes = ((points[..., 0] * 2.3).floor() + (points[..., 2] * 2.3).floor()) % 2
    on_wall = (points[..., 1] > -1.15) & (points[..., 1] < 1.35)
    return torch.where(on_wall, 0.25 + 0.5 * stripes, 0.5)[..., None].expand(-1, -1, 3)


def tilted_camera(pitch: float, roll: float) -> Cameras:
    """A camera in the room's middle, pitched down and rolled to the right, degrees."""
    p, r = math.radians(pitch), math.radians(roll)
    tilt = torch.tensor([[1, 0, 0], [0, math.cos(p), math.sin(p)], [0, -math.sin(p), math.cos(p)]])
    spin = torch.tensor([[math.cos(r), -math.sin(r), 0], [math.sin(r), math.cos(r), 0], [0, 0, 1]])
    pose = torch.eye(4)
    pose[:3, :3] = (tilt @ spin).T
    return Cameras.from_fov(pose[None], 65.0, 384, 216)


def picture_of(camera: Cameras) -> torch.Tensor:
    """Rendered at twice the size, so that edges are smooth."""
    large = upright_room(camera.resized(2 * camera.width, 2 * camera.height))
    return F.avg_pool2d(large.permute(2, 0, 1)[None], 2)[0].permute(1, 2, 0)


@pytest.mark.parametrize(("pitch", "roll"), [(0, 0), (10, 0), (-10, 0), (0, 5), (8, -4), (-6, 3)])
def test_upright_edges_tell_pitch_and_roll(pitch: int, roll: int):
    camera = tilted_camera(pitch, roll)
    down = estimate_down(picture_of(camera), camera)
    truth = camera.world_to_cam[0, :3, 1]  # the world's y in the camera's axes
    assert torch.rad2deg(torch.acos((down @ truth).clamp(-1, 1))) < 3


@pytest.mark.parametrize(
    "picture", [torch.full((90, 160, 3), 0.5), torch.rand(90, 160, 3, generator=torch.Generator().manual_seed(0))]
)
def test_pictures_that_say_nothing_are_upright(picture):
    down = estimate_down(picture, Cameras.from_fov(torch.eye(4)[None], 60.0, 160, 90))
    assert torch.rad2deg(torch.acos(down[1].clamp(-1, 1))) < 4


def test_a_few_upright_edges_by_chance_do_not_tilt_a_sea() -> None:
    height, width = 216, 384
    sea = torch.where(torch.arange(height)[:, None] < 120, 0.8, 0.3).repeat(1, width)
    rows = torch.arange(30)
    for column in (20, 60, 300, 350):  # reeds, all of which lean as if the camera looked up
        lean = ((column - width / 2) * rows / 400).round().long()
        sea[140 + rows, column + lean] = 0.5
        sea[140 + rows, column + 1 + lean] = 0.5
    down = estimate_down(sea[..., None].expand(-1, -1, 3), Cameras.from_fov(torch.eye(4)[None], 60.0, width, height))
    assert torch.rad2deg(torch.acos(down[1].clamp(-1, 1))) < 4
