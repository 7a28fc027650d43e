"""What moves between posed pictures is found, and what stands still is not."""

from __future__ import annotations

import pytest
import torch
from splatmem.depth.motion import moved
from splatmem.geometry.cameras import Cameras

from moving_ball import aside, with_ball
from textured_room import room


def noisy(depth: torch.Tensor) -> torch.Tensor:
    """Off by a smooth few percent, another way in each picture, as a depth model's is."""
    generator = torch.Generator().manual_seed(0)
    coarse = 0.04 * torch.randn(len(depth), 1, 4, 6, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=depth.shape[1:], mode="bicubic")[:, 0]
    return depth * smooth.exp()


@pytest.mark.parametrize("step", [0.45, 0.8], ids=["slow", "fast"])
def test_a_ball_that_moves(step: float) -> None:
    cameras = aside(6)
    places = torch.tensor([[step * (i - 2.5), 0.2, 2.2 + 0.1 * i] for i in range(6)])
    rgb, depth, ball = with_ball(cameras, places)
    found = moved(rgb, noisy(depth), cameras)
    assert (found & ball).sum() >= 0.98 * ball.sum()
    assert (found & ~ball).sum() <= 0.03 * (~ball).sum()


def test_a_plain_ball_that_covers_its_own_place() -> None:
    cameras = aside(6)
    places = torch.tensor([[0.15 * (i - 2.5), 0.2, 2.4] for i in range(6)])
    rgb, depth, ball = with_ball(cameras, places, radius=0.5)
    found = moved(torch.where(ball[..., None], 0.2, rgb), noisy(depth), cameras)
    assert (found & ball).sum() >= 0.98 * ball.sum()
    assert (found & ~ball).sum() <= 0.03 * (~ball).sum()


def test_a_ball_that_stands() -> None:
    cameras = aside(6)
    rgb, depth, _ = with_ball(cameras, torch.tensor([[0.2, 0.2, 2.2]]).repeat(6, 1))
    assert moved(rgb, noisy(depth), cameras).float().mean() <= 0.002


def test_another_exposure_is_no_motion() -> None:
    cameras = aside(6)
    rgb, depth, _ = with_ball(cameras, torch.tensor([[0.2, 0.2, 2.2]]).repeat(6, 1))
    gains = torch.linspace(0.75, 1.0, 6)[:, None, None, None]
    assert moved(gains * rgb, noisy(depth), cameras).float().mean() <= 0.005


def test_pictures_that_show_nothing_in_common_tell_nothing() -> None:
    cameras = aside(2)
    away = torch.eye(4)[None].clone()
    away[0, 0, 0] = away[0, 2, 2] = -1.0
    apart = Cameras.cat([cameras[:1], Cameras.from_fov(away, 70, 128, 72)])
    reading = room().render(apart)
    assert not moved(reading.rgb, reading.depth, apart).any()


def test_sky_stands_still() -> None:
    cameras = aside(3)
    rgb = torch.rand(3, 72, 128, 3, generator=torch.Generator().manual_seed(0))
    assert not moved(rgb, torch.full((3, 72, 128), torch.inf), cameras).any()


def test_a_sliver_at_the_border_where_no_other_picture_looks() -> None:
    cameras = aside(6)
    # Of the first picture's ball all but seven columns are cut off, and the other pictures look to the right of them.
    places = torch.tensor([[-2.03, 0.2, 2.2], *([-0.9 + 0.45 * i, 0.2, 2.2] for i in range(5))])
    rgb, depth, ball = with_ball(cameras, places)
    found = moved(rgb, noisy(depth), cameras)
    assert (found & ball)[0].sum() >= 0.9 * ball[0].sum()
    assert (found & ~ball).sum() <= 0.03 * (~ball).sum()
