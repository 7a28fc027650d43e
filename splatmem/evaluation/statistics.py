"""Means over scenes, and how sure they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from splatmem.evaluation.figures import FIGURES, Figures

RESAMPLES = 10_000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean with its bootstrap interval of 95 %, over so many scenes; the ends are None for a single scene."""

    mean: float
    low: float | None
    high: float | None
    scenes: int


def bootstrap(values: list[float], reference: list[float] | None = None, seed: int = 0) -> Interval:
    """The mean of ``values``, or of its differences from ``reference``, resampled over scenes (Efron & Tibshirani 1993).

    With a reference the bootstrap is paired: a resample takes the same scenes for both, so what makes a scene hard for all
    methods cancels out. Scenes are the unit, since frames of one scene are not independent: with few scenes the interval is
    wide and, being bounded by the smallest and the largest value, rather too narrow than too wide.
    """
    from scipy import stats

    sample = np.asarray(values, np.float64) - (0.0 if reference is None else np.asarray(reference, np.float64))
    if len(sample) < 2:
        return Interval(float(sample.mean()), None, None, len(sample))
    if np.ptp(sample) == 0:
        return Interval(float(sample[0]), float(sample[0]), float(sample[0]), len(sample))
    result = stats.bootstrap(
        (sample,), np.mean, n_resamples=RESAMPLES, confidence_level=CONFIDENCE, method="percentile",
        rng=np.random.default_rng(seed),
    )  # fmt: skip
    ends = result.confidence_interval
    return Interval(float(sample.mean()), float(ends.low), float(ends.high), len(sample))


def means(scenes: Sequence[Mapping[str, Figures]], methods: Sequence[str]) -> dict[str, Figures]:
    """Each method's figures averaged over the scenes that have them; None where none has."""
    table: dict[str, Figures] = {}
    for method in methods:
        columns = {figure.name: _present(scenes, method, figure.name) for figure in FIGURES}
        table[method] = {name: float(np.mean(values)) if values else None for name, values in columns.items()}
    return table


def intervals(scenes: Sequence[Mapping[str, Figures]], methods: Sequence[str]) -> dict[str, dict[str, Interval]]:
    """For each method and figure: its mean over the scenes that have it, with its interval."""
    table: dict[str, dict[str, Interval]] = {}
    for method in methods:
        table[method] = {}
        for figure in FIGURES:
            values = _present(scenes, method, figure.name)
            if values:
                table[method][figure.name] = bootstrap(values)
    return table


def differences(
    scenes: Sequence[Mapping[str, Figures]], methods: Sequence[str], reference: str
) -> dict[str, dict[str, Interval]]:
    """For each other method and figure: ``reference`` minus the method, over the scenes where both have the figure."""
    table: dict[str, dict[str, Interval]] = {}
    for method in (m for m in methods if m != reference):
        table[method] = {}
        for figure in FIGURES:
            pairs = [
                (ours, theirs)
                for scene in scenes
                if (ours := scene[reference][figure.name]) is not None and (theirs := scene[method][figure.name]) is not None
            ]
            if pairs:
                ours, theirs = (list(side) for side in zip(*pairs, strict=True))
                table[method][figure.name] = bootstrap(ours, theirs)
    return table


def _present(scenes: Sequence[Mapping[str, Figures]], method: str, figure: str) -> list[float]:
    return [value for scene in scenes if (value := scene[method][figure]) is not None]
