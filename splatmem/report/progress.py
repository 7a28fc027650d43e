"""Progress on a terminal: the stage's name, its share, the time left."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class RunProgress:
    """Shows one bar per stage; calling it moves the bar. Prints plain lines where there is no terminal."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console = console or Console(stderr=True)
        self.stages: dict[str, TaskID] = {}
        self.bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("left:"),
            TimeRemainingColumn(),
            console=console,
            disable=not (console.is_terminal or console.is_jupyter),
        )

    def __enter__(self) -> RunProgress:
        self.bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is None:
            self._finish_all()
        self.bars.stop()

    def __call__(self, stage: str, share: float) -> None:
        if stage not in self.stages:
            self._finish_all()
            self.stages[stage] = self.bars.add_task(stage, total=1.0)
            if self.bars.disable:
                self.say(stage)
        self.bars.update(self.stages[stage], completed=share)

    def say(self, text: str) -> None:
        """Prints lines of text as they are; long ones are left to the terminal to wrap."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def _finish_all(self) -> None:
        for task in self.stages.values():
            self.bars.update(task, completed=1.0)
