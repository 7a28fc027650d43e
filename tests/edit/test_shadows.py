"""A thing's soft shadow is found on plain surfaces, and nowhere else."""

from __future__ import annotations

import torch
from splatmem.edit.shadows import shadow_beside

HEIGHT, WIDTH = 90, 120


def wall(texture: float = 0.0) -> torch.Tensor:
    """A wall that is lit from the left."""
    u = torch.linspace(1.0, 0.8, WIDTH)
    noise = torch.rand(HEIGHT, WIDTH, 1, generator=torch.Generator().manual_seed(0)) - 0.5
    return (torch.tensor([0.7, 0.68, 0.6]) * u[None, :, None] * (1 + texture * noise)).clamp(0, 1)


def thing() -> torch.Tensor:
    mask = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    mask[30:60, 40:65] = True
    return mask


def shaded(rgb: torch.Tensor, light: float = 0.8) -> tuple[torch.Tensor, torch.Tensor]:
    where = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    where[35:60, 65:75] = True
    return torch.where(where[..., None], light * rgb, rgb), where


def found(rgb: torch.Tensor, kinds: torch.Tensor | None = None) -> torch.Tensor:
    numbers = torch.zeros(HEIGHT, WIDTH, dtype=torch.int64) if kinds is None else kinds
    return shadow_beside(rgb, torch.ones(HEIGHT, WIDTH, dtype=torch.bool), thing(), numbers)


def test_a_soft_shadow_is_found_whole() -> None:
    rgb, where = shaded(wall())
    shadow = found(rgb)
    assert shadow[where].float().mean() > 0.95
    assert shadow[~where].sum() < 0.8 * where.sum(), "its border, and no more"
    assert not (shadow & thing()).any()


def test_light_that_falls_off_is_no_shadow() -> None:
    assert not found(wall()).any()


def test_on_a_texture_and_on_other_things_nothing_is_told() -> None:
    assert not found(shaded(wall(texture=0.8))[0]).any()
    rgb, where = shaded(wall())
    assert not found(rgb, torch.where(where, -1, 0)).any()


def test_what_is_far_darker_or_of_another_colour_is_another_thing() -> None:
    assert not found(shaded(wall(), light=0.3)[0]).any()
    rgb, where = shaded(wall())
    assert not found(torch.where(where[..., None], rgb * torch.tensor([1.0, 0.7, 0.7]), rgb)).any()
