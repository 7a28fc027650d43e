"""Which step of a scene's history made each Gaussian."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor

NO_WINDOW = -1


@dataclass(frozen=True)
class Makers:
    """For each of ``n`` Gaussians the step that made it, and of an exploration the window.

    Attributes:
        step: places in the scene's history, ``[n]``.
        window: windows of that step, counted from 0; -1 where it has none, ``[n]``.
    """

    step: Int[Tensor, " n"]
    window: Int[Tensor, " n"]

    @staticmethod
    def none() -> Makers:
        """The makers of no Gaussians."""
        return Makers(torch.zeros(0, dtype=torch.int32), torch.zeros(0, dtype=torch.int32))

    def __len__(self) -> int:
        return len(self.step)

    def grown(self, count: int, step: int, window: int = NO_WINDOW) -> Makers:
        """These and the makers of further Gaussians up to ``count``, made by ``step``; nothing changes where there are as
        many."""
        more = count - len(self)
        if more <= 0:
            return self
        added = [torch.full((more,), value, dtype=torch.int32) for value in (step, window)]
        return Makers(torch.cat([self.step, added[0]]), torch.cat([self.window, added[1]]))

    def explored(self, ends: Sequence[int], step: int) -> Makers:
        """These and the makers of further Gaussians, made by the windows of ``step``: each those up to its one of ``ends``."""
        counts = torch.tensor([len(self), *ends]).cummax(0).values.diff()
        windows = torch.arange(len(counts), dtype=torch.int32).repeat_interleave(counts)
        return self.joined(Makers(torch.full_like(windows, step), windows))

    def joined(self, other: Makers) -> Makers:
        """Followed by those of ``other``."""
        return Makers(torch.cat([self.step, other.step]), torch.cat([self.window, other.window]))

    def select(self, index: Bool[Tensor, " n"] | Int[Tensor, " m"] | slice) -> Makers:
        """Those that a mask, indices or a slice choose."""
        index = index.cpu() if isinstance(index, Tensor) else index
        return Makers(self.step[index], self.window[index])

    def to_json(self) -> list[list[int]]:
        """Runs of equal entries: count, step, window."""
        if not len(self):
            return []
        changed = (self.step.diff() != 0) | (self.window.diff() != 0)
        first = [0, *(torch.nonzero(changed)[:, 0] + 1).tolist()]
        return [
            [end - begin, int(self.step[begin]), int(self.window[begin])]
            for begin, end in zip(first, [*first[1:], len(self)], strict=True)
        ]

    @staticmethod
    def of_json(runs: Any) -> Makers:
        """The makers that ``to_json`` has written.

        Raises:
            ValueError: these are no runs.
        """
        if not isinstance(runs, list) or not all(isinstance(run, list) and len(run) == 3 for run in runs):
            raise ValueError("makers are runs of a count, a step and a window")
        if not runs:
            return Makers.none()
        table = torch.tensor(runs, dtype=torch.int64)
        if (table[:, 0] < 1).any():
            raise ValueError("a run of makers has at least one Gaussian")
        both = table[:, 1:].int().repeat_interleave(table[:, 0], dim=0)
        return Makers(both[:, 0].contiguous(), both[:, 1].contiguous())
