"""Slender things that stand on something stand upright."""

from __future__ import annotations

import pytest
import torch
from jaxtyping import Bool, Float
from splatmem.depth.upright import stand_upright
from splatmem.geometry.cameras import identity_camera
from torch import Tensor

WIDTH, HEIGHT = 192, 108
CAMERA = identity_camera(60.0, WIDTH, HEIGHT)
DOWN = torch.tensor([0.0, 1.0, 0.0])
GREY = torch.full((HEIGHT, WIDTH, 3), 0.5)
EYE_HEIGHT, WALL, POST = 1.5, 8.0, 5.0  # metres: of the camera above the floor, and how far away a wall and a post are
HEAD, HALF_WIDTH, MIDDLE = 20, 4, 100  # of the post, in pixels


def room() -> Float[Tensor, "h w"]:
    """Depth of a level floor before a wall."""
    slope = CAMERA.pixel_rays()[0, ..., 1]
    return torch.where(slope > EYE_HEIGHT / WALL, EYE_HEIGHT / slope.clamp_min(1e-6), WALL)


def foot_row() -> int:
    """The row in which the floor is as far away as the post."""
    return int((room()[:, 0] <= POST).int().argmax())


def with_post(lean: float, sideways: int = 0) -> tuple[Float[Tensor, "h w"], Bool[Tensor, "h w"]]:
    """Depth of the room with a post whose head is ``lean`` times as far away as its foot and ``sideways`` pixels beside it;
    and the post's pixels."""
    depth, own = room(), torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    foot = foot_row()
    for row in range(HEAD, foot):
        share = (foot - row) / (foot - HEAD)
        middle = MIDDLE + round(sideways * share)
        own[row, middle - HALF_WIDTH : middle + HALF_WIDTH + 1] = True
        depth[row, middle - HALF_WIDTH : middle + HALF_WIDTH + 1] = POST * lean**share
    return depth, own


def unevenness(depth: Float[Tensor, " n"]) -> float:
    """Ratio of the far to the near depths of a post; a row or two at its foot do not count."""
    return float(depth.quantile(0.95) / depth.quantile(0.05))


@pytest.mark.parametrize("lean", [0.85, 1.2])
def test_a_post_that_leans_stands_upright(lean: float) -> None:
    depth, own = with_post(lean)
    stood = stand_upright(depth, GREY, CAMERA, DOWN)
    assert unevenness(stood[own]) < 1.01
    assert unevenness(depth[own]) > 1.1
    assert stood[own].median() == pytest.approx(POST, rel=0.05)
    # Around its foot floor that is as near as the post may go with it; all else stays.
    foot = foot_row()
    elsewhere = torch.ones_like(own)
    elsewhere[HEAD : foot + 6, MIDDLE - 2 * HALF_WIDTH : MIDDLE + 2 * HALF_WIDTH + 1] = False
    assert torch.allclose(stood[elsewhere], depth[elsewhere])


def test_what_stands_on_a_box_that_is_seen_from_the_side() -> None:
    """Two thirds up from its foot it is already clearly nearer than the box."""
    depth = torch.full((HEIGHT, WIDTH), WALL)
    depth[60:, 70:130] = POST
    own = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    own[HEAD:60, 92:109] = True
    height = (60 - torch.arange(HEIGHT))[:, None] / (60 - HEAD)
    depth = torch.where(own, POST * 0.75**height, depth)
    stood = stand_upright(depth, GREY, CAMERA, DOWN)
    assert unevenness(depth[own]) > 1.2
    assert unevenness(stood[own]) < 1.02
    assert stood[own].median() == pytest.approx(POST, rel=0.03)


def test_a_ridge_of_a_slanted_surface_stays() -> None:
    row, column = torch.arange(HEIGHT)[:, None], torch.arange(WIDTH)
    beside = (column - MIDDLE).abs().clamp(max=14) * 0.03
    depth = 9.0 - 0.05 * row + beside * ((row - 30) / 20).clamp(0, 1)
    assert torch.allclose(stand_upright(depth, GREY, CAMERA, DOWN), depth)


def test_a_post_that_stands_keeps_its_depth() -> None:
    depth, _ = with_post(1.0)
    assert torch.allclose(stand_upright(depth, GREY, CAMERA, DOWN), depth, rtol=0.02)


def test_what_leans_to_a_side_is_not_made_upright() -> None:
    depth, own = with_post(1.2, sideways=40)
    assert torch.allclose(stand_upright(depth, GREY, CAMERA, DOWN)[own], depth[own])


def test_what_hangs_in_the_air_stays_as_it_is() -> None:
    depth, own = with_post(1.2)
    foot = foot_row()
    shown = own.clone()
    shown[(HEAD + foot) // 2 :] = False
    hanging = torch.where(own & ~shown, room(), depth)
    assert torch.allclose(stand_upright(hanging, GREY, CAMERA, DOWN)[shown], depth[shown])


@pytest.mark.filterwarnings("error")
def test_a_low_thing_in_the_air_is_no_reason_to_warn() -> None:
    depth = room()
    depth[HEAD : HEAD + 8, MIDDLE : MIDDLE + 4] = POST
    assert torch.equal(stand_upright(depth, GREY, CAMERA, DOWN), depth)


@pytest.mark.parametrize("shown", [True, False])
def test_what_hangs_above_a_floor_gets_the_stem_that_the_picture_shows(shown: bool) -> None:
    depth, own = with_post(1.0)
    head, foot = HEAD, foot_row()
    middle = (head + foot) // 2
    hanging = torch.where(own & (torch.arange(HEIGHT)[:, None] >= middle), room(), depth)
    rgb = GREY.clone()
    if shown:
        rgb[middle:foot, MIDDLE : MIDDLE + 2] = 0.1
    stood = stand_upright(hanging, rgb, CAMERA, DOWN)
    stem = stood[middle : foot - 2, MIDDLE : MIDDLE + 2]
    assert torch.allclose(stem, torch.tensor(POST), rtol=0.03) == shown
    beside = (slice(middle, foot - 2), slice(MIDDLE + 3, MIDDLE + 20))
    assert torch.allclose(stood[beside], room()[beside])


def test_sky_stays_sky_and_a_post_before_it_stands() -> None:
    depth, own = with_post(1.2)
    depth[(room() == WALL) & ~own] = torch.inf
    stood = stand_upright(depth, GREY, CAMERA, DOWN)
    assert torch.equal(torch.isinf(stood), torch.isinf(depth))
    assert unevenness(stood[own]) < 1.01


def test_a_picture_of_sky_alone_stays_as_it_is() -> None:
    sky = torch.full((HEIGHT, WIDTH), torch.inf)
    assert torch.equal(stand_upright(sky, GREY, CAMERA, DOWN), sky)


def test_sky_between_the_parts_of_a_tower_stays_sky() -> None:
    depth, own = with_post(1.2)
    depth[~own & torch.isclose(depth, torch.tensor(WALL))] = torch.inf
    hole = slice(HEAD + 20, HEAD + 22), slice(MIDDLE - HALF_WIDTH, MIDDLE + HALF_WIDTH + 1)
    depth[hole] = torch.inf
    stood = stand_upright(depth, GREY, CAMERA, DOWN)
    assert torch.equal(torch.isinf(stood), torch.isinf(depth))
    assert (stood > 0).all()
    assert unevenness(stood[own & torch.isfinite(depth)]) < 1.01
