"""Straight lines of the picture are straight in space, and upright ones upright."""

from __future__ import annotations

import pytest
import torch
from jaxtyping import Bool, Float
from splatmem.depth.straight_lines import straighten
from splatmem.geometry.cameras import Cameras, identity_camera
from torch import Tensor

WIDTH, HEIGHT = 192, 108
CAMERA = identity_camera(60.0, WIDTH, HEIGHT)
DOWN = torch.tensor([0.0, 1.0, 0.0])
NOTHING_LEVEL = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)


def striped_wall() -> tuple[Float[Tensor, "h w 3"], Float[Tensor, "h w"]]:
    """A wall seen at a slant, with dark stripes across it, and its depth."""
    rgb = torch.full((HEIGHT, WIDTH, 3), 0.8)
    for top in (20, 50, 80):
        rgb[top : top + 8] = 0.2
    column = torch.linspace(-1, 1, WIDTH).expand(HEIGHT, WIDTH)
    return rgb, 1 / (0.4 - 0.1 * column)


def along(depth: Float[Tensor, "h w"], row: int) -> Float[Tensor, " n"]:
    """Inverse depth along a row, as its relative difference from the straight line between two of its pixels."""
    inverse = 1 / depth[row, 10:-10]
    straight = torch.lerp(inverse[:1], inverse[-1:], torch.linspace(0, 1, len(inverse)))
    return (inverse / straight - 1).abs()


def test_a_rippled_wall_becomes_straight_along_its_lines() -> None:
    rgb, truth = striped_wall()
    ripple = 1 + 0.04 * torch.sin(torch.linspace(0, 20, WIDTH))
    bent = truth * ripple
    straight = straighten(bent, rgb, CAMERA, DOWN, NOTHING_LEVEL)
    for row in (20, 50, 80):
        assert along(bent, row).max() > 0.04
        assert along(straight, row).max() < 0.01
    assert (straight / truth - 1).abs().mean() < 0.4 * (bent / truth - 1).abs().mean()


def test_what_is_straight_stays_as_it_is() -> None:
    rgb, truth = striped_wall()
    assert torch.allclose(straighten(truth, rgb, CAMERA, DOWN, NOTHING_LEVEL), truth, rtol=2e-3)


def test_a_picture_without_lines_keeps_its_depth_to_the_bit() -> None:
    depth = 1 + torch.rand(HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))
    assert torch.equal(straighten(depth, torch.full((HEIGHT, WIDTH, 3), 0.5), CAMERA, DOWN, NOTHING_LEVEL), depth)


def test_sky_stays_sky() -> None:
    rgb, depth = striped_wall()
    depth = depth.clone()
    depth[:35] = torch.inf
    straight = straighten(depth, rgb, CAMERA, DOWN, NOTHING_LEVEL)
    assert torch.equal(torch.isinf(straight), torch.isinf(depth))
    everywhere = torch.full_like(depth, torch.inf)
    assert torch.equal(straighten(everywhere, rgb, CAMERA, DOWN, NOTHING_LEVEL), everywhere)


def leaning_post() -> tuple[Float[Tensor, "h w 3"], Float[Tensor, "h w"], slice, slice, Bool[Tensor, "h w"]]:
    """A post on a floor before a far wall, whose depth leans away from its foot by half."""
    rgb, depth = torch.full((HEIGHT, WIDTH, 3), 0.7), torch.full((HEIGHT, WIDTH), 30.0)
    rows = torch.arange(HEIGHT) + 0.5 - HEIGHT / 2
    focal = float(CAMERA.focal[0, 1])
    floor = torch.where(rows > 20, 1.5 * focal / rows.clamp_min(1), torch.inf)
    depth = torch.minimum(depth, floor[:, None])
    foot = 84
    post = slice(10, foot), slice(90, 100)
    rgb[post] = 0.2
    lean = torch.linspace(1.5, 1.0, foot - 10)[:, None]
    depth[post] = float(floor[foot]) * lean
    level = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    level[foot:] = True
    return rgb, depth, *post, level


def test_what_stands_on_the_floor_stands_upright_on_its_foot() -> None:
    rgb, depth, rows, columns, level = leaning_post()
    straight = straighten(depth, rgb, CAMERA, DOWN, level)
    post = straight[rows, columns][4:-4]
    assert post.amax() / post.amin() < 1.12
    assert float(post.median()) == pytest.approx(float(depth[83, 95]), rel=0.12)
    assert torch.allclose(straight[:60, :60], depth[:60, :60], rtol=0.02)  # the wall behind


def test_a_line_on_the_floor_stays_on_the_floor() -> None:
    rgb = torch.full((HEIGHT, WIDTH, 3), 0.7)
    focal = float(CAMERA.focal[0, 1])
    row = torch.arange(HEIGHT) + 0.5 - HEIGHT / 2
    floor = torch.where(row > 3, 1.5 * focal / row.clamp_min(1), 40.0)[:, None].expand(HEIGHT, WIDTH)
    rgb[60:, 92:99] = 0.2  # a strip that goes straight ahead: as upright in the picture as a post
    straight = straighten(floor, rgb, CAMERA, DOWN, torch.zeros(HEIGHT, WIDTH, dtype=torch.bool))
    assert torch.allclose(straight[70:], floor[70:], rtol=0.01)


def test_gravity_is_the_worlds() -> None:
    rgb, depth, _, _, level = leaning_post()
    turned = torch.eye(4)
    turned[:3, :3] = torch.tensor([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    camera = Cameras(turned[None], CAMERA.intrinsics, WIDTH, HEIGHT)
    down = turned[:3, :3].T @ DOWN
    one = straighten(depth, rgb, CAMERA, DOWN, level)
    other = straighten(depth, rgb, camera, down, level)
    assert torch.allclose(one, other, rtol=1e-4)
