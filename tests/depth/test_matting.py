"""Pixels that show some of a thing and some of what is behind it."""

from __future__ import annotations

import pytest
import torch
from jaxtyping import Float
from splatmem.depth.matting import soft_rims
from splatmem.depth.protocol import DepthPrediction
from splatmem.explore.beginnings import begin_memory
from splatmem.explore.loop import ExploreSettings
from splatmem.gaussians.lift import LiftSettings
from splatmem.geometry.cameras import identity_camera
from splatmem.memory import SpatialMemory
from splatmem.timing import StageClock
from torch import Tensor

HEIGHT, WIDTH, NEAR, FAR = 48, 64, 2.0, 4.0
CAMERA = identity_camera(60.0, WIDTH, HEIGHT)
THING, WALL = torch.tensor([0.8, 0.2, 0.1]), torch.tensor([0.3, 0.5, 0.6])
ROWS = slice(10, 38)


def soft_square(step: int = 0) -> tuple[Float[Tensor, "h w 3"], Float[Tensor, "h w"], Float[Tensor, "h w"]]:
    """A square before a wall whose upright rims are three pixels wide: its picture, its depth, and how much of a pixel it
    covers.

    Args:
        step: pixels by which the depth's step lies outside of the middle of the rims.
    """
    share = torch.zeros(HEIGHT, WIDTH)
    share[ROWS, 20:44] = 1.0
    share[ROWS, 19:22] = torch.tensor([0.25, 0.5, 0.75])
    share[ROWS, 42:45] = torch.tensor([0.75, 0.5, 0.25])
    depth = torch.full((HEIGHT, WIDTH), FAR)
    depth[ROWS, 20 - step : 44 + step] = NEAR
    return WALL + share[..., None] * (THING - WALL), depth, share


@pytest.mark.parametrize("step", [-1, 0])
def test_shares_and_the_colours_of_both_sides_are_told(step: int) -> None:
    rgb, depth, share = soft_square(step)
    rims = soft_rims(rgb, depth)
    mixed = (share > 0) & (share < 1)
    assert torch.equal(rims.where, mixed)
    assert torch.allclose(rims.share[mixed], share[mixed], atol=0.02)
    assert torch.allclose(rims.rgb[mixed], THING.expand(int(mixed.sum()), 3), atol=0.02)
    assert torch.allclose(rims.rgb_behind[mixed], WALL.expand(int(mixed.sum()), 3), atol=0.02)
    assert (rims.depth[mixed] == NEAR).all()
    assert (rims.depth_behind[mixed] == FAR).all()


def test_where_both_sides_look_alike_or_something_else_shows_nothing_is_told() -> None:
    rgb, depth, _ = soft_square()
    assert not soft_rims(WALL + 0.1 * (rgb - WALL), depth).where.any()
    green = rgb.clone()
    green[ROWS, 19:22] = torch.tensor([0.2, 0.9, 0.2])
    assert not soft_rims(green, depth).where[:, :32].any()


def test_a_rim_covers_its_share() -> None:
    rgb, depth, _ = soft_square()
    rims = soft_rims(rgb, depth)
    memory = SpatialMemory()
    memory.write(rgb, depth, CAMERA, torch.ones_like(rims.where), rims=rims)
    seen = memory.read(CAMERA)
    middle = slice(16, 32)
    assert seen.alpha[0, 2:-2, 2:-2].min() > 0.98
    assert (seen.rgb[0] - rgb)[middle].abs().max() < 0.2
    assert (seen.rgb[0] - rgb)[middle].abs().mean() < 0.02


def test_only_selected_rims_are_lifted_and_counted() -> None:
    rgb, depth, _ = soft_square()
    rims = soft_rims(rgb, depth)
    some = torch.zeros_like(rims.where)
    some[:, :32] = True
    layers, behind = rims.lifted_with(rgb, depth, CAMERA, rims.where & some, LiftSettings())
    covers = layers.opacity_logits < layers.opacity_logits.max()
    assert 0 < int((rims.where & some).sum()) < int(rims.where.sum())
    assert len(layers) - behind == int((rims.where & some).sum())
    assert not covers[:behind].any()


def test_a_later_frame_has_no_rims() -> None:
    rgb, depth, _ = soft_square()
    rims, every = soft_rims(rgb, depth), torch.ones(depth.shape, dtype=torch.bool)
    memory = SpatialMemory()
    memory.write(rgb, depth, CAMERA, every, rims=rims)
    with pytest.raises(ValueError, match="first frame"):
        memory.write(rgb, depth, CAMERA.moved(right=0.5), every, rims=rims)


def test_from_aside_no_thread_stays_on_the_wall_and_no_halo_around_the_thing() -> None:
    rgb, depth, _ = soft_square()
    memory = begin_memory(
        rgb,
        CAMERA,
        lambda images, fov_x_degrees=None: DepthPrediction(depth[None], metric=True),
        ExploreSettings(),
        StageClock(),
    )
    assert (memory.read(CAMERA).rgb[0] - rgb)[16:32].abs().max() < 0.08
    aside = CAMERA.moved(right=0.35)
    seen = memory.read(aside).rgb[0, 18:30]
    # The wall where the thing's right rim was, and the thing's new rim: nothing but these two colours and what is between.
    red = (seen - WALL) @ (THING - WALL) / (THING - WALL).square().sum()
    wall = red[:, 46:60]
    assert wall.abs().max() < 0.15
