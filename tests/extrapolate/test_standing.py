import pytest
import torch
from splatmem.extrapolate.standing import removable_standing, standing_out
from torch import Tensor

HEIGHT, WIDTH = 54, 96
TOWER = (slice(5, 36), slice(30, 45))
NOTHING = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)


def plain(*things: tuple[tuple[slice, slice], float]) -> tuple[Tensor, Tensor]:
    """Depth of things before the sky on a plain, and where the plain shows."""
    depth = torch.full((HEIGHT, WIDTH), torch.inf)
    rows = torch.arange(30, HEIGHT, dtype=torch.float32)
    depth[30:] = (60.0 / (rows - 29))[:, None]
    level = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    level[30:] = True
    for place, distance in things:
        depth[place], level[place] = distance, False
    return depth, level


def test_a_tower_before_the_sky_can_be_taken_away_whole() -> None:
    depth, level = plain((TOWER, 8.0))
    gone = removable_standing(depth, level, NOTHING)
    assert gone[TOWER].all()
    assert not gone[:, :25].any()
    assert not gone[:, 50:].any()


def test_bushes_that_touch_a_tower_do_not_keep_it() -> None:
    bushes = (slice(28, 36), slice(2, 30))
    depth, level = plain((TOWER, 8.0), (bushes, 8.0))
    green = NOTHING.clone()
    assert not removable_standing(depth, level, green).any()
    green[bushes] = True
    assert removable_standing(depth, level, green)[5:28, 30:45].all()


def test_hills_along_the_horizon_belong_to_the_place() -> None:
    depth, level = plain(((slice(20, 30), slice(20, 60)), 50.0))
    assert standing_out(depth, level)[20:30, 20:60].all()
    assert not removable_standing(depth, level, NOTHING).any()


def test_trunks_before_other_trunks_are_the_place() -> None:
    depth, level = plain(((slice(0, 30), slice(0, WIDTH)), 15.0), ((slice(0, 36), slice(40, 46)), 10.0))
    assert not removable_standing(depth, level, NOTHING).any()


@pytest.mark.parametrize("count", [2, 9])
def test_enough_of_the_place_is_left(count: int) -> None:
    starts = [10 * number + 2 for number in range(count)]
    depth, level = plain(*(((slice(5, 36), slice(start, start + 9)), 8.0) for start in starts))
    columns = removable_standing(depth, level, NOTHING).any(0)
    assert columns.any()
    assert columns.float().mean() <= 0.8


def test_nothing_stands_out_where_all_is_sky() -> None:
    depth, level = torch.full((HEIGHT, WIDTH), torch.inf), torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    assert not removable_standing(depth, level, NOTHING).any()


def test_what_is_as_near_on_one_side_does_not_stand_out() -> None:
    depth, level = plain(((slice(0, 54), slice(0, 60)), 8.0), ((slice(0, 54), slice(60, WIDTH)), 20.0))
    assert not removable_standing(depth, level, NOTHING).any()


def test_what_a_side_of_the_picture_cuts_stays() -> None:
    depth, level = plain(((slice(5, 36), slice(0, 10)), 8.0))
    assert standing_out(depth, level)[5:30, :10].all()
    assert not removable_standing(depth, level, NOTHING).any()
