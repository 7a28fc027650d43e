"""Which Gaussians of a scene are those of another one, told without looking at their values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Lineage:
    """The stretches of which a scene is made, in order. Stretches of the same name hold the same Gaussians.

    Attributes:
        names: of the stretches; any objects, told apart by identity.
        ends: index behind the last Gaussian of each.
    """

    names: tuple[object, ...] = ()
    ends: tuple[int, ...] = ()

    @staticmethod
    def new(count: int) -> Lineage:
        """Of Gaussians that no other scene has."""
        return Lineage((object(),), (count,)) if count else Lineage()

    @staticmethod
    def joined(parts: Sequence[Lineage]) -> Lineage:
        """Of scenes that follow each other."""
        names: list[object] = []
        ends: list[int] = []
        for part in parts:
            start = ends[-1] if ends else 0
            names += part.names
            ends += [start + end for end in part.ends]
        return Lineage(tuple(names), tuple(ends))

    def changed(self, first: int, last: int) -> Lineage:
        """The same but for the Gaussians ``first`` to ``last - 1``, which are new ones."""
        names: list[object] = []
        ends: list[int] = []
        for name, (start, end) in zip(self.names, pairwise((0, *self.ends)), strict=True):
            if end <= first or start >= last:
                names.append(name)
            else:
                names.append(object())
            ends.append(end)
        return Lineage(tuple(names), tuple(ends))

    def shared(self, other: Lineage) -> int:
        """How many Gaussians, from the first on, are those of another scene; perhaps more are."""
        count = 0
        for mine, yours, end, other_end in zip(self.names, other.names, self.ends, other.ends, strict=False):
            if mine is not yours or end != other_end:
                break
            count = end
        return count
