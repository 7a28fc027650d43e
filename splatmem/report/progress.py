"""Progress on a terminal: the stage's name, its share, the time left; and the same as events for whoever else listens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from splatmem.report.durations import spelled_duration
from splatmem.report.events import Event, Listener


class TimeLeftColumn(TimeRemainingColumn):
    """The time left by a stage's own pace; before it has one, by what was expected of the stage."""

    def render(self, task: Task) -> Text:
        expected = task.fields.get("expected")
        if expected is None or task.finished or task.time_remaining is not None:
            return super().render(task)
        minutes, seconds = divmod(int(max(0.0, expected - (task.elapsed or 0.0))), 60)
        hours, minutes = divmod(minutes, 60)
        return Text(f"{hours:d}:{minutes:02d}:{seconds:02d}", style="progress.remaining")


class RunProgress:
    """Shows one bar per stage; calling it moves the bar. Prints plain lines where there is no terminal.

    Args:
        console: where it is shown; stderr by default. A quiet console shows nothing.
        listeners: are told every event.
    """

    def __init__(self, console: Console | None = None, listeners: Sequence[Listener] = ()) -> None:
        self.console = console = console or Console(stderr=True)
        self.listeners = listeners
        self.stages: dict[str, TaskID] = {}
        self.expected: dict[str, float] = {}
        self.bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("left:"),
            TimeLeftColumn(),
            console=console,
            disable=console.quiet or not (console.is_terminal or console.is_jupyter),
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
            self.stages[stage] = self.bars.add_task(stage, total=1.0, expected=self.expected.get(stage))
            if self.bars.disable:
                self._print(stage)
        self.bars.update(self.stages[stage], completed=share)
        self._tell("progress", stage=stage, share=round(share, 4))

    def expect(self, stage: str, seconds: float) -> None:
        """Says how long a stage that has not begun takes at most, and shows it as the time left until the stage has a pace."""
        self.expected[stage] = seconds
        self.say(f"{stage} takes at most {spelled_duration(seconds)}, by what 'splatmem models bench' measured here")

    def say(self, text: str) -> None:
        """Prints lines of text as they are; long ones are left to the terminal to wrap."""
        self._print(text)
        self._tell("message", text=text)

    def preview(self, file: Path) -> None:
        """Says where a first look at the film lies."""
        self._print(f"a first look at the film: {_from_here(file)}")
        self._tell("preview", file=str(file))

    def result(self, **values: Any) -> None:
        """Tells listeners what came out, as JSON values; people are told by ``say``."""
        self._tell("result", **values)

    def _print(self, text: str) -> None:
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def _tell(self, kind: str, **values: Any) -> None:
        for listener in self.listeners:
            listener(Event(kind, values))

    def _finish_all(self) -> None:
        for task in self.stages.values():
            self.bars.update(task, completed=1.0)


def _from_here(file: Path) -> Path:
    """A file's place as seen from the working folder, where it lies below that."""
    try:
        here = Path.cwd()
    except OSError:  # the working folder is gone
        return file
    return file.relative_to(here) if file.is_relative_to(here) else file
