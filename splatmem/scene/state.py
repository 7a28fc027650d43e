"""What a scene holds, and its history: steps that are done whole or not at all, undone and done again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from jaxtyping import Bool
from torch import Tensor

from splatmem.edit.history import ADDING, COMPACTING, State, Step, Timeline, counts, cut_back, put, views_before
from splatmem.edit.provenance import Makers
from splatmem.explore.live import LiveInpainter
from splatmem.explore.loop import ExploreSettings
from splatmem.explore.models import Models
from splatmem.geometry.cameras import Cameras
from splatmem.memory import SpatialMemory
from splatmem.memory.session import SessionStore
from splatmem.timing import StageClock

CHANGED_BY_STEPS = ("prompt", "source", "notes", "history", "selections", "makers", "timeline")


@dataclass
class SceneState:
    """A memory, and how it came to be.

    Attributes:
        memory: what is known.
        models: what makes the unseen.
        preset, overrides: whose configuration the models were loaded by.
        seed: of all that is made.
        prompt: what the scene shows, for models that read words.
        source: the name of what it was made from.
        settings: how the unseen is made.
        notes: sentences for a reader, such as that the field of view was assumed.
        history: what was done, in order.
        clock: seconds by stage of all that was done.
        makers: which step made each Gaussian.
        selections: selections that were saved by name, as JSON values.
        timeline: states to go back and forth to; its budget says how many bytes they may take.
        film_cameras: the cameras of the film that the scene was made for, or None.
        moving: pixels of the given pictures that were left out since they moved, ``[n, h, w]``; None if nothing did, and in a
            scene that was opened again.
    """

    memory: SpatialMemory
    models: Models
    preset: str = "embedded"
    overrides: tuple[str, ...] = ()
    seed: int = 0
    prompt: str = ""
    source: str = ""
    settings: ExploreSettings = field(default_factory=ExploreSettings)
    notes: list[str] = field(default_factory=list)
    history: list[Step] = field(default_factory=list)
    clock: StageClock = field(default_factory=StageClock)
    makers: Makers = field(default_factory=Makers.none)
    selections: dict[str, dict[str, Any]] = field(default_factory=dict)
    timeline: Timeline = field(default_factory=Timeline)
    film_cameras: Cameras | None = None
    moving: Bool[Tensor, "n h w"] | None = field(default=None, repr=False, compare=False)
    _store: SessionStore | None = field(default=None, repr=False, compare=False)
    _live: LiveInpainter | None = field(default=None, repr=False, compare=False)
    _looked_after: Step | None = field(default=None, repr=False, compare=False)  # the last step before the looks

    def record(self, growing: bool = True) -> dict[str, Any]:
        """All but the memory, as JSON values; ``restored`` takes it.

        Args:
            growing: whether with what each window adds to an exploration that is being done, the step's ``windows`` and
                ``moments``; whoever leaves that out keeps it elsewhere, and puts it back before the record is taken.
        """
        steps = list(self.history)
        if not growing and steps and steps[-1].unfinished:
            steps[-1] = replace(steps[-1], windows=[], details={**steps[-1].details, "moments": []})
        return {
            "source": self.source,
            "preset": self.preset,
            "overrides": list(self.overrides),
            "seed": self.seed,
            "prompt": self.prompt,
            "notes": self.notes,
            "history": [asdict(step) for step in steps],
            "makers": self.makers.to_json(),
            "selections": self.selections,
        }

    def _take(self, record: dict[str, Any]) -> None:
        """Takes what a record says, but for the memory and the models."""
        self.prompt, self.source, self.notes = record["prompt"], record["source"], list(record["notes"])
        self.history = [Step(**step) for step in record["history"]]
        self.selections = dict(record.get("selections", {}))
        self.makers = Makers.of_json(record["makers"]) if "makers" in record else self._makers_of_views()
        self._note_makers()

    def _makers_of_views(self) -> Makers:
        """The makers of a scene that was saved without them, and has only grown."""
        makers = Makers.none()
        for place, step in enumerate(self.history):
            views = self.memory.views[: step.views]
            makers = makers.grown(views[-1].gaussians[1] if views else 0, place)
        return makers

    def _note_makers(self) -> None:
        """Brings the makers up to the windows of the last step: not after each of them, which would take all of the others'."""
        if self.history:
            self.makers = self.makers.explored([window[1] for window in self.history[-1].windows], len(self.history) - 1)

    def views_before(self, path: str) -> int:
        """How many views the memory had when a path of this name was first made; all of them if that was not done."""
        views = views_before(self.history, path)
        return len(self.memory.views) if views is None else views

    def remark(self, *notes: str) -> None:
        """Adds notes, each once."""
        self.notes = list(dict.fromkeys([*self.notes, *notes]))

    def _record(self, operation: str, notes_before: int | None = None, **details: Any) -> None:
        notes = len(self.notes) if notes_before is None else notes_before
        self.history.append(Step(operation, details, *counts(self.memory), notes=notes))
        self.makers = self.makers.grown(len(self.memory.gaussians), len(self.history) - 1)

    # ------------------------------------------------------------------------------------------------ back and forth

    def undo(self, steps: int = 1, *, windows: int = 0) -> None:
        """Goes back: the memory is then, to the byte, what it was before the last steps.

        Args:
            steps: how many.
            windows: instead, how many windows of the last step, which must be an exploration.

        Raises:
            ValueError: there is nothing to undo, or what was before is beyond the budget.
        """
        possible = len(self.history) - 1
        if windows <= 0 and steps > possible > 0:
            raise ValueError(f"{steps} steps cannot be undone: since the scene began there were {possible}")
        with self._whole():
            for _ in range(max(windows, 0) or steps):
                self._undo(windows > 0)

    def _undo(self, window: bool) -> None:
        if len(self.history) < 2:
            raise ValueError("there is nothing to undo: the scene is as it began")
        step, place = self.history[-1], len(self.history) - 1
        if step.operation == COMPACTING:
            raise ValueError("the scene was made small: what it was before is not kept")
        now = State(self.record(), replace(self.memory))
        if step.operation in ADDING:
            before = self.history[place - 1]
            windows = list(step.windows)[:-1] if window else []
            at = windows[-1] if windows else (before.views, before.gaussians, before.features)
            put(self.memory, cut_back(self.memory, *at))
            self.makers = self.makers.select(slice(0, len(self.memory.gaussians)))
            self.notes = self.notes[: step.notes] if not windows else self.notes
            self.history = self.history[:place]
            if windows:
                moments = step.details["moments"][: len(windows)]
                details = step.details | {"moments": moments, "generated_frames": sum(map(len, moments))}
                views, gaussians, features = at
                cut = replace(step, details=details, views=views, gaussians=gaussians, features=features, windows=windows)
                self.history.append(cut)
        elif window:
            raise ValueError(f"the last step is no exploration ({step.operation}): undo it whole")
        else:
            if place not in self.timeline.before:
                raise ValueError(
                    f"the step {step.operation!r} cannot be undone: what was before takes more than the budget of "
                    f"{self.timeline.budget} bytes"
                )
            self._go_to(self.timeline.before.pop(place))
        self.timeline.ahead.append(now)
        self.timeline.trim()

    def redo(self, steps: int = 1) -> None:
        """Goes forth to what was undone, to the byte.

        Raises:
            ValueError: nothing was undone, or something else was done since.
        """
        with self._whole():
            for _ in range(steps):
                if not self.timeline.ahead:
                    raise ValueError("there is nothing to redo")
                now = State(self.record(), replace(self.memory))
                self._go_to(self.timeline.ahead.pop())
                step = self.history[-1]
                if step.operation not in ADDING:
                    self.timeline.before[len(self.history) - 1] = now

    def _go_to(self, state: State) -> None:
        memory, record = state.load()
        put(self.memory, memory.to(self.memory.device))
        self._take(record)

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """What is done in the block is done whole or not at all."""
        memory, kept = replace(self.memory), {name: getattr(self, name) for name in CHANGED_BY_STEPS}
        self.history, self.timeline = list(self.history), self.timeline.copy()
        try:
            yield
        except BaseException:
            put(self.memory, memory)
            for name, value in kept.items():
                setattr(self, name, value)
            raise

    @contextmanager
    def _step(self, operation: str, details: dict[str, Any]) -> Iterator[None]:
        """The block changes the memory: that becomes a step of the history, or nothing if it fails."""
        with self._whole():
            before = State(self.record(), replace(self.memory))
            notes = len(self.notes)
            yield
            self.timeline.before[len(self.history)] = before
            self.timeline.ahead.clear()
            self._record(operation, notes_before=notes, **details)
            self.timeline.trim()
