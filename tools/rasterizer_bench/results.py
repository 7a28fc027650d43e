"""The figures of the benchmark, and a file that gathers them from several runs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from rasterizer_bench.roofs import Roofs, Work


@dataclass
class Times:
    """Seconds per view: the fastest and the median of the rounds, each averaged over the views."""

    fastest: float
    median: float
    rounds: int

    @classmethod
    def of(cls, views: list[list[float]]) -> Times:
        """From each view's times, one for every round."""
        fastest, middle = (sum(map(f, views)) / len(views) for f in (min, median))
        return cls(fastest, middle, len(views[0]))


@dataclass
class Case:
    """One scene at one size, drawn by so many threads with the kernels of one instruction set. Times in seconds per view."""

    scene: str
    size: str
    threads: int
    instruction_set: str
    forward: dict[str, Times] = field(default_factory=dict)  # by contender
    both: dict[str, Times] = field(default_factory=dict)
    stages: dict[str, float] = field(default_factory=dict)  # the fastest
    work: Work | None = None
    film: float | None = None  # seconds of a frame of many that are drawn in one call

    @property
    def key(self) -> tuple[str, str, int, str]:
        return self.scene, self.size, self.threads, self.instruction_set

    def update(self, newer: Case) -> None:
        """Takes what another run of the same case measured; what it did not measure stays."""
        self.forward |= newer.forward
        self.both |= newer.both
        if newer.stages:
            self.stages, self.work = newer.stages, newer.work
        if newer.film is not None:
            self.film = newer.film


@dataclass
class Results:
    """Of one machine."""

    machine: str
    roofs: dict[int, Roofs] = field(default_factory=dict)  # by number of threads
    cases: list[Case] = field(default_factory=list)

    def add(self, case: Case) -> None:
        same = next((own for own in self.cases if own.key == case.key), None)
        if same is None:
            self.cases.append(case)
        else:
            same.update(case)

    def raise_roofs(self, roofs: Roofs) -> None:
        """Keeps the highest that any run has measured."""
        known = self.roofs.get(roofs.threads, roofs)
        self.roofs[roofs.threads] = Roofs(**{name: max(x, getattr(known, name)) for name, x in vars(roofs).items()})

    def of(self, instruction_set: str) -> list[Case]:
        return [case for case in self.cases if case.instruction_set == instruction_set]

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")


def load(path: Path, machine: str) -> Results:
    """The figures that earlier runs left in a file, or none yet.

    Raises:
        ValueError: if they are those of another machine.
    """
    if not path.exists():
        return Results(machine)
    stored = json.loads(path.read_text())
    if stored["machine"] != machine:
        raise ValueError(f"{path} holds figures of another machine ({stored['machine']}): remove it, or name another file")
    roofs = {int(threads): Roofs(**values) for threads, values in stored["roofs"].items()}
    return Results(machine, roofs, [_case(values) for values in stored["cases"]])


def _case(values: dict[str, Any]) -> Case:
    times = {name: {k: Times(**t) for k, t in values[name].items()} for name in ("forward", "both")}
    work = None if values["work"] is None else Work(**values["work"])
    return Case(**values | times | {"work": work})
