import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from splatmem.geometry.sampling import evenly_spread


@given(st.integers(1, 5000), st.integers(2, 200))
def test_first_and_last_included_and_no_repeats(count: int, limit: int) -> None:
    chosen = evenly_spread(count, limit)
    assert chosen == sorted(set(chosen))
    assert len(chosen) == min(count, limit)
    assert (chosen[0], chosen[-1]) == (0, count - 1)
    gaps = [b - a for a, b in itertools.pairwise(chosen)]
    assert all(abs(gap - (count - 1) / (len(chosen) - 1)) <= 1 for gap in gaps)


@pytest.mark.parametrize("count", range(1, 12))
def test_fewer_than_asked_for_are_all_taken_once(count: int) -> None:
    assert evenly_spread(count, 12) == list(range(count))


def test_none_and_one() -> None:
    assert evenly_spread(0, 5) == []
    assert evenly_spread(9, 1) == [0]


@pytest.mark.parametrize(("count", "limit"), [(-1, 4), (4, 0)])
def test_impossible_numbers_are_refused(count: int, limit: int) -> None:
    with pytest.raises(ValueError, match="at least"):
        evenly_spread(count, limit)
