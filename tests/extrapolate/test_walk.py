from itertools import pairwise

import numpy as np
import pytest
import torch
from splatmem.extrapolate.walk import COLUMNS, SHORTEST, Stretch, walk_around

WIDTH = 4 * COLUMNS


def hedge() -> torch.Tensor:
    """Columns that change slowly to and fro, so that each has others like it."""
    across = torch.sin(torch.arange(WIDTH) / WIDTH * 20 * torch.pi) * 0.1 + 0.5
    return across.expand(4, 48, WIDTH).clone()


def shown(stretch: Stretch) -> np.ndarray:
    count = round(stretch.length * COLUMNS)
    return stretch.begin * COLUMNS - (stretch.step < 0) + stretch.step * np.arange(count)


def nothing() -> torch.Tensor:
    return torch.zeros(48, WIDTH)


@pytest.mark.parametrize("length", [1.0, 4.3])
def test_stretches_fill_the_rest_of_the_turn_and_stay_in_the_view(length: float) -> None:
    stretches = walk_around(hedge(), nothing(), length, seed=0)
    assert sum(stretch.length for stretch in stretches) == pytest.approx(length)
    for stretch in stretches:
        columns = shown(stretch)
        assert len(columns) >= SHORTEST
        assert columns.min() > -0.5
        assert columns.max() < COLUMNS - 0.5


def test_what_is_prominent_comes_least() -> None:
    picture, prominent = hedge(), nothing()
    thing = slice(WIDTH // 2 - 20, WIDTH // 2 + 20)
    picture[0, 10:40, thing] = 1.0
    prominent[10:40, thing] = 1.0
    stretches = walk_around(picture, prominent, 5.0, seed=0)
    columns = np.concatenate([shown(stretch) for stretch in stretches])
    middle = np.abs(columns - COLUMNS / 2) < 4
    assert middle.mean() < 0.5 * 8 / COLUMNS


def test_no_mirror_image_stands_beside_its_original() -> None:
    stretches = walk_around(hedge(), nothing(), 5.0, seed=0)
    for before, after in pairwise(stretches):
        turned = before.step != after.step
        assert not turned or abs(shown(before)[-1] - shown(after)[0]) >= SHORTEST


def test_jumps_go_to_where_the_view_looks_alike() -> None:
    picture = hedge()
    picture += torch.linspace(0, 0.6, WIDTH)  # from dark to light: only near places look alike
    stretches = walk_around(picture, nothing(), 4.0, seed=0)
    steps = [abs(shown(a)[-1] + a.step - shown(b)[0]) for a, b in pairwise(stretches)]
    assert np.median(steps) < COLUMNS / 4


def test_another_seed_goes_another_way_and_the_same_the_same() -> None:
    first, again, other = (walk_around(hedge(), nothing(), 5.0, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_a_blank_view_can_be_walked() -> None:
    stretches = walk_around(torch.full((4, 48, WIDTH), 0.5), nothing(), 5.0, seed=3)
    assert sum(stretch.length for stretch in stretches) == pytest.approx(5.0)


def test_a_long_rest_of_the_turn_is_one_walk_again_and_again_with_the_view_between() -> None:
    stretches = walk_around(hedge(), nothing(), 21.0, seed=0)
    assert sum(stretch.length for stretch in stretches) == pytest.approx(21.0)
    whole = Stretch(0.0, 1.0, 1)
    walk = walk_around(hedge(), nothing(), 10.0, seed=0)
    assert stretches == [*walk, whole, *walk]
