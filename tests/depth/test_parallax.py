"""The unit of depth from the parallax between posed pictures."""

from __future__ import annotations

import pytest
import torch
from splatmem.cameras import Cameras
from splatmem.depth.parallax import scales_from_parallax

from textured_room import room, turn


def walk(frames: int, step: float, width: int = 128, height: int = 72) -> Cameras:
    """Sideways steps in the room, with a small turn."""
    poses = torch.eye(4).repeat(frames, 1, 1)
    poses[:, 0, 3] = torch.arange(frames) * step
    return Cameras.from_fov(poses, 70.0, width, height)


def test_scale_is_found_over_two_orders_of_magnitude() -> None:
    cameras = walk(5, 0.25)
    seen = room().render(cameras)
    wrong = torch.tensor([0.1, 0.5, 1.0, 4.0, 12.0])
    scales = scales_from_parallax(seen.rgb, seen.depth * wrong[:, None, None], cameras)
    torch.testing.assert_close(scales, 1 / wrong, rtol=0.02, atol=0)


def test_sky_and_a_few_wrong_depths_do_no_harm() -> None:
    cameras = walk(4, 0.3)
    seen = room().render(cameras)
    depth = seen.depth.clone()
    depth[:, :20] = torch.inf
    depth[:, 40:50, 30:60] *= 2
    scales = scales_from_parallax(seen.rgb, depth, cameras)
    torch.testing.assert_close(scales, torch.ones(4), rtol=0.08, atol=0)


@pytest.mark.parametrize("cameras", [turn(6), turn(1)], ids=["turn on the spot", "one picture"])
def test_without_parallax_nothing_is_told(cameras: Cameras) -> None:
    seen = room().render(cameras)
    assert bool(scales_from_parallax(seen.rgb, seen.depth, cameras).isnan().all())


def test_pictures_that_do_not_match_tell_nothing() -> None:
    cameras = walk(3, 0.3)
    noise = torch.rand(3, 72, 128, 3, generator=torch.Generator().manual_seed(0))
    assert bool(scales_from_parallax(noise, torch.full((3, 72, 128), 2.0), cameras).isnan().all())
