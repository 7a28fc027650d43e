"""Noise becomes a picture by gradient."""

import torch
from splatmem.metrics import psnr

from fit_picture import fit, noise, shown

WIDTH, HEIGHT = 64, 48


def picture() -> torch.Tensor:
    """A disc before a gradient of colours."""
    y, x = torch.meshgrid(torch.linspace(0, 1, HEIGHT), torch.linspace(0, 1, WIDTH), indexing="ij")
    disc = ((x - 0.4).square() + (y - 0.5).square()).sqrt() < 0.25
    return torch.where(disc[..., None], torch.tensor([0.9, 0.2, 0.1]), torch.stack([x, y, 1 - x], dim=-1))


def test_noise_becomes_a_picture() -> None:
    before = noise(600, WIDTH, HEIGHT)
    after = fit(before, picture(), steps=150)
    first, last = (psnr(shown(gaussians, WIDTH, HEIGHT), picture()) for gaussians in (before, after))
    assert first < 12
    assert last > 26
