import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from splatmem.extrapolate.copy_order import MOST_STRETCH, PARTS, SHORTEST_LEG, prominence, wander
from splatmem.extrapolate.view_copies import AzimuthRange
from splatmem.geometry.cameras import Cameras

DOWN = torch.tensor([0.0, 1.0, 0.0])


def view(fov: float = 65) -> Cameras:
    return Cameras.from_fov(torch.eye(4)[None], fov, 96, 54)


def thing_in_the_middle() -> torch.Tensor:
    parts = torch.zeros(PARTS)
    parts[24:40] = 1.0
    return parts


def coverage(legs, view_range: AzimuthRange) -> torch.Tensor:
    azimuth = view_range.left + (torch.arange(PARTS) + 0.5) / PARTS * view_range.width
    return torch.stack([leg.holds(azimuth) for leg in legs]).sum(0).float()


@given(st.floats(15, 140), st.integers(0, 2**31))
def test_a_way_closes_the_turn_from_any_view(fov: float, seed: int) -> None:
    view_range = AzimuthRange.of(view(fov), DOWN)
    legs = wander(view_range, torch.zeros(PARTS), seed)
    assert legs[0].begin == view_range.right
    assert legs[-1].end == view_range.left
    assert legs[-1].place + legs[-1].stretch * (legs[-1].begin - view_range.left) == pytest.approx(
        view_range.left + 2 * math.pi
    )
    for leg in legs:
        assert abs(leg.end - leg.begin) >= SHORTEST_LEG * view_range.width * 0.999


def test_prominent_parts_are_repeated_less() -> None:
    view_range = AzimuthRange.of(view(), DOWN)
    thing = thing_in_the_middle()
    ratio = []
    for seed in range(12):
        seen = coverage(wander(view_range, thing, seed), view_range)
        ratio.append((seen[thing > 0].mean() / seen[thing == 0].mean()).item())
    assert sum(ratio) / len(ratio) < 0.85


def test_ways_turn_round_on_background() -> None:
    view_range = AzimuthRange.of(view(), DOWN)
    thing = thing_in_the_middle()
    on_things = turns = 0
    for seed in range(12):
        for leg in wander(view_range, thing, seed)[:-1]:
            turns += 1
            on_things += thing[int((leg.end - view_range.left) / view_range.width * (PARTS - 1))].item()
    assert on_things < 0.15 * turns, "a quarter of the view is a thing"


def test_seeds_find_different_ways_and_the_same_seed_the_same() -> None:
    view_range = AzimuthRange.of(view(), DOWN)
    ways = {wander(view_range, thing_in_the_middle(), seed) for seed in range(6)}
    assert len(ways) > 3
    assert wander(view_range, thing_in_the_middle(), 4) == wander(view_range, thing_in_the_middle(), 4)


def test_stretching_stays_within_its_limit() -> None:
    for fov in (30, 50, 70, 90):
        view_range = AzimuthRange.of(view(fov), DOWN)
        legs = wander(view_range, thing_in_the_middle(), 0)
        assert abs(math.log(legs[0].stretch)) <= math.log(MOST_STRETCH) + 1e-6


def test_prominence_is_the_foregrounds_share_from_left_to_right() -> None:
    camera = view()
    foreground = torch.zeros(54, 96, dtype=torch.bool)
    foreground[27:, :30] = True
    share = prominence(camera, foreground, AzimuthRange.of(camera, DOWN))
    assert share[2:14].mean() == pytest.approx(0.5, abs=0.03)
    assert share[-20:].max() == 0
