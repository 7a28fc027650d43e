"""The tests' own check of annotations: a call of a kind that held is not checked again, any other is."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import jaxtyping
import pytest
import torch
from jaxtyping import Bool, Float
from torch import Tensor

import checked_annotations


def checked(function: Any) -> Any:
    """As the import hook leaves a function or class of the package."""
    return jaxtyping.jaxtyped(typechecker=checked_annotations.check)(function)


def scaled(
    picture: Float[Tensor, "h w 3"], mask: Bool[Tensor, "h w"], by: float = 1.0, how: Literal["up", "down"] = "up",
    give: Callable[[Tensor], Any] = lambda picture: picture,
) -> Float[Tensor, "h w 3"]:  # fmt: skip
    return give(picture)


def mask(*shape: int) -> Tensor:
    return torch.ones(shape, dtype=torch.bool)


@pytest.mark.parametrize("times", range(2))
def test_what_does_not_hold_is_refused_however_often_others_held(times: int) -> None:
    call = checked(scaled)
    for height, width in ((20, 30), (20, 30), (40, 50), (5, 5)):
        assert call(torch.rand(height, width, 3), mask(height, width), 2, how="down").shape == (height, width, 3)
    for wrong in (
        lambda: call(torch.rand(20, 30, 3), mask(20, 20)),
        lambda: call(torch.rand(30, 20, 3), mask(20, 30)),
        lambda: call(torch.rand(20, 30, 4), mask(20, 30)),
        lambda: call(torch.rand(20, 30, 3), torch.rand(20, 30)),
        lambda: call(torch.rand(20, 30, 3), mask(20, 30), "2"),
        lambda: call(torch.rand(20, 30, 3), mask(20, 30), 2.0, "sideways"),
        lambda: call(torch.rand(20, 30, 3), mask(20, 30), give=lambda picture: picture[1:]),
        lambda: call(torch.rand(20, 30, 3), mask(20, 30), give=3),
    ):
        with pytest.raises(jaxtyping.TypeCheckError):
            wrong()


def test_what_is_returned_is_checked_where_what_is_given_was_seen() -> None:
    left = [0, 0, 1]

    def cut(values: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        return values[left.pop(0) :]

    call = checked(cut)
    assert len(call(torch.rand(40))) == len(call(torch.rand(50))) - 10 == 40
    with pytest.raises(jaxtyping.TypeCheckError, match="return value"):
        call(torch.rand(40))


@dataclass
class View:
    rgb: Float[Tensor, "h w 3"]


def count(views: list[View], names: tuple[str, ...] = ()) -> int:
    return len(views)


def test_lists_and_data_classes_are_looked_into() -> None:
    view_of, call = checked(View), checked(count)
    view = view_of(torch.rand(20, 20, 3))
    for _ in range(2):
        assert call([view, view], ("a", "b")) == 2
        for wrong in (
            lambda: view_of(torch.rand(20, 20)),
            lambda: call([3, 3]),
            lambda: call([view], (3, 3)),
            lambda: call((view,)),
        ):
            with pytest.raises(jaxtyping.TypeCheckError):
                wrong()


@pytest.mark.breaks_annotations
def test_nothing_is_checked_where_a_test_breaks_annotations_on_purpose() -> None:
    call = functools.partial(checked(scaled), torch.rand(20, 30, 3))
    assert call(torch.rand(20, 20)).shape == (20, 30, 3)
