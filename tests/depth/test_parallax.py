"""Depth in the cameras' unit from the parallax between posed pictures."""

from __future__ import annotations

import pytest
import torch
from splatmem.depth import parallax
from splatmem.depth.parallax import depth_from_parallax
from splatmem.geometry.cameras import Cameras
from torch import Tensor

from textured_room import room, turn


def walk(frames: int, step: float, width: int = 128, height: int = 72) -> Cameras:
    """Sideways steps in the room, with a small turn."""
    poses = torch.eye(4).repeat(frames, 1, 1)
    poses[:, 0, 3] = torch.arange(frames) * step
    return Cameras.from_fov(poses, 70.0, width, height)


def error(depth: Tensor, true: Tensor) -> float:
    return float((depth / true - 1).abs().median())


def test_every_picture_finds_its_scale_over_two_orders_of_magnitude() -> None:
    cameras = walk(5, 0.25)
    seen = room().render(cameras)
    wrong = torch.tensor([0.1, 0.5, 1.0, 4.0, 12.0])
    depth, told = depth_from_parallax(seen.rgb, seen.depth * wrong[:, None, None], cameras)
    assert bool(told.all())
    for index in range(5):
        assert error(depth[index], seen.depth[index]) < 0.02


def test_one_side_may_be_off_by_another_factor_than_the_other() -> None:
    cameras = walk(5, 0.25)
    seen = room().render(cameras)
    slope = torch.linspace(-0.35, 0.35, seen.depth.shape[2]).exp()
    depth, _ = depth_from_parallax(seen.rgb, 2 * seen.depth * slope, cameras)
    for index in range(5):
        assert error(seen.depth[index] * slope, seen.depth[index]) > 0.15
        assert error(depth[index], seen.depth[index]) < 0.05


def test_sky_stays_and_a_few_wrong_depths_do_no_harm() -> None:
    cameras = walk(4, 0.3)
    seen = room().render(cameras)
    depth = seen.depth.clone()
    depth[:, :20] = torch.inf
    depth[:, 40:50, 30:60] *= 2
    aligned, told = depth_from_parallax(seen.rgb, depth, cameras)
    assert bool(told.all())
    assert torch.equal(aligned.isinf(), depth.isinf())
    assert error(aligned[:, 50:], seen.depth[:, 50:]) < 0.05


def test_a_picture_that_tells_nothing_takes_what_is_typical() -> None:
    cameras = walk(5, 0.25)
    seen = room().render(cameras)
    rgb = seen.rgb.clone()
    rgb[2] = torch.rand(72, 128, 3, generator=torch.Generator().manual_seed(0))
    depth, told = depth_from_parallax(rgb, 3 * seen.depth, cameras)
    assert told.tolist() == [True, True, False, True, True]
    assert error(depth[2], seen.depth[2]) < 0.03


@pytest.mark.parametrize("cameras", [turn(6), turn(1)], ids=["turn on the spot", "one picture"])
def test_without_parallax_depth_stays(cameras: Cameras) -> None:
    seen = room().render(cameras)
    depth, told = depth_from_parallax(seen.rgb, seen.depth, cameras)
    assert not bool(told.any())
    assert torch.equal(depth, seen.depth)


def test_pictures_that_do_not_match_tell_nothing() -> None:
    cameras = walk(3, 0.3)
    noise = torch.rand(3, 72, 128, 3, generator=torch.Generator().manual_seed(0))
    assert not bool(depth_from_parallax(noise, torch.full((3, 72, 128), 2.0), cameras)[1].any())


def test_a_factor_that_the_other_pictures_contradict_is_looked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a pattern that comes again and again had agreed at a wrong one."""
    cameras = walk(5, 0.25)
    seen = room().render(cameras)
    finds = parallax._Sweep.scale
    calls: list[float] = []

    def misled(sweep: parallax._Sweep) -> float:
        calls.append(finds(sweep))
        return calls[-1] * (2.5 if len(calls) == 1 else 1.0)

    monkeypatch.setattr(parallax._Sweep, "scale", misled)
    depth, _ = depth_from_parallax(seen.rgb, seen.depth, cameras)
    assert len(calls) == 5
    for index in range(5):
        assert error(depth[index], seen.depth[index]) < 0.02
    monkeypatch.setattr(parallax, "_told_by_others", lambda *_: 1.0)
    calls.clear()
    depth, _ = depth_from_parallax(seen.rgb, seen.depth, cameras)
    assert error(depth[0], seen.depth[0]) > 0.2
