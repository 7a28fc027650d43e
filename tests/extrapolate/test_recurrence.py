"""Small synthetic photos of the kinds that can be shown again all around, and of those that cannot."""

import pytest
import torch
import torch.nn.functional as F
from splatmem.extrapolate.recurrence import rare, recurs, unlikeness

HEIGHT, WIDTH = 90, 160


def noise(height: int, width: int, seed: int = 0) -> torch.Tensor:
    """Grey noise, enlarged to the picture."""
    small = torch.rand(1, 1, height, width, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(small, size=(HEIGHT, WIDTH), mode="bilinear")[0, 0, ..., None].expand(-1, -1, 3)


def meadow() -> torch.Tensor:
    """Fine grass, a little lighter here and there."""
    return torch.tensor([0.3, 0.5, 0.2]) + 0.4 * (noise(90, 160) - 0.5) + 0.3 * (noise(6, 12) - 0.5)


def garden_out_of_focus() -> torch.Tensor:
    return torch.tensor([0.3, 0.5, 0.2]) + 0.6 * (noise(5, 8) - 0.5)


def facade() -> torch.Tensor:
    """Signs, doors and windows of different colours, with sharp edges."""
    signs = torch.rand(1, 3, 6, 10, generator=torch.Generator().manual_seed(1))
    return F.interpolate(signs, size=(HEIGHT, WIDTH), mode="nearest")[0].permute(1, 2, 0) + 0.1 * noise(90, 160)


def plain_wall() -> torch.Tensor:
    return torch.full((HEIGHT, WIDTH, 3), 0.8) + 0.01 * noise(90, 160)


def goes_on(rgb: torch.Tensor, left: torch.Tensor | None = None, known_again: torch.Tensor | None = None) -> bool:
    everywhere = torch.ones(HEIGHT, WIDTH, dtype=torch.bool)
    left = everywhere if left is None else left
    return recurs(rgb, left, ~everywhere if known_again is None else known_again, unlikeness(rgb, left))


def test_grass_can_be_shown_again() -> None:
    assert goes_on(meadow())


@pytest.mark.parametrize("photo", [garden_out_of_focus, facade, plain_wall])
def test_blurred_built_and_plain_places_cannot(photo) -> None:
    assert not goes_on(photo())


def test_a_place_of_which_little_is_left_cannot() -> None:
    left = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    left[:, :24] = True
    assert not goes_on(meadow(), left)


def test_a_place_full_of_what_is_known_again_cannot() -> None:
    known_again = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    known_again[:, :80] = True
    assert not goes_on(meadow(), known_again=known_again)


def test_an_animal_on_a_meadow_is_rare_whatever_it_is_taken_for() -> None:
    rgb, everywhere = meadow(), torch.ones(HEIGHT, WIDTH, dtype=torch.bool)
    animal = slice(44, 54), slice(70, 84)
    assert not rare(unlikeness(rgb, everywhere), everywhere).any()
    rgb[animal] = torch.tensor([0.9, 0.6, 0.2])
    assert goes_on(rgb)
    found = rare(unlikeness(rgb, everywhere), everywhere)
    assert found[animal].all()
    assert found.float().mean() < 0.12


def test_where_much_is_unlike_nothing_is_rare() -> None:
    everywhere = torch.ones(HEIGHT, WIDTH, dtype=torch.bool)
    rgb = meadow()
    rgb[:, 80:] = facade()[:, 80:]
    assert not rare(unlikeness(rgb, everywhere), everywhere).any()


def test_the_size_of_a_photo_does_not_matter() -> None:
    for photo, expected in ((meadow, True), (facade, False), (garden_out_of_focus, False)):
        small = photo()
        large = F.interpolate(small.permute(2, 0, 1)[None], scale_factor=4, mode="bilinear")[0].permute(1, 2, 0).contiguous()
        left = torch.ones(large.shape[:2], dtype=torch.bool)
        assert recurs(large, left, ~left, unlikeness(large, left)) == expected


def test_what_is_taken_away_is_not_compared() -> None:
    rgb, left = meadow(), torch.ones(HEIGHT, WIDTH, dtype=torch.bool)
    without = unlikeness(rgb, left)
    left[30:60, 50:100] = False
    rgb[30:60, 50:100] = 5.0
    again = unlikeness(rgb, left)
    assert again[left & torch.isfinite(again)].max() < 2 * without.max()
