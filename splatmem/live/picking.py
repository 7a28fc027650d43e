"""The part of the scene that is selected: what was clicked, drawn or placed, put together, grown and shrunk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.edit.selection import Selection
from splatmem.live.session import Session, Snapshot
from splatmem.memory import SpatialMemory
from splatmem.scene import Announce, Scene

Combine = Literal["new", "add", "take off"]
Find = Callable[[SpatialMemory], Selection]


@dataclass(frozen=True, eq=False)
class Exactly(Selection):
    """The Gaussians that a description meant when it was asked: what the user sees is what is changed."""

    described: Selection
    chosen: Bool[Tensor, " n"]

    def mask(self, memory: SpatialMemory) -> Bool[Tensor, " n"]:
        if len(self.chosen) > len(memory.gaussians):
            raise ValueError("the scene has changed since this was selected: select it again")
        return torch.nn.functional.pad(self.chosen, (0, len(memory.gaussians) - len(self.chosen)))

    def to_json(self) -> dict[str, Any]:
        return self.described.to_json()


class Picking:
    """What is selected, for all browsers alike."""

    def __init__(self, session: Session, changed: Callable[[], None], with_rim: Callable[[], bool] = lambda: True) -> None:
        """Args:
        changed: called in the session's thread when another part is selected, and when it is known what goes along with it.
        with_rim: whether a removal is to take along what hangs on the selection.
        """
        self._session, self._changed, self._with_rim = session, changed, with_rim
        self._base: Selection | None = None
        self._grow = 0.0
        self._picked: Exactly | None = None
        self._along: Bool[Tensor, " n"] | None = None
        self._of = session.snapshot

    @property
    def picked(self) -> Exactly | None:
        """What is selected; None if nothing is."""
        return self._picked

    @property
    def along(self) -> Bool[Tensor, " n"] | None:
        """What goes along with it when it is taken away; None where nothing does, or that is not known yet."""
        return self._along

    def require(self) -> Exactly:
        """The selection.

        Raises:
            ValueError: nothing is.
        """
        if self._picked is None:
            raise ValueError("nothing is selected: choose a tool, and click a thing or draw a rectangle")
        return self._picked

    @property
    def points(self) -> Float[Tensor, "p 3"]:
        """The middles of what is selected."""
        means = self._of.memory.gaussians.means.cpu()
        if self._picked is None:
            return means[:0]
        return means[torch.nonzero(self._picked.mask(self._of.memory))[:, 0]]

    def pick(self, find: Find, how: Combine) -> None:
        """Selects what ``find`` finds, adds it, or takes it off."""

        def work(scene: Scene, announce: Announce) -> str | None:
            found = find(scene.memory)
            if how != "new" and self._base is not None:
                found = self._base | found if how == "add" else self._base & ~found
            return self._set(scene, found, 0.0 if how == "new" else self._grow)

        self._session.submit("selecting", work)

    def invert(self) -> None:
        """Selects all else."""
        self.require()
        base = self._base
        assert base is not None
        self._session.submit("selecting", lambda scene, announce: self._set(scene, ~self._grown(base, self._grow), 0.0))

    def grow(self, distance: float) -> None:
        """Grows (or shrinks, if negative) what was selected by a distance in world units."""
        base = self._base
        if base is not None:
            self._session.submit("selecting", lambda scene, announce: self._set(scene, base, distance))

    def clear(self) -> None:
        """Selects nothing."""
        self._base, self._picked, self._along, self._grow = None, None, None, 0.0
        self._changed()

    @staticmethod
    def _grown(selection: Selection, distance: float) -> Selection:
        return selection.grown(distance) if distance else selection

    def _set(self, scene: Scene, base: Selection, grow: float) -> str:
        grown = self._grown(base, grow)
        chosen = grown.mask(scene.memory)
        if not chosen.any():
            raise ValueError("nothing is there to be selected")
        self._base, self._grow, self._picked = base, grow, Exactly(grown, chosen)
        self._of, self._along = self._session.snapshot, None
        self._changed()
        self.find_along()
        return f"{int(chosen.sum()):,} splats selected"

    def find_along(self) -> None:
        """Finds out, after what waits already, what goes along with the selection when it is taken away."""
        picked = self._picked
        if picked is None:
            return

        def work(scene: Scene, announce: Announce) -> None:
            if picked is not self._picked:
                return  # another part was selected meanwhile
            along = None
            if self._with_rim():
                along = scene.removes(picked) & ~picked.mask(scene.memory)
                along = along if along.any() else None
            self._along = along
            self._changed()

        self._session.submit("seeing what goes along", work)

    def follow(self, snapshot: Snapshot) -> None:
        """The scene has changed: what grew at its end leaves the selection as it is, and all else ends it."""
        before, now = self._of, snapshot
        if now.version == before.version:
            return
        count = len(before.memory.gaussians)
        grew = len(now.memory.gaussians) >= count and torch.equal(
            now.memory.gaussians.means[:count], before.memory.gaussians.means
        )
        self._of = now
        if self._picked is None:
            return
        if grew:
            self.find_along()
        else:
            self.clear()
