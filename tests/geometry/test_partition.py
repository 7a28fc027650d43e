"""Borders in a hole are as short as what is seen around it allows."""

from __future__ import annotations

import torch
from splatmem.geometry.partition import shortest_borders


def bordered(
    hole: torch.Tensor, given: torch.Tensor, begin: torch.Tensor, forbidden: torch.Tensor | None = None
) -> torch.Tensor:
    barred = torch.zeros(2, *hole.shape, dtype=torch.bool) if forbidden is None else forbidden
    return shortest_borders(torch.where(hole, begin, given), ~hole, hole, barred)


def above_and_below() -> tuple[torch.Tensor, torch.Tensor]:
    """A wall above row 40 and a table below it, and a hole that reaches high up the wall and little down the table."""
    given = torch.zeros(80, 100, dtype=torch.int64)
    given[40:] = 1
    hole = torch.zeros(80, 100, dtype=torch.bool)
    hole[10:48, 30:70] = True
    return given, hole


def test_an_edge_goes_straight_through_a_hole() -> None:
    given, hole = above_and_below()
    bulged = given.clone()
    bulged[25:, 35:65] = 1  # as if the nearer one went on: the table climbs up the wall
    found = bordered(hole, given, bulged)
    assert (found != given).sum() < 0.06 * hole.sum()
    assert torch.equal(found[~hole], given[~hole])


def test_what_stands_beside_a_hole_does_not_go_on_in_it() -> None:
    given = torch.zeros(80, 100, dtype=torch.int64)
    given[20:60, 70:90] = 1
    hole = torch.zeros(80, 100, dtype=torch.bool)
    hole[15:65, 30:70] = True
    begin = torch.ones_like(given)
    begin[:, :50] = 0
    found = bordered(hole, given, begin)
    assert (found[hole] == 1).float().mean() < 0.06


def test_a_label_stays_out_of_where_it_may_not_be() -> None:
    given, hole = above_and_below()
    forbidden = torch.zeros(2, *hole.shape, dtype=torch.bool)
    forbidden[1, :44] = True
    found = bordered(hole, given, given, forbidden)
    assert (found[:44][hole[:44]] == 0).all()
    assert (found[46:][hole[46:]] == 1).any()


def test_no_hole_changes_nothing() -> None:
    given, hole = above_and_below()
    assert torch.equal(bordered(torch.zeros_like(hole), given, given), given)
