"""Which parts of a depth map are sky, by what the model says, the horizon, and the picture."""

from __future__ import annotations

import torch
from splatmem.classes import PixelClass
from splatmem.depth.sky import plausible_sky
from splatmem.geometry.cameras import Cameras, identity_camera
from torch import Tensor

CAMERA = identity_camera(60.0, 64, 36)
DOWN = torch.tensor([0.0, 1.0, 0.0])
GREY = torch.full((36, 64, 3), 0.5)
LARGE = identity_camera(60.0, 192, 108)


def checked(depth: Tensor, rgb: Tensor, camera: Cameras = LARGE) -> Tensor:
    return plausible_sky(depth, camera, DOWN, rgb)


def meadow() -> tuple[Tensor, Tensor]:
    """A blue sky, lighter towards the horizon in row 50, above a meadow; and which pixels are sky."""
    noise = torch.rand(108, 192, 3, generator=torch.Generator().manual_seed(0))
    share = torch.linspace(0, 1, 108)[:, None, None]
    sky = torch.tensor([0.25, 0.45, 0.85]) * (1 - share) + torch.tensor([0.75, 0.85, 0.98]) * share + 0.01 * noise
    ground = torch.tensor([0.2, 0.4, 0.1]) + 0.2 * noise
    above = (torch.arange(108) < 50)[:, None].expand(108, 192)
    return torch.where(above[..., None], sky.expand(108, 192, 3), ground), above


def test_sky_is_kept_above_the_horizon_only() -> None:
    depth = torch.full((36, 64), 3.0)
    depth[:10] = torch.inf
    depth[25:30, 20:40] = torch.inf
    picture = GREY.clone()
    picture[10:] = 0.2
    found = plausible_sky(depth, CAMERA, DOWN, picture)
    assert torch.isinf(found[:10]).all()
    assert torch.isfinite(found[20:]).all()
    assert (found[25:30, 20:40] - 3.0).abs().max() < 1e-3


def test_specks_are_not_sky() -> None:
    depth = torch.full((36, 64), 3.0)
    depth[4, 7] = torch.inf
    assert torch.isfinite(plausible_sky(depth, CAMERA, DOWN, GREY)).all()


def test_nothing_but_sky_stays() -> None:
    depth = torch.full((36, 64), torch.inf)
    assert torch.equal(plausible_sky(depth, CAMERA, DOWN, GREY), depth)


def test_all_of_a_blue_sky_is_sky() -> None:
    """The model sees sky in the lower half alone, and a wall above it: with holes and with frayed rims."""
    rgb, above = meadow()
    depth = torch.full((108, 192), 2.0)
    depth[25:48] = torch.inf
    depth[30:36, 60:70] = 1.5
    found = checked(depth, rgb)
    assert torch.isinf(found[above]).float().mean() > 0.99
    assert torch.isfinite(found[~above]).all()
    assert torch.equal(found[60:], depth[60:]), "the ground stays as it was told"


def test_a_blue_sky_that_the_model_takes_for_a_wall() -> None:
    rgb, above = meadow()
    found = checked(torch.full((108, 192), 1.2), rgb)
    assert torch.isinf(found[above]).float().mean() > 0.99
    assert torch.isfinite(found[~above]).all()


def test_clouds_and_birds_are_as_far_as_the_sky_and_a_tree_is_not() -> None:
    rgb, _ = meadow()
    rgb[10:22, 30:60] = 0.95
    rgb[30:32, 100:103] = torch.tensor([0.1, 0.1, 0.05])
    rgb[20:60, 150:154] = torch.tensor([0.3, 0.2, 0.1])
    found = checked(torch.full((108, 192), 1.2), rgb)
    assert torch.isinf(found[8:24, 28:62]).all(), "the cloud"
    assert torch.isinf(found[28:34, 98:105]).all(), "the bird"
    assert torch.isfinite(found[24:50, 151:153]).all(), "the tree, which stands on the ground"


def test_a_sky_that_fills_the_picture() -> None:
    """The camera looks up: the horizon lies below the picture, whatever gravity is taken to be."""
    rgb = meadow()[0][:50].repeat_interleave(3, dim=0)[:108]
    assert torch.isinf(checked(torch.full((108, 192), 1.0), rgb)).all()


def test_walls_stay_walls() -> None:
    """A green wall of which the model takes a part for sky, and a blue picture on a white one."""
    green = torch.tensor([0.5, 0.6, 0.1]).expand(108, 192, 3) + 0.01 * torch.rand(108, 192, 3)
    depth = torch.full((108, 192), 2.0)
    depth[:50, :80] = torch.inf
    assert torch.isfinite(checked(depth, green)[:, 100:]).all()
    white = torch.full((108, 192, 3), 0.8)
    white[10:40, 60:130] = torch.tensor([0.2, 0.4, 0.8])
    assert torch.isfinite(checked(torch.full((108, 192), 2.0), white)).all()


def test_a_sky_may_end_below_a_horizon_that_was_guessed_too_high_but_a_lake_may_not() -> None:
    camera = Cameras.from_fov(torch.eye(4)[None], 60.0, 96, 64)
    depth = torch.full((64, 96), 10.0)
    depth[:40] = torch.inf  # the picture's middle, at row 32, is the horizon that gravity tells
    depth[48:56] = torch.inf
    rgb = torch.rand(64, 96, 3, generator=torch.Generator().manual_seed(0))
    sky = torch.isinf(plausible_sky(depth, camera, torch.tensor([0.0, 1.0, 0.0]), rgb))
    assert sky[:40].all()
    assert not sky[41:].any()


def hazy_lake() -> tuple[Tensor, Tensor, Tensor]:
    """A lake as pale and smooth as the sky above it, which the model parts in row 40, above the horizon that gravity tells; the
    model's depth and its classes."""
    rgb = torch.full((108, 192, 3), 0.8)
    depth = torch.linspace(300, 20, 108)[:, None].expand(108, 192).clone()
    depth[:40] = torch.inf
    logits = torch.zeros(len(PixelClass), 108, 192)
    logits[PixelClass.SKY, :40], logits[PixelClass.GROUND, 40:] = 9.0, 9.0
    return rgb, depth, logits


def test_a_lake_in_the_haze_is_no_sky() -> None:
    rgb, depth, logits = hazy_lake()
    found = plausible_sky(depth, LARGE, DOWN, rgb, logits)
    assert torch.isinf(found[:38]).all()
    assert torch.isfinite(found[44:]).all()
    assert torch.isinf(plausible_sky(depth, LARGE, DOWN, rgb)[44:52]).all(), "by the picture alone it is"


def test_a_sky_that_the_model_knows_may_end_far_below_the_horizon() -> None:
    """The camera looks up, and gravity was guessed: all below row 54 lies below the horizon."""
    rgb, depth, logits = (
        torch.full((108, 192, 3), 0.6),
        torch.full((108, 192), torch.inf),
        torch.zeros(len(PixelClass), 108, 192),
    )
    depth[60:, 80:110] = 5.0
    logits[PixelClass.SKY] = 9.0
    assert torch.isinf(plausible_sky(depth, LARGE, DOWN, rgb, logits)[:, :78]).all()
    assert torch.isfinite(plausible_sky(depth, LARGE, DOWN, rgb)[90:, :60]).all()


def test_a_cable_parts_no_sky() -> None:
    """Beside it the smaller part of the sky lies mostly below the horizon that gravity tells."""
    rgb = torch.rand(108, 192, 3, generator=torch.Generator().manual_seed(0))
    depth = torch.full((108, 192), torch.inf)
    depth[64:] = 10.0
    depth[48:64, 100:103] = depth[48:51, 103:] = 4.0
    found = plausible_sky(depth, LARGE, DOWN, rgb)
    assert torch.isinf(found[52:63, 105:]).all()
