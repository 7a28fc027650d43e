"""Which Gaussians of a scene are those of another one, told without looking at their values."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass


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
        """The lineage of Gaussians that no other scene has."""
        return Lineage((object(),), (count,)) if count else Lineage()

    @staticmethod
    def joined(parts: Sequence[Lineage]) -> Lineage:
        """The lineage of scenes that follow each other."""
        # A scene grows by a little at its end, again and again: what it has so far is copied as a whole.
        names, ends = (parts[0].names, parts[0].ends) if parts else ((), ())
        for part in parts[1:]:
            start = ends[-1] if ends else 0
            names += part.names
            ends += tuple(start + end for end in part.ends)
        return Lineage(names, ends)

    def changed(self, first: int, last: int) -> Lineage:
        """The lineage of the same Gaussians but for the Gaussians ``first`` to ``last - 1``, which are new ones."""
        if first >= last:
            return self
        begin, end = bisect_right(self.ends, first), bisect_left(self.ends, last) + 1
        new = tuple(object() for _ in self.ends[begin:end])
        return Lineage(self.names[:begin] + new + self.names[end:], self.ends)

    def shared(self, other: Lineage) -> int:
        """How many Gaussians, from the first on, are those of another scene; perhaps more are."""
        count = min(len(self.names), len(other.names))
        if self.names[:count] != other.names[:count] or self.ends[:count] != other.ends[:count]:
            stretches = zip(self.names, other.names, self.ends, other.ends, strict=False)
            count = next(i for i, (mine, yours, end, ended) in enumerate(stretches) if mine is not yours or end != ended)
        return self.ends[count - 1] if count else 0
