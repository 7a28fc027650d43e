"""Depth maps as surfaces: planes stay, ripples go, ramps become steps, and nothing leaks across a step."""

from __future__ import annotations

import torch
from splatmem.depth.surfaces import smooth_surfaces
from torch import Tensor

SIZE = (72, 96)


def everywhere(depth: Tensor) -> Tensor:
    return torch.ones(depth.shape, dtype=torch.bool)


def plane(near: float = 2.0) -> Tensor:
    """A slanted floor: inverse depth is linear in the picture."""
    y, x = torch.meshgrid(torch.linspace(0, 1, SIZE[0]), torch.linspace(0, 1, SIZE[1]), indexing="ij")
    return near / (0.3 + 0.5 * y + 0.2 * x)


def test_a_plane_stays_a_plane() -> None:
    depth = plane()
    torch.testing.assert_close(smooth_surfaces(depth, everywhere(depth)), depth, rtol=5e-3, atol=0)


def test_ripples_go() -> None:
    ripple = 1 + 0.02 * torch.sin(torch.arange(SIZE[1]) / 2.5)
    depth = plane() * ripple
    after = smooth_surfaces(depth, everywhere(depth))
    assert (after / plane() - 1).abs().mean() < 0.25 * (depth / plane() - 1).abs().mean()


def test_a_ramp_between_two_surfaces_becomes_a_step() -> None:
    far, near = plane(), plane(1.0)
    depth = torch.where(torch.arange(SIZE[1]) < 48, far, near)
    depth[:, 47] = 1 / (0.5 / far[:, 47] + 0.5 / near[:, 47])
    after = smooth_surfaces(depth, everywhere(depth))
    off = torch.minimum((after / far - 1).abs(), (after / near - 1).abs())
    assert off[:, 40:56].max() < 0.03
    assert ((after[:, 46] / far[:, 46] - 1).abs() < 0.03).all()
    assert ((after[:, 49] / near[:, 49] - 1).abs() < 0.03).all()


def test_a_thin_upright_thing_becomes_straight() -> None:
    wall = torch.full(SIZE, 4.0)
    bent = 2.0 * (1 + 0.06 * torch.sin(torch.arange(SIZE[0]) / 2.5))
    depth = wall.clone()
    depth[:, 44:52] = bent[:, None]
    after = smooth_surfaces(depth, everywhere(depth))
    assert after[:, 45:51].std() < 0.5 * bent.std()
    torch.testing.assert_close(after[:, :40], wall[:, :40], rtol=0.01, atol=0)


def test_sky_is_left_alone_and_lends_nothing() -> None:
    depth = plane()
    sky = torch.zeros(SIZE, dtype=torch.bool)
    sky[:20] = True
    depth[sky] = torch.inf
    after = smooth_surfaces(depth, ~sky)
    assert torch.isinf(after[sky]).all()
    torch.testing.assert_close(after[~sky], depth[~sky], rtol=0.02, atol=0)


def test_the_unit_does_not_matter() -> None:
    depth = plane() * (1 + 0.02 * torch.rand(SIZE, generator=torch.Generator().manual_seed(0)))
    small, large = smooth_surfaces(depth, everywhere(depth)), smooth_surfaces(1000 * depth, everywhere(depth))
    torch.testing.assert_close(large, 1000 * small, rtol=1e-4, atol=0)


def test_hardly_anything_there_is_no_fault() -> None:
    depth = torch.full((4, 5), torch.inf)
    depth[0, 0] = 2.0
    assert torch.equal(smooth_surfaces(depth, torch.isfinite(depth)), depth)
