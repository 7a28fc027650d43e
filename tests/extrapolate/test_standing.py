from __future__ import annotations

import torch
from splatmem.extrapolate.standing import before_both_sides
from torch import Tensor

HEIGHT, WIDTH = 54, 96


def plain(*things: tuple[tuple[slice, slice], float]) -> Tensor:
    """Depth of things before the sky on a plain."""
    depth = torch.full((HEIGHT, WIDTH), torch.inf)
    depth[30:] = (60.0 / torch.arange(1.0, HEIGHT - 29))[:, None]
    for place, distance in things:
        depth[place] = distance
    return depth


def test_a_tower_stands_before_the_sky_on_both_sides_and_the_plain_does_not() -> None:
    tower = slice(5, 36), slice(30, 45)
    before = before_both_sides(plain((tower, 8.0)))
    assert (before[5:30, 30:45] > 1).all()
    assert (before[40:] < 0.01).all()
    assert (before[:, 50:] < 0.01).all()


def test_what_is_as_near_on_one_side_does_not_stand_out() -> None:
    before = before_both_sides(plain(((slice(0, 54), slice(0, 60)), 8.0), ((slice(0, 54), slice(60, WIDTH)), 20.0)))
    assert (before < 0.01).all()


def test_what_a_side_of_the_picture_cuts_stands_out_too() -> None:
    assert (before_both_sides(plain(((slice(5, 36), slice(0, 10)), 8.0)))[5:30, :10] > 1).all()


def test_nothing_stands_out_where_all_is_sky() -> None:
    assert not before_both_sides(torch.full((HEIGHT, WIDTH), torch.inf)).any()
