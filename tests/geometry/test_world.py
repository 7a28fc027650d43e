"""Poses far from their origin lose nothing when they are brought to the first camera."""

from __future__ import annotations

import pytest
import torch
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.poses import rigid_inverse
from splatmem.geometry.world import World

from textured_room import turn


def far_away() -> tuple[Cameras, Cameras]:
    """Cameras around the origin, and the same in map coordinates in double precision."""
    near = turn(5)
    world_from_memory = torch.eye(4, dtype=torch.float64)
    world_from_memory[:3, 3] = torch.tensor([4_500_000.0, 120.0, 680_000.0], dtype=torch.float64)
    far = Cameras(near.world_to_cam.double() @ rigid_inverse(world_from_memory), near.intrinsics, near.width, near.height)
    return near, far


def test_map_coordinates_move_no_camera() -> None:
    near, far = far_away()
    relative = World.of_first(far).to_memory(far)
    expected = World.of_first(near).to_memory(near)
    assert relative.world_to_cam.dtype == torch.float32
    torch.testing.assert_close(relative.world_to_cam, expected.world_to_cam, atol=1e-6, rtol=0)


def test_given_poses_come_back_as_given() -> None:
    _, far = far_away()
    world = World.of_first(far)
    back = world.from_memory(world.to_memory(far))
    torch.testing.assert_close(back.world_to_cam, far.world_to_cam, atol=1.5, rtol=1e-6)
    torch.testing.assert_close(
        rigid_inverse(back.world_to_cam)[:, :3, 3], rigid_inverse(far.world_to_cam)[:, :3, 3], atol=1e-5, rtol=0
    )


def test_the_memory_s_own_world_changes_no_bit() -> None:
    cameras = turn(5)
    assert World().is_memory
    assert torch.equal(World().to_memory(cameras).world_to_cam, cameras.world_to_cam)


@pytest.mark.parametrize("factor", [2e-3, 1e-5, 1e4])
def test_a_tiny_or_huge_unit_is_changed(factor: float) -> None:
    """The same cameras in another unit lie in the memory's world as if they had a bearable one, and come back as given."""
    near = turn(9)
    poses = near.world_to_cam.double().clone()
    poses[:, :3, 3] = 3 * torch.stack([torch.arange(9.0), torch.zeros(9), torch.zeros(9)], dim=-1) * factor
    given = Cameras(poses, near.intrinsics, near.width, near.height)
    world = World.of_first(given)
    placed = world.to_memory(given)
    steps = (placed.centers[1:] - placed.centers[:-1]).norm(dim=-1)
    assert 0.01 <= steps.median() <= 100
    back = world.from_memory(placed)
    torch.testing.assert_close(back.world_to_cam[:, :3, 3], poses[:, :3, 3], atol=1e-5 * factor, rtol=1e-5)


def test_cameras_on_one_spot_keep_their_unit_whatever_was_rounded() -> None:
    generator = torch.Generator().manual_seed(0)
    noise = 1e-7 * torch.randn(3, 3, dtype=torch.float64, generator=generator)
    poses = torch.eye(4, dtype=torch.float64).repeat(3, 1, 1)
    poses[:, :3, 3] = torch.tensor([5.0, -2.0, 3.0], dtype=torch.float64) + noise
    cameras = Cameras(poses, torch.tensor([[[50.0, 0, 32], [0, 50, 24], [0, 0, 1]]]).repeat(3, 1, 1), 64, 48)
    world = World.of_first(cameras)
    assert world.unit == 1.0
    assert world.to_memory(cameras).centers.abs().max() < 1e-5
