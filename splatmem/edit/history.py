"""The steps of a scene, and the states that lie before and after them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from splatmem.memory import SpatialMemory
from splatmem.memory.session import SessionStore

ADDING = ("explore", "extend", "look")  # operations that add to a memory and change nothing of it
COMPACTING = "compact"
DEFAULT_BUDGET = 2**30  # bytes


@dataclass(frozen=True)
class Step:
    """One step of a scene's history.

    Attributes:
        operation: ``begin``, ``import``, ``explore``, ``extend``, ``look``, ``remove``, ``move``, ...
        details: JSON values: what it was done with.
        views: the memory's views after it.
        gaussians: its Gaussians after it; -1 where that was not kept.
        features: its Gaussians with features after it.
        windows: of an exploration, the same three counts after each window.
        notes: how many notes the scene had before it.
        unfinished: whether it is being done.
    """

    operation: str
    details: dict[str, Any]
    views: int
    gaussians: int = -1
    features: int = 0
    windows: Sequence[Sequence[int]] = field(default_factory=list)
    notes: int = 0
    unfinished: bool = False


@dataclass
class State:
    """A scene as it was, or as it would be again: its memory, here or in a session, and its record.

    Attributes:
        record: JSON values; empty where it is on disk alone.
        memory: None where it is on disk alone.
        store, number: where on disk, or None.
    """

    record: dict[str, Any]
    memory: SpatialMemory | None = None
    store: SessionStore | None = None
    number: int | None = None

    def load(self) -> tuple[SpatialMemory, dict[str, Any]]:
        """The memory and the record.

        Raises:
            ValueError: the session that holds it is damaged; the message names the file.
        """
        if self.memory is not None:
            return self.memory, self.record
        assert self.store is not None
        assert self.number is not None
        memory, progress, _ = self.store.load_state(self.number)
        return memory, progress["scene"]

    @property
    def nbytes(self) -> int:
        """Bytes in main memory that nothing on disk stands for."""
        return 0 if self.memory is None or self.number is not None else self.memory.nbytes


@dataclass
class Timeline:
    """States that a scene can go back and forth to.

    Attributes:
        before: by the place of a step in the history, the state that it changed. Steps that only added need none.
        ahead: states that were undone, the next one last.
        budget: bytes that ``before`` and ``ahead`` may take.
    """

    before: dict[int, State] = field(default_factory=dict)
    ahead: list[State] = field(default_factory=list)
    budget: int = DEFAULT_BUDGET

    def copy(self) -> Timeline:
        return Timeline(dict(self.before), list(self.ahead), self.budget)

    @property
    def states(self) -> list[State]:
        """All, those that are given up first in front."""
        return [*(self.before[step] for step in sorted(self.before)), *self.ahead]

    def _give_up(self, state: State) -> None:
        self.before = {step: other for step, other in self.before.items() if other is not state}
        if state in self.ahead:  # what lies beyond it cannot be reached either
            self.ahead = self.ahead[self.ahead.index(state) + 1 :]

    def trim(self) -> None:
        """Gives up the oldest states in main memory until the others fit into the budget."""
        while (states := [state for state in self.states if state.nbytes]) and sum(s.nbytes for s in states) > self.budget:
            self._give_up(states[0])

    def write(self, store: SessionStore, fixed: dict[str, Any]) -> dict[str, Any]:
        """Brings the states into a session, without those beyond the budget; JSON values that ``read`` takes."""
        for state in self.states:
            if state.store is not store or state.number is None:
                memory, record = state.load()
                number = store.save_state(memory, {"scene": record}, fixed)
                state.record, state.memory, state.store, state.number = record, memory, store, number
        while self.states and store.state_bytes(self.numbers) > self.budget:
            self._give_up(self.states[0])
        return {
            "before": {str(step): state.number for step, state in self.before.items()},
            "ahead": [state.number for state in self.ahead],
            "budget": self.budget,
        }

    @property
    def numbers(self) -> list[int]:
        """Numbers of the states that are on disk."""
        return [state.number for state in self.states if state.number is not None]

    @staticmethod
    def read(values: dict[str, Any], store: SessionStore) -> Timeline:
        """The history that ``write`` gave these values for; the states are loaded when they are asked for.

        Raises:
            KeyError, TypeError, ValueError: these are none.
        """

        def state(number: Any) -> State:
            return State({}, None, store, int(number))

        before = {int(step): state(number) for step, number in values["before"].items()}
        return Timeline(before, [state(number) for number in values["ahead"]], int(values["budget"]))


def views_before(history: Sequence[Step], path: str) -> int | None:
    """How many views a memory had when a path of this name was first made in it; all of them if that was not done, and None if
    nothing was done at all."""
    for before, step in pairwise(history):
        if step.operation in ("explore", "extend") and step.details.get("path") == path:
            return before.views
    return history[-1].views if history else None


def counts(memory: SpatialMemory) -> tuple[int, int, int]:
    """Views, Gaussians, and Gaussians with features."""
    features = memory.feature_gaussians
    return len(memory.views), len(memory.gaussians), 0 if features is None else len(features)


def cut_back(memory: SpatialMemory, views: int, gaussians: int, features: int) -> SpatialMemory:
    """The memory as it was when it had these counts, if it has only grown since.

    Args:
        gaussians: -1: those of the views.
    """
    kept = memory.views[:views]
    count = kept[-1].gaussians[1] if gaussians < 0 else gaussians
    carriers = memory.feature_gaussians
    # Which views have given features is not kept: those that were cut off are encoded anew, and add nothing twice.
    carriers = None if carriers is None or features == 0 else carriers.select(slice(0, features))
    with_features = 0 if carriers is None else min(memory.num_feature_views, views)
    return replace(
        memory, gaussians=memory.gaussians.select(slice(0, count)), views=kept,
        feature_gaussians=carriers, num_feature_views=with_features,
    )  # fmt: skip


def after_compaction(step: Step, count_before: Callable[[int], int]) -> Step:
    """The step with the counts of Gaussians that it has in a memory with fewer of them.

    Args:
        count_before: how many are left of so many first ones.
    """
    windows = [[views, count_before(gaussians), features] for views, gaussians, features in step.windows]
    return replace(step, gaussians=step.gaussians if step.gaussians < 0 else count_before(step.gaussians), windows=windows)


def put(memory: SpatialMemory, other: SpatialMemory) -> None:
    """Makes ``memory`` hold what ``other`` holds; whoever has it sees that."""
    for name in other.__dataclass_fields__:
        if name != "_free_space":
            setattr(memory, name, getattr(other, name))
    memory.let_go()  # what was shown before is another scene
